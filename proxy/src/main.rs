//! The program `millrace`: reads the command line and does what it asks for.

use std::process::ExitCode;

use millrace::arguments::Arguments;
use millrace::{check, run};

fn main() -> ExitCode {
    start().err().unwrap_or(ExitCode::SUCCESS)
}

/// Does what the command line asks for; an error is an exit code, and its reason has been printed.
fn start() -> Result<(), ExitCode> {
    match Arguments::of_process()? {
        Arguments::Check(arguments) => check::check(&arguments.config).map(|_| ()),
        Arguments::Run(arguments) => run::run(&arguments.config),
        Arguments::Demo(_) => Err(not_yet("demo")),
    }
}

fn not_yet(command: &str) -> ExitCode {
    eprintln!("millrace {command} is not part of this version");
    ExitCode::FAILURE
}
