//! What miners count, and what it looks like at one moment.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sv1::{ErrorReply, JobId};

/// How many kinds of rejection are told apart; servers that put numbers into their words would
/// otherwise grow the list without end.
const MAX_REASONS: usize = 64;

/// How many arrivals of clean jobs are kept: 100 new blocks for 10,000 miners, 4 MB.
const MAX_ARRIVALS: usize = 1_000_000;

/// How many jobs are being waited for at once.
const JOBS_WATCHED: usize = 8;

/// The counters of one miner or of a whole farm, shared by its tasks and threads.
#[derive(Debug)]
pub(crate) struct Counters {
    began: Instant,
    pub(crate) connected: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) connections_lost: AtomicU64,
    pub(crate) hashes: AtomicU64,
    pub(crate) found: AtomicU64,
    pub(crate) submitted: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) given_up: AtomicU64,
    pub(crate) due: AtomicU64,
    pub(crate) jobs: AtomicU64,
    pub(crate) clean_jobs: AtomicU64,
    unexcused: AtomicU64,
    difficulty: AtomicU64,
    rejected: Mutex<BTreeMap<String, u64>>,
    arrivals: Mutex<Arrivals>,
}

/// When the same clean job reached which miner.
#[derive(Debug, Default)]
struct Arrivals {
    watched: VecDeque<(JobId, CleanJob)>,
    after_first: Vec<Duration>,
}

/// A clean job on its way through a farm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanJob {
    /// When the first miner had it.
    pub first: Instant,
    /// When the last miner so far had it.
    pub last: Instant,
    /// How many miners have had it so far.
    pub miners: u64,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let zero = AtomicU64::default;
        Self {
            began: Instant::now(),
            connected: zero(),
            connections: zero(),
            connections_lost: zero(),
            hashes: zero(),
            found: zero(),
            submitted: zero(),
            accepted: zero(),
            given_up: zero(),
            due: zero(),
            jobs: zero(),
            clean_jobs: zero(),
            unexcused: zero(),
            difficulty: zero(),
            rejected: Mutex::default(),
            arrivals: Mutex::default(),
        }
    }

    pub(crate) fn set_difficulty(&self, difficulty: f64) {
        self.difficulty
            .store(difficulty.to_bits(), Ordering::Relaxed);
    }

    /// Counts a rejection; `excused` where the share crossed a new block on its way.
    pub(crate) fn reject(&self, error: &ErrorReply, excused: bool) {
        if !excused {
            add(&self.unexcused, 1);
        }
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reason = format!("{} {}", error.code, error.message);
        if !rejected.contains_key(&reason) && rejected.len() >= MAX_REASONS {
            reason = "other reasons".into();
        }
        *rejected.entry(reason).or_default() += 1;
    }

    /// Notes that a clean job has reached one of the miners.
    pub(crate) fn clean_job_arrived(&self, job_id: JobId, now: Instant) {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let mut watched = arrivals.watched.iter_mut();
        let after_first = match watched.find(|(known, _)| *known == job_id) {
            Some((_, job)) => {
                job.last = job.last.max(now);
                job.miners += 1;
                now.saturating_duration_since(job.first)
            }
            None => {
                if arrivals.watched.len() >= JOBS_WATCHED {
                    arrivals.watched.pop_front();
                }
                let job = CleanJob {
                    first: now,
                    last: now,
                    miners: 1,
                };
                arrivals.watched.push_back((job_id, job));
                Duration::ZERO
            }
        };
        if arrivals.after_first.len() < MAX_ARRIVALS {
            arrivals.after_first.push(after_first);
        }
    }

    /// Gives the newest clean jobs, the oldest of them first.
    pub(crate) fn clean_jobs(&self) -> Vec<CleanJob> {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.watched.iter().map(|(_, job)| *job).collect()
    }

    pub(crate) fn stats(&self) -> Stats {
        let rejected = self
            .rejected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            elapsed: self.began.elapsed(),
            connected: load(&self.connected),
            connections: load(&self.connections),
            connections_lost: load(&self.connections_lost),
            hashes: load(&self.hashes),
            shares_found: load(&self.found),
            shares_submitted: load(&self.submitted),
            shares_accepted: load(&self.accepted),
            shares_rejected: rejected,
            shares_rejected_unexcused: load(&self.unexcused),
            searches_given_up: load(&self.given_up),
            shares_due: load(&self.due),
            jobs: load(&self.jobs),
            clean_jobs: load(&self.clean_jobs),
            difficulty: f64::from_bits(load(&self.difficulty)),
        }
    }

    pub(crate) fn notify_spread(&self) -> NotifySpread {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted = arrivals.after_first.clone();
        drop(arrivals);
        sorted.sort_unstable();
        let at = |percent: usize| {
            let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
            sorted.get(index).copied().unwrap_or_default()
        };
        NotifySpread {
            arrivals: sorted.len(),
            median: at(50),
            p99: at(99),
            max: at(100),
        }
    }
}

/// Adds to a counter that only reports read.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// What a miner, or all the miners of a farm together, have done since they started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Time since the start.
    pub elapsed: Duration,
    /// How many miners are connected and authorized now.
    pub connected: u64,
    /// How many connections were made.
    pub connections: u64,
    /// How many connections ended other than by our own will.
    pub connections_lost: u64,
    /// Hashes tried.
    pub hashes: u64,
    /// Shares found.
    pub shares_found: u64,
    /// Shares handed in; fewer than found where a connection was lost in between.
    pub shares_submitted: u64,
    /// Shares accepted.
    pub shares_accepted: u64,
    /// Shares rejected, by code and words.
    pub shares_rejected: BTreeMap<String, u64>,
    /// Rejected shares, less those refused as stale within two seconds of a clean job: they had
    /// crossed it on the way.
    pub shares_rejected_unexcused: u64,
    /// Shares that a farm's miner was due to find and did not within the bound of a search.
    pub searches_given_up: u64,
    /// Shares that the miners of a farm were due to find, whether they had work or not.
    pub shares_due: u64,
    /// Jobs received.
    pub jobs: u64,
    /// Jobs received that voided all before them.
    pub clean_jobs: u64,
    /// The difficulty of the latest job; 0 before the first.
    pub difficulty: f64,
}

impl Stats {
    /// Returns the hashes per second since the start.
    #[must_use]
    pub fn hashrate(&self) -> f64 {
        self.hashrate_since(&Self::default())
    }

    /// Returns the hashes per second since an earlier look at the same miner.
    #[must_use]
    pub fn hashrate_since(&self, earlier: &Self) -> f64 {
        let seconds = self.elapsed.saturating_sub(earlier.elapsed).as_secs_f64();
        let hashes = self.hashes.saturating_sub(earlier.hashes) as f64;
        if seconds > 0.0 { hashes / seconds } else { 0.0 }
    }

    /// Returns how many shares were rejected in all.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.shares_rejected.values().sum()
    }

    /// Returns the figures as a JSON object, with the field names of this type.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "duration_seconds": self.elapsed.as_secs_f64(),
            "connected": self.connected,
            "connections": self.connections,
            "connections_lost": self.connections_lost,
            "hashes": self.hashes,
            "hashrate": self.hashrate(),
            "shares_found": self.shares_found,
            "shares_submitted": self.shares_submitted,
            "shares_accepted": self.shares_accepted,
            "shares_rejected": self.shares_rejected,
            "shares_rejected_unexcused": self.shares_rejected_unexcused,
            "searches_given_up": self.searches_given_up,
            "shares_due": self.shares_due,
            "jobs": self.jobs,
            "clean_jobs": self.clean_jobs,
            "difficulty": self.difficulty,
        })
    }
}

/// How long after the first miner of a farm the others had the same clean job; the jobs with which
/// connections begin are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifySpread {
    /// How many arrivals were counted.
    pub arrivals: usize,
    /// Half of them came within this time of the first.
    pub median: Duration,
    /// 99 of 100 came within this time.
    pub p99: Duration,
    /// All came within this time.
    pub max: Duration,
}

impl NotifySpread {
    /// Returns the figures as a JSON object, in seconds.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "arrivals": self.arrivals,
            "median_seconds": self.median.as_secs_f64(),
            "p99_seconds": self.p99.as_secs_f64(),
            "max_seconds": self.max.as_secs_f64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_of_rejections_are_bounded() {
        let counters = Counters::new();
        for number in 0..1000 {
            let error = ErrorReply {
                code: 20,
                message: number.to_string().into(),
            };
            counters.reject(&error, number % 2 == 0);
        }
        let stats = counters.stats();
        assert_eq!(stats.shares_rejected.len(), MAX_REASONS + 1);
        assert_eq!(
            (stats.rejected(), stats.shares_rejected_unexcused),
            (1000, 500)
        );
    }

    #[test]
    fn the_spread_is_counted_from_the_first_arrival_of_each_job() {
        let counters = Counters::new();
        let now = Instant::now();
        for job in 0..20 {
            for late in [0, 1, 2, 3] {
                let now = now + Duration::from_secs(100 * job + late);
                counters.clean_job_arrived(JobId::from_number(job), now);
            }
        }
        let spread = counters.notify_spread();
        assert_eq!(spread.arrivals, 80);
        assert_eq!(
            (spread.median, spread.max),
            (Duration::from_secs(2), Duration::from_secs(3))
        );
        assert_eq!(Counters::new().notify_spread(), NotifySpread::default());
        let newest = CleanJob {
            first: now + Duration::from_secs(1_900),
            last: now + Duration::from_secs(1_903),
            miners: 4,
        };
        assert_eq!(counters.clean_jobs().last(), Some(&newest));
        assert_eq!(counters.clean_jobs().len(), JOBS_WATCHED);
    }
}
