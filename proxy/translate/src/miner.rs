//! A miner's session: what it said in whatever order, and what follows for its work.

mod reconfiguring;
pub(crate) mod setup;
mod start;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use sv1::Id;
use sv2::bitcoin::{Difficulty, VersionMask};
use sv2::tlv::UserIdentity;

use crate::assigned::Assigned;
use crate::ceiling::Flow;
use crate::config::{ListenerConfig, ListenerId};
use crate::firmware::Firmware;
use crate::guard::Conduct;
use crate::lane::LaneId;
use crate::layout::Layout;
use crate::meter::Meter;
use crate::miners::MinerId;
use crate::refusal::Refusal;
use crate::session::{KeptSession, Past, Session};
use crate::share::Terms;
use crate::slot::Slot;
use crate::statistics::{MinerState, MinerStatistics};
use crate::vardiff::Vardiff;
use crate::work::WorkId;

use self::start::PasswordWish;

/// Workers on one connection; more than any machine has, few enough to search one by one.
const MAX_WORKERS: usize = 64;

/// Bytes of a user name: what an Sv2 `user_identity` can hold, so that a connection's names stay below 16 KiB.
const MAX_USER: usize = 255;

/// One Sv1 connection, as far as it has come.
#[derive(Debug)]
pub(crate) struct Miner {
    pub(crate) peer: SocketAddr,
    pub(crate) listener: Arc<ListenerConfig>,
    /// Whose channel it would work on, and on whose it does.
    pub(crate) home: LaneId,
    pub(crate) lane: LaneId,
    /// When a channel of its own last ended.
    pub(crate) served_until: Instant,
    pub(crate) connected: Instant,
    pub(crate) last_line: Instant,
    pub(crate) conduct: Conduct,
    /// What its session was before this connection.
    past: Option<Box<Past>>,
    subscription: Option<Subscription>,
    workers: Vec<Worker>,
    /// What it can roll, by `mining.configure`; `None` where nothing was granted of it.
    rollable: Option<VersionMask>,
    /// Granted of it; `None` without `mining.configure`.
    version_mask: Option<VersionMask>,
    /// What work before this one may be rolled by, where that was another mask.
    former_mask: Option<(VersionMask, WorkId)>,
    /// Whether it asked for SV1 mining.set_extranonce.
    pub(crate) asked_for_extranonce: bool,
    /// When it was asked to connect anew, because its extranonce is too long for the channel.
    pub(crate) asked_to_reconnect: Option<Instant>,
    /// The last mask that `mining.set_version_mask` told.
    announced_mask: Option<VersionMask>,
    /// The miner's own floor (BIP-0310 minimum-difficulty).
    minimum: Option<Difficulty>,
    /// What the password asks for.
    password_wish: Option<PasswordWish>,
    /// Whether the miner asked for a difficulty below what others get.
    asks_fractions: bool,
    /// What its worker mined at before.
    known: Option<Difficulty>,
    /// The last wish, so that a repeated one changes nothing.
    suggested: Option<Difficulty>,
    /// A wish that waits for the next look at all miners, because one was granted since the last.
    pub(crate) waiting_wish: Option<Difficulty>,
    wish_granted: bool,
    pub(crate) assigned: Assigned,
    pub(crate) vardiff: Vardiff,
    /// The difficulty that fits, where the pool's target is too easy for it yet.
    pub(crate) waiting_raise: Option<Difficulty>,
    pub(crate) flow: Flow,
    /// Estimated hashrate, in h/s.
    pub(crate) hashrate: f64,
    pub(crate) last_work: Option<WorkId>,
    pub(crate) meter: Meter,
}

#[derive(Debug)]
struct Subscription {
    session: Session,
    /// The slot before the present one, and the first work that was not for it any more.
    former: Option<(Slot, WorkId)>,
    user_agent: Box<str>,
    firmware: Option<&'static Firmware>,
}

/// A user that authorized.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    name: Box<str>,
    identity: UserIdentity,
}

/// What a set-up request leads to, beside its reply.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    /// Nothing more.
    Done,
    /// The miner has now both subscribed and authorized.
    Ready,
    /// The miner subscribed anew, so it needs all that it was told again.
    StartsOver,
    /// The miner asks for a difficulty.
    Wishes(Difficulty),
}

impl Miner {
    pub(crate) fn new(now: Instant, peer: SocketAddr, listener: Arc<ListenerConfig>) -> Self {
        Self {
            peer,
            home: LaneId::FARM,
            lane: LaneId::FARM,
            served_until: now,
            connected: now,
            last_line: now,
            conduct: Conduct::new(now),
            past: None,
            subscription: None,
            workers: Vec::new(),
            rollable: None,
            version_mask: None,
            former_mask: None,
            asked_for_extranonce: false,
            asked_to_reconnect: None,
            announced_mask: None,
            minimum: None,
            password_wish: None,
            asks_fractions: false,
            known: None,
            suggested: None,
            waiting_wish: None,
            wish_granted: false,
            assigned: Assigned::new(listener.difficulty.start()),
            vardiff: Vardiff::new(now),
            waiting_raise: None,
            flow: Flow::of_miner(now),
            hashrate: 0.0,
            listener,
            last_work: None,
            meter: Meter::default(),
        }
    }

    /// Tells whether the miner can be given work.
    pub(crate) fn is_mining(&self) -> bool {
        self.subscription.is_some() && !self.workers.is_empty()
    }

    pub(crate) fn slot(&self) -> Option<Slot> {
        self.subscription
            .as_ref()
            .map(|subscription| subscription.session.slot)
    }

    /// Gives its session, where it has worked in it.
    pub(crate) fn kept_session(&self) -> Option<KeptSession> {
        let subscription = self.subscription.as_ref().filter(|_| self.is_mining())?;
        Some(subscription.session.kept())
    }

    pub(crate) fn layout(&self) -> Option<Layout> {
        self.slot().map(Slot::layout)
    }

    /// Gives the miner another slot from `work` on. Shares for earlier work are still found with the one before.
    pub(crate) fn change_slot(&mut self, slot: Slot, work: WorkId) {
        if let Some(subscription) = &mut self.subscription {
            let before = std::mem::replace(&mut subscription.session.slot, slot);
            subscription.former = Some((before, work));
        }
    }

    /// Gives the slot that the miner searches some work with.
    fn slot_for(&self, work: WorkId) -> Option<Slot> {
        let subscription = self.subscription.as_ref()?;
        let former = subscription.former.filter(|(_, until)| work < *until);
        Some(former.map_or(subscription.session.slot, |(slot, _)| slot))
    }

    /// Gives the last work that it was sent over an earlier connection, where its session was resumed.
    pub(crate) fn seen_before(&self) -> Option<WorkId> {
        self.past.as_ref().map(|past| past.seen)
    }

    /// Goes on where an earlier connection ended.
    fn resume(&mut self, past: Past) {
        self.assigned = past.assigned.carried(past.seen);
        self.vardiff = past.vardiff.clone();
        self.home = past.home;
        self.past = Some(Box::new(past));
    }

    /// Ends the session over this connection; what it can be resumed from comes with it, unless nobody ever worked
    /// in it.
    pub(crate) fn end_session(&mut self) -> Option<(Session, Option<Past>)> {
        let session = self.subscription.take()?.session;
        let earlier = self.past.take();
        let Some(seen) = self.last_work else {
            return Some((session, earlier.map(|past| *past)));
        };
        let earlier_mask = earlier.and_then(|past| past.version_mask);
        let past = Past {
            assigned: self.assigned,
            vardiff: self.vardiff.clone(),
            version_mask: self.version_mask.or(earlier_mask),
            worker: self.workers.first().cloned(),
            seen,
            home: self.home,
        };
        Some((session, Some(past)))
    }

    /// Takes the wish that waits; from now on another may be granted at once.
    pub(crate) fn take_waiting_wish(&mut self) -> Option<Difficulty> {
        self.wish_granted = false;
        self.waiting_wish.take()
    }

    /// Gives the name of the first worker, or nothing before it authorized.
    pub(crate) fn worker_name(&self) -> &str {
        self.workers.first().map_or("", |worker| &worker.name)
    }

    pub(crate) fn user_agent(&self) -> &str {
        self.subscription
            .as_ref()
            .map_or("", |subscription| &subscription.user_agent)
    }

    /// Gives what the pool calls the first worker.
    pub(crate) fn identity_text(&self) -> String {
        let first = self.workers.first();
        first.map_or_else(String::new, |worker| worker.identity.to_string())
    }

    /// Finds what the pool calls the worker that submits. In a resumed session that may be the one from before: what
    /// waited to be sent may come ahead of SV1 mining.authorize.
    pub(crate) fn identity(&self, worker: &str) -> Result<UserIdentity, Refusal> {
        let before = self.past.as_ref().and_then(|past| past.worker.as_ref());
        let mut workers = self.workers.iter().chain(before);
        let found = workers.find(|known| *known.name == *worker);
        found
            .map(|worker| worker.identity)
            .ok_or(Refusal::UnauthorizedWorker)
    }

    /// Gives what its shares for some work are judged by. In a resumed session the mask from before holds until the miner configures
    /// another.
    pub(crate) fn terms(&self, work: WorkId) -> Result<Terms<'_>, Refusal> {
        Ok(Terms {
            slot: self.slot_for(work).ok_or(Refusal::NotSubscribed)?,
            version_mask: self
                .mask_for(work)
                .or_else(|| self.past.as_ref()?.version_mask),
            assigned: &self.assigned,
        })
    }

    /// Gives the mask to announce with a job, where the miner knows another.
    pub(crate) fn mask_to_announce(&mut self, rolling_allowed: bool) -> Option<VersionMask> {
        let granted = self.version_mask?;
        let mask = if rolling_allowed {
            granted
        } else {
            VersionMask::NONE
        };
        if self.announced_mask == Some(mask) {
            return None;
        }
        self.announced_mask = Some(mask);
        Some(mask)
    }

    /// Tells which firmware the miner is, where that is known.
    pub(crate) fn firmware(&self) -> Option<&'static Firmware> {
        self.subscription.as_ref()?.firmware
    }

    /// Notes that the first work goes out: only now there is something to measure.
    pub(crate) fn begins_to_mine(&mut self, now: Instant) {
        self.last_line = now;
        self.meter.begin(now);
        match self.past {
            Some(_) => self.vardiff.skip(now),
            None => self.vardiff = Vardiff::new(now),
        }
    }

    /// Tells how far it has come.
    fn state(&self, now: Instant) -> MinerState {
        match (self.is_mining(), self.last_work) {
            (false, _) => MinerState::SettingUp,
            (true, None) => MinerState::WithoutWork,
            (true, Some(_)) if self.conduct.pause_left(now).is_some() => MinerState::Paused,
            (true, Some(_)) => MinerState::Mining,
        }
    }

    pub(crate) fn statistics(
        &self,
        now: Instant,
        id: MinerId,
        listener: Option<ListenerId>,
    ) -> MinerStatistics {
        MinerStatistics {
            id,
            listener,
            connected: self.connected,
            state: self.state(now),
            shares_per_minute: self.listener.difficulty.shares_per_minute,
            meter: self.meter,
            worker: self.worker_name().to_owned(),
            user_agent: self.user_agent().to_owned(),
            firmware: self.firmware().map(|firmware| firmware.name),
            peer: self.peer,
            difficulty: self.assigned.difficulty().to_f64(),
            hashrate: self.hashrate,
        }
    }
}

/// A request together with the id that its reply echoes and the buffer that the reply goes to.
pub(crate) struct Reply<'a> {
    pub(crate) id: &'a Id,
    pub(crate) out: &'a mut Vec<u8>,
}
