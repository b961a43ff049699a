//! Session slots: the bytes of extranonce that tell our miners apart (`extranonce1`).
//!
//! A slot belongs to one live miner. After it is freed it rests until nobody can collide with its former
//! owner: until the job that was current has been replaced, and a while longer for shares under way.

use std::collections::VecDeque;
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
    /// In the order of being freed.
    resting: VecDeque<Resting>,
    /// Taken back from miners that never worked.
    unused: Vec<Slot>,
}

impl Slots {
    pub(crate) fn new(first: u32) -> Self {
        Self {
            fresh: Some(first),
            resting: VecDeque::new(),
            unused: Vec::new(),
        }
    }

    /// Hands out an unused or rested slot, else a fresh one; low numbers first, so that they would fit two bytes.
    pub(crate) fn take(&mut self, now: Instant, job_serial: u64) -> Option<Slot> {
        if let Some(slot) = self.unused.pop() {
            return Some(slot);
        }
        if self
            .resting
            .front()
            .is_some_and(|resting| resting.is_rested(now, job_serial))
        {
            return self.resting.pop_front().map(|resting| resting.slot);
        }
        let slot = Slot(self.fresh?);
        self.fresh = slot.0.checked_add(1);
        Some(slot)
    }

    /// Takes a slot back that no work was done with, so that it need not rest: connections that come and go without
    /// mining use nothing up.
    pub(crate) fn give_back_unused(&mut self, slot: Slot) {
        self.unused.push(slot);
    }

    /// Takes a slot back; `job_serial` is that of the job current now.
    pub(crate) fn give_back(&mut self, now: Instant, slot: Slot, job_serial: u64) {
        self.resting.push_back(Resting {
            slot,
            freed: now,
            job_serial,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::origin;

    #[test]
    fn slots_are_distinct_while_they_are_held() {
        let (mut slots, now) = (Slots::new(0), origin());
        let taken: Vec<_> = (0..100).map(|_| slots.take(now, 0).unwrap()).collect();
        let distinct: std::collections::HashSet<_> = taken.iter().collect();
        assert_eq!(distinct.len(), taken.len());
    }

    #[test]
    fn a_freed_slot_rests_until_its_job_is_gone_and_120_s_have_passed() {
        let (mut slots, start) = (Slots::new(7), origin());
        let slot = slots.take(start, 1).unwrap();
        slots.give_back(start, slot, 1);
        let later = start + REST;
        assert_ne!(slots.take(start + REST / 2, 2), Some(slot), "too early");
        assert_ne!(slots.take(later, 1), Some(slot), "its job is still current");
        assert_eq!(slots.take(later, 2), Some(slot));
    }

    #[test]
    fn the_last_slot_is_not_followed_by_the_first() {
        let (mut slots, now) = (Slots::new(u32::MAX), origin());
        assert_eq!(slots.take(now, 0).map(Slot::to_bytes), Some([0xff; 4]));
        assert_eq!(slots.take(now, 0), None);
    }
}
