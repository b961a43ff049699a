//! The difficulty that a miner was told, and the one before it.
//!
//! Some firmware applies a new difficulty at once, some at the next notify. So a share for work sent before the
//! change counts if it meets the easier of the two, and is credited at the one it met.

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
    easier: ShareTarget,
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

    /// Chooses a difficulty before the miner was told of any.
    pub(crate) fn start_at(&mut self, difficulty: Difficulty) {
        self.current = ShareTarget::new(difficulty);
    }

    /// Tells whether the next work must carry the difficulty.
    pub(crate) fn is_announced(&self) -> bool {
        self.announced
    }

    /// Notes that `work` went out together with the difficulty.
    pub(crate) fn announce(&mut self) {
        self.announced = true;
    }

    /// Changes the difficulty of `work` and all later work.
    pub(crate) fn change(&mut self, difficulty: Difficulty, work: WorkId) {
        let old = self.easiest_known();
        self.current = ShareTarget::new(difficulty);
        self.before = (old.difficulty < difficulty).then_some(Before {
            easier: old,
            until: work,
        });
        self.announced = false;
    }

    fn easiest_known(&self) -> ShareTarget {
        match self.before {
            Some(before) if before.easier.difficulty < self.current.difficulty => before.easier,
            _ => self.current,
        }
    }

    /// Tells at which difficulty a share for `work` counts; `None` where it meets neither.
    pub(crate) fn credit(&self, hash: &BlockHash, work: WorkId) -> Option<Difficulty> {
        if self.current.target.is_met_by(hash) {
            return Some(self.current.difficulty);
        }
        let before = self.before.filter(|before| work < before.until)?;
        before
            .easier
            .target
            .is_met_by(hash)
            .then_some(before.easier.difficulty)
    }
}
