//! The program `flood`: silent connections, garbage and worthless shares beside a farm of good miners on loopback.
//!
//! `cargo run --release -p tests --bin flood -- --json`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use millrace::config::parse_duration;
use structopt::StructOpt;
use tests::flood::Flood;

/// Runs a small pool, the real millrace and good miners on loopback, first alone and then beside a flood, and tells what
/// the good miners lost and what it cost. Exit code 1 where they lost anything.
#[derive(Debug, StructOpt)]
struct Arguments {
    /// How many good miners
    #[structopt(long, default_value = "200")]
    good: usize,
    /// How many connections that say nothing
    #[structopt(long, default_value = "500")]
    silent: usize,
    /// How many senders of garbage, each connecting five times a second
    #[structopt(long, default_value = "100")]
    garbage: usize,
    /// Length of the calm, and then of the flood
    #[structopt(long = "for", default_value = "30s", parse(try_from_str = parse_duration))]
    duration: Duration,
    /// The flood comes from the good miners' own address, as behind one NAT
    #[structopt(long)]
    one_address: bool,
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
    let flood = Flood {
        good: arguments.good,
        silent: arguments.silent,
        garbage: arguments.garbage,
        duration: arguments.duration,
        one_address: arguments.one_address,
    };
    let report = flood.run(&program);
    let json = arguments.json.then(|| report.to_json());
    tests::conclude(&report, &report.problems(), json)
}
