//! The last known difficulty of each worker: over reconnects in memory, over restarts through
//! [`Translator::worker_difficulties`](crate::Translator::worker_difficulties).
//!
//! Bounded: of too many workers the one whose difficulty was noted the longest time ago is forgotten.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sv2::bitcoin::Difficulty;

/// Workers that are remembered: the largest farm on one machine, and some 20 MB with names of 30 bytes.
pub const MAX_KNOWN_WORKERS: usize = 100_000;

/// Workers and the difficulties that fit them.
#[derive(Debug, Default)]
pub(crate) struct KnownDifficulties {
    of: HashMap<Arc<str>, Known>,
    /// Workers by when they were noted.
    order: BTreeMap<u64, Arc<str>>,
    next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    difficulty: Difficulty,
    noted: u64,
}

impl KnownDifficulties {
    /// Notes a worker's difficulty; one without a name is nobody.
    pub(crate) fn note(&mut self, worker: &str, difficulty: Difficulty) {
        if worker.is_empty() {
            return;
        }
        let noted = self.next;
        self.next += 1;
        let known = Known { difficulty, noted };
        if let Some(before) = self.of.get_mut(worker) {
            let before = std::mem::replace(before, known);
            let name = self.order.remove(&before.noted);
            self.order.extend(name.map(|name| (noted, name)));
            return;
        }
        let name: Arc<str> = worker.into();
        self.of.insert(Arc::clone(&name), known);
        self.order.insert(noted, name);
        if self.of.len() > MAX_KNOWN_WORKERS
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.of.remove(&oldest);
        }
    }

    pub(crate) fn find(&self, worker: &str) -> Option<Difficulty> {
        self.of.get(worker).map(|known| known.difficulty)
    }

    /// Gives all of them, those noted last at the end.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Difficulty)> {
        let names = self.order.values();
        names.filter_map(|name| Some((&**name, self.find(name)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difficulty(value: f64) -> Difficulty {
        Difficulty::new(value).unwrap()
    }

    #[test]
    fn the_last_difficulty_of_each_worker_is_known_in_the_order_of_noting() {
        let mut known = KnownDifficulties::default();
        known.note("a", difficulty(1.0));
        known.note("b", difficulty(2.0));
        known.note("a", difficulty(4.0));
        known.note("", difficulty(8.0));
        let all: Vec<_> = known.iter().collect();
        assert_eq!(all, [("b", difficulty(2.0)), ("a", difficulty(4.0))]);
        assert_eq!(known.find("a"), Some(difficulty(4.0)));
        assert_eq!(known.find("c"), None);
    }

    #[test]
    fn of_too_many_workers_the_one_noted_first_is_forgotten() {
        let mut known = KnownDifficulties::default();
        for number in 0..MAX_KNOWN_WORKERS {
            known.note(&number.to_string(), difficulty(1.0));
        }
        known.note("0", difficulty(2.0));
        known.note("one more", difficulty(1.0));
        assert_eq!(known.find("1"), None);
        assert_eq!(known.find("0"), Some(difficulty(2.0)));
        assert_eq!(known.iter().count(), MAX_KNOWN_WORKERS);
        assert_eq!(known.order.len(), known.of.len());
    }
}
