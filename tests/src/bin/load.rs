//! The program `load`: what a proxy costs, and how quick it is, under thousands of miners on loopback.
//!
//! `cargo run --release -p tests --bin load -- hold --miners 10000`

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use millrace::config::parse_duration;
use serde_json::Value;
use structopt::StructOpt;
use structopt::clap::AppSettings;
use tests::load::{Churn, Contender, Figures, Flow, Hold, Mine, Storm, Watched, floor, prepare};

/// Shares of each miner in a second, where nothing is said.
const RATE: f64 = 50.0;

/// Runs a small pool, a proxy and many small miners on loopback, and measures the proxy. docs/load.md says what the figures
/// mean. Exit code 1 where a connection or a share was lost, or the machine cannot hold that many.
#[derive(Debug, StructOpt)]
enum Arguments {
    /// Miners connected, and new blocks: memory, and the time to each miner; with the floor
    Hold {
        /// How many miners
        #[structopt(long, default_value = "10000")]
        miners: usize,
        /// New blocks
        #[structopt(long, default_value = "7")]
        blocks: usize,
        #[structopt(flatten)]
        common: Common,
    },
    /// Shares, at a fixed rate or with some in flight: what arrives where, how quickly, at what cost
    Mine {
        /// How many miners
        #[structopt(long, default_value = "200")]
        miners: usize,
        /// Shares of each miner in a second; 50 where nothing is said
        #[structopt(long, conflicts_with = "in-flight")]
        rate: Option<f64>,
        /// Instead: shares that each miner has unanswered all the time
        #[structopt(long)]
        in_flight: Option<usize>,
        /// How long
        #[structopt(long = "for", default_value = "10s", parse(try_from_str = parse_duration))]
        duration: Duration,
        /// The proxy measures the miners: for 12 shares a minute each, which is a rate of 0.2
        #[structopt(long)]
        vardiff: bool,
        #[structopt(flatten)]
        common: Common,
    },
    /// All miners connect at once
    Storm {
        /// How many miners
        #[structopt(long, default_value = "10000")]
        miners: usize,
        /// Miners connected before, at whom new blocks are timed
        #[structopt(long, default_value = "0")]
        connected: usize,
        #[structopt(flatten)]
        common: Common,
    },
    /// Miners come and go while others stay
    Churn {
        /// How many miners at a time
        #[structopt(long, default_value = "2000")]
        miners: usize,
        /// How many go in a second, each replaced by one that comes
        #[structopt(long, default_value = "200")]
        per_second: f64,
        /// How long
        #[structopt(long = "for", default_value = "60s", parse(try_from_str = parse_duration))]
        duration: Duration,
        #[structopt(flatten)]
        common: Common,
    },
    /// Somebody looks by HTTP while miners mine: how long answers take, and whether miners notice
    Watched {
        /// How many miners
        #[structopt(long, default_value = "10000")]
        miners: usize,
        /// How often each way of looking has its turn
        #[structopt(long, default_value = "3")]
        turns: usize,
        /// How long a turn takes
        #[structopt(long, default_value = "20s", parse(try_from_str = parse_duration))]
        turn: Duration,
        #[structopt(flatten)]
        common: Common,
    },
    /// Everything, several times, in one table: with --proxy-cmd, Millrace beside that proxy
    All {
        /// How many miners
        #[structopt(long, default_value = "10000")]
        miners: usize,
        /// Runs of each
        #[structopt(long, default_value = "3")]
        runs: usize,
        #[structopt(flatten)]
        common: Common,
    },
    /// What hold is compared with; started by the tool itself
    #[structopt(setting = AppSettings::Hidden)]
    FloorWriter,
    /// What mine is compared with; started by the tool itself
    #[structopt(setting = AppSettings::Hidden)]
    FloorEcho,
}

#[derive(Debug, StructOpt)]
struct Common {
    /// Program to test; built from this workspace where it is not given
    #[structopt(long, parse(from_os_str))]
    millrace: Option<PathBuf>,
    /// Another proxy to test: its command, with {config} in the place of its config file
    #[structopt(long, requires = "proxy-config")]
    proxy_cmd: Option<String>,
    /// Template of its config, with {listen_port}, {pool_host}, {pool_port}, {pool_key}, {vardiff}, {miner_hashrate}
    #[structopt(long, parse(from_os_str))]
    proxy_config: Option<PathBuf>,
    /// One JSON object as the last line of standard output
    #[structopt(long)]
    json: bool,
}

impl Common {
    fn millrace(&self) -> Result<Contender, String> {
        let program = self.millrace.clone().or_else(|| tests::build("millrace"));
        let program = program.ok_or("millrace cannot be built: give its path with --millrace")?;
        Ok(Contender::millrace(&program))
    }

    fn other(&self) -> Result<Option<Contender>, String> {
        let (Some(command), Some(path)) = (&self.proxy_cmd, &self.proxy_config) else {
            return Ok(None);
        };
        let template = std::fs::read_to_string(path);
        let template = template.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Some(Contender::command(command, &template)))
    }

    /// The one proxy to test.
    fn contender(&self) -> Result<Contender, String> {
        match self.other()? {
            Some(other) => Ok(other),
            None => self.millrace(),
        }
    }

    fn conclude(&self, report: &impl Display, problems: &[String], json: Value) -> ExitCode {
        tests::conclude(report, problems, self.json.then_some(json))
    }
}

fn main() -> ExitCode {
    let result = match Arguments::from_args() {
        Arguments::FloorWriter => floor_result(floor::write_to_all),
        Arguments::FloorEcho => floor_result(floor::echo),
        arguments => run(arguments),
    };
    result.unwrap_or_else(|words| {
        eprintln!("{words}");
        ExitCode::FAILURE
    })
}

fn floor_result(floor: impl FnOnce() -> std::io::Result<()>) -> Result<ExitCode, String> {
    // One thread, and the descriptors are inherited.
    let _ = prepare();
    floor().map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let possible = prepare();
    eprintln!("the limit on open files allows {possible} miners");
    if arguments.miners() > possible {
        return Err("that is too few: raise it (`ulimit -Hn`)".to_owned());
    }
    let tool = std::env::current_exe().map_err(|error| error.to_string())?;
    match arguments {
        Arguments::Hold {
            miners,
            blocks,
            common,
        } => {
            let hold = Hold { miners, blocks };
            let run = hold.run(&common.contender()?);
            let floor = hold.run_floor(&tool, run.line());
            let problems = [run.problems(), floor.problems()].concat();
            let json = serde_json::json!({"run": run.to_json(), "floor": floor.to_json()});
            let report = format!("{run}\n{floor}");
            Ok(common.conclude(&report, &problems, json))
        }
        Arguments::Mine {
            miners,
            rate,
            in_flight,
            duration,
            vardiff,
            common,
        } => {
            let paced = Flow::Paced(rate.unwrap_or(RATE));
            let mine = Mine {
                miners,
                duration,
                flow: in_flight.map_or(paced, Flow::InFlight),
                vardiff,
            };
            let run = mine.run(&common.contender()?);
            Ok(common.conclude(&run, run.problems(), run.to_json()))
        }
        Arguments::Storm {
            miners,
            connected,
            common,
        } => {
            let storm = Storm { miners, connected };
            let run = storm.run(&common.contender()?);
            Ok(common.conclude(&run, run.problems(), run.to_json()))
        }
        Arguments::Churn {
            miners,
            per_second,
            duration,
            common,
        } => {
            let churn = Churn {
                miners,
                per_second,
                duration,
            };
            let run = churn.run(&common.contender()?);
            Ok(common.conclude(&run, run.problems(), run.to_json()))
        }
        Arguments::Watched {
            miners,
            turns,
            turn,
            common,
        } => {
            let watched = Watched {
                miners,
                turns,
                turn,
            };
            let run = watched.run(&common.millrace()?);
            Ok(common.conclude(&run, run.problems(), run.to_json()))
        }
        Arguments::All {
            miners,
            runs,
            common,
        } => {
            let others = common.other()?;
            let contenders = std::iter::once(common.millrace()?).chain(others).collect();
            let figures = Figures {
                contenders,
                tool,
                miners,
                runs,
            };
            let report = figures.run();
            Ok(common.conclude(&report, report.problems(), report.to_json()))
        }
        Arguments::FloorWriter | Arguments::FloorEcho => Ok(ExitCode::SUCCESS),
    }
}

impl Arguments {
    /// The most connections at a time.
    fn miners(&self) -> usize {
        match self {
            Self::Hold { miners, .. }
            | Self::Mine { miners, .. }
            | Self::Watched { miners, .. }
            | Self::Churn { miners, .. } => *miners,
            Self::Storm {
                miners, connected, ..
            } => miners + connected,
            Self::All { miners, .. } => miners + miners / 5,
            Self::FloorWriter | Self::FloorEcho => 0,
        }
    }
}
