//! The program `simulate`: seeded worlds of miners, pools and a faulty network around the real translator.
//!
//! `cargo run --release -p tests --bin simulate -- --seeds 10000`

use std::process::ExitCode;
use std::time::Instant;

use serde_json::json;
use structopt::StructOpt;
#[cfg(feature = "breaks")]
use tests::simulation::Invariant;
use tests::simulation::{Coverage, Options, simulate};

/// Worlds in which every kind of event must have occurred.
const WORLDS_FOR_COVERAGE: u64 = 1_000;

/// Runs many worlds, each from a seed, and checks at every step what must always hold. Exit code 1 where an invariant
/// is broken, with the command that replays the world; or where a kind of event never occurred in 1,000 worlds or more.
#[derive(Debug, StructOpt)]
struct Arguments {
    /// How many worlds
    #[structopt(long, default_value = "1000")]
    seeds: u64,
    /// The first seed
    #[structopt(long, default_value = "0")]
    from: u64,
    /// Only this world
    #[structopt(long)]
    seed: Option<u64>,
    /// Minutes of each world's time; chosen by the seed where not given
    #[structopt(long)]
    minutes: Option<u64>,
    /// Breaks an invariant on purpose; exit code 1 is then what is expected
    #[cfg(feature = "breaks")]
    #[structopt(long = "break", parse(try_from_str = invariant))]
    breaks: Option<Invariant>,
    /// Breaks each invariant in turn; exit code 0 where every break is found within the seeds
    #[cfg(feature = "breaks")]
    #[structopt(long)]
    check_breaks: bool,
    /// Prints everything that happens
    #[structopt(long)]
    trace: bool,
    /// One JSON object as the last line of standard output
    #[structopt(long)]
    json: bool,
}

/// What came of all worlds.
#[derive(Debug, Default)]
struct Sum {
    worlds: u64,
    events: u64,
    failed: Vec<u64>,
    coverage: Coverage,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    #[cfg(feature = "breaks")]
    if arguments.check_breaks {
        return check_breaks(&arguments);
    }
    let began = Instant::now();
    let mut sum = Sum::default();
    let (first, count) = match arguments.seed {
        Some(seed) => (seed, 1),
        None => (arguments.from, arguments.seeds),
    };
    for seed in first..first.saturating_add(count) {
        sum.run(seed, &arguments);
        if sum.failed.len() >= 5 {
            break;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    sum.report(&arguments, seconds)
}

/// Finds an invariant by its name.
#[cfg(feature = "breaks")]
fn invariant(name: &str) -> Result<Invariant, String> {
    let mut all = Invariant::ALL.iter();
    let found = all.find(|invariant| invariant.name() == name).copied();
    let names = || {
        Invariant::ALL
            .iter()
            .map(|it| it.name())
            .collect::<Vec<_>>()
            .join(", ")
    };
    found.ok_or_else(|| format!("there are: {}", names()))
}

/// Breaks each invariant on purpose, and tells in which world that was noticed.
#[cfg(feature = "breaks")]
fn check_breaks(arguments: &Arguments) -> ExitCode {
    let mut unnoticed = 0;
    for invariant in Invariant::ALL {
        let options = Options {
            minutes: arguments.minutes,
            breaks: Some(*invariant),
            ..Options::default()
        };
        let worlds = arguments.from..arguments.from.saturating_add(arguments.seeds);
        let mut broken =
            worlds.filter_map(|seed| Some((seed, simulate(seed, options).failure?.broken)));
        match broken.next() {
            Some((seed, broken)) if broken.invariant == *invariant => {
                println!("{invariant}: noticed in seed {seed}");
            }
            Some((seed, broken)) => {
                println!(
                    "{invariant}: NOT NOTICED, but {} in seed {seed}: {}",
                    broken.invariant, broken.words
                );
                unnoticed += 1;
            }
            None => {
                println!("{invariant}: NOT NOTICED in {} worlds", arguments.seeds);
                unnoticed += 1;
            }
        }
    }
    match unnoticed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

impl Sum {
    fn run(&mut self, seed: u64, arguments: &Arguments) {
        let options = Options {
            minutes: arguments.minutes,
            trace: arguments.trace,
            #[cfg(feature = "breaks")]
            breaks: arguments.breaks,
        };
        let outcome = simulate(seed, options);
        self.worlds += 1;
        self.events += outcome.events;
        self.coverage.add(&outcome.coverage);
        if let Some(failure) = outcome.failure {
            self.failed.push(seed);
            let minutes = arguments
                .minutes
                .map(|it| format!(" --minutes {it}"))
                .unwrap_or_default();
            let broken = failure.broken;
            println!("{}", failure.trail);
            println!(
                "BROKEN in seed {seed}: {}: {}",
                broken.invariant,
                broken.invariant.sentence()
            );
            println!("{}", broken.words);
            println!(
                "replay: cargo run --release -p tests --bin simulate -- --seed {seed}{minutes} --trace"
            );
        }
        if arguments.trace {
            println!(
                "seed {seed}: {} events, hash {:016x}",
                outcome.events, outcome.hash
            );
        }
    }

    fn report(&self, arguments: &Arguments, seconds: f64) -> ExitCode {
        let missing = match self.worlds >= WORLDS_FOR_COVERAGE {
            true => self.coverage.missing(),
            false => Vec::new(),
        };
        print!("{}", self.coverage);
        println!(
            "{} worlds, {} events, {:.1} s, {} failed",
            self.worlds,
            self.events,
            seconds,
            self.failed.len()
        );
        for kind in &missing {
            println!("NEVER OCCURRED: {kind}");
        }
        if arguments.json {
            let coverage: serde_json::Map<_, _> = self
                .coverage
                .iter()
                .map(|(kind, count)| (kind.to_owned(), count.into()))
                .collect();
            let report = json!({
                "worlds": self.worlds,
                "events": self.events,
                "seconds": seconds,
                "failed": self.failed,
                "missing": missing,
                "coverage": coverage,
            });
            println!("{report}");
        }
        match self.failed.is_empty() && missing.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}
