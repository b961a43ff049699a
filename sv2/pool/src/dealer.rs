//! When jobs are made, on which block, and with what in them.
//!
//! A new block is dealt as pools do it: the future job, empty of transactions, goes ahead; `SetNewPrevHash`
//! makes it active; a moment later the job with transactions follows.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sv2::bitcoin::{BlockHash, Target};
use sv2::types::{JobId, Seq0_255, U256};

use crate::coinbase::Coinbase;
use crate::config::PoolConfig;
use crate::job::{CoinbaseSource, GivenJob, Template, Tip};
use crate::random::Random;

/// Makes jobs and keeps their timetable.
#[derive(Debug)]
pub(crate) struct Dealer {
    clock: Clock,
    random: Random,
    next_job_id: u32,
    /// Height of the block that is mined now.
    height: u32,
    tip: Tip,
    given: Option<GivenJob>,
    /// Sent ahead, for the next block.
    pending: Option<Template>,
    timetable: Timetable,
}

/// Wall-clock time, counted from the pool's start.
#[derive(Debug, Clone, Copy)]
struct Clock {
    start: Instant,
    unix_start: u32,
}

impl Clock {
    fn unix_time(self, now: Instant) -> u32 {
        let elapsed = now.saturating_duration_since(self.start).as_secs();
        let elapsed = u32::try_from(elapsed).unwrap_or(u32::MAX);
        self.unix_start.saturating_add(elapsed)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Timetable {
    block: Option<Instant>,
    job: Option<Instant>,
    fuller_job: Option<Instant>,
}

/// What the timetable asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    NewBlock,
    FutureJob,
    NewJob,
}

impl Dealer {
    pub(crate) fn new(config: &PoolConfig, now: Instant, unix_start: u32) -> Self {
        let clock = Clock {
            start: now,
            unix_start,
        };
        let made = Tip {
            prev_hash: block_hash(config, config.height),
            nbits: config.nbits,
            min_ntime: unix_start,
        };
        let given = config.given_job.clone();
        Self {
            clock,
            random: Random::new(config.seed),
            next_job_id: 1,
            height: config.height,
            tip: given.as_ref().map_or(made, |given| given.tip),
            given,
            pending: None,
            timetable: Timetable {
                block: next(config.block_interval, now),
                job: next(config.job_interval, now),
                fuller_job: None,
            },
        }
    }

    pub(crate) fn tip(&self) -> Tip {
        self.tip
    }

    pub(crate) fn unix_time(&self, now: Instant) -> u32 {
        self.clock.unix_time(now)
    }

    /// Gives the job that was sent ahead and still waits for its block.
    pub(crate) fn pending(&self) -> Option<&Template> {
        self.pending.as_ref()
    }

    /// Makes a job on the present block: the given one where there is one.
    pub(crate) fn present_job(&mut self, config: &PoolConfig) -> Template {
        let job_id = self.take_job_id();
        match &self.given {
            Some(given) => Template::given(job_id, given),
            None => self.make(config, job_id, self.height, config.merkle_branches),
        }
    }

    /// Makes the empty job of the next block, once per block; `None` where it exists already.
    pub(crate) fn future_job(&mut self, config: &PoolConfig) -> Option<&Template> {
        if self.pending.is_some() {
            return None;
        }
        let job_id = self.take_job_id();
        let template = self.make(config, job_id, self.height.saturating_add(1), 0);
        Some(self.pending.insert(template))
    }

    /// Starts the next block on `prev_hash`, or on one made up; gives the job that is active then.
    pub(crate) fn start_block(
        &mut self,
        config: &PoolConfig,
        now: Instant,
        prev_hash: Option<BlockHash>,
    ) -> Option<JobId> {
        let template = self.pending.take()?;
        self.given = None;
        self.height = self.height.saturating_add(1);
        self.tip = Tip {
            prev_hash: prev_hash.unwrap_or_else(|| block_hash(config, self.height)),
            nbits: config.nbits,
            min_ntime: self.clock.unix_time(now),
        };
        self.schedule_after_block(config, now);
        Some(template.job_id)
    }

    /// Starts a block with a given job.
    pub(crate) fn start_given(
        &mut self,
        config: &PoolConfig,
        now: Instant,
        given: GivenJob,
    ) -> Template {
        self.pending = None;
        self.tip = given.tip;
        self.schedule_after_block(config, now);
        self.timetable.fuller_job = None;
        let template = Template::given(self.take_job_id(), &given);
        self.given = Some(given);
        template
    }

    /// Takes what is due from the timetable.
    pub(crate) fn take_due(&mut self, config: &PoolConfig, now: Instant) -> Option<Due> {
        let is_due = |time: Option<Instant>| time.is_some_and(|time| time <= now);
        if is_due(self.timetable.block) {
            self.timetable.block = next(config.block_interval, now);
            return Some(Due::NewBlock);
        }
        if is_due(self.future_job_time(config)) {
            return Some(Due::FutureJob);
        }
        if is_due(self.timetable.fuller_job) || is_due(self.timetable.job) {
            self.timetable.fuller_job = None;
            self.timetable.job = next(config.job_interval, now);
            return Some(Due::NewJob);
        }
        None
    }

    /// Tells when something is due next.
    pub(crate) fn next_due(&self, config: &PoolConfig) -> Option<Instant> {
        let Timetable {
            block,
            job,
            fuller_job,
        } = self.timetable;
        let times = [block, self.future_job_time(config), job, fuller_job];
        times.into_iter().flatten().min()
    }

    fn future_job_time(&self, config: &PoolConfig) -> Option<Instant> {
        if self.pending.is_some() {
            return None;
        }
        let block = self.timetable.block?;
        Some(block.checked_sub(config.future_job_lead).unwrap_or(block))
    }

    fn schedule_after_block(&mut self, config: &PoolConfig, now: Instant) {
        self.timetable = Timetable {
            block: next(config.block_interval, now),
            job: next(config.job_interval, now),
            fuller_job: next(Some(config.fuller_job_delay), now),
        };
    }

    fn take_job_id(&mut self) -> JobId {
        let job_id = JobId(self.next_job_id);
        self.next_job_id = self.next_job_id.wrapping_add(1);
        job_id
    }

    fn make(&mut self, config: &PoolConfig, job_id: JobId, height: u32, branches: u8) -> Template {
        let empty = branches == 0;
        let path: Vec<U256> = (0..branches).map(|_| U256(self.random.bytes())).collect();
        let coinbase = Coinbase::new(height, &config.pool_tag, empty, &mut self.random);
        Template {
            job_id,
            version: config.version,
            version_rolling_allowed: config.version_rolling_allowed,
            // A u8 counts no more than the 255 that fit.
            merkle_path: Seq0_255::try_from(path).unwrap_or_default(),
            coinbase: CoinbaseSource::Made(coinbase),
        }
    }
}

/// A time past the clock's end never comes.
fn next(interval: Option<Duration>, now: Instant) -> Option<Instant> {
    interval.and_then(|interval| now.checked_add(interval))
}

/// Makes up the hash of the block before `height`: it follows from the chain's seed, and meets the network's
/// target as every block's does.
fn block_hash(config: &PoolConfig, height: u32) -> BlockHash {
    let seed = [
        &b"block"[..],
        &config.chain_seed.to_le_bytes(),
        &height.to_le_bytes(),
    ]
    .concat();
    let mut hash: [u8; 32] = Sha256::digest(seed).into();
    let target = Target::from_compact(config.nbits).unwrap_or(Target::MAX);
    let zeros = target
        .to_be_bytes()
        .iter()
        .take_while(|byte| **byte == 0)
        .count();
    // One zero byte more than the target has is below it, whatever follows.
    for byte in hash.iter_mut().rev().take(zeros + 1) {
        *byte = 0;
    }
    BlockHash(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_made_up_block_meets_the_networks_target() {
        for nbits in [0x1701_e2a0, 0x1d00_ffff, 0x207f_ffff, 0x0300_0001] {
            let config = PoolConfig {
                nbits,
                ..PoolConfig::default()
            };
            let target = Target::from_compact(nbits).unwrap();
            for height in 0..50 {
                assert!(target.is_met_by(&block_hash(&config, height)));
            }
        }
    }

    #[test]
    fn pools_of_one_chain_agree_on_its_blocks() {
        let one = PoolConfig::default();
        let other = PoolConfig {
            seed: 99,
            ..PoolConfig::default()
        };
        assert_eq!(block_hash(&one, 5), block_hash(&other, 5));
        assert_ne!(block_hash(&one, 5), block_hash(&one, 6));
    }
}
