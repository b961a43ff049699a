//! The program `sv1-miner`: arguments, a line every few seconds, and a summary.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use async_global_executor::GlobalExecutorConfig;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use structopt::StructOpt;
use sv1_miner::{
    Farm, FarmConfig, FarmHandle, Miner, MinerConfig, MinerHandle, NotifySpread, ShareArrivals,
    Stats,
};

/// How often the state is printed.
const REPORT: Duration = Duration::from_secs(5);

/// Mines on a Stratum V1 server with the CPU.
///
/// This is a test instrument for farms and developers: to see that a server or proxy hands out work
/// and takes shares, and with --farm how it bears thousands of miners. It earns nothing.
///
/// With --farm the shares are real, but one thread finds them all, so the server's difficulty has to
/// be far below 1.
#[derive(Debug, StructOpt)]
#[structopt(name = "sv1-miner")]
struct Arguments {
    /// Where to mine
    #[structopt(long, default_value = "stratum+tcp://127.0.0.1:3333", parse(try_from_str = address))]
    url: String,
    /// Name of the worker; with --farm each miner's number is added
    #[structopt(long, default_value = "farm.rig1")]
    user: String,
    /// Password of the worker
    #[structopt(long, default_value = "x")]
    password: String,
    /// Threads that hash
    #[structopt(long, default_value = "1")]
    threads: u16,
    /// Percentage of the time that each thread hashes
    #[structopt(long, default_value = "100")]
    intensity: u8,
    /// Difficulty to ask the server for
    #[structopt(long)]
    suggest_difficulty: Option<f64>,
    /// Do not ask for version rolling
    #[structopt(long)]
    no_version_rolling: bool,
    /// Simulate a farm of so many miners instead
    #[structopt(long, value_name = "miners")]
    farm: Option<usize>,
    /// With --farm: shares that each miner finds in a minute
    #[structopt(long, default_value = "12")]
    shares_per_minute: f64,
    /// With --farm: shares at equal distances in time instead of random ones
    #[structopt(long)]
    fixed: bool,
    /// With --farm: what random times follow from
    #[structopt(long, default_value = "1")]
    seed: u64,
    /// With --farm: miners that connect per second at the start
    #[structopt(long, default_value = "500")]
    connects_per_second: f64,
    /// End after this time (30s, 5m, 1h), with exit code 1 if no share was accepted
    #[structopt(long = "for", value_name = "time", parse(try_from_str = duration))]
    run_for: Option<Duration>,
    /// Print the summary as a JSON object, as the last line
    #[structopt(long)]
    json: bool,
}

/// What is running.
enum Running {
    Miner(MinerHandle),
    Farm(FarmHandle),
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let arguments = Arguments::from_args();
    // One thread is the fast choice: waking another costs more than the work.
    async_global_executor::init_with_config(
        GlobalExecutorConfig::default()
            .with_min_threads(1)
            .with_max_threads(1),
    );
    let interrupted = match interrupted() {
        Ok(interrupted) => interrupted,
        Err(error) => {
            log::error!("signals cannot be caught: {error}");
            return ExitCode::FAILURE;
        }
    };
    run(&arguments, &interrupted)
}

/// Watches what runs on the executor's thread, until the time is over or a signal comes.
fn run(arguments: &Arguments, interrupted: &Receiver<()>) -> ExitCode {
    let running = Running::start(arguments);
    let end = arguments.run_for.map(|time| Instant::now() + time);
    let mut earlier = Stats::default();
    loop {
        let left = end.map_or(REPORT, |end| end.saturating_duration_since(Instant::now()));
        match interrupted.recv_timeout(left.min(REPORT)) {
            Err(RecvTimeoutError::Timeout) if left > REPORT || end.is_none() => {}
            _ => break,
        }
        let stats = running.stats();
        report(&stats, stats.hashrate_since(&earlier));
        earlier = stats;
    }
    let (stats, spread) = async_global_executor::block_on(running.stop());
    summarize(arguments, &stats, spread);
    match end.is_some() && stats.shares_accepted == 0 {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

impl Running {
    fn start(arguments: &Arguments) -> Self {
        let version_rolling =
            Some(sv1_miner::BIP_0320_MASK).filter(|_| !arguments.no_version_rolling);
        match arguments.farm {
            None => Self::Miner(Miner::spawn(MinerConfig {
                password: arguments.password.clone(),
                threads: arguments.threads,
                intensity: arguments.intensity,
                suggest_difficulty: arguments.suggest_difficulty,
                version_rolling,
                ..MinerConfig::new(&arguments.url, &arguments.user)
            })),
            Some(miners) => Self::Farm(Farm::spawn(&FarmConfig {
                user: arguments.user.clone(),
                password: arguments.password.clone(),
                shares_per_minute: arguments.shares_per_minute,
                arrivals: match arguments.fixed {
                    true => ShareArrivals::Fixed,
                    false => ShareArrivals::Poisson,
                },
                seed: arguments.seed,
                connects_per_second: arguments.connects_per_second,
                suggest_difficulty: arguments.suggest_difficulty,
                version_rolling,
                ..FarmConfig::new(&arguments.url, miners)
            })),
        }
    }

    fn stats(&self) -> Stats {
        match self {
            Self::Miner(miner) => miner.stats(),
            Self::Farm(farm) => farm.stats(),
        }
    }

    async fn stop(self) -> (Stats, Option<NotifySpread>) {
        match self {
            Self::Miner(miner) => (miner.stop().await, None),
            Self::Farm(farm) => {
                let (stats, spread) = farm.stop().await;
                (stats, Some(spread))
            }
        }
    }
}

/// Catches the signals that end the program; the channel gets a message, or closes, when one came.
fn interrupted() -> std::io::Result<Receiver<()>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (caught, interrupted) = channel();
    std::thread::spawn(move || {
        signals.forever().next();
        drop(caught);
    });
    Ok(interrupted)
}

fn report(stats: &Stats, hashrate: f64) {
    println!(
        "{:>5.0} s  {} connected  {:.2} MH/s  difficulty {}  jobs {} ({} clean)  \
         shares {} submitted, {} accepted, {} rejected  lost connections {}",
        stats.elapsed.as_secs_f64(),
        stats.connected,
        hashrate / 1e6,
        stats.difficulty,
        stats.jobs,
        stats.clean_jobs,
        stats.shares_submitted,
        stats.shares_accepted,
        stats.rejected(),
        stats.connections_lost,
    );
}

fn summarize(arguments: &Arguments, stats: &Stats, spread: Option<NotifySpread>) {
    report(stats, stats.hashrate());
    for (reason, count) in &stats.shares_rejected {
        println!("rejected {count}: {reason}");
    }
    if stats.searches_given_up > 0 {
        println!(
            "{} due shares were not found: the difficulty is too high",
            stats.searches_given_up
        );
    }
    if let Some(spread) = spread {
        println!(
            "clean jobs after the first miner had them: median {:.1?}, p99 {:.1?}, max {:.1?}",
            spread.median, spread.p99, spread.max
        );
    }
    if arguments.json {
        let mut json = stats.to_json();
        if let (Some(spread), Some(members)) = (spread, json.as_object_mut()) {
            members.insert("notify_spread".into(), spread.to_json());
        }
        println!("{json}");
    }
}

/// `host:port` of a `stratum+tcp` URL, or as it is.
fn address(url: &str) -> Result<String, String> {
    let address = match url.split_once("://") {
        Some(("stratum+tcp" | "tcp", address)) => address.trim_end_matches('/'),
        Some((scheme, _)) => return Err(format!("scheme {scheme} is not stratum+tcp")),
        None => url,
    };
    match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(address.into()),
        _ => Err("host:port is needed".into()),
    }
}

/// A time such as `30s`, `5m` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is not a time such as 30s, 5m or 1h");
    let split = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_with_and_without_a_scheme() {
        for url in ["stratum+tcp://h:3333", "tcp://h:3333/", "h:3333"] {
            assert_eq!(address(url).as_deref(), Ok("h:3333"));
        }
        for url in ["stratum2+tcp://h:3333", "h", ":3333", "h:x", "h:70000"] {
            assert!(address(url).is_err(), "{url}");
        }
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for text in [
            "",
            "s",
            "1d",
            "-1s",
            "99999999999999999999",
            "9999999999999999999h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
