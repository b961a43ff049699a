//! What the drivers show, asked for when a request needs it and shared by all that come within a second.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, TryRecvError};
use async_lock::Mutex;

use crate::driver::Input;
use crate::runtime;
use crate::snapshot::{Census, Snapshot};

use super::time::Clock;

/// How old what is shown may be.
const FRESH: Duration = Duration::from_secs(1);
/// How long a driver is waited for where there is something older to show: one that writes a new block to thousands of
/// miners takes longer.
const PROMPT: Duration = Duration::from_millis(25);
/// How old that may be.
const OLD: Duration = Duration::from_secs(3);
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
    snapshot: Mutex<Kept<Snapshot>>,
    census: Mutex<Kept<Census>>,
}

/// What a driver showed last and is asked for, each with when it was asked.
#[derive(Debug)]
struct Kept<T> {
    shown: Option<(Instant, Arc<T>)>,
    /// A question that was not answered promptly.
    open: Option<(Instant, Receiver<Arc<T>>)>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            shown: None,
            open: None,
        }
    }
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
            snapshot: Mutex::default(),
            census: Mutex::default(),
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
    /// Gives what the driver showed lately, or asks it. Whoever comes meanwhile waits for the same answer. Where that takes
    /// a while, what it showed before does, and the question stays open.
    async fn ask<T>(
        &self,
        kept: &Mutex<Kept<T>>,
        question: fn(Sender<Arc<T>>) -> Input,
    ) -> Result<Arc<T>, Unanswered> {
        let mut kept = kept.lock().await;
        let now = Instant::now();
        let age = |asked| now.saturating_duration_since(asked);
        self.take_late(&mut kept)?;
        // What is too old is of no use to anybody while the new one is made.
        kept.shown.take_if(|(asked, _)| age(*asked) >= OLD);
        if let Some((asked, shown)) = &kept.shown
            && age(*asked) < FRESH
        {
            return Ok(Arc::clone(shown));
        }
        let (asked, answer) = match kept.open.take() {
            Some(open) => open,
            None => (now, self.put(question).await?),
        };
        let wait = match kept.shown {
            Some(_) => PROMPT,
            None => ANSWER.saturating_sub(age(asked)),
        };
        match (
            runtime::within(wait, answer.recv()).await,
            kept.shown.as_ref(),
        ) {
            (Some(Ok(shown)), _) => {
                kept.shown = Some((asked, Arc::clone(&shown)));
                Ok(shown)
            }
            (Some(Err(_)), _) => Err(Unanswered::Ended(self.listener())),
            (None, Some((_, shown))) => {
                let shown = Arc::clone(shown);
                kept.open = Some((asked, answer));
                Ok(shown)
            }
            (None, None) => Err(Unanswered::Late(self.listener())),
        }
    }

    /// Takes the answer to an open question where it has come.
    fn take_late<T>(&self, kept: &mut Kept<T>) -> Result<(), Unanswered> {
        let Some((asked, answer)) = &kept.open else {
            return Ok(());
        };
        match answer.try_recv() {
            Ok(shown) => kept.shown = Some((*asked, shown)),
            Err(TryRecvError::Empty) => return Ok(()),
            Err(TryRecvError::Closed) => return Err(Unanswered::Ended(self.listener())),
        }
        kept.open = None;
        Ok(())
    }

    /// Asks the driver.
    async fn put<T>(
        &self,
        question: fn(Sender<Arc<T>>) -> Input,
    ) -> Result<Receiver<Arc<T>>, Unanswered> {
        let (asker, answer) = async_channel::bounded(1);
        let sent = self.source.inputs.send(question(asker));
        match runtime::within(ANSWER, sent).await {
            Some(Ok(())) => Ok(answer),
            Some(Err(_)) => Err(Unanswered::Ended(self.listener())),
            None => Err(Unanswered::Late(self.listener())),
        }
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

    const SECOND: Duration = Duration::from_secs(1);

    /// One whose driver is whoever has the other end.
    fn shard() -> (Shard, Receiver<Input>) {
        let (inputs, asked) = async_channel::bounded(4);
        let source = Source {
            listeners: Arc::new([SocketAddr::from(([127, 0, 0, 1], 3_333))]),
            inputs,
        };
        let shard = Shard {
            source,
            snapshot: Mutex::default(),
            census: Mutex::default(),
        };
        (shard, asked)
    }

    /// Asks for a census, and gives it where there is one.
    fn ask(shard: &Shard) -> Result<Arc<Census>, Unanswered> {
        runtime::block_on(shard.ask(&shard.census, Input::Census))
    }

    /// Has what was shown last be older than it is.
    fn age(shard: &Shard, by: Duration) {
        let mut kept = shard.census.try_lock().unwrap();
        let (asked, _) = kept.shown.as_mut().unwrap();
        *asked = asked.checked_sub(by).unwrap();
    }

    fn asker(asked: &Receiver<Input>) -> Sender<Arc<Census>> {
        match asked.try_recv() {
            Ok(Input::Census(asker)) => asker,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_driver_that_has_ended_is_not_waited_for_and_said_to_have_ended() {
        let (shard, asked) = shard();
        drop(asked);
        let ended = Unanswered::Ended(shard.listener());
        assert_eq!(ask(&shard).unwrap_err(), ended);
    }

    #[test]
    fn while_a_driver_is_busy_what_it_showed_before_does_for_a_while() {
        let (shard, asked) = shard();
        let (first, second) = (Arc::<Census>::default(), Arc::<Census>::default());
        let (earlier, answer) = async_channel::bounded(1);
        earlier.try_send(Arc::clone(&first)).unwrap();
        shard.census.try_lock().unwrap().open = Some((Instant::now(), answer));
        assert!(Arc::ptr_eq(&ask(&shard).unwrap(), &first));
        assert!(asked.is_empty(), "it is fresh");
        age(&shard, SECOND);
        assert!(Arc::ptr_eq(&ask(&shard).unwrap(), &first));
        assert!(Arc::ptr_eq(&ask(&shard).unwrap(), &first));
        let asker = asker(&asked);
        assert!(asked.is_empty(), "it was asked once");
        asker.try_send(Arc::clone(&second)).unwrap();
        assert!(Arc::ptr_eq(&ask(&shard).unwrap(), &second));
        age(&shard, 2 * SECOND);
        assert!(Arc::ptr_eq(&ask(&shard).unwrap(), &second));
        age(&shard, 2 * SECOND);
        assert!(
            asked.try_recv().is_ok(),
            "and the driver goes without a word"
        );
        let ended = Unanswered::Ended(shard.listener());
        assert_eq!(ask(&shard).unwrap_err(), ended, "what it showed is too old");
    }
}
