//! The difficulty that a miner was told, and the one before it.
//!
//! Some firmware applies a new difficulty at once, some at the next notify. So a share for work sent before the
//! change counts if it meets the easier of the two, and is credited at the harder of those that it met.

use sv2::bitcoin::{BlockHash, Difficulty, Target};

use crate::work::WorkId;

/// A difficulty with its target, computed once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShareTarget {
    pub(crate) difficulty: Difficulty,
    target: Target,
}

impl ShareTarget {
    pub(crate) fn new(difficulty: Difficulty) -> Self {
        Self {
            difficulty,
            target: Target::from_difficulty(difficulty),
        }
    }

    fn met_by(&self, hash: &BlockHash) -> Option<Difficulty> {
        self.target.is_met_by(hash).then_some(self.difficulty)
    }
}

/// What a miner's shares have to meet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Assigned {
    current: ShareTarget,
    before: Option<Before>,
    /// Whether the miner was told of `current`.
    announced: bool,
}

#[derive(Debug, Clone, Copy)]
struct Before {
    target: ShareTarget,
    /// The first work that was sent with the current difficulty.
    until: WorkId,
}

impl Assigned {
    pub(crate) fn new(difficulty: Difficulty) -> Self {
        Self {
            current: ShareTarget::new(difficulty),
            before: None,
            announced: false,
        }
    }

    pub(crate) fn difficulty(&self) -> Difficulty {
        self.current.difficulty
    }

    /// Chooses a difficulty before the miner was told of any over its connection.
    pub(crate) fn start_at(&mut self, difficulty: Difficulty) {
        if difficulty != self.current.difficulty {
            self.current = ShareTarget::new(difficulty);
        }
        self.announced = false;
    }

    /// Carries over to a connection on which the session is resumed: `seen` is the last work that the miner was sent
    /// over the one before, and shares for that and older work may be under way.
    pub(crate) fn carried(&self, seen: WorkId) -> Self {
        let easier = self.before.map(|before| before.target);
        let easier = easier.filter(|before| before.difficulty < self.current.difficulty);
        Self {
            current: self.current,
            before: Some(Before {
                target: easier.unwrap_or(self.current),
                until: seen.next(),
            }),
            announced: false,
        }
    }

    /// Forgets that the miner was told.
    pub(crate) fn start_over(&mut self) {
        self.announced = false;
    }

    /// Tells whether the miner was told of its difficulty.
    pub(crate) fn is_announced(&self) -> bool {
        self.announced
    }

    /// Notes that the miner is told of its difficulty.
    pub(crate) fn announce(&mut self) {
        self.announced = true;
    }

    /// Changes the difficulty of `work` and all later work. Of two earlier difficulties the easier is remembered,
    /// so that no share under way is lost to two changes in a row.
    pub(crate) fn change(&mut self, difficulty: Difficulty, work: WorkId) {
        let new = ShareTarget::new(difficulty);
        let easiest = difficulty.min(self.current.difficulty);
        let before = self.before.map(|before| before.target);
        let before = before.filter(|before| before.difficulty < easiest);
        self.before = Some(Before {
            target: before.unwrap_or(self.current),
            until: work,
        });
        self.current = new;
        self.announced = false;
    }

    /// Tells at which difficulty a share for `work` counts; `None` where it meets none that applies.
    pub(crate) fn credit(&self, hash: &BlockHash, work: WorkId) -> Option<Difficulty> {
        let before = self.before.filter(|before| work < before.until);
        let before = before.and_then(|before| before.target.met_by(hash));
        self.current.met_by(hash).max(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: WorkId = WorkId::nth(1);
    const NEW: WorkId = WorkId::nth(2);

    fn difficulty(difficulty: f64) -> Difficulty {
        Difficulty::new(difficulty).unwrap()
    }

    fn hash_of(reached: f64) -> BlockHash {
        BlockHash(Target::from_difficulty(difficulty(reached)).to_le_bytes())
    }

    fn credits(assigned: &Assigned, work: WorkId, reached: f64) -> Option<f64> {
        let credit = assigned.credit(&hash_of(reached), work);
        credit.map(Difficulty::to_f64)
    }

    #[test]
    fn after_a_raise_older_work_counts_at_the_easier_and_is_credited_at_what_it_met() {
        let mut assigned = Assigned::new(difficulty(1.0));
        assigned.change(difficulty(8.0), NEW);
        assert_eq!(credits(&assigned, OLD, 2.0), Some(1.0));
        assert_eq!(credits(&assigned, OLD, 9.0), Some(8.0));
        assert_eq!(credits(&assigned, OLD, 0.5), None);
        assert_eq!(credits(&assigned, NEW, 2.0), None);
    }

    #[test]
    fn after_a_fall_older_work_that_met_the_harder_is_credited_at_it() {
        let mut assigned = Assigned::new(difficulty(8.0));
        assigned.change(difficulty(1.0), NEW);
        assert_eq!(credits(&assigned, OLD, 9.0), Some(8.0));
        assert_eq!(credits(&assigned, OLD, 2.0), Some(1.0));
        assert_eq!(credits(&assigned, NEW, 9.0), Some(1.0));
    }

    #[test]
    fn of_several_changes_the_easiest_is_remembered() {
        let mut assigned = Assigned::new(difficulty(1.0));
        assigned.change(difficulty(8.0), NEW);
        assigned.change(difficulty(64.0), WorkId::nth(3));
        assert_eq!(credits(&assigned, OLD, 2.0), Some(1.0));
        assigned.change(difficulty(16.0), WorkId::nth(4));
        assert_eq!(credits(&assigned, OLD, 2.0), Some(1.0));
    }

    #[test]
    fn a_resumed_session_counts_earlier_work_as_before_and_later_work_at_its_new_start() {
        let mut assigned = Assigned::new(difficulty(1.0));
        assigned.change(difficulty(8.0), NEW);
        let mut resumed = assigned.carried(NEW);
        resumed.start_at(difficulty(64.0));
        assert_eq!(credits(&resumed, OLD, 2.0), Some(1.0));
        assert_eq!(credits(&resumed, NEW, 9.0), Some(1.0));
        assert_eq!(credits(&resumed, WorkId::nth(3), 9.0), None);
        assert_eq!(credits(&resumed, WorkId::nth(3), 65.0), Some(64.0));
        assert!(!resumed.is_announced());
    }

    #[test]
    fn a_changed_difficulty_is_to_be_announced_once() {
        let mut assigned = Assigned::new(difficulty(1.0));
        assert!(!assigned.is_announced());
        assigned.announce();
        assert!(assigned.is_announced());
        assigned.change(difficulty(2.0), NEW);
        assert!(!assigned.is_announced());
    }
}
