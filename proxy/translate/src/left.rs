//! Workers whose connections ended: what they did is remembered for a day, because a machine that is gone is what an
//! operator looks for, and one that is back goes on where it was.
//!
//! Bounded: of too many the one that left first is forgotten.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::meter::Meter;

/// Workers that are remembered: the farm that one small core is meant for, all of it gone at once, and some 5 MB.
const MAX_LEFT: usize = 16_384;
/// How long.
const REMEMBERED: Duration = Duration::from_secs(86_400);

/// A worker, by what its ended connections did.
#[derive(Debug, Clone)]
pub struct LeftWorker {
    /// The name that it authorized with.
    pub name: Arc<str>,
    /// What it did, over all its connections that have ended.
    pub meter: Meter,
    /// When the last of them ended.
    pub left: Instant,
    /// Why, in short.
    pub reason: &'static str,
    /// Where it came from.
    pub peer: SocketAddr,
    /// What it said of itself.
    pub user_agent: Box<str>,
    /// The difficulty of its last work.
    pub difficulty: f64,
    /// How many connections have ended.
    pub connections: u32,
}

/// Where in the list of workers to go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftCursor(u64);

#[derive(Debug, Default)]
pub(crate) struct LeftWorkers {
    /// In the order of leaving.
    by_order: BTreeMap<u64, LeftWorker>,
    by_name: HashMap<Arc<str>, u64>,
    last: u64,
}

impl LeftWorkers {
    /// Notes that a connection of a worker ended; what it did before is added.
    pub(crate) fn note(&mut self, mut worker: LeftWorker) {
        let before = self.by_name.remove(&worker.name);
        if let Some(before) = before.and_then(|before| self.by_order.remove(&before)) {
            worker.meter.add(&before.meter);
            worker.connections = worker.connections.saturating_add(before.connections);
        }
        self.last += 1;
        self.by_name.insert(Arc::clone(&worker.name), self.last);
        self.by_order.insert(self.last, worker);
        if self.by_order.len() > MAX_LEFT {
            self.forget_first();
        }
    }

    /// Forgets who left too long ago.
    pub(crate) fn forget(&mut self, now: Instant) {
        while let Some((_, first)) = self.by_order.first_key_value()
            && now.saturating_duration_since(first.left) >= REMEMBERED
        {
            self.forget_first();
        }
    }

    /// Gives some of them behind a place, in the order of leaving, each with the place to go on from.
    pub(crate) fn after(
        &self,
        place: LeftCursor,
    ) -> impl Iterator<Item = (LeftCursor, &LeftWorker)> {
        let from = place.0.saturating_add(1);
        let rest = self.by_order.range(from..);
        rest.map(|(place, worker)| (LeftCursor(*place), worker))
    }

    fn forget_first(&mut self) {
        if let Some((_, first)) = self.by_order.pop_first() {
            self.by_name.remove(&first.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::origin;

    fn worker(name: &str, left: Instant) -> LeftWorker {
        let mut meter = Meter::default();
        meter.accept(left, 1.0);
        LeftWorker {
            name: name.into(),
            meter,
            left,
            reason: "left",
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
            user_agent: "".into(),
            difficulty: 1.0,
            connections: 1,
        }
    }

    fn names(left: &LeftWorkers) -> Vec<String> {
        let all = left.after(LeftCursor::default());
        all.map(|(_, worker)| worker.name.to_string()).collect()
    }

    #[test]
    fn a_worker_that_leaves_again_is_one_with_all_that_it_did() {
        let (mut left, now) = (LeftWorkers::default(), origin());
        for name in ["a", "b", "a"] {
            left.note(worker(name, now));
        }
        assert_eq!(names(&left), ["b", "a"]);
        let (place, _) = left.after(LeftCursor::default()).next().unwrap();
        let (_, last) = left.after(place).next().unwrap();
        assert_eq!((last.meter.accepted(), last.connections), (2, 2));
    }

    #[test]
    fn who_left_a_day_ago_is_forgotten() {
        let (mut left, now) = (LeftWorkers::default(), origin());
        left.note(worker("a", now));
        left.note(worker("b", now + Duration::from_secs(1)));
        left.forget(now + REMEMBERED);
        assert_eq!(names(&left), ["b"]);
        assert_eq!(left.by_name.len(), 1);
    }

    #[test]
    fn of_too_many_the_one_that_left_first_is_forgotten() {
        let (mut left, now) = (LeftWorkers::default(), origin());
        for number in 0..=MAX_LEFT {
            left.note(worker(&number.to_string(), now));
        }
        let kept = names(&left);
        assert_eq!((kept.len(), kept[0].as_str()), (MAX_LEFT, "1"));
        assert_eq!(left.by_name.len(), MAX_LEFT);
    }
}
