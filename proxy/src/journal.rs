//! The last things that happened, as the log tells them, for those who look at the API.
//!
//! What is about single miners has a ring of its own: a storm of reconnects must not drive out why the pool was lost. So
//! have the errors, which are solved blocks: no week of new blocks of the network must drive them out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use translate::{Event, Severity};

/// Events in each ring: some hours of a calm farm, and 300 kB.
const LENGTH: usize = 512;

/// Numbers events over all drivers, and over restarts: the first number is the time of the start in ms.
#[derive(Debug, Clone)]
pub(crate) struct Numbers(Arc<AtomicU64>);

impl Numbers {
    pub(crate) fn new(now: SystemTime) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let first = u64::try_from(since.as_millis()).unwrap_or_default();
        Self(Arc::new(AtomicU64::new(first)))
    }

    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// An event with its number and the time by the wall clock.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) number: u64,
    pub(crate) at: SystemTime,
    pub(crate) event: Event,
}

/// The last events of one driver.
#[derive(Debug)]
pub(crate) struct Journal {
    numbers: Numbers,
    errors: VecDeque<Arc<Recorded>>,
    farm: VecDeque<Arc<Recorded>>,
    miners: VecDeque<Arc<Recorded>>,
}

impl Journal {
    pub(crate) fn new(numbers: Numbers) -> Self {
        Self {
            numbers,
            errors: VecDeque::new(),
            farm: VecDeque::new(),
            miners: VecDeque::new(),
        }
    }

    /// Notes an event, unless it is only for those who look closely: of these there may be hundreds a second.
    pub(crate) fn note(&mut self, event: Event) {
        if event.severity() > Severity::Info {
            return;
        }
        let ring = match event.severity() {
            Severity::Error => &mut self.errors,
            _ if event.is_about_a_miner() => &mut self.miners,
            _ => &mut self.farm,
        };
        if ring.len() >= LENGTH {
            ring.pop_front();
        }
        ring.push_back(Arc::new(Recorded {
            number: self.numbers.next(),
            at: SystemTime::now(),
            event,
        }));
    }

    /// Gives all of them, in no order.
    pub(crate) fn events(&self) -> Vec<Arc<Recorded>> {
        let rings = self.errors.iter().chain(&self.farm).chain(&self.miners);
        rings.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use sv2::bitcoin::BlockHash;

    fn remark() -> Event {
        Event::UpstreamRemark {
            upstream: "primary".into(),
            remark: "something".into(),
        }
    }

    fn left(worker: &str) -> Event {
        Event::MinerLeft {
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
            worker: worker.into(),
            lost: None,
        }
    }

    #[test]
    fn a_storm_of_miners_does_not_drive_out_what_happened_to_the_pool() {
        let mut journal = Journal::new(Numbers::new(UNIX_EPOCH));
        journal.note(remark());
        for _ in 0..2 * LENGTH {
            journal.note(left("rig"));
        }
        let events = journal.events();
        assert_eq!(events.len(), LENGTH + 1);
        assert_eq!((events[0].number, &events[0].event), (0, &remark()));
        assert_eq!(events[LENGTH].number, 2 * LENGTH as u64);
    }

    #[test]
    fn a_solved_block_is_remembered_however_much_happens_later() {
        let mut journal = Journal::new(Numbers::new(UNIX_EPOCH));
        let solved = Event::BlockFound {
            hash: BlockHash([7; 32]),
            worker: "rig".into(),
            upstream: "primary".into(),
        };
        journal.note(solved.clone());
        for _ in 0..2 * LENGTH {
            journal.note(remark());
        }
        let events = journal.events();
        assert_eq!(events.len(), LENGTH + 1);
        assert_eq!((events[0].number, &events[0].event), (0, &solved));
    }

    #[test]
    fn what_is_only_for_those_who_look_closely_is_left_out() {
        let mut journal = Journal::new(Numbers::new(UNIX_EPOCH));
        journal.note(left(""));
        assert!(journal.events().is_empty());
    }
}
