//! The program `millrace`: reads the command line and does what it asks for.

use std::process::ExitCode;

use millrace::arguments::Arguments;
use millrace::{check, connect, demo, run};

fn main() -> ExitCode {
    start().err().unwrap_or(ExitCode::SUCCESS)
}

/// Does what the command line asks for; an error is an exit code, and its reason has been printed.
fn start() -> Result<(), ExitCode> {
    match Arguments::of_process()? {
        Arguments::Run(arguments) => run::run(&arguments.config),
        Arguments::Check(arguments) => {
            let config = check::check(&arguments.config)?;
            if arguments.connect {
                connect::connect(&config)
            } else {
                Ok(())
            }
        }
        Arguments::Demo(arguments) => demo::demo(&arguments),
    }
}
