//! What a farm notices when its pool fails: two pools, the program under test, miners, and one event.
//!
//! The first pool fails in one of several ways while miners mine; the second takes over. What is counted: connections
//! that were lost, the time until the last miner had work of the second pool, shares lost by reason, and how much of
//! the farm's work the second pool credited from then on.

mod primary;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_std::task::block_on;
use sv1_miner::{CleanJob, Farm, FarmConfig, FarmHandle};
use sv2_pool::PoolConfig;

use crate::{Pool, Program, ProxyConfig};
use primary::Primary;
pub use report::Report;

/// Difficulty of the farm's shares, 2^-16: 65,536 hashes, so that one core finds those of hundreds of miners.
const DIFFICULTY: f64 = 1.0 / 65_536.0;
/// Difficulty of minerd's shares, 2^-12: a million hashes, some eight a second from one core.
const MINERD_DIFFICULTY: f64 = 1.0 / 4_096.0;
/// Hashes that a share of difficulty 1 takes on average.
const HASHES_PER_DIFFICULTY: f64 = 4_294_967_296.0;
/// Longest wait for the switch: silence is probed for within 15 s.
const LONGEST_SWITCH: Duration = Duration::from_secs(60);
/// Longest wait for the return to the first pool, which has to be healthy for a minute.
const LONGEST_RETURN: Duration = Duration::from_secs(120);
/// How often the farm is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Time between jobs of both pools.
const JOB_INTERVAL: Duration = Duration::from_secs(10);

/// What happens to the first pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its process is killed.
    Killed,
    /// Its process is stopped (SIGSTOP): connections stay open and silent.
    Hanging,
    /// It starts again at once, with another extranonce prefix.
    Restarted,
    /// It closes the channel and stays.
    ChannelClosed,
    /// Both pools go down, and the second comes back.
    BothDown,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Killed,
        Self::Hanging,
        Self::Restarted,
        Self::ChannelClosed,
        Self::BothDown,
    ];

    /// Tells what happens, in a few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Killed => "primary killed",
            Self::Hanging => "primary stopped (SIGSTOP)",
            Self::Restarted => "primary restarted, other prefix",
            Self::ChannelClosed => "primary closes the channel",
            Self::BothDown => "both down, backup returns",
        }
    }
}

/// One trial of one event.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Simulated miners.
    pub miners: usize,
    /// Shares of each per minute.
    pub shares_per_minute: f64,
    /// A real miner beside them: the program `minerd`.
    pub minerd: Option<PathBuf>,
    /// How long the farm mines before the event, so that shares are under way and the second channel is warm.
    pub warm_up: Duration,
    /// How long the second pool's credit is counted.
    pub window: Duration,
    /// How long both pools are down in [`Event::BothDown`].
    pub outage: Duration,
}

/// The programs that take part.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The program under test.
    pub millrace: PathBuf,
    /// The pool that is killed and stopped.
    pub pool: PathBuf,
}

/// What came of a trial.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What happened.
    pub event: Event,
    /// Miners, with minerd.
    pub miners: u64,
    /// Connections that the miners lost.
    pub connections_lost: u64,
    /// From the event (or the return of a pool, where both were down) to the first notify of the other pool at the
    /// last miner; `None` where not every miner got one.
    pub to_last_miner: Option<Duration>,
    /// Shares refused at the miners, by code and words.
    pub refused: BTreeMap<String, u64>,
    /// Shares that the first pool never answered.
    pub unanswered: u64,
    /// Shares that the second pool refused, by error code.
    pub refused_by_backup: BTreeMap<String, u64>,
    /// Work that the second pool credited in the window, as a fraction of hashrate × time.
    pub credited: f64,
    /// Shares of minerd that were accepted, where it took part.
    pub minerd_accepted: Option<u64>,
    /// Whether the miners went back to the first pool; `None` where it did not come back.
    pub returned: Option<bool>,
}

/// What stands in one trial.
struct Stage {
    primary: Primary,
    backup: Option<Pool>,
    backup_config: PoolConfig,
    proxy: Program,
    farm: FarmHandle,
    minerd: Option<Program>,
}

impl Trial {
    /// Lets an event happen to a farm at work.
    ///
    /// # Panics
    /// Where something cannot be started.
    #[must_use]
    pub fn run(&self, event: Event, programs: &Programs) -> Outcome {
        let mut stage = self.set_up(event, programs);
        // The length of the warm-up, not a wait for anything.
        std::thread::sleep(self.warm_up);
        let happened = stage.happen(event, self.outage);
        let switch = stage.wait_for_switch(happened, self.miners);
        let before = stage.credit();
        std::thread::sleep(self.window);
        let credit = stage.credit();
        let credited = (credit.backup - before.backup) / (credit.hashes - before.hashes);
        let returned = (event == Event::Restarted).then(|| stage.wait_for_return(switch));
        let minerd = stage.minerd.take().map(Minerd::end);
        let lost = minerd.as_ref().map_or(0, |minerd| minerd.connections_lost);
        let (farm, _) = block_on(stage.farm.stop());
        let log = stage.proxy.stop().stderr;
        stage.primary.end();
        let backup = stage.backup.map(|pool| pool.stats_at_rest());
        let refused = backup.unwrap_or_default().shares_refused;
        Outcome {
            event,
            miners: self.miners as u64 + u64::from(minerd.is_some()),
            connections_lost: farm.connections_lost + lost,
            to_last_miner: switch
                .filter(|job| job.miners >= self.miners as u64)
                .map(|job| job.last.saturating_duration_since(happened)),
            refused: farm.shares_rejected,
            unanswered: unanswered(&log),
            refused_by_backup: refused
                .into_iter()
                .map(|(code, count)| (code.to_owned(), count))
                .collect(),
            credited,
            minerd_accepted: minerd.map(|minerd| minerd.accepted),
            returned,
        }
    }

    fn set_up(&self, event: Event, programs: &Programs) -> Stage {
        let backup_config = PoolConfig {
            job_interval: Some(JOB_INTERVAL),
            pool_tag: "/backup/".into(),
            seed: 2,
            ..Pool::config()
        };
        let backup = Pool::start(backup_config.clone());
        let primary = match event {
            Event::ChannelClosed => Primary::inside(JOB_INTERVAL),
            _ => Primary::process(&programs.pool),
        };
        let config = ProxyConfig::new(&[&primary.url(), backup.url()]).difficulty(DIFFICULTY);
        let proxy = Program::run(&programs.millrace, &config.level("info"));
        let address = proxy.address();
        let _ = proxy.wait_for_logs("channel open", 2);
        let farm = Farm::spawn(&FarmConfig {
            shares_per_minute: self.shares_per_minute,
            ..FarmConfig::new(address.to_string(), self.miners)
        });
        let minerd = self
            .minerd
            .as_ref()
            .map(|path| Minerd::start(path, &address.to_string()));
        wait_until(LONGEST_SWITCH, || {
            // The first job follows at once.
            (farm.stats().connected >= self.miners as u64).then_some(())
        });
        Stage {
            primary,
            backup_config: PoolConfig {
                listen: backup.address(),
                ..backup_config
            },
            backup: Some(backup),
            proxy,
            farm,
            minerd,
        }
    }
}

impl Stage {
    /// Lets the event happen; gives since when the other pool could have been mined at.
    fn happen(&mut self, event: Event, outage: Duration) -> Instant {
        let at = Instant::now();
        match event {
            Event::Killed => self.primary.kill(),
            Event::Hanging => self.primary.hang(),
            Event::Restarted => self.primary.restart(),
            Event::ChannelClosed => self.primary.close_channel(),
            Event::BothDown => {
                // The second first, so that there is nothing to switch to.
                if let Some(backup) = self.backup.take() {
                    backup.stop();
                }
                self.primary.kill();
                // The length of the outage, not a wait for anything.
                std::thread::sleep(outage);
                let back = Instant::now();
                self.backup = Some(Pool::start(self.backup_config.clone()));
                return back;
            }
        }
        at
    }

    /// Waits until every miner has had the first clean job after the event.
    fn wait_for_switch(&self, happened: Instant, miners: usize) -> Option<CleanJob> {
        let first = || self.clean_job_after(happened);
        wait_until(LONGEST_SWITCH, first)?;
        let all = || first().filter(|job| job.miners >= miners as u64);
        // Where one is missing, the others are worth telling.
        wait_until(LONGEST_SWITCH, all).or_else(first)
    }

    fn clean_job_after(&self, moment: Instant) -> Option<CleanJob> {
        let jobs = self.farm.clean_jobs();
        jobs.into_iter().find(|job| job.first > moment)
    }

    fn wait_for_return(&self, switch: Option<CleanJob>) -> bool {
        let Some(switch) = switch else { return false };
        wait_until(LONGEST_RETURN, || self.clean_job_after(switch.last)).is_some()
    }

    fn credit(&self) -> Credit {
        let backup = self.backup.as_ref().map(Pool::stats).unwrap_or_default();
        let minerd = self.minerd.as_ref().map(Program::log);
        let minerd = minerd.map_or(0.0, |log| Minerd::hashes(&log));
        // Not what the rate lets expect: the shares of two hundred miners come by chance, a few percent more or fewer.
        let due = self.farm.stats().shares_due as f64;
        Credit {
            backup: backup.hashes_accepted,
            hashes: minerd + due * DIFFICULTY * HASHES_PER_DIFFICULTY,
        }
    }
}

/// Looks until there is something, for so long.
fn wait_until<T>(longest: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + longest;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

/// Adds up the shares without an answer that the proxy's log tells of.
fn unanswered(log: &str) -> u64 {
    let told = log.lines().filter_map(|line| {
        let (before, _) = line.split_once(" shares stay unanswered")?;
        before.rsplit(' ').next()?.parse::<u64>().ok()
    });
    told.sum()
}

/// Hashes so far.
struct Credit {
    /// That the second pool credited.
    backup: f64,
    /// That the miners did, or would have done with work.
    hashes: f64,
}

/// What minerd told at its end.
struct Minerd {
    accepted: u64,
    connections_lost: u64,
}

impl Minerd {
    fn start(path: &Path, address: &str) -> Program {
        let url = format!("stratum+tcp://{address}");
        let password = format!("fd={MINERD_DIFFICULTY:?}");
        let arguments = [
            "-a",
            "sha256d",
            "-t",
            "1",
            "-o",
            &url,
            "-u",
            "farm.minerd",
            "-p",
            &password,
        ];
        Program::with_arguments(path, &arguments)
    }

    fn end(program: Program) -> Self {
        program.signal("TERM");
        Self::read(&program.ended().stderr)
    }

    /// Reads minerd's log: a line for each share, and words about lost connections.
    fn read(log: &str) -> Self {
        let accepted = log.lines().filter(|line| line.contains("(yay!!!)"));
        let lost = [
            "Stratum connection interrupted",
            "Stratum connection timed out",
        ];
        let lost = log
            .lines()
            .filter(|line| lost.iter().any(|words| line.contains(words)));
        Self {
            accepted: accepted.count() as u64,
            connections_lost: lost.count() as u64,
        }
    }

    /// Adds up the hashes of each round. Its rates would not do: it yields to whatever else wants the processor.
    fn hashes(log: &str) -> f64 {
        let rounds = log.lines().filter_map(|line| {
            let (before, _) = line.split_once(" hashes, ")?;
            before.rsplit(' ').next()?.parse::<f64>().ok()
        });
        rounds.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_minerd_tells_is_read() {
        let log = "[2026-01-01 00:00:00] thread 0: 2097152 hashes, 8200 khash/s\n\
                   [2026-01-01 00:00:01] accepted: 1/1 (100.00%), 8000 khash/s (yay!!!)\n\
                   [2026-01-01 00:00:02] accepted: 2/2 (100.00%), 9000 khash/s (yay!!!)\n\
                   [2026-01-01 00:00:03] Stratum connection interrupted\n";
        let minerd = Minerd::read(log);
        assert_eq!((minerd.accepted, minerd.connections_lost), (2, 1));
        assert!((Minerd::hashes(log) - 2_097_152.0).abs() < 0.5);
    }

    #[test]
    fn unanswered_shares_are_added_up() {
        let log = "WARN a: gone; 3 shares stay unanswered; next attempt in 1.0 s\n\
                   INFO b\nWARN a: gone; 4 shares stay unanswered; next attempt in 1.0 s\n";
        assert_eq!(unanswered(log), 7);
    }
}
