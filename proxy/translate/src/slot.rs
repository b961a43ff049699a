//! Session slots: the bytes of extranonce that tell our miners apart (`extranonce1`).
//!
//! A slot belongs to one live miner. After it is freed it rests until nobody can collide with its former
//! owner: until the job that was current has been replaced, and a while longer for shares under way. Until another
//! miner gets it, its former owner can have it back; `session.rs` says when.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a freed slot rests at least: cgminer resubmits pending shares for up to 120 s.
const REST: Duration = Duration::from_secs(120);

/// A miner's part of the extranonce, four bytes on the wire, most significant first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u32);

impl Slot {
    /// Bytes of a slot.
    pub const LEN: usize = 4;

    /// Gives the bytes that stand in the coinbase.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        self.0.to_be_bytes()
    }
}

/// Numbers the rests of slots, in the order of being freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RestId(u64);

#[derive(Debug)]
struct Resting {
    slot: Slot,
    freed: Instant,
    job_serial: u64,
}

impl Resting {
    fn is_rested(&self, now: Instant, job_serial: u64) -> bool {
        now.saturating_duration_since(self.freed) >= REST && self.job_serial != job_serial
    }
}

/// Hands out slots and takes them back.
#[derive(Debug)]
pub(crate) struct Slots {
    /// The next slot that nobody ever had; `None` once all 2^32 were handed out.
    fresh: Option<u32>,
    resting: BTreeMap<RestId, Resting>,
    rests: u64,
    /// Taken back from miners that never worked.
    unused: Vec<Slot>,
}

impl Slots {
    pub(crate) fn new(first: u32) -> Self {
        Self {
            fresh: Some(first),
            resting: BTreeMap::new(),
            rests: 0,
            unused: Vec::new(),
        }
    }

    /// Hands out an unused or rested slot, else a fresh one; low numbers first, so that they would fit two bytes. The
    /// rest that is over with it comes too.
    pub(crate) fn take(&mut self, now: Instant, job_serial: u64) -> Option<(Slot, Option<RestId>)> {
        if let Some(slot) = self.unused.pop() {
            return Some((slot, None));
        }
        if let Some(first) = self.resting.first_entry()
            && first.get().is_rested(now, job_serial)
        {
            let (rest, resting) = first.remove_entry();
            return Some((resting.slot, Some(rest)));
        }
        let slot = Slot(self.fresh?);
        self.fresh = slot.0.checked_add(1);
        Some((slot, None))
    }

    /// Ends a rest: the slot's former owner is back.
    pub(crate) fn wake(&mut self, rest: RestId) {
        self.resting.remove(&rest);
    }

    /// Takes a slot back that no work was done with, so that it need not rest: connections that come and go without
    /// mining use nothing up.
    pub(crate) fn give_back_unused(&mut self, slot: Slot) {
        self.unused.push(slot);
    }

    /// Takes a slot back; `job_serial` is that of the job current now.
    pub(crate) fn give_back(&mut self, now: Instant, slot: Slot, job_serial: u64) -> RestId {
        let rest = RestId(self.rests);
        self.rests += 1;
        let resting = Resting {
            slot,
            freed: now,
            job_serial,
        };
        self.resting.insert(rest, resting);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::origin;

    fn take(slots: &mut Slots, now: Instant, job_serial: u64) -> Option<Slot> {
        slots.take(now, job_serial).map(|(slot, _)| slot)
    }

    #[test]
    fn slots_are_distinct_while_they_are_held() {
        let (mut slots, now) = (Slots::new(0), origin());
        let taken: Vec<_> = (0..100)
            .map(|_| take(&mut slots, now, 0).unwrap())
            .collect();
        let distinct: std::collections::HashSet<_> = taken.iter().collect();
        assert_eq!(distinct.len(), taken.len());
    }

    #[test]
    fn a_freed_slot_rests_until_its_job_is_gone_and_120_s_have_passed() {
        let (mut slots, start) = (Slots::new(7), origin());
        let slot = take(&mut slots, start, 1).unwrap();
        slots.give_back(start, slot, 1);
        let later = start + REST;
        assert_ne!(
            take(&mut slots, start + REST / 2, 2),
            Some(slot),
            "too early"
        );
        assert_ne!(
            take(&mut slots, later, 1),
            Some(slot),
            "its job is still current"
        );
        assert_eq!(take(&mut slots, later, 2), Some(slot));
    }

    #[test]
    fn a_slot_whose_owner_is_back_is_not_handed_out() {
        let (mut slots, start) = (Slots::new(0), origin());
        let (first, second) = (take(&mut slots, start, 1), take(&mut slots, start, 1));
        let rest = slots.give_back(start, first.unwrap(), 1);
        slots.give_back(start, second.unwrap(), 1);
        slots.wake(rest);
        assert_eq!(take(&mut slots, start + REST, 2), second);
    }

    #[test]
    fn the_last_slot_is_not_followed_by_the_first() {
        let (mut slots, now) = (Slots::new(u32::MAX), origin());
        assert_eq!(
            take(&mut slots, now, 0).map(Slot::to_bytes),
            Some([0xff; 4])
        );
        assert_eq!(take(&mut slots, now, 0), None);
    }
}
