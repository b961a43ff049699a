//! Session slots: the bytes of extranonce that tell our miners apart (`extranonce1`).
//!
//! A slot belongs to one live miner. After it is freed it rests until nobody can collide with its former
//! owner: until the job that was current has been replaced, and a while longer for shares under way. Until another
//! miner gets it, its former owner can have it back; `session.rs` says when.
//!
//! Each layout has a space of its own, and no two of them overlap on any channel. Read as one number, zeros, slot and
//! extranonce2 of a miner begin at slot × 256^extranonce2_size. With four bytes of extranonce2, a slot of two bytes is
//! a slot of four whose upper half is the number of its page (see `layout.rs`), so the first slots of four are left to
//! those of two. With more bytes of extranonce2 only those slots are used that begin behind all of the former, at 256^8.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use crate::layout::{Layout, PAGES, Page};

/// How long a freed slot rests at least: cgminer resubmits pending shares for up to 120 s.
const REST: Duration = Duration::from_secs(120);

/// Slots of two bytes in a page.
const PAGE: u32 = 1 << 16;

/// The first slot of four bytes that is no slot of two.
const FIRST_SHORT: u32 = PAGES as u32 * PAGE;

/// A miner's part of the extranonce, on the wire most significant byte first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot {
    bytes: [u8; 4],
    layout: Layout,
}

impl Slot {
    /// Gives the bytes that stand in the coinbase: as many as the layout says.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match (self.layout, &self.bytes) {
            (Layout::Narrow { .. }, [_, _, low @ ..]) => low,
            (_, all) => all,
        }
    }

    /// Gives all of it as one number; a slot of two bytes with its page before it.
    pub(crate) fn number(self) -> u32 {
        u32::from_be_bytes(self.bytes)
    }

    /// Gives the layout that it is a slot of.
    pub(crate) fn layout(self) -> Layout {
        self.layout
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

/// The slots of one layout.
#[derive(Debug)]
struct Space {
    layout: Layout,
    /// The next slot that nobody ever had; `None` once all were handed out.
    fresh: Option<u32>,
    last: u32,
    /// Slots that miners of an earlier run had: none of them is fresh.
    restored: HashSet<u32>,
    resting: BTreeMap<RestId, Resting>,
    /// Taken back from miners that never worked.
    unused: Vec<Slot>,
    /// Slots that miners have.
    held: u64,
}

impl Space {
    fn new(layout: Layout, (first, last): (u32, u32)) -> Self {
        Self {
            layout,
            fresh: Some(first),
            last,
            restored: HashSet::new(),
            resting: BTreeMap::new(),
            unused: Vec::new(),
            held: 0,
        }
    }

    fn has(&self, now: Instant, job_serial: u64) -> bool {
        let rested = self.resting.first_key_value();
        let rested = rested.is_some_and(|(_, resting)| resting.is_rested(now, job_serial));
        !self.unused.is_empty() || rested || self.fresh.is_some()
    }

    fn take(&mut self, now: Instant, job_serial: u64) -> Option<(Slot, Option<RestId>)> {
        if let Some(slot) = self.unused.pop() {
            return Some((slot, None));
        }
        if let Some(first) = self.resting.first_entry()
            && first.get().is_rested(now, job_serial)
        {
            let (rest, resting) = first.remove_entry();
            return Some((resting.slot, Some(rest)));
        }
        let number = self.fresh?;
        self.fresh = self.first_fresh(number.checked_add(1));
        Some((self.slot(number), None))
    }

    fn slot(&self, number: u32) -> Slot {
        Slot {
            bytes: number.to_be_bytes(),
            layout: self.layout,
        }
    }

    /// Gives the first slot from a number on that nobody ever had.
    fn first_fresh(&self, from: Option<u32>) -> Option<u32> {
        let mut numbers = from?..=self.last;
        numbers.find(|number| !self.restored.contains(number))
    }

    /// Takes a slot for one that a miner of an earlier run had; `None` where it is none of these, or known already. To be
    /// called before any is handed out.
    fn restore(&mut self, number: u32) -> Option<Slot> {
        let fits = number <= self.last && self.fresh.is_some_and(|fresh| fresh <= number);
        (fits && self.restored.insert(number)).then(|| {
            self.fresh = self.first_fresh(self.fresh);
            self.slot(number)
        })
    }
}

/// Hands out slots and takes them back.
#[derive(Debug)]
pub(crate) struct Slots {
    usual: Space,
    short: Space,
    /// Each page by itself, so that those behind the first are used only once it is full.
    narrow: Vec<Space>,
    rests: u64,
}

impl Slots {
    /// Makes the spaces; the usual one begins at `first`, or with 0 where it is clear of the others. The first page of
    /// narrow ones begins at `first_narrow`.
    pub(crate) fn new((first, first_narrow): (u32, u16), extranonce2_size: u8) -> Self {
        let first = match first {
            0 => first_usual(extranonce2_size),
            first => first,
        };
        let usual = Layout::Usual { extranonce2_size };
        let narrow = Page::all().map(|page| {
            let first = u32::from(page.number()) * PAGE;
            let range = match page {
                Page::FIRST => (u32::from(first_narrow), PAGE - 1),
                _ => (first, first + (PAGE - 1)),
            };
            Space::new(Layout::Narrow { page }, range)
        });
        Self {
            usual: Space::new(usual, (first, u32::MAX)),
            short: Space::new(Layout::Short, (FIRST_SHORT, u32::MAX)),
            narrow: narrow.collect(),
            rests: 0,
        }
    }

    fn space(&mut self, layout: Layout) -> Option<&mut Space> {
        match layout {
            Layout::Usual { .. } => Some(&mut self.usual),
            Layout::Short => Some(&mut self.short),
            Layout::Narrow { page } => self.narrow.get_mut(usize::from(page.number())),
        }
    }

    /// Gives the bytes of the longest layout that a miner has a slot of; 0 without any.
    pub(crate) fn longest_held(&self) -> u16 {
        let mut spaces = [&self.usual, &self.short].into_iter().chain(&self.narrow);
        let held = spaces.find(|space| space.held > 0);
        held.map_or(0, |space| space.layout.size())
    }

    /// Tells whether [`take`](Self::take) would hand out a slot.
    pub(crate) fn has(&self, now: Instant, layout: Layout, job_serial: u64) -> bool {
        let space = match layout {
            Layout::Usual { .. } => Some(&self.usual),
            Layout::Short => Some(&self.short),
            Layout::Narrow { page } => self.narrow.get(usize::from(page.number())),
        };
        space.is_some_and(|space| space.has(now, job_serial))
    }

    /// Hands out an unused or rested slot of a layout, else a fresh one. The rest that is over with it comes too.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        layout: Layout,
        job_serial: u64,
    ) -> Option<(Slot, Option<RestId>)> {
        let space = self.space(layout)?;
        let taken = space.take(now, job_serial)?;
        space.held += 1;
        Some(taken)
    }

    /// Has a slot rest that a miner of an earlier run had; `None` where it is none of this layout, or rests already.
    pub(crate) fn restore(
        &mut self,
        now: Instant,
        layout: Layout,
        number: u32,
    ) -> Option<(Slot, RestId)> {
        let slot = self.space(layout)?.restore(number)?;
        Some((slot, self.give_back(now, slot, 0)))
    }

    /// Ends a rest: the slot's former owner is back.
    pub(crate) fn wake(&mut self, rest: RestId, slot: Slot) {
        if let Some(space) = self.space(slot.layout)
            && space.resting.remove(&rest).is_some()
        {
            space.held += 1;
        }
    }

    /// Takes a slot back that no work was done with, so that it need not rest: connections that come and go without
    /// mining use nothing up.
    pub(crate) fn give_back_unused(&mut self, slot: Slot) {
        if let Some(space) = self.space(slot.layout) {
            space.held = space.held.saturating_sub(1);
            space.unused.push(slot);
        }
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
        if let Some(space) = self.space(slot.layout) {
            space.held = space.held.saturating_sub(1);
            space.resting.insert(rest, resting);
        }
        rest
    }
}

/// Gives the first usual slot that begins behind all that other layouts use: at 256^8 with more than four bytes of
/// extranonce2, behind the slots of two bytes with four.
fn first_usual(extranonce2_size: u8) -> u32 {
    match extranonce2_size {
        0..=4 => FIRST_SHORT,
        5 => 1 << 24,
        6 => 1 << 16,
        7 => 1 << 8,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::origin;

    const USUAL: Layout = Layout::Usual {
        extranonce2_size: 4,
    };

    fn take(slots: &mut Slots, now: Instant, job_serial: u64) -> Option<Slot> {
        slots.take(now, USUAL, job_serial).map(|(slot, _)| slot)
    }

    /// The first and the last number that a miner's page, slot and extranonce2 can be.
    fn range(slot: Slot) -> (u128, u128) {
        let page = [slot.layout().page().number()];
        let number = page.iter().chain(slot.as_bytes());
        let number = number.fold(0, |number, byte| number << 8 | u128::from(*byte));
        let first = number << (8 * u32::from(slot.layout().extranonce2_size()));
        let last = (1 << (8 * u32::from(slot.layout().extranonce2_size()))) - 1;
        (first, first | last)
    }

    proptest! {
        #[test]
        fn no_two_slots_of_any_layouts_share_a_number_on_any_channel(
            extranonce2_size in 4..=8_u8,
            sizes in prop::collection::vec(6..=12_u16, 1..200),
        ) {
            let (mut slots, now) = (Slots::new((0, 0), extranonce2_size), origin());
            let layouts = sizes.iter().map(|size| Layout::longest_in(*size, extranonce2_size));
            let mut ranges: Vec<_> = layouts
                .map(|layout| range(slots.take(now, layout.unwrap(), 0).unwrap().0))
                .collect();
            ranges.sort_unstable();
            for pair in ranges.windows(2) {
                prop_assert!(pair[0].1 < pair[1].0, "{pair:x?}");
            }
        }
    }

    #[test]
    fn the_spaces_end_before_the_next_begins() {
        for extranonce2_size in 5..=8 {
            let usual = Slot {
                bytes: first_usual(extranonce2_size).to_be_bytes(),
                layout: Layout::Usual { extranonce2_size },
            };
            let short = Slot {
                bytes: [0xff; 4],
                layout: Layout::Short,
            };
            assert_eq!(range(short).1 + 1, range(usual).0);
        }
        let short = Slot {
            bytes: FIRST_SHORT.to_be_bytes(),
            layout: Layout::Short,
        };
        let last = Page::all().last().unwrap();
        let narrow = Slot {
            bytes: (FIRST_SHORT - 1).to_be_bytes(),
            layout: Layout::Narrow { page: last },
        };
        assert_eq!(range(narrow).1 + 1, range(short).0);
    }

    #[test]
    fn after_65536_narrow_slots_there_are_those_of_the_next_page() {
        let (mut slots, now) = (Slots::new((0, 0), 4), origin());
        let take_narrow = |slots: &mut Slots| {
            let mut pages = Layout::NARROW.pages();
            let taken = pages.find_map(|layout| slots.take(now, layout, 0));
            taken.map(|(slot, _)| slot)
        };
        for _ in 0..PAGE {
            let slot = take_narrow(&mut slots).unwrap();
            assert_eq!(slot.layout(), Layout::NARROW);
        }
        assert!(slots.take(now, Layout::NARROW, 0).is_none());
        let slot = take_narrow(&mut slots).unwrap();
        assert_eq!(
            (slot.layout().page().number(), slot.bytes),
            (1, [0, 1, 0, 0])
        );
        assert_eq!(slot.as_bytes(), [0, 0]);
        for _ in 0..PAGE {
            take_narrow(&mut slots).unwrap();
        }
        assert_eq!(take_narrow(&mut slots).unwrap().bytes, [0, 2, 0, 1]);
        assert!(take(&mut slots, now, 0).is_some());
    }

    #[test]
    fn a_slot_that_was_freed_is_of_its_page_again() {
        let (mut slots, now) = (Slots::new((0, 0xffff), 4), origin());
        let mut pages = Layout::NARROW.pages();
        let (first, second) = (pages.next().unwrap(), pages.next().unwrap());
        let (slot, _) = slots.take(now, first, 0).unwrap();
        slots.give_back(now, slot, 0);
        assert!(slots.take(now, first, 1).is_none(), "it rests");
        let (other, _) = slots.take(now, second, 1).unwrap();
        slots.give_back_unused(other);
        let later = now + REST;
        assert_eq!(slots.take(later, first, 1).unwrap().0, slot);
        assert_eq!(slots.take(later, second, 1).unwrap().0, other);
    }

    #[test]
    fn the_longest_layout_held_is_known_through_rest_and_return() {
        let (mut slots, now) = (Slots::new((0, 0), 4), origin());
        assert_eq!(slots.longest_held(), 0);
        let (narrow, _) = slots.take(now, Layout::NARROW, 0).unwrap();
        assert_eq!(slots.longest_held(), 6);
        let usual = take(&mut slots, now, 0).unwrap();
        assert_eq!(slots.longest_held(), 8);
        let rest = slots.give_back(now, usual, 0);
        assert_eq!(slots.longest_held(), 6);
        slots.wake(rest, usual);
        assert_eq!(slots.longest_held(), 8);
        slots.give_back_unused(usual);
        slots.give_back_unused(narrow);
        assert_eq!(slots.longest_held(), 0);
    }

    #[test]
    fn slots_are_distinct_while_they_are_held() {
        let (mut slots, now) = (Slots::new((0, 0), 4), origin());
        let taken: Vec<_> = (0..100)
            .map(|_| take(&mut slots, now, 0).unwrap())
            .collect();
        let distinct: HashSet<_> = taken.iter().collect();
        assert_eq!(distinct.len(), taken.len());
    }

    #[test]
    fn a_freed_slot_rests_until_its_job_is_gone_and_120_s_have_passed() {
        let (mut slots, start) = (Slots::new((7, 0), 4), origin());
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
        let (mut slots, start) = (Slots::new((0, 0), 4), origin());
        let (first, second) = (take(&mut slots, start, 1), take(&mut slots, start, 1));
        let rest = slots.give_back(start, first.unwrap(), 1);
        slots.give_back(start, second.unwrap(), 1);
        slots.wake(rest, first.unwrap());
        assert_eq!(take(&mut slots, start + REST, 2), second);
    }

    #[test]
    fn a_slot_of_an_earlier_run_rests_before_another_miner_has_it() {
        let (mut slots, start) = (Slots::new((7, 0), 4), origin());
        let (slot, _) = slots.restore(start, USUAL, 8).unwrap();
        assert!(slots.restore(start, USUAL, 8).is_none(), "it rests already");
        assert!(
            slots.restore(start, USUAL, 6).is_none(),
            "of another layout"
        );
        let taken: Vec<_> = (0..3).filter_map(|_| take(&mut slots, start, 1)).collect();
        let numbers: Vec<_> = taken.into_iter().map(Slot::number).collect();
        assert_eq!(numbers, [7, 9, 10]);
        assert_eq!(take(&mut slots, start + REST, 1), Some(slot));
    }

    #[test]
    fn no_slot_is_fresh_where_an_earlier_run_had_all_that_are_left() {
        let (mut slots, now) = (Slots::new((0, 0xfffe), 4), origin());
        for number in [0xffff, 0xfffe] {
            assert!(slots.restore(now, Layout::NARROW, number).is_some());
        }
        assert!(!slots.has(now, Layout::NARROW, 1));
        assert!(slots.take(now, Layout::NARROW, 1).is_none());
        assert!(slots.has(now + REST, Layout::NARROW, 1));
    }

    #[test]
    fn the_last_slot_is_not_followed_by_the_first() {
        let (mut slots, now) = (Slots::new((u32::MAX, 0), 4), origin());
        assert_eq!(
            take(&mut slots, now, 0).map(|slot| slot.bytes),
            Some([0xff; 4])
        );
        assert_eq!(take(&mut slots, now, 0), None);
    }
}
