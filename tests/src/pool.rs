//! The small pool in this process, with everything that happens to it in reach.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_channel::Receiver;
use async_std::task::{JoinHandle, block_on, spawn};
use sv2::authority_key::AuthoritySecretKey;
use sv2::bitcoin::Difficulty;
use sv2_pool::{
    AcceptedShare, PoolConfig, PoolEvent, PoolHandle, PoolServer, PoolStats, ShareTarget,
};

use crate::PATIENCE;

/// A pool that runs.
#[derive(Debug)]
pub struct Pool {
    /// For commands.
    pub handle: PoolHandle,
    config: PoolConfig,
    url: String,
    address: SocketAddr,
    events: Receiver<PoolEvent>,
    task: JoinHandle<PoolStats>,
}

impl Pool {
    /// Gives a config for tests: shares of some thousand hashes, jobs and blocks only on command, every share
    /// acknowledged at once, and a key that stays when the pool is started again.
    #[must_use]
    pub fn config() -> PoolConfig {
        PoolConfig {
            authority_secret: Some(AuthoritySecretKey::generate()),
            share_target: share_target(2_f64.powi(-20)),
            block_interval: None,
            job_interval: None,
            fuller_job_delay: Duration::ZERO,
            ack_batch: 1,
            ..PoolConfig::default()
        }
    }

    /// Starts a pool.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn start(config: PoolConfig) -> Self {
        let server = block_on(PoolServer::bind(config.clone())).expect("a pool can be started");
        let handle = server.handle();
        // Commands wait until it runs, so that no event is missed.
        let events = block_on(handle.subscribe()).expect("the pool will run");
        Self {
            handle,
            config,
            url: server.url().to_string(),
            address: server.local_addr(),
            events,
            task: spawn(server.run()),
        }
    }

    /// Gives the URL with the authority key.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Gives the address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for an event that `pick` wants, and gives what it made of it; earlier ones are gone.
    ///
    /// # Panics
    /// Where none comes.
    pub fn wait_for<T>(&self, what: &str, mut pick: impl FnMut(PoolEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let next = async_std::future::timeout(left, self.events.recv());
            match block_on(next) {
                Ok(Ok(event)) => {
                    if let Some(found) = pick(event) {
                        return found;
                    }
                }
                _ => panic!("the pool saw no {what}"),
            }
        }
    }

    /// Waits for the next share that is accepted; a refused one fails the test.
    ///
    /// # Panics
    /// Where none comes.
    pub fn next_share(&self) -> AcceptedShare {
        self.wait_for("share", |event| match event {
            PoolEvent::ShareAccepted(share) => Some(share),
            PoolEvent::ShareRefused { refusal, .. } => panic!("the pool refused: {refusal:?}"),
            _ => None,
        })
    }

    /// Takes what has happened and nobody has taken yet.
    pub fn take_events(&self) -> Vec<PoolEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// Gives its counters.
    ///
    /// # Panics
    /// Where it has stopped.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        block_on(self.handle.stats()).expect("the pool runs")
    }

    /// Waits until every connection has ended, and gives the counters: what was sent before counts.
    ///
    /// # Panics
    /// Where a connection does not end.
    #[must_use]
    pub fn stats_at_rest(&self) -> PoolStats {
        loop {
            let stats = self.stats();
            if stats.connections == 0 {
                return stats;
            }
            // Another look is worth it only when something has happened.
            self.wait_for("end of its connections", Some);
        }
    }

    /// Starts a new block.
    ///
    /// # Panics
    /// Where it has stopped.
    pub fn new_block(&self) {
        block_on(self.handle.new_block()).expect("the pool runs");
    }

    /// Deals a new job on the same block.
    ///
    /// # Panics
    /// Where it has stopped.
    pub fn new_job(&self) {
        block_on(self.handle.new_job()).expect("the pool runs");
    }

    /// Stops it, and gives what another needs to take its place: the same key on the same port.
    ///
    /// # Panics
    /// Where it has stopped already.
    pub fn stop(self) -> (PoolStats, PoolConfig) {
        block_on(self.handle.stop()).expect("the pool runs");
        let stats = block_on(self.task);
        let config = PoolConfig {
            listen: self.address,
            ..self.config
        };
        (stats, config)
    }
}

/// Makes a pool's target of a difficulty.
///
/// # Panics
/// Where it is not above zero.
pub(crate) fn share_target(difficulty: f64) -> ShareTarget {
    ShareTarget::Difficulty(Difficulty::new(difficulty).expect("above zero"))
}
