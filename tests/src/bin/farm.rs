//! The program `farm`: a load test of `millrace` with a simulated farm on loopback.
//!
//! `cargo run --release -p tests --bin farm -- --miners 1000 --for 60s`

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use millrace::config::parse_duration;
use serde_json::Value;
use structopt::StructOpt;
use tests::farm::Load;

/// Runs a small pool, the real millrace and a simulated farm on loopback, and tells what became of the shares and
/// what millrace took of the machine. Exit code 1 where a share was refused or a connection lost.
#[derive(Debug, StructOpt)]
struct Arguments {
    /// How many miners
    #[structopt(long, default_value = "1000")]
    miners: usize,
    /// How long they mine, once all are connected
    #[structopt(long = "for", default_value = "60s", parse(try_from_str = parse_duration))]
    duration: Duration,
    /// Shares that each miner finds per minute
    #[structopt(long, default_value = "12")]
    shares_per_minute: f64,
    /// Program to test; built from this workspace where it is not given
    #[structopt(long, parse(from_os_str))]
    millrace: Option<PathBuf>,
    /// One JSON object as the last line of standard output
    #[structopt(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Some(program) = arguments.millrace.or_else(build) else {
        eprintln!("millrace cannot be built: give its path with --millrace");
        return ExitCode::FAILURE;
    };
    let load = Load {
        miners: arguments.miners,
        duration: arguments.duration,
        shares_per_minute: arguments.shares_per_minute,
    };
    let report = load.run(&program);
    println!("{report}");
    let problems = report.problems();
    for problem in &problems {
        println!("PROBLEM: {problem}");
    }
    if arguments.json {
        println!("{}", report.to_json());
    }
    match problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Builds millrace in the profile of this program, and gives its path in cargo's words.
fn build() -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--package", "millrace", "--bin", "millrace"])
        .args(["--message-format", "json-render-diagnostics"])
        .args((!cfg!(debug_assertions)).then_some("--release"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit());
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let programs = messages.filter_map(|message| {
        let program = message.get("executable")?.as_str()?;
        Some(PathBuf::from(program))
    });
    programs.reduce(|_, newest| newest)
}
