//! A load test: a pool, the program under test, and a simulated farm of thousands on loopback.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use async_std::task::block_on;
use serde_json::{Value, json};
use sv1_miner::{Farm, FarmConfig, FarmHandle, NotifySpread, Stats};
use sv2_pool::{PoolConfig, PoolStats};

use crate::{PATIENCE, Pool, Program, ProxyConfig, Usage};

/// Difficulty of each share: some thousand hashes, so that one core finds those of thousands of miners.
const DIFFICULTY: f64 = 1.0 / 1_048_576.0;
/// Connections per second at the start.
const CONNECTS_PER_SECOND: f64 = 500.0;
/// New jobs and new blocks come often enough to see both within a short run.
const JOB_INTERVAL: Duration = Duration::from_secs(5);
const BLOCK_INTERVAL: Duration = Duration::from_secs(20);
/// How often the farm is looked at while it connects.
const LOOK: Duration = Duration::from_millis(20);

/// What a load test does.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Miners.
    pub miners: usize,
    /// How long they mine once all are connected.
    pub duration: Duration,
    /// Shares of each per minute.
    pub shares_per_minute: f64,
}

/// What came of a load test.
#[derive(Debug, Clone)]
pub struct Report {
    load: Load,
    farm: Stats,
    spread: NotifySpread,
    pool: PoolStats,
    started: Usage,
    connected: Usage,
    ended: Usage,
}

impl Load {
    /// Runs the test with this program.
    ///
    /// # Panics
    /// Where something cannot be started.
    #[must_use]
    pub fn run(&self, program: &Path) -> Report {
        let pool = Pool::start(PoolConfig {
            job_interval: Some(JOB_INTERVAL),
            block_interval: Some(BLOCK_INTERVAL),
            ..Pool::config()
        });
        let config = ProxyConfig::new(&[pool.url()]).difficulty(DIFFICULTY);
        let proxy = Program::run(program, &config.level("info"));
        let address = proxy.address();
        let _ = proxy.wait_for_log("channel open");
        let usage = || Usage::of(proxy.id()).unwrap_or_default();
        let started = usage();
        let farm = Farm::spawn(&FarmConfig {
            shares_per_minute: self.shares_per_minute,
            connects_per_second: CONNECTS_PER_SECOND,
            ..FarmConfig::new(address.to_string(), self.miners)
        });
        self.wait_for_all(&farm);
        let connected = usage();
        // The length of the test, not a wait for anything.
        std::thread::sleep(self.duration);
        let ended = usage();
        let (farm, spread) = block_on(farm.stop());
        proxy.stop();
        let pool = pool.stats_at_rest();
        Report {
            load: *self,
            farm,
            spread,
            pool,
            started,
            connected,
            ended,
        }
    }

    /// Waits until every miner has been given work, or for as long as the slowest machine needs.
    fn wait_for_all(&self, farm: &FarmHandle) {
        let deadline = Instant::now() + PATIENCE;
        while farm.stats().jobs < self.miners as u64 && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
    }
}

impl Report {
    /// Tells everything that is wrong; nothing where all shares were accepted and all connections stayed.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let farm = &self.farm;
        let refused = self.pool.shares_refused.iter();
        let refused: u64 = refused
            .filter(|(code, _)| **code != "stale-share")
            .map(|(_, count)| count)
            .sum();
        let unanswered = farm.shares_submitted - farm.shares_accepted - farm.rejected();
        let missing = (self.load.miners as u64).abs_diff(farm.connections);
        [
            (missing, "connections too few or too many"),
            (farm.connections_lost, "connections lost"),
            (
                farm.shares_rejected_unexcused,
                "shares refused by the proxy",
            ),
            (unanswered, "shares that the proxy did not answer"),
            (refused, "shares refused by the pool"),
            (
                u64::from(farm.shares_accepted == 0),
                "farm without any share",
            ),
            (
                u64::from(self.pool.shares_accepted == 0),
                "pool without any share",
            ),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
    }

    /// Gives the figures for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let farm = &self.farm;
        json!({
            "miners": self.load.miners,
            "duration_seconds": self.load.duration.as_secs_f64(),
            "connections": farm.connections,
            "connections_lost": farm.connections_lost,
            "shares_submitted": farm.shares_submitted,
            "shares_accepted": farm.shares_accepted,
            "shares_rejected": farm.shares_rejected,
            "shares_rejected_unexcused": farm.shares_rejected_unexcused,
            "pool_shares_accepted": self.pool.shares_accepted,
            "pool_shares_refused": self.pool.shares_refused,
            "clean_jobs": farm.clean_jobs,
            "jobs": farm.jobs,
            "notify_spread": self.spread.to_json(),
            "proxy_resident_bytes_idle": self.started.resident_bytes,
            "proxy_resident_bytes_connected": self.connected.resident_bytes,
            "proxy_resident_bytes_end": self.ended.resident_bytes,
            "proxy_cpu_seconds_connecting": self.cpu(self.started, self.connected),
            "proxy_cpu_seconds_mining": self.cpu(self.connected, self.ended),
            "problems": self.problems(),
        })
    }

    fn cpu(&self, from: Usage, to: Usage) -> f64 {
        to.cpu.saturating_sub(from.cpu).as_secs_f64()
    }

    fn bytes_per_miner(&self) -> u64 {
        let grown = self
            .ended
            .resident_bytes
            .saturating_sub(self.started.resident_bytes);
        grown / (self.load.miners as u64).max(1)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            load, farm, pool, ..
        } = self;
        let seconds = load.duration.as_secs_f64();
        writeln!(
            f,
            "{} miners, {} shares a minute each, for {seconds:.0} s: {} connections, {} lost",
            load.miners, load.shares_per_minute, farm.connections, farm.connections_lost
        )?;
        writeln!(
            f,
            "proxy:  {} shares submitted, {} accepted, {} refused ({} without excuse)",
            farm.shares_submitted,
            farm.shares_accepted,
            farm.rejected(),
            farm.shares_rejected_unexcused
        )?;
        let refused = pool.shares_refused_total();
        writeln!(
            f,
            "pool:   {} accepted, {refused} refused",
            pool.shares_accepted
        )?;
        writeln!(
            f,
            "memory: {} kB idle, {} kB connected, {} kB at the end, {} bytes per miner",
            self.started.resident_bytes / 1024,
            self.connected.resident_bytes / 1024,
            self.ended.resident_bytes / 1024,
            self.bytes_per_miner()
        )?;
        writeln!(
            f,
            "cpu:    {:.2} s to connect, {:.2} s to mine",
            self.cpu(self.started, self.connected),
            self.cpu(self.connected, self.ended)
        )?;
        write!(
            f,
            "notify: {} of clean jobs, from the first miner to the median {:.1?}, to the 99th percentile {:.1?}, to the last {:.1?}",
            self.spread.arrivals, self.spread.median, self.spread.p99, self.spread.max
        )
    }
}
