//! A simulated farm: many miners in one process, each with its own connection and a nominal rate of
//! shares, all of them found by one thread.
//!
//! The shares are real: their hashes meet the target. That is cheap enough for thousands of miners
//! only at a difficulty far below 1, which the server has to be configured for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, bounded};

use crate::client::{Assignment, Client, Found};
use crate::hash::Search;
use crate::net::{sleep, spawn};
use crate::random::Random;
use crate::session::{DifficultyCounts, SessionOptions};
use crate::stats::{CleanJob, Counters, NotifySpread, Stats, add};
use crate::work::{Roll, Share, Work};

/// Shares that may wait for one miner to write them; more are not handed in.
const INBOX: usize = 8;

/// Nonces between two looks at whether newer work has come.
const SLICE: u64 = 1 << 14;

/// How far a farm may fall behind its schedule before it gives up what it has missed.
const MOST_BEHIND: Duration = Duration::from_secs(10);

/// What a farm is to do.
#[derive(Clone, Debug)]
pub struct FarmConfig {
    /// `host:port` of the server.
    pub address: String,
    /// Name of the workers; each has its number, from 1, after it.
    pub user: String,
    /// Password of all workers.
    pub password: String,
    /// How many miners there are.
    pub miners: usize,
    /// How many shares each miner finds in a minute, on average.
    pub shares_per_minute: f64,
    /// How the shares of one miner lie in time.
    pub arrivals: ShareArrivals,
    /// What the times follow from: with the same seed they are the same.
    pub seed: u64,
    /// How many miners connect per second at the start.
    pub connects_per_second: f64,
    /// The difficulty that each miner asks for.
    pub suggest_difficulty: Option<f64>,
    /// The version bits to offer for rolling; `None` asks for none.
    pub version_rolling: Option<u32>,
    /// How many hashes a search for one due share may take.
    pub most_hashes: u64,
}

impl FarmConfig {
    /// Returns what a farm does unless told otherwise: 12 shares a minute from each miner, at
    /// random times, 500 connections a second, and searches of at most 2^22 hashes (half a second).
    #[must_use]
    pub fn new(address: impl Into<String>, miners: usize) -> Self {
        Self {
            address: address.into(),
            user: "farm.rig".into(),
            password: "x".into(),
            miners,
            shares_per_minute: 12.0,
            arrivals: ShareArrivals::Poisson,
            seed: 1,
            connects_per_second: 500.0,
            suggest_difficulty: None,
            version_rolling: Some(crate::BIP_0320_MASK),
            most_hashes: 1 << 22,
        }
    }
}

/// How the shares of one miner lie in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShareArrivals {
    /// At random, as real ones do.
    #[default]
    Poisson,
    /// At equal distances, each miner beginning somewhere else.
    Fixed,
}

/// A simulated farm.
#[derive(Debug)]
pub struct Farm;

/// A running farm. To drop it stops it too, without waiting.
#[derive(Debug)]
pub struct FarmHandle {
    counters: Arc<Counters>,
    /// Dropped to stop the thread, which then closes the miners' inboxes.
    stop: Option<mpsc::Sender<()>>,
    /// Closed when the thread and all miners have ended.
    ended: Receiver<()>,
}

/// What one miner is to hash, for the thread to look at when the miner's share is due.
type Slot = Arc<Mutex<Option<Assignment>>>;

impl Farm {
    /// Starts a farm on the current runtime, with one thread for hashing.
    #[must_use]
    pub fn spawn(config: &FarmConfig) -> FarmHandle {
        let counters = Arc::new(Counters::new());
        let (alive, ended) = bounded::<()>(1);
        let (stop, stopped) = mpsc::channel();
        let miners: Vec<_> = (0..config.miners)
            .map(|number| spawn_miner(config, number, &counters, alive.clone()))
            .collect();
        let finder = Finder::new(config, miners, Arc::clone(&counters));
        thread::spawn(move || {
            finder.run(&stopped);
            drop(alive);
        });
        FarmHandle {
            counters,
            stop: Some(stop),
            ended,
        }
    }
}

impl FarmHandle {
    /// Returns what all miners together have done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// Returns how long after the first of them the miners had each clean job.
    #[must_use]
    pub fn notify_spread(&self) -> NotifySpread {
        self.counters.notify_spread()
    }

    /// Returns the newest clean jobs, the oldest of them first; those with which connections begin are left out.
    #[must_use]
    pub fn clean_jobs(&self) -> Vec<CleanJob> {
        self.counters.clean_jobs()
    }

    /// Stops the farm, waits until every connection is closed, and returns what it has done.
    pub async fn stop(mut self) -> (Stats, NotifySpread) {
        self.stop = None;
        // Nobody sends: an error says that the last holder is gone.
        while self.ended.recv().await.is_ok() {}
        (self.stats(), self.notify_spread())
    }
}

/// Starts one miner's connection; it ends when its inbox is closed.
fn spawn_miner(
    config: &FarmConfig,
    number: usize,
    counters: &Arc<Counters>,
    alive: Sender<()>,
) -> FarmMiner {
    let slot = Slot::default();
    let (found, inbox) = bounded(INBOX);
    let published = Arc::clone(&slot);
    let client = Client {
        address: config.address.clone(),
        options: SessionOptions {
            user: format!("{}{}", config.user, number + 1).into(),
            password: config.password.as_str().into(),
            user_agent: crate::USER_AGENT.into(),
            version_rolling: config.version_rolling,
            suggest_difficulty: config.suggest_difficulty,
            extranonce_subscribe: true,
            difficulty_counts: DifficultyCounts::FromNextJob,
            session_id: None,
        },
        counters: Arc::clone(counters),
        inbox,
        publish: move |assignment| {
            *published.lock().unwrap_or_else(PoisonError::into_inner) = assignment;
        },
        random: Random::new(config.seed.wrapping_add(number as u64)),
    };
    let delay = Duration::from_secs_f64(number as f64 / config.connects_per_second.max(0.1));
    spawn(async move {
        sleep(delay).await;
        client.run().await;
        drop(alive);
    });
    FarmMiner {
        slot,
        found,
        searches: 0,
    }
}

/// One miner, as the thread that finds its shares sees it.
struct FarmMiner {
    slot: Slot,
    found: Sender<Found>,
    /// Counts up with every search: each has its own extranonce2.
    searches: u64,
}

/// The thread that finds the shares of all miners, each when it is due.
struct Finder {
    miners: Vec<FarmMiner>,
    counters: Arc<Counters>,
    schedule: Schedule,
    most_hashes: u64,
}

impl Finder {
    fn new(config: &FarmConfig, miners: Vec<FarmMiner>, counters: Arc<Counters>) -> Self {
        Self {
            schedule: Schedule::new(config, miners.len()),
            miners,
            counters,
            most_hashes: config.most_hashes,
        }
    }

    /// Finds shares until the other end of `stopped` is gone.
    fn run(mut self, stopped: &mpsc::Receiver<()>) {
        let began = Instant::now();
        loop {
            let wait = self
                .schedule
                .next_due()
                .map_or(MOST_BEHIND, |due| due.saturating_sub(began.elapsed()));
            match stopped.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
            if let Some(number) = self.schedule.pop(began.elapsed()) {
                add(&self.counters.due, 1);
                self.find(number);
            }
        }
    }

    fn find(&mut self, number: usize) {
        let Some(miner) = self.miners.get_mut(number) else {
            return;
        };
        match miner.find(self.most_hashes, &self.counters) {
            Outcome::Found(found) => {
                add(&self.counters.found, 1);
                // A miner whose inbox is full does not get its shares off: they are lost, as they
                // would be in a real one.
                let _ = miner.found.try_send(found);
            }
            Outcome::GivenUp => add(&self.counters.given_up, 1),
            Outcome::NoWork => {}
        }
    }
}

/// What a search came to.
enum Outcome {
    Found(Found),
    GivenUp,
    NoWork,
}

impl FarmMiner {
    /// Looks for a share of the miner's work, beginning again where newer work comes in between.
    fn find(&mut self, most_hashes: u64, counters: &Counters) -> Outcome {
        let mut left = most_hashes;
        while left > 0 {
            let Some(Assignment { connection, work }) = self.assignment() else {
                return Outcome::NoWork;
            };
            self.searches += 1;
            let (share, tried) = self.search(&work, left);
            add(&counters.hashes, tried);
            left = left.saturating_sub(tried.max(1));
            if let Some(share) = share {
                return Outcome::Found(Found { connection, share });
            }
        }
        Outcome::GivenUp
    }

    /// Tries at most `left` nonces of one header; also returns how many were tried.
    fn search(&self, work: &Arc<Work>, left: u64) -> (Option<Share>, u64) {
        let version_bits = Random::new(self.searches).next() & u64::from(u32::MAX);
        let roll = Roll {
            extranonce2: self.searches,
            version_bits: u32::try_from(version_bits).unwrap_or_default(),
            ntime: work.notify.ntime,
        };
        let search = Search::new(&work.header(&roll), work.target);
        let end = left.min(1 << 32);
        let mut start = 0;
        while start < end {
            let slice = start..end.min(start + SLICE);
            if let Some(nonce) = search.first_share(slice.clone()) {
                return (Some(work.share(&roll, nonce)), u64::from(nonce) + 1);
            }
            start = slice.end;
            let newest = self.assignment();
            if !newest.is_some_and(|newest| Arc::ptr_eq(&newest.work, work)) {
                break;
            }
        }
        (None, start)
    }

    fn assignment(&self) -> Option<Assignment> {
        self.slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Whose share is due next, in time since the start.
struct Schedule {
    due: BinaryHeap<Reverse<(Duration, usize)>>,
    interval: Duration,
    arrivals: ShareArrivals,
    random: Random,
}

impl Schedule {
    fn new(config: &FarmConfig, miners: usize) -> Self {
        // One share a year at the least keeps the time within its type.
        let per_minute = config.shares_per_minute.max(1.0 / 525_600.0);
        let interval = Duration::from_secs_f64(60.0 / per_minute);
        let mut random = Random::new(config.seed);
        // However long ago a Poisson process began, the next arrival is as far away.
        let mut first = || match config.arrivals {
            ShareArrivals::Poisson => random.exponential(interval),
            ShareArrivals::Fixed => interval.mul_f64(random.fraction()),
        };
        let due = (0..miners)
            .map(|number| Reverse((first(), number)))
            .collect();
        Self {
            due,
            interval,
            arrivals: config.arrivals,
            random,
        }
    }

    fn next_due(&self) -> Option<Duration> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes the next miner whose time has come, and schedules the share after.
    fn pop(&mut self, now: Duration) -> Option<usize> {
        let Reverse((due, number)) = *self.due.peek().filter(|next| next.0.0 <= now)?;
        let interval = match self.arrivals {
            ShareArrivals::Poisson => self.random.exponential(self.interval),
            ShareArrivals::Fixed => self.interval,
        };
        let from = due.max(now.saturating_sub(MOST_BEHIND));
        self.due.pop();
        self.due.push(Reverse((from + interval, number)));
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(arrivals: ShareArrivals) -> Schedule {
        let config = FarmConfig {
            arrivals,
            ..FarmConfig::new("", 10)
        };
        Schedule::new(&config, 10)
    }

    /// How often each miner's share is due within ten minutes.
    fn counts(mut schedule: Schedule) -> [u32; 10] {
        let mut counts = [0; 10];
        while let Some(due) = schedule.next_due().filter(|due| due.as_secs() < 600) {
            assert_eq!(
                schedule.pop(due.saturating_sub(Duration::from_nanos(1))),
                None
            );
            counts[schedule.pop(due).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn every_miner_keeps_to_its_rate() {
        assert_eq!(counts(schedule(ShareArrivals::Fixed)), [120; 10]);
        let random = counts(schedule(ShareArrivals::Poisson));
        assert!(
            random.iter().all(|count| (80..160).contains(count)),
            "{random:?}"
        );
        assert_eq!(random, counts(schedule(ShareArrivals::Poisson)));
    }

    #[test]
    fn shares_come_at_their_rate_from_the_first_moment() {
        for arrivals in [ShareArrivals::Fixed, ShareArrivals::Poisson] {
            let config = FarmConfig {
                arrivals,
                ..FarmConfig::new("", 10_000)
            };
            let mut schedule = Schedule::new(&config, 10_000);
            let mut due = 0;
            while schedule.pop(Duration::from_secs(5)).is_some() {
                due += 1;
            }
            assert!((9_500..=10_500).contains(&due), "{due} in one interval");
        }
    }

    #[test]
    fn a_farm_that_fell_behind_gives_up_what_it_missed() {
        let mut schedule = schedule(ShareArrivals::Fixed);
        let now = Duration::from_secs(3600);
        let mut caught_up = 0;
        while schedule.pop(now).is_some() {
            caught_up += 1;
        }
        assert!((20..=40).contains(&caught_up), "{caught_up}");
    }
}
