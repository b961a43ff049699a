//! What happened so far, in numbers.

use std::collections::BTreeMap;

use sv2::bitcoin::Target;

use crate::share::Refusal;

/// Name under which workers are counted once there are too many names.
const OTHER_WORKERS: &str = "(other workers)";

/// A snapshot of the pool.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct PoolStats {
    /// Connections open now.
    pub connections: usize,
    /// Channels open now.
    pub channels: usize,
    /// Connections that there have been.
    pub connections_total: u64,
    /// Channels that there have been.
    pub channels_total: u64,
    /// Channels refused, by error code.
    pub channels_refused: BTreeMap<String, u64>,
    /// Announced hashrate of the channels open now, in h/s.
    pub nominal_hash_rate: f64,
    /// Jobs made, future ones included.
    pub jobs: u64,
    /// New blocks announced.
    pub new_blocks: u64,
    /// Shares accepted.
    pub shares_accepted: u64,
    /// Shares accepted and acknowledged.
    pub shares_acknowledged: u64,
    /// Shares refused, by error code.
    pub shares_refused: BTreeMap<&'static str, u64>,
    /// Sum of the difficulties of accepted shares, each that of its job.
    pub difficulty_accepted: f64,
    /// Hashes that the accepted shares stand for: the work credited.
    pub hashes_accepted: f64,
    /// Blocks found.
    pub blocks_found: u64,
    /// Shares by worker's name, or the channel's user where none was given.
    pub workers: BTreeMap<String, WorkerStats>,
    /// Events that a subscriber was too slow for.
    pub events_dropped: u64,
}

/// What one worker did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WorkerStats {
    /// Shares accepted.
    pub accepted: u64,
    /// Shares refused.
    pub refused: u64,
    /// Sum of the difficulties of accepted shares.
    pub difficulty: f64,
}

impl PoolStats {
    /// Tells how many shares were refused for any reason.
    #[must_use]
    pub fn shares_refused_total(&self) -> u64 {
        self.shares_refused.values().sum()
    }

    pub(crate) fn count_accepted(&mut self, worker: &str, target: Target, max_workers: usize) {
        let difficulty = target.difficulty().to_f64();
        self.shares_accepted += 1;
        self.difficulty_accepted += difficulty;
        self.hashes_accepted += target.expected_hashes_f64();
        let worker = self.worker(worker, max_workers);
        worker.accepted += 1;
        worker.difficulty += difficulty;
    }

    pub(crate) fn count_refused(&mut self, worker: &str, refusal: Refusal, max_workers: usize) {
        *self.shares_refused.entry(refusal.code()).or_default() += 1;
        self.worker(worker, max_workers).refused += 1;
    }

    fn worker(&mut self, name: &str, max_workers: usize) -> &mut WorkerStats {
        let known = self.workers.contains_key(name) || self.workers.len() < max_workers;
        let name = if known { name } else { OTHER_WORKERS };
        self.workers.entry(name.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_past_the_limit_are_counted_together() {
        let mut stats = PoolStats::default();
        for number in 0..10 {
            stats.count_accepted(&format!("rig{number}"), Target::DIFFICULTY_1, 3);
        }
        assert_eq!(stats.workers.len(), 4);
        assert_eq!(stats.workers[OTHER_WORKERS].accepted, 7);
        assert_eq!(stats.shares_accepted, 10);
        assert!((stats.difficulty_accepted - 10.0).abs() < 1e-9);
    }
}
