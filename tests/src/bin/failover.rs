//! The program `failover`: what a farm notices when its pool fails.
//!
//! `cargo run --release -p tests --bin failover`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use millrace::config::parse_duration;
use structopt::StructOpt;
use tests::failover::{Event, Programs, Report, Trial};

/// Runs two small pools, the real millrace and a simulated farm on loopback, lets the first pool fail in five ways
/// one after the other, and tells what the farm noticed. Exit code 1 where a connection was lost or work was.
#[derive(Debug, StructOpt)]
struct Arguments {
    /// How many simulated miners
    #[structopt(long, default_value = "200")]
    miners: usize,
    /// Shares that each of them finds per minute
    #[structopt(long, default_value = "12")]
    shares_per_minute: f64,
    /// The program minerd (pooler/cpuminer), to mine beside them
    #[structopt(long, parse(from_os_str))]
    minerd: Option<PathBuf>,
    /// How long the farm mines before its pool fails: within 10 s the other pool is told what the farm needs, and its
    /// next job, 10 s later at most, pays by that
    #[structopt(long, default_value = "30s", parse(try_from_str = parse_duration))]
    warm_up: Duration,
    /// How long the other pool's credit is counted
    #[structopt(long, default_value = "60s", parse(try_from_str = parse_duration))]
    window: Duration,
    /// How long both pools are down in the last trial
    #[structopt(long, default_value = "60s", parse(try_from_str = parse_duration))]
    outage: Duration,
    /// Only trials whose name contains this, such as "killed"
    #[structopt(long, default_value = "")]
    only: String,
    /// Program to test; built from this workspace where it is not given
    #[structopt(long, parse(from_os_str))]
    millrace: Option<PathBuf>,
    /// One JSON object as the last line of standard output
    #[structopt(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let millrace = arguments.millrace;
    let millrace = millrace.or_else(|| tests::build("millrace"));
    let Some((millrace, pool)) = millrace.zip(tests::build("sv2-pool")) else {
        eprintln!("millrace and sv2-pool cannot be built: see above");
        return ExitCode::FAILURE;
    };
    let programs = Programs { millrace, pool };
    let trial = Trial {
        miners: arguments.miners,
        shares_per_minute: arguments.shares_per_minute,
        minerd: arguments.minerd,
        warm_up: arguments.warm_up,
        window: arguments.window,
        outage: arguments.outage,
    };
    let events = Event::ALL.into_iter();
    let chosen = events.filter(|event| event.words().contains(&arguments.only));
    let outcomes = chosen.map(|event| {
        eprintln!("{} ...", event.words());
        trial.run(event, &programs)
    });
    let report = Report {
        outcomes: outcomes.collect(),
        trial: trial.clone(),
    };
    let json = arguments.json.then(|| report.to_json());
    tests::conclude(&report, &report.problems(), json)
}
