//! `millrace demo`: a small pool, the appliance and CPU miners in one process on loopback, so that a person sees
//! shares flow.

mod report;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use async_channel::Receiver;
use sv1_miner::{Miner, MinerConfig, MinerHandle};
use sv2::bitcoin::{Difficulty, Target};
use sv2_pool::{PoolConfig, PoolHandle, PoolServer, ShareTarget};
use translate::UserTemplate;

use crate::appliance::Appliance;
use crate::arguments::Demo;
use crate::config::{self, Config, Listener, Log, Upstream};
use crate::runtime::Signal;
use crate::{logging, runtime};
use report::Summary;

/// How often a line is printed.
const LINE_EVERY: Duration = Duration::from_secs(3);
/// New jobs and blocks come often enough to see both in half a minute.
const JOB_INTERVAL: Duration = Duration::from_secs(5);
const BLOCK_INTERVAL: Duration = Duration::from_secs(12);
/// Longest wait at the end for the pool to acknowledge the last shares.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// The pool acknowledges in batches of ten, and what is left over after this.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_secs(1);
/// Share of the cores that the miners take, in percent; the rest is for pool, proxy and the person's machine.
const CPU_PERCENT: usize = 70;
/// Shares of each miner per minute: enough to see within seconds that they flow.
const SHARES_PER_MINUTE: f64 = 20.0;
/// Where a CPU miner starts: some seconds of one core per share.
const START_DIFFICULTY: f64 = 1.0 / 1024.0;
/// Lowest difficulty, for a thousand miners on one core.
const MIN_DIFFICULTY: f64 = 1.0 / 1_048_576.0;
/// Difficulty of the demo's network: a day of this CPU per block, but luck is free.
const NETWORK_DIFFICULTY: f64 = 64.0;

/// Miners that may connect: the demo's and some more, and no warning where few files may be open.
const MOST_MINERS: usize = 500;

/// Runs the demo.
///
/// # Errors
/// Exit code 1 where something cannot start or the pool accepted no share.
pub fn demo(arguments: &Demo) -> Result<(), ExitCode> {
    logging::start(&Log {
        level: log::LevelFilter::Warn,
        ..Log::default()
    });
    logging::tell_panics();
    runtime::use_one_thread();
    let stop = runtime::stop_signals().map_err(|error| failed(&error))?;
    let summary = runtime::block_on(Running::run(arguments, &stop));
    logging::finish();
    let summary = summary?;
    summary.print(arguments.json);
    if summary.upstream_shares_accepted() > 0 {
        Ok(())
    } else {
        Err(ExitCode::FAILURE)
    }
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("the demo cannot run: {error}");
    ExitCode::FAILURE
}

/// Everything that runs during a demo.
struct Running {
    started: Instant,
    pool: PoolHandle,
    appliance: Appliance,
    miners: Vec<MinerHandle>,
}

impl Running {
    async fn run(arguments: &Demo, stop: &Receiver<Signal>) -> Result<Summary, ExitCode> {
        let running = Self::start(arguments.miners).await?;
        let end = arguments
            .duration
            .map(|duration| running.started + duration);
        loop {
            let now = Instant::now();
            let next_line = now + LINE_EVERY;
            let wake = end.map_or(next_line, |end| end.min(next_line));
            if runtime::within(wake.saturating_duration_since(now), stop.recv())
                .await
                .is_some()
            {
                println!();
                break;
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
            println!("{}", running.summary().await.line());
        }
        Ok(running.end().await)
    }

    async fn start(miners: usize) -> Result<Self, ExitCode> {
        let pool = PoolServer::bind(pool_config())
            .await
            .map_err(|error| failed(&error))?;
        let (url, handle) = (pool.url(), pool.handle());
        println!("pool   {url}");
        runtime::spawn(pool.run());
        let appliance = Appliance::start(&proxy_config(url)).map_err(|error| failed(&error))?;
        let address = appliance.addresses().first().copied();
        let address = address.ok_or_else(|| failed(&"no listener"))?;
        println!("proxy  stratum+tcp://{address} (a miner of your own may join)");
        if let Some(http) = appliance.http_address() {
            println!("http   http://{http}/");
        }
        let miners = start_miners(miners, address);
        println!(
            "miners {} on this CPU, {} % of each core at most",
            miners.len(),
            CPU_PERCENT
        );
        Ok(Self {
            started: Instant::now(),
            pool: handle,
            appliance,
            miners,
        })
    }

    async fn summary(&self) -> Summary {
        let hashes = self.miners.iter().map(|miner| miner.stats().hashes).sum();
        let pool = self.pool.stats().await.unwrap_or_default();
        Summary::new(
            self.started.elapsed(),
            self.miners.len(),
            hashes,
            self.appliance.reports().await,
            pool,
        )
    }

    /// Ends in the order in which shares flow, so that none is left without its answer.
    async fn end(mut self) -> Summary {
        let mut stopped = Vec::new();
        for miner in &self.miners {
            stopped.push(miner.stats().hashes);
        }
        let miners = self.miners.len();
        for miner in self.miners.drain(..) {
            miner.stop().await;
        }
        let duration = self.started.elapsed();
        let deadline = Instant::now() + LAST_ANSWERS;
        while self.pending().await > 0 && Instant::now() < deadline {
            runtime::sleep(Duration::from_millis(50)).await;
        }
        let pool = self.pool.stats().await.unwrap_or_default();
        let reports = self.appliance.stop().await;
        // It may have ended by itself.
        let _ = self.pool.stop().await;
        Summary::new(duration, miners, stopped.iter().sum(), reports, pool)
    }

    async fn pending(&self) -> u64 {
        let reports = self.appliance.reports().await;
        let upstreams = reports
            .iter()
            .flat_map(|report| &report.statistics.upstreams);
        upstreams.map(|upstream| upstream.shares_pending).sum()
    }
}

fn pool_config() -> PoolConfig {
    let network = Difficulty::new(NETWORK_DIFFICULTY).unwrap_or(Difficulty::ONE);
    let share = Difficulty::new(MIN_DIFFICULTY).unwrap_or(Difficulty::ONE);
    PoolConfig {
        share_target: ShareTarget::Difficulty(share),
        nbits: Target::from_difficulty(network).to_compact(),
        job_interval: Some(JOB_INTERVAL),
        block_interval: Some(BLOCK_INTERVAL),
        ack_interval: Some(ACKNOWLEDGE_AFTER),
        ..PoolConfig::default()
    }
}

fn proxy_config(url: sv2::url::PoolUrl) -> Config {
    let difficulty = config::Difficulty {
        shares_per_minute: SHARES_PER_MINUTE,
        start: Some(START_DIFFICULTY),
        min: MIN_DIFFICULTY,
        ..config::Difficulty::default()
    };
    Config {
        listeners: vec![Listener {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            upstreams: vec![0],
            user: UserTemplate::default(),
            difficulty: difficulty.clone(),
        }],
        upstreams: vec![Upstream {
            name: "pool".into(),
            url,
            user: "demo".into(),
        }],
        difficulty,
        state: config::State::default(),
        http: config::Http {
            address: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            ..config::Http::default()
        },
        outage: config::Outage::default(),
        translation: config::Translation::default(),
        limits: config::Limits {
            max_miners: MOST_MINERS,
            ..config::Limits::default()
        },
        log: Log::default(),
    }
}

fn start_miners(count: usize, address: SocketAddr) -> Vec<MinerHandle> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let percent = (CPU_PERCENT * cores / count.max(1)).clamp(1, CPU_PERCENT);
    let miner = |number| {
        let mut config = MinerConfig::new(address.to_string(), format!("demo.miner{number}"));
        config.threads = 1;
        config.intensity = u8::try_from(percent).unwrap_or(1);
        Miner::spawn(config)
    };
    (1..=count).map(miner).collect()
}
