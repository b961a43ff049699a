//! What the drivers show, asked for when a request needs it and shared by all that come within a second.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::Sender;
use async_lock::Mutex;

use crate::driver::Input;
use crate::runtime;
use crate::snapshot::{Census, Snapshot};

use super::time::Clock;

/// How old what is shown may be.
const FRESH: Duration = Duration::from_secs(1);
/// Longest wait for a driver: one that takes longer does not turn.
const ANSWER: Duration = Duration::from_secs(5);

/// A driver to ask, and the listeners that it serves.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) listeners: Arc<[SocketAddr]>,
    pub(crate) inputs: Sender<Input>,
}

/// What a driver showed last whose miners were let go: counters must not fall.
#[derive(Debug, Clone)]
pub(crate) struct Departed {
    pub(crate) listeners: Arc<[SocketAddr]>,
    pub(crate) shown: Arc<Snapshot>,
}

/// A driver has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unanswered {
    /// It does not turn.
    #[error("the driver of {0} has not answered within {limit} s", limit = ANSWER.as_secs())]
    Late(SocketAddr),
    /// It has ended since it was known to be there.
    #[error("the driver of {0} has just ended")]
    Ended(SocketAddr),
}

/// All drivers.
#[derive(Debug)]
pub(super) struct Shards {
    shards: Vec<Shard>,
    departed: Vec<Departed>,
}

#[derive(Debug)]
struct Shard {
    source: Source,
    snapshot: Mutex<Option<Kept<Snapshot>>>,
    census: Mutex<Option<Kept<Census>>>,
}

/// What a driver showed, and when it was asked.
#[derive(Debug)]
struct Kept<T> {
    asked: Instant,
    shown: Arc<T>,
}

/// What one driver shows.
#[derive(Debug)]
pub(super) struct Seen<T> {
    pub(super) listeners: Arc<[SocketAddr]>,
    pub(super) shown: Arc<T>,
}

/// What all drivers show, and how to read their times.
#[derive(Debug)]
pub(super) struct View<T> {
    pub(super) clock: Clock,
    pub(super) shards: Vec<Seen<T>>,
}

impl Shards {
    pub(super) fn new(sources: Vec<Source>, departed: Vec<Departed>) -> Self {
        let shards = sources.into_iter().map(|source| Shard {
            source,
            snapshot: Mutex::new(None),
            census: Mutex::new(None),
        });
        Self {
            shards: shards.collect(),
            departed,
        }
    }

    /// Asks all drivers for their counters; those of drivers that there were are behind.
    pub(super) async fn snapshots(&self) -> Result<View<Snapshot>, Unanswered> {
        let mut shards = Vec::new();
        for shard in &self.shards {
            let shown = shard.ask(&shard.snapshot, Input::Snapshot).await?;
            shards.push(shard.seen(shown));
        }
        shards.extend(self.departed.iter().map(|departed| Seen {
            listeners: Arc::clone(&departed.listeners),
            shown: Arc::clone(&departed.shown),
        }));
        Ok(View {
            clock: Clock::now(),
            shards,
        })
    }

    /// Asks all drivers for every miner.
    pub(super) async fn censuses(&self) -> Result<View<Census>, Unanswered> {
        let mut shards = Vec::new();
        for shard in &self.shards {
            let shown = shard.ask(&shard.census, Input::Census).await?;
            shards.push(shard.seen(shown));
        }
        Ok(View {
            clock: Clock::now(),
            shards,
        })
    }
}

impl Shard {
    /// Gives what the driver showed lately, or asks it. Whoever comes meanwhile waits for the same answer.
    async fn ask<T>(
        &self,
        kept: &Mutex<Option<Kept<T>>>,
        question: fn(Sender<Arc<T>>) -> Input,
    ) -> Result<Arc<T>, Unanswered> {
        let mut kept = kept.lock().await;
        let asked = Instant::now();
        let fresh = |kept: &&Kept<T>| asked.saturating_duration_since(kept.asked) < FRESH;
        if let Some(kept) = kept.as_ref().filter(fresh) {
            return Ok(Arc::clone(&kept.shown));
        }
        // What is old is of no use to anybody while the new one is made.
        *kept = None;
        let answer = async {
            let (asker, answer) = async_channel::bounded(1);
            self.source.inputs.send(question(asker)).await.ok()?;
            answer.recv().await.ok()
        };
        let shown = match runtime::within(ANSWER, answer).await {
            Some(Some(shown)) => shown,
            Some(None) => return Err(Unanswered::Ended(self.listener())),
            None => return Err(Unanswered::Late(self.listener())),
        };
        *kept = Some(Kept {
            asked,
            shown: Arc::clone(&shown),
        });
        Ok(shown)
    }

    /// Gives a listener to name it by.
    fn listener(&self) -> SocketAddr {
        let listener = self.source.listeners.first().copied();
        listener.unwrap_or_else(|| SocketAddr::from(([0; 4], 0)))
    }

    fn seen<T>(&self, shown: Arc<T>) -> Seen<T> {
        Seen {
            listeners: Arc::clone(&self.source.listeners),
            shown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_has_ended_is_not_waited_for_and_said_to_have_ended() {
        let listener = SocketAddr::from(([127, 0, 0, 1], 3_333));
        let shards = Shards::new(
            vec![Source {
                listeners: Arc::new([listener]),
                inputs: async_channel::bounded(1).0,
            }],
            Vec::new(),
        );
        let asked = runtime::block_on(shards.snapshots());
        assert_eq!(asked.unwrap_err(), Unanswered::Ended(listener));
    }
}
