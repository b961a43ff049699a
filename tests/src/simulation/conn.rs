//! One connection of a miner as the proxy's body holds it: what waits to be written, and what was said on it.

use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use sv1::{FromServer, JobId, LineDecoder, MAX_CALL_LINE, Notification};
use sv1_miner::Target;
use translate::{Delivery, MinerId};

use super::invariant::{Checked, Invariant, ensure};
use super::link::Link;
use super::slot::{Slot, Space};
use super::view::Dealt;

/// One connection of a miner.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) id: MinerId,
    pub(super) miner: usize,
    pub(super) since: Duration,
    /// When it got its first work.
    pub(super) worked_since: Option<Duration>,
    /// The invariant for whose break newer work is kept from it.
    pub(super) held_back: Option<Invariant>,
    /// When it was asked to connect anew; until it gets work.
    pub(super) asked_to_go: Option<Duration>,
    /// When it was told another extranonce.
    pub(super) told_at: Option<Duration>,
    /// Whether the translator holds it, and whether the miner does.
    pub(super) is_live: bool,
    pub(super) is_open: bool,
    pub(super) to_proxy: Link,
    pub(super) to_miner: Link,
    pub(super) decoder: LineDecoder,
    pub(super) outbox: Outbox,
    pub(super) said: Said,
    written: Written,
}

/// What waits to be written: replies, and the newest work in place of older.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    replies: VecDeque<Wire>,
    /// Replies that are older than the work.
    older: usize,
    delivery: Option<Delivery>,
}

/// A line on its way to a miner.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    pub(super) line: Rc<FromServer>,
    /// Bytes of the line, for the trail.
    pub(super) bytes: Rc<[u8]>,
    pub(super) answers_subscribe: bool,
}

/// What was said to the miner, as the translator knows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) is_subscribed: bool,
    pub(super) workers: Vec<Box<str>>,
    pub(super) mask: Option<u32>,
    pub(super) asked_for_extranonce: bool,
    /// What it was told of the extranonce, each with the first job that it counts for; never empty.
    slots: Vec<(u64, Slot)>,
    /// Where it searches, once it has work.
    pub(super) space: Option<Space>,
    /// Whether it has the slot from an earlier connection.
    pub(super) is_resumed: bool,
    /// The difficulty of each job by its number, in order; and of what comes next.
    pub(super) terms: Vec<(u64, f64)>,
    /// The jobs that it was ever given, by number.
    pub(super) jobs: HashSet<u64>,
    pub(super) difficulty: f64,
    pub(super) easiest: f64,
    pub(super) work: Option<Rc<Dealt>>,
    pub(super) refusals: u64,
    pub(super) session: Box<str>,
    past: Option<Past>,
}

/// What counts of a connection before this one, whose session goes on.
#[derive(Debug, Clone)]
struct Past {
    mask: Option<u32>,
    worker: Option<Box<str>>,
}

/// What went out on the wire.
#[derive(Debug, Default)]
struct Written {
    is_subscribed: bool,
    difficulty_waits: bool,
    mask_waits: bool,
    extranonce_waits: bool,
    /// The last job, its header time and its id.
    job: Option<(Rc<Dealt>, u32, JobId)>,
}

impl Conn {
    pub(super) fn new(id: MinerId, miner: usize, now: Duration, delay: (f64, f64)) -> Self {
        Self {
            id,
            miner,
            since: now,
            worked_since: None,
            held_back: None,
            asked_to_go: None,
            told_at: None,
            is_live: true,
            is_open: true,
            to_proxy: Link::new(delay),
            to_miner: Link::new(delay),
            decoder: LineDecoder::new(MAX_CALL_LINE),
            outbox: Outbox::default(),
            said: Said::default(),
            written: Written::default(),
        }
    }

    /// Notes that a line is written; `dealt` is the job of a notify.
    pub(super) fn write(&mut self, wire: &Wire, dealt: Option<&Rc<Dealt>>) -> Checked {
        let FromServer::Notification(notification) = &*wire.line else {
            self.written.is_subscribed |= wire.answers_subscribe;
            return Ok(());
        };
        ensure(
            self.written.is_subscribed,
            Invariant::SubscribeFirst,
            || format!("{notification:?} went out before a subscribe reply"),
        )?;
        let waits = &mut self.written;
        let in_order = match notification {
            Notification::SetExtranonce { .. } => {
                let first = !waits.difficulty_waits && !waits.mask_waits;
                !std::mem::replace(&mut waits.extranonce_waits, true) && first
            }
            Notification::SetDifficulty(_) => !std::mem::replace(&mut waits.difficulty_waits, true),
            Notification::SetVersionMask(_) => {
                !waits.difficulty_waits && !std::mem::replace(&mut waits.mask_waits, true)
            }
            Notification::Notify(notify) => {
                (waits.difficulty_waits, waits.mask_waits) = (false, false);
                !std::mem::take(&mut waits.extranonce_waits) || notify.clean_jobs
            }
            _ => true,
        };
        ensure(in_order, Invariant::NewsBeforeNotify, || {
            format!("{notification:?} came twice or out of order before one notify")
        })?;
        match (notification, dealt) {
            (Notification::Notify(notify), Some(dealt)) => self.write_work(notify, dealt),
            _ => Ok(()),
        }
    }

    fn write_work(&mut self, notify: &sv1::Notify, dealt: &Rc<Dealt>) -> Checked {
        let size = dealt.padding(notify).len() + self.said.slot().size();
        ensure(
            size == dealt.extranonce_size,
            Invariant::WorkIsDealt,
            || {
                format!(
                    "the extranonce has {size} bytes where the channel has {}",
                    dealt.extranonce_size
                )
            },
        )?;
        if let Some((last, ntime, id)) = &self.written.job {
            let again = *id == notify.job_id;
            ensure(!again || notify.clean_jobs, Invariant::JobIdsFresh, || {
                format!("job {:?} came twice", id.as_str())
            })?;
            let limit = dealt.min_ntime.saturating_add(7_199);
            let rises = notify.ntime > *ntime || notify.ntime >= limit;
            let same = Rc::ptr_eq(last, dealt) && !again;
            ensure(!same || rises, Invariant::NtimeRises, || {
                format!("header time {} after {ntime} for one job", notify.ntime)
            })?;
        }
        self.written.job = Some((Rc::clone(dealt), notify.ntime, notify.job_id));
        Ok(())
    }

    /// The difficulty in force for the job of a number, where it was given on this connection.
    pub(super) fn difficulty_of(&self, job: u64) -> Option<f64> {
        let later = self
            .said
            .terms
            .partition_point(|(number, _)| *number <= job);
        let place = later.checked_sub(1)?;
        self.said
            .terms
            .get(place)
            .map(|(_, difficulty)| *difficulty)
    }

    /// The difficulties that a share for a job may be judged by: that of the job and the present one.
    pub(super) fn meets_terms(&self, job: u64, hash: &[u8; 32]) -> bool {
        let terms = [self.difficulty_of(job), Some(self.said.difficulty)];
        let mut terms = terms.into_iter().flatten().filter(|it| *it > 0.0);
        terms.any(|difficulty| Target::from_difficulty(difficulty).is_met_by(hash))
    }

    /// Whether a share meets the easiest that this miner was ever told.
    pub(super) fn meets_easiest(&self, hash: &[u8; 32]) -> bool {
        self.said.easiest > 0.0 && Target::from_difficulty(self.said.easiest).is_met_by(hash)
    }

    /// Whether what it works on is to be checked: not while it is asked to go, and where one invariant is broken, no
    /// other is to notice.
    pub(super) fn is_watched_by(&self, invariant: Invariant) -> bool {
        self.is_mining()
            && self.asked_to_go.is_none()
            && self.held_back.is_none_or(|broken| broken == invariant)
    }

    pub(super) fn is_mining(&self) -> bool {
        self.is_live && self.said.is_subscribed && !self.said.workers.is_empty()
    }
}

impl Said {
    /// What it searches with from now on.
    pub(super) fn slot(&self) -> &Slot {
        const NONE: &Slot = &Slot {
            extranonce1: Vec::new(),
            extranonce2_size: 0,
            page: None,
        };
        self.slots.last().map_or(NONE, |(_, slot)| slot)
    }

    /// What it searches a job with.
    pub(super) fn slot_for(&self, job: u64) -> &Slot {
        let mut newest = self.slots.iter().rev();
        let found = newest.find(|(from, _)| *from <= job);
        found.map_or_else(|| self.slot(), |(_, slot)| slot)
    }

    /// Notes what it searches with from a job on.
    pub(super) fn change_slot(&mut self, from: u64, slot: Slot) {
        self.slots.push((from, slot));
        self.space = None;
        self.is_resumed = false;
    }

    /// Takes the slot of the session before, which may be known better.
    pub(super) fn resume_slot(&mut self, before: &Self) {
        self.is_resumed = true;
        if let Some((_, slot)) = self.slots.last_mut()
            && slot.extranonce1 == before.slot().extranonce1
        {
            slot.page = before.slot().page;
        }
    }

    /// Notes what stands before its slot in a notify; gives the space that it searches where that is news.
    pub(super) fn note_padding(&mut self, padding: &[u8]) -> Option<Space> {
        let (_, slot) = self.slots.last_mut()?;
        slot.note_padding(padding);
        let space = slot.space();
        (self.space.replace(space) != Some(space)).then_some(space)
    }

    /// Goes on with the session of a connection that ended: shares of its jobs may still be under way.
    pub(super) fn resume(&mut self, before: &Self) {
        self.terms.clone_from(&before.terms);
        self.jobs.clone_from(&before.jobs);
        self.difficulty = before.difficulty;
        self.easiest = before.easiest;
        self.past = match before.work {
            Some(_) => Some(Past {
                mask: before.mask_in_force(),
                worker: before.workers.first().cloned(),
            }),
            None => before.past.clone(),
        };
    }

    /// The mask that shares are judged by: until it configures another, a resumed session's is the one from before.
    pub(super) fn mask_in_force(&self) -> Option<u32> {
        self.mask.or_else(|| self.past.as_ref()?.mask)
    }

    pub(super) fn knows(&self, worker: &str) -> bool {
        let before = self.past.as_ref().and_then(|past| past.worker.as_ref());
        self.workers
            .iter()
            .chain(before)
            .any(|known| **known == *worker)
    }

    /// Notes the difficulty of the jobs to come, where it is news.
    pub(super) fn set_difficulty(&mut self, difficulty: Option<f64>) {
        if let Some(difficulty) = difficulty {
            self.difficulty = difficulty;
            self.easiest = match self.easiest > 0.0 {
                true => self.easiest.min(difficulty),
                false => difficulty,
            };
        }
    }

    /// Notes that a job is given out.
    pub(super) fn give(&mut self, job: u64, dealt: &Rc<Dealt>) {
        if self.terms.last().is_none_or(|(last, _)| *last < job) {
            self.terms.push((job, self.difficulty));
        }
        self.jobs.insert(job);
        self.work = Some(Rc::clone(dealt));
    }
}

impl Outbox {
    pub(super) fn reply(&mut self, wire: Wire) {
        self.replies.push_back(wire);
    }

    pub(super) fn deliver(&mut self, mut delivery: Delivery) {
        if let Some(older) = self.delivery.take() {
            delivery.supersede(older);
        }
        self.delivery = Some(delivery);
        self.older = self.replies.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.replies.is_empty() && self.delivery.is_none()
    }

    /// Takes everything: older replies, work, newer replies.
    pub(super) fn take(&mut self) -> (Vec<Wire>, Option<Delivery>, Vec<Wire>) {
        let older = std::mem::take(&mut self.older).min(self.replies.len());
        let before = self.replies.drain(..older).collect();
        (
            before,
            self.delivery.take(),
            self.replies.drain(..).collect(),
        )
    }
}
