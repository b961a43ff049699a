//! A miner that really hashes: one connection, and a thread per core that it may use.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, TryRecvError, bounded};

use crate::client::{Assignment, Client, Found};
use crate::hash::Search;
use crate::net::spawn;
use crate::random::Random;
use crate::session::{DifficultyCounts, SessionOptions};
use crate::stats::{Counters, Stats, add};
use crate::work::Roll;

/// Shares that may wait to be written; past that the threads wait.
const INBOX: usize = 64;

/// How long a thread hashes before it looks for newer work. It also bounds a rest: 99 times as long
/// at an intensity of 1 %.
const BATCH: Duration = Duration::from_millis(10);

/// How many nonces the first batch has; the later ones have what fills [`BATCH`].
const FIRST_BATCH: u64 = 1 << 12;

/// Bounds of a batch, in nonces: no clock is fine enough for fewer, and no core fast enough for more.
const LEAST_BATCH: u64 = 1 << 10;
const MOST_BATCH: u64 = 1 << 24;

/// What a miner is to do.
#[derive(Clone, Debug)]
pub struct MinerConfig {
    /// `host:port` of the server.
    pub address: String,
    /// Name of the worker.
    pub user: String,
    /// Its password.
    pub password: String,
    /// How many threads hash.
    pub threads: u16,
    /// How much of its time each thread hashes, in percent, from 1 to 100.
    pub intensity: u8,
    /// The difficulty to ask for.
    pub suggest_difficulty: Option<f64>,
    /// The version bits to offer for rolling; `None` asks for none.
    pub version_rolling: Option<u32>,
    /// When a new difficulty counts.
    pub difficulty_counts: DifficultyCounts,
}

impl MinerConfig {
    /// Returns what a miner does unless told otherwise: one thread, all of the time, version
    /// rolling with the bits of BIP-0320.
    #[must_use]
    pub fn new(address: impl Into<String>, user: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            user: user.into(),
            password: "x".into(),
            threads: 1,
            intensity: 100,
            suggest_difficulty: None,
            version_rolling: Some(crate::BIP_0320_MASK),
            difficulty_counts: DifficultyCounts::FromNextJob,
        }
    }
}

/// A CPU miner.
#[derive(Debug)]
pub struct Miner;

/// A running miner. To drop it stops it too, without waiting.
#[derive(Debug)]
pub struct MinerHandle {
    counters: Arc<Counters>,
    inbox: Sender<Found>,
    /// Closed when all threads and the connection have ended.
    ended: Receiver<()>,
}

impl Miner {
    /// Starts a miner on the current runtime, with its own threads for hashing.
    ///
    /// It connects, and connects again with a growing pause whenever the connection is lost.
    #[must_use]
    pub fn spawn(config: MinerConfig) -> MinerHandle {
        let counters = Arc::new(Counters::new());
        let (inbox, found) = bounded(INBOX);
        let (alive, ended) = bounded::<()>(1);
        let threads = config.threads.max(1);
        let assignments: Vec<_> = (0..threads)
            .map(|number| {
                let (assign, assigned) = bounded(1);
                let hasher = Hasher {
                    assigned,
                    found: inbox.clone(),
                    counters: Arc::clone(&counters),
                    intensity: config.intensity.clamp(1, 100),
                    roller: Roller::new(number.into(), threads.into()),
                };
                let alive = alive.clone();
                thread::spawn(move || {
                    hasher.run();
                    drop(alive);
                });
                assign
            })
            .collect();
        let client = client(config, Arc::clone(&counters), found, assignments);
        spawn(async move {
            client.run().await;
            drop(alive);
        });
        MinerHandle {
            counters,
            inbox,
            ended,
        }
    }
}

impl MinerHandle {
    /// Returns what the miner has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// Stops the miner, waits until its connection is closed and its threads have ended, and
    /// returns what it has done.
    pub async fn stop(self) -> Stats {
        self.inbox.close();
        // Nobody sends: an error says that the last holder is gone.
        while self.ended.recv().await.is_ok() {}
        self.stats()
    }
}

impl Drop for MinerHandle {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

fn client(
    config: MinerConfig,
    counters: Arc<Counters>,
    inbox: Receiver<Found>,
    assignments: Vec<Sender<Option<Assignment>>>,
) -> Client<impl Fn(Option<Assignment>)> {
    let seed = config.user.bytes().fold(1, |seed: u64, byte| {
        seed.wrapping_mul(257) + u64::from(byte)
    });
    Client {
        address: config.address,
        options: SessionOptions {
            user: config.user.into(),
            password: config.password.into(),
            user_agent: crate::USER_AGENT.into(),
            version_rolling: config.version_rolling,
            suggest_difficulty: config.suggest_difficulty,
            extranonce_subscribe: true,
            difficulty_counts: config.difficulty_counts,
            session_id: None,
        },
        counters,
        inbox,
        publish: move |assignment: Option<Assignment>| {
            for thread in &assignments {
                // The newest takes the place of one that the thread has not taken yet. A thread
                // that has ended needs none.
                drop(thread.force_send(assignment.clone()));
            }
        },
        random: Random::new(seed),
    }
}

/// A thread that hashes.
struct Hasher {
    assigned: Receiver<Option<Assignment>>,
    found: Sender<Found>,
    counters: Arc<Counters>,
    intensity: u8,
    roller: Roller,
}

impl Hasher {
    /// Hashes until there is nobody left to say what.
    fn run(mut self) {
        let mut current = None;
        let mut batch = FIRST_BATCH;
        loop {
            match self.newest(current.is_none()) {
                Ok(Some(assignment)) => {
                    let arrived = Instant::now();
                    current = assignment.map(|assignment| (assignment, arrived));
                    self.roller.restart();
                }
                Ok(None) => {}
                Err(Ended) => return,
            }
            let Some((assignment, arrived)) = &current else {
                continue;
            };
            let began = Instant::now();
            let Ok(tried) = self.hash(assignment, *arrived, batch) else {
                return;
            };
            let took = began.elapsed();
            batch = next_batch(tried, took);
            self.rest(took);
        }
    }

    /// What came since the last look, or after waiting for it.
    fn newest(&self, wait: bool) -> Result<Option<Option<Assignment>>, Ended> {
        match wait {
            true => self.assigned.recv_blocking().map(Some).map_err(|_| Ended),
            false => match self.assigned.try_recv() {
                Ok(assignment) => Ok(Some(assignment)),
                Err(TryRecvError::Empty) => Ok(None),
                Err(TryRecvError::Closed) => Err(Ended),
            },
        }
    }

    /// Tries a batch of nonces, and returns how many it tried.
    fn hash(
        &mut self,
        assignment: &Assignment,
        arrived: Instant,
        batch: u64,
    ) -> Result<u64, Ended> {
        let work = &assignment.work;
        let elapsed = u32::try_from(arrived.elapsed().as_secs()).unwrap_or_default();
        let roll = self.roller.roll(work.notify.ntime.saturating_add(elapsed));
        let search = Search::new(&work.header(&roll), work.target);
        let start = self.roller.nonce;
        let end = (start + batch).min(1 << 32);
        while let Some(nonce) = search.first_share(self.roller.nonce..end) {
            self.roller.nonce = u64::from(nonce) + 1;
            add(&self.counters.found, 1);
            let share = work.share(&roll, nonce);
            let found = Found {
                connection: assignment.connection,
                share,
            };
            self.found.send_blocking(found).map_err(|_| Ended)?;
        }
        self.roller.nonce = end;
        add(&self.counters.hashes, end - start);
        Ok(end - start)
    }

    /// Leaves the core to others for as long as the intensity asks.
    fn rest(&self, worked: Duration) {
        let idle = u32::from(100 - self.intensity);
        if idle > 0 {
            thread::sleep(worked * idle / u32::from(self.intensity));
        }
    }
}

/// Nobody needs what this thread does any more.
struct Ended;

/// How many nonces fill [`BATCH`], by how long the last batch took.
fn next_batch(tried: u64, took: Duration) -> u64 {
    let nonces = u128::from(tried) * BATCH.as_nanos() / took.as_nanos().max(1);
    u64::try_from(nonces)
        .unwrap_or(u64::MAX)
        .clamp(LEAST_BATCH, MOST_BATCH)
}

/// Where a thread is among all the headers that it may try.
///
/// Every second and every 2^32 nonces begin a new header, with the thread's next extranonce2; the
/// version bits and the first nonce are scattered, so that all of their bits are put to use. Nothing
/// restarts with a job, so no header comes twice on one connection.
#[derive(Debug)]
struct Roller {
    step: u64,
    headers: u64,
    roll: Roll,
    nonce: u64,
    /// Whether the next batch is to begin a new header.
    fresh: bool,
}

impl Roller {
    fn new(thread: u64, threads: u64) -> Self {
        Self {
            step: threads,
            headers: thread,
            roll: Roll::default(),
            nonce: 0,
            fresh: true,
        }
    }

    /// Begins a new header with the next batch.
    const fn restart(&mut self) {
        self.fresh = true;
    }

    /// The header of the next batch.
    fn roll(&mut self, ntime: u32) -> Roll {
        if self.fresh || ntime != self.roll.ntime || self.nonce >= 1 << 32 {
            let scattered = Random::new(self.headers).next();
            let [low, high] = [scattered & u64::from(u32::MAX), scattered >> 32];
            self.roll = Roll {
                extranonce2: self.headers,
                version_bits: u32::try_from(high).unwrap_or_default(),
                ntime,
            };
            self.nonce = low;
            self.headers += self.step;
            self.fresh = false;
        }
        self.roll
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn threads_never_share_an_extranonce2() {
        let mut seen = HashSet::new();
        for thread in 0..3 {
            let mut roller = Roller::new(thread, 3);
            for ntime in 0..100 {
                assert!(seen.insert(roller.roll(ntime).extranonce2));
            }
        }
        assert_eq!(seen.len(), 300);
    }

    #[test]
    fn a_header_goes_on_until_its_nonces_or_its_second_end() {
        let mut roller = Roller::new(0, 1);
        let first = roller.roll(7);
        assert_eq!(roller.roll(7), first);
        roller.nonce = 1 << 32;
        assert_ne!(roller.roll(7), first);
        let second = roller.roll(7);
        assert_ne!(roller.roll(8), second);
        roller.restart();
        assert_eq!(roller.roll(8).extranonce2, 3);
    }

    #[test]
    fn batches_are_bounded_however_fast_the_core_is() {
        assert_eq!(next_batch(1 << 20, Duration::ZERO), 1 << 24);
        assert_eq!(next_batch(1, Duration::from_secs(1)), 1 << 10);
        assert_eq!(next_batch(50_000, BATCH / 2), 100_000);
    }
}
