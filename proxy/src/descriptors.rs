//! File descriptors: each miner's connection takes one, and the system grants a process only so many.
//!
//! The soft limit is raised to the hard one at the start. Some descriptors are held back for all that keeps the miners
//! mining: were every one of them a miner's, the next pool could not be dialled.

use std::sync::Arc;

use async_lock::Semaphore;
use rustix::process::{Resource, getrlimit, setrlimit};
use translate::ChannelMode;

use crate::config::Config;

/// Held back for dials of upstreams, listening sockets, the poller and files of the state directory.
const HELD_BACK: usize = 128;
/// Places where the system has no limit: as many as `limits.max_miners` can be.
const UNLIMITED: usize = 1_000_000;

/// Places for miners' connections, of all listeners together.
pub(crate) type Places = Arc<Semaphore>;

/// Raises the limit as far as it goes, and gives a place for each miner that may connect at once. Warns where the
/// config lets more of them in.
pub(crate) fn places(config: &Config) -> Places {
    Arc::new(Semaphore::new(count(config)))
}

/// Gives how many miners may connect at once; warns where the config lets more of them in.
pub(crate) fn count(config: &Config) -> usize {
    let places = raised().map_or(UNLIMITED, |limit| {
        limit.saturating_sub(held_back(limit, config))
    });
    let max_miners = config.limits.max_miners;
    if places < max_miners {
        log::warn!(
            "the system lets this process have {places} miners at once, and limits.max_miners is {max_miners}: raise \
             LimitNOFILE of the service (or `ulimit -Hn`), or lower max_miners"
        );
    }
    places
}

/// Raises the soft limit to the hard one; gives what it is then, `None` where there is none.
fn raised() -> Option<usize> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let wanted = rustix::process::Rlimit {
            current: limit.maximum,
            ..limit
        };
        match setrlimit(Resource::Nofile, wanted) {
            Ok(()) => limit = wanted,
            Err(error) => log::warn!("the limit of open files cannot be raised: {error}"),
        }
    }
    limit
        .current
        .map(|limit| usize::try_from(limit).unwrap_or(UNLIMITED))
}

/// Gives how many of `limit` descriptors are not for miners: never more than half.
fn held_back(limit: usize, config: &Config) -> usize {
    let channels = match config.translation.channel {
        ChannelMode::Aggregated => 0,
        // Each is a connection to the pool.
        ChannelMode::PerUser | ChannelMode::PerMiner => config.limits.max_channels,
    };
    let clients = config.http.address.map(|_| config.limits.http_connections);
    (HELD_BACK + channels + clients.unwrap_or_default()).min(limit / 2)
}
