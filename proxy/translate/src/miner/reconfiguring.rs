//! What another configuration means for a miner that is connected.

use std::sync::Arc;

use sv2::bitcoin::{Difficulty, VersionMask};

use super::start::PasswordWish;
use super::{Miner, Worker};
use crate::config::{DifficultyPolicy, ListenerConfig};
use crate::work::WorkId;

impl Miner {
    /// Follows what its listener's configuration says now; gives the difficulty that the miner is to have where that is
    /// another one.
    pub(crate) fn follow(&mut self, listener: Arc<ListenerConfig>) -> Option<Difficulty> {
        let before = std::mem::replace(&mut self.listener, listener);
        if before.user != self.listener.user {
            self.rename_workers();
        }
        if before.difficulty == self.listener.difficulty {
            return None;
        }
        // What was asked for may be a fraction by the new floor.
        let asked = self.asked();
        asked.iter().for_each(|asked| self.asks(*asked));
        self.waiting_raise = None;
        let current = self.assigned.difficulty();
        let difficulty = self.clamp(self.wish_under(&before.difficulty));
        (difficulty != current).then_some(difficulty)
    }

    /// Gives the difficulty that it should have, before it is brought within bounds. What was measured stays: whether it
    /// still fits is for the next look at all miners.
    fn wish_under(&self, before: &DifficultyPolicy) -> Difficulty {
        let current = self.assigned.difficulty();
        let policy = &self.listener.difficulty;
        match self.asked() {
            Some(_) if !before.vardiff || self.follows_measure() => current,
            Some(asked) => asked,
            None if self.follows_measure() && self.is_mining() => current,
            None => policy.start(),
        }
    }

    /// Gives what the miner itself asked for.
    fn asked(&self) -> Option<Difficulty> {
        let password = self.password_wish.map(PasswordWish::difficulty);
        match self.password_wish {
            Some(PasswordWish::Fixed(fixed)) => Some(fixed),
            _ => self.suggested.or(password),
        }
    }

    fn rename_workers(&mut self) {
        let (user, peer) = (&self.listener.user, self.peer);
        for Worker { name, identity } in &mut self.workers {
            *identity = user.identity(name, peer);
        }
    }

    /// Lets the miner roll what it can of another mask, from `work` on; tells whether that is news for it. Until then it
    /// may roll both: some firmware follows at once, some with the next work.
    pub(crate) fn change_mask(&mut self, allowed: VersionMask, work: WorkId) -> bool {
        let Some((before, rollable)) = self.version_mask.zip(self.rollable) else {
            return false;
        };
        let mask = rollable.intersection(allowed);
        if mask == before {
            return false;
        }
        let earlier = self.former_mask.map_or(0, |(mask, _)| mask.bits());
        let both = VersionMask::new(earlier | before.bits() | mask.bits());
        self.former_mask = Some((both, work));
        self.version_mask = Some(mask);
        true
    }

    /// Gives the mask that some work may be rolled by.
    pub(super) fn mask_for(&self, work: WorkId) -> Option<VersionMask> {
        let former = self.former_mask.filter(|(_, until)| work < *until);
        former.map(|(mask, _)| mask).or(self.version_mask)
    }
}
