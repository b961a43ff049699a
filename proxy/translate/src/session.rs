//! Sessions: the slot that a miner gets at its first SV1 mining.subscribe, under an id to ask for it again.
//!
//! A miner whose connection was cut subscribes anew with its session id. It gets its slot back, so that the shares
//! which it found meanwhile (cgminer sends them for up to 120 s) are still shares of its own. A session can be resumed
//! as long as its slot rests; once the slot is another miner's, the session is gone. While its old connection still
//! stands, only its own address may ask for it: a cut connection that we have not noticed yet must not cost the miner
//! its session, and an id that was overheard elsewhere must not cost the miner its connection.
//!
//! All that a session is to be resumed from stands in [`Past`], under its id. Of sessions of an earlier run of the process
//! only the slot is known, and only where the body has kept it ([`KeptSession`]): such a miner is told the extranonce1 that
//! it had, and is a new one in all else. The jobs of that run are gone with its channels.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use sv2::bitcoin::VersionMask;

use crate::assigned::Assigned;
use crate::lane::LaneId;
use crate::layout::Layout;
use crate::miner::Worker;
use crate::miners::MinerId;
use crate::slot::{RestId, Slot, Slots};
use crate::vardiff::Vardiff;
use crate::work::WorkId;

/// A slot and the id to ask for it again.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) slot: Slot,
    pub(crate) id: Arc<str>,
}

/// A session as it is kept from one run of the process to the next. Who knows the id can have the slot while its miner is
/// away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSession {
    /// The id that its miner asks for it by.
    pub id: Arc<str>,
    /// The slot; of one of two bytes the upper half is the number of its page.
    pub slot: u32,
    /// Bytes of extranonce1 that its miner was told.
    pub extranonce1_size: u8,
    /// Bytes of extranonce2 that its miner was told.
    pub extranonce2_size: u8,
}

impl Session {
    /// Gives what is kept of it.
    pub(crate) fn kept(&self) -> KeptSession {
        let layout = self.slot.layout();
        KeptSession {
            id: Arc::clone(&self.id),
            slot: self.slot.number(),
            extranonce1_size: layout.slot_size(),
            extranonce2_size: layout.extranonce2_size(),
        }
    }
}

/// What a miner was told over its last connection, and what was known of it there.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) assigned: Assigned,
    pub(crate) vardiff: Vardiff,
    pub(crate) version_mask: Option<VersionMask>,
    /// Its first worker; those that cut connections matter to have one.
    pub(crate) worker: Option<Worker>,
    /// The last work that it was sent.
    pub(crate) seen: WorkId,
    /// Whose channel it worked on.
    pub(crate) home: LaneId,
}

/// A session for a miner that subscribes, and its past where it is resumed within one run of the process.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) past: Option<Past>,
}

#[derive(Debug)]
enum Holder {
    Live(MinerId),
    Resting(RestId),
}

#[derive(Debug)]
struct Left {
    session: Session,
    /// `None` of a session of an earlier run.
    past: Option<Past>,
}

/// All sessions that a miner has or may ask for.
#[derive(Debug)]
pub(crate) struct Sessions {
    slots: Slots,
    seed: [u8; 32],
    count: u64,
    holders: HashMap<Arc<str>, Holder>,
    /// In the order of being left.
    left: BTreeMap<RestId, Left>,
    /// Most that are kept without a miner; some 500 bytes each.
    most_left: usize,
}

impl Sessions {
    pub(crate) fn new(slots: Slots, seed: [u8; 32], most_left: usize) -> Self {
        Self {
            slots,
            seed,
            count: 0,
            holders: HashMap::new(),
            left: BTreeMap::new(),
            most_left,
        }
    }

    /// Takes over sessions of an earlier run as if their miners had just left; those that do not fit the present
    /// configuration are forgotten.
    pub(crate) fn restore(
        &mut self,
        now: Instant,
        kept: impl IntoIterator<Item = KeptSession>,
        extranonce2_size: u8,
    ) {
        for KeptSession {
            id,
            slot,
            extranonce1_size,
            extranonce2_size: told,
        } in kept.into_iter().take(self.most_left)
        {
            let lengths = (extranonce1_size, told);
            let Some(layout) = Layout::of_lengths(lengths, slot, extranonce2_size) else {
                continue;
            };
            if self.holders.contains_key(&id) {
                continue;
            }
            if let Some((slot, rest)) = self.slots.restore(now, layout, slot) {
                self.holders.insert(Arc::clone(&id), Holder::Resting(rest));
                let session = Session { slot, id };
                let past = None;
                self.left.insert(rest, Left { session, past });
            }
        }
    }

    /// Gives the sessions whose miners left, those that left last at the end.
    pub(crate) fn left(&self) -> impl Iterator<Item = KeptSession> {
        self.left.values().map(|left| left.session.kept())
    }

    /// Changes how many are kept without a miner, from the next one on.
    pub(crate) fn set_most_left(&mut self, most_left: usize) {
        self.most_left = most_left;
    }

    /// Gives the miner that has a session now.
    pub(crate) fn holder(&self, id: &str) -> Option<MinerId> {
        match self.holders.get(id)? {
            Holder::Live(miner) => Some(*miner),
            Holder::Resting(_) => None,
        }
    }

    /// Gives the bytes of the longest layout that a miner has; 0 without any.
    pub(crate) fn longest_layout(&self) -> u16 {
        self.slots.longest_held()
    }

    /// Tells whether a slot of a layout is left.
    pub(crate) fn has_slot(&self, now: Instant, layout: Layout, job_serial: u64) -> bool {
        self.slots.has(now, layout, job_serial)
    }

    /// Gives a miner the session that it asks for, where nobody has it and it fits into `layout`, else a new one with
    /// that layout, of the first page with a slot left; `None` where none is left on the pages up to the first that is not open.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        (miner, asked): (MinerId, Option<&str>),
        (layout, is_open): (Layout, impl Fn(Layout) -> bool),
        job_serial: u64,
    ) -> Option<Opened> {
        if let Some(left) = asked.and_then(|id| self.resume(id, miner, layout)) {
            return Some(left);
        }
        let mut pages = layout.pages().take_while(|page| is_open(*page));
        let slot = pages.find_map(|page| self.take_slot(now, page, job_serial))?;
        self.count += 1;
        let id: Arc<str> = session_id(&self.seed, self.count).into();
        self.holders.insert(Arc::clone(&id), Holder::Live(miner));
        Some(Opened {
            session: Session { slot, id },
            past: None,
        })
    }

    /// Gives a miner a slot of the first of shorter layouts that has one in the place of its own, which rests from now
    /// on; `None` where none is left.
    pub(crate) fn change_slot(
        &mut self,
        now: Instant,
        slot: Slot,
        mut shorter: impl Iterator<Item = Layout>,
        job_serial: u64,
    ) -> Option<Slot> {
        let shorter = shorter.find_map(|layout| self.take_slot(now, layout, job_serial))?;
        self.slots.give_back(now, slot, job_serial);
        Some(shorter)
    }

    /// Takes a slot; a session that rested with it is gone.
    fn take_slot(&mut self, now: Instant, layout: Layout, job_serial: u64) -> Option<Slot> {
        let (slot, rested) = self.slots.take(now, layout, job_serial)?;
        if let Some(left) = rested.and_then(|rest| self.left.remove(&rest)) {
            self.holders.remove(&left.session.id);
        }
        Some(slot)
    }

    fn resume(&mut self, id: &str, miner: MinerId, layout: Layout) -> Option<Opened> {
        let holder = self.holders.get_mut(id)?;
        let Holder::Resting(rest) = *holder else {
            return None;
        };
        let left = self.left.get(&rest);
        left.filter(|left| left.session.slot.layout().size() <= layout.size())?;
        let Left { session, past } = self.left.remove(&rest)?;
        *holder = Holder::Live(miner);
        self.slots.wake(rest, session.slot);
        Some(Opened { session, past })
    }

    /// Takes a session back from a miner that left; one without a past was never worked in, and is not kept.
    pub(crate) fn leave(
        &mut self,
        now: Instant,
        session: Session,
        past: Option<Past>,
        job_serial: u64,
    ) {
        let Some(past) = past else {
            self.holders.remove(&session.id);
            return self.slots.give_back_unused(session.slot);
        };
        let rest = self.slots.give_back(now, session.slot, job_serial);
        let id = Arc::clone(&session.id);
        self.holders.insert(id, Holder::Resting(rest));
        let past = Some(past);
        self.left.insert(rest, Left { session, past });
        while self.left.len() > self.most_left
            && let Some((_, oldest)) = self.left.pop_first()
        {
            self.holders.remove(&oldest.session.id);
        }
    }
}

/// Makes a session id that nobody can guess without the seed.
fn session_id(seed: &[u8; 32], number: u64) -> String {
    let hash = Sha256::new()
        .chain_update(seed)
        .chain_update(number.to_le_bytes())
        .finalize();
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash);
    format!("{:016x}", u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sv2::bitcoin::Difficulty;

    use super::*;
    use crate::testing::origin;

    const MINER: MinerId = MinerId::nth(1);
    const USUAL: Layout = Layout::Usual {
        extranonce2_size: 4,
    };

    fn any(_: Layout) -> bool {
        true
    }

    fn past(now: Instant) -> Past {
        Past {
            assigned: Assigned::new(Difficulty::ONE),
            vardiff: Vardiff::new(now),
            version_mask: None,
            worker: None,
            seen: WorkId::nth(1),
            home: LaneId::FARM,
        }
    }

    fn is_empty(sessions: &Sessions) -> bool {
        sessions.left.is_empty() && sessions.holders.is_empty()
    }

    #[test]
    fn a_session_that_was_left_is_resumed_once() {
        let (mut sessions, now) = (Sessions::new(Slots::new((0, 0), 4), [7; 32], 10), origin());
        let first = sessions
            .open(now, (MINER, None), (USUAL, any), 1)
            .unwrap()
            .session;
        assert_eq!(sessions.holder(&first.id), Some(MINER));
        sessions.leave(now, first.clone(), Some(past(now)), 1);
        assert_eq!(sessions.holder(&first.id), None);
        let again = sessions
            .open(now, (MINER, Some(&first.id)), (USUAL, any), 1)
            .unwrap();
        assert_eq!(
            (again.session.slot, &again.session.id),
            (first.slot, &first.id)
        );
        assert!(again.past.is_some());
        let other = sessions
            .open(now, (MINER, Some(&first.id)), (USUAL, any), 1)
            .unwrap();
        assert_ne!(other.session.slot, first.slot, "it has a miner");
        assert!(other.past.is_none());
    }

    #[test]
    fn a_session_is_gone_once_its_slot_has_another_miner() {
        let (mut sessions, now) = (Sessions::new(Slots::new((0, 0), 4), [7; 32], 10), origin());
        let first = sessions
            .open(now, (MINER, None), (USUAL, any), 1)
            .unwrap()
            .session;
        sessions.leave(now, first.clone(), Some(past(now)), 1);
        let later = now + Duration::from_secs(120);
        let other = sessions
            .open(later, (MINER, None), (USUAL, any), 2)
            .unwrap()
            .session;
        assert_eq!(other.slot, first.slot);
        let again = sessions
            .open(later, (MINER, Some(&first.id)), (USUAL, any), 2)
            .unwrap();
        assert_ne!(again.session.slot, first.slot);
    }

    #[test]
    fn a_session_that_is_too_long_for_the_channel_waits_for_a_longer_one() {
        let (mut sessions, now) = (Sessions::new(Slots::new((0, 0), 4), [7; 32], 10), origin());
        let long = sessions
            .open(now, (MINER, None), (USUAL, any), 1)
            .unwrap()
            .session;
        sessions.leave(now, long.clone(), Some(past(now)), 1);
        let asked = (MINER, Some(&*long.id));
        let short = sessions.open(now, asked, (Layout::NARROW, any), 1).unwrap();
        assert_eq!(short.session.slot.layout(), Layout::NARROW);
        assert!(short.past.is_none());
        let again = sessions.open(now, asked, (USUAL, any), 1).unwrap();
        assert_eq!(again.session.slot, long.slot);
        let short = short.session;
        sessions.leave(now, short.clone(), Some(past(now)), 1);
        let asked = (MINER, Some(&*short.id));
        let again = sessions.open(now, asked, (USUAL, any), 1).unwrap();
        assert_eq!(again.session.slot, short.slot, "a narrow one fits all");
    }

    #[test]
    fn of_too_many_sessions_that_were_left_the_oldest_is_forgotten() {
        let (mut sessions, now) = (Sessions::new(Slots::new((0, 0), 4), [7; 32], 2), origin());
        let open = |sessions: &mut Sessions| {
            sessions
                .open(now, (MINER, None), (USUAL, any), 1)
                .unwrap()
                .session
        };
        let all: Vec<_> = (0..3).map(|_| open(&mut sessions)).collect();
        for session in &all {
            sessions.leave(now, session.clone(), Some(past(now)), 1);
        }
        assert_eq!((sessions.left.len(), sessions.holders.len()), (2, 2));
        let resumed = |sessions: &mut Sessions, place: usize| {
            let opened = sessions.open(now, (MINER, Some(&all[place].id)), (USUAL, any), 1);
            opened.unwrap().past.is_some()
        };
        assert!(!resumed(&mut sessions, 0));
        assert!(resumed(&mut sessions, 1));
        assert!(resumed(&mut sessions, 2));
    }

    #[test]
    fn a_session_outlives_the_process_with_its_slot() {
        let now = origin();
        let mut before = Sessions::new(Slots::new((0, 0), 4), [7; 32], 10);
        let mut open = |layout| {
            let opened = before.open(now, (MINER, None), (layout, any), 1);
            opened.unwrap().session
        };
        let sessions = [open(USUAL), open(USUAL), open(Layout::NARROW)];
        for session in sessions.clone() {
            before.leave(now, session, Some(past(now)), 1);
        }
        let kept: Vec<_> = before.left().collect();
        let mut after = Sessions::new(Slots::new((0, 0), 4), [8; 32], 10);
        after.restore(now, kept.clone(), 4);
        assert!(after.left().eq(kept));
        let new = after.open(now, (MINER, None), (USUAL, any), 1).unwrap();
        assert!(sessions.iter().all(|it| it.slot != new.session.slot));
        for session in sessions {
            let again = after.open(now, (MINER, Some(&session.id)), (USUAL, any), 1);
            let again = again.unwrap();
            assert_eq!(
                (again.session.slot, again.session.id),
                (session.slot, session.id)
            );
            assert!(again.past.is_none());
        }
    }

    #[test]
    fn sessions_that_do_not_fit_or_come_twice_are_forgotten() {
        let now = origin();
        let mut sessions = Sessions::new(Slots::new((0, 0), 6), [7; 32], 3);
        let kept = |id: &str, slot, extranonce1_size, extranonce2_size| KeptSession {
            id: id.into(),
            slot,
            extranonce1_size,
            extranonce2_size,
        };
        let good = kept("a", 1 << 16, 4, 6);
        let all = [
            good.clone(),
            kept("b", 1 << 16, 4, 6),
            kept("a", 2 << 16, 4, 6),
            // One more than are taken at all.
            kept("c", 3 << 16, 4, 6),
        ];
        sessions.restore(now, all, 6);
        assert!(sessions.left().eq([good.clone()]));
        for wrong in [
            kept("d", 5, 4, 6),
            kept("e", 1 << 16, 4, 5),
            kept("f", 99 << 16, 2, 4),
            kept("g", 0, 3, 4),
        ] {
            sessions.restore(now, [wrong], 6);
        }
        assert!(sessions.left().eq([good]));
    }

    #[test]
    fn a_session_that_was_never_worked_in_leaves_nothing_behind() {
        let (mut sessions, now) = (Sessions::new(Slots::new((0, 0), 4), [7; 32], 10), origin());
        for _ in 0..100 {
            let session = sessions
                .open(now, (MINER, None), (USUAL, any), 1)
                .unwrap()
                .session;
            assert_eq!(
                session.slot.as_bytes(),
                [0, 16, 0, 0],
                "the first one again"
            );
            sessions.leave(now, session, None, 1);
        }
        assert!(is_empty(&sessions));
    }
}
