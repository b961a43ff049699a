//! The pool of a load test: the small one, in this process, on the executor's one thread.

use std::time::Duration;

use async_channel::Receiver;
use async_std::task::{JoinHandle, spawn};
use futures_lite::future::block_on;
use sv2_pool::event::BlockWrite;
use sv2_pool::{Limits, PoolConfig, PoolHandle, PoolServer, PoolStats, ShareTarget};

use super::contender::Terms;
use crate::pool::share_target;

/// Far more than any run lasts: blocks come on command only, and their empty jobs are sent ahead as soon as they can be.
const NEVER: Duration = Duration::from_secs(24 * 3600);
/// Between a block's empty job and the one with transactions.
const FULLER_JOB_DELAY: Duration = Duration::from_millis(300);
/// Shares per minute that the pool wants of a channel where difficulties are a farm's; as the reference pool has it.
const SHARES_PER_MINUTE: f64 = 6.0;
/// Shares remembered to find duplicates: the longest run at the highest rate has fewer.
const MAX_SEEN_SHARES: usize = 50_000_000;

/// A pool that runs.
#[derive(Debug)]
pub(super) struct LoadPool {
    handle: PoolHandle,
    /// Where it listens.
    pub(super) host: String,
    /// Where it listens.
    pub(super) port: u16,
    /// The key of its authority.
    pub(super) key: String,
    writes: Receiver<BlockWrite>,
    task: JoinHandle<PoolStats>,
}

impl LoadPool {
    /// Starts a pool.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub(super) fn start(terms: Terms) -> Self {
        let target = match terms {
            Terms::AnyHash | Terms::AnyHashMeasured => share_target(2_f64.powi(-40)),
            Terms::Farm => ShareTarget::SharesPerMinute(SHARES_PER_MINUTE),
        };
        let config = PoolConfig {
            share_target: target,
            block_interval: Some(NEVER),
            future_job_lead: NEVER,
            fuller_job_delay: FULLER_JOB_DELAY,
            job_interval: None,
            limits: Limits {
                max_seen_shares: MAX_SEEN_SHARES,
                ..Limits::default()
            },
            ..PoolConfig::default()
        };
        let server = async_std::task::block_on(PoolServer::bind(config));
        let server = server.expect("a pool can be started");
        let handle = server.handle();
        let url = server.url();
        let task = spawn(server.run());
        Self {
            writes: block_on(handle.watch_block_writes()).expect("the pool runs"),
            handle,
            host: url.host,
            port: url.port,
            key: url
                .authority_key
                .map_or_else(String::new, |key| key.to_string()),
            task,
        }
    }

    /// Starts a new block; what was written before is forgotten.
    ///
    /// # Panics
    /// Where it has stopped.
    pub(super) fn new_block(&self) {
        while self.writes.try_recv().is_ok() {}
        block_on(self.handle.new_block()).expect("the pool runs");
    }

    /// Gives the write of a new block, once it has begun.
    pub(super) fn block_write(&self) -> Option<BlockWrite> {
        self.writes.try_recv().ok()
    }

    /// Gives its counters.
    ///
    /// # Panics
    /// Where it has stopped.
    pub(super) fn stats(&self) -> PoolStats {
        block_on(self.handle.stats()).expect("the pool runs")
    }

    /// Stops it.
    ///
    /// # Panics
    /// Where it has stopped already.
    pub(super) fn stop(self) {
        block_on(self.handle.stop()).expect("the pool runs");
        block_on(self.task);
    }
}
