//! The program `farm`: a load test of `millrace` with a simulated farm on loopback.
//!
//! `cargo run --release -p tests --bin farm -- --miners 1000 --for 60s`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use millrace::config::parse_duration;
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
    let Some(program) = arguments.millrace.or_else(|| tests::build("millrace")) else {
        eprintln!("millrace cannot be built: give its path with --millrace");
        return ExitCode::FAILURE;
    };
    let load = Load {
        miners: arguments.miners,
        duration: arguments.duration,
        shares_per_minute: arguments.shares_per_minute,
    };
    let report = load.run(&program);
    let json = arguments.json.then(|| report.to_json());
    tests::conclude(&report, &report.problems(), json)
}
