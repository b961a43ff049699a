//! Requests of miners other than shares: the session decides, the translator follows.

use std::time::Instant;

use sv1::Request;
use sv2::bitcoin::Difficulty;

use super::Translator;
use super::further_channels::may_have;
use crate::event::Event;
use crate::miner::{Outcome, Reply};
use crate::miners::MinerId;
use crate::output::CloseReason;

impl Translator {
    pub(super) fn handle_setup(
        &mut self,
        now: Instant,
        id: MinerId,
        request: Request,
        reply: Reply<'_>,
    ) {
        if let Request::Subscribe(subscribe) = &request
            && let Some(session) = &subscribe.session_id
        {
            self.free_session(now, id, session);
        }
        let (room, others) = (self.farms_room(), (&self.lanes, &self.upstreams));
        let may_have = |layout| may_have(layout, room, others);
        let (sessions, job_serial, layout) = (&mut self.sessions, self.job_serial, self.layout);
        let resumed = &mut self.statistics.sessions_resumed;
        let refused = &mut self.statistics.subscribes_refused;
        let open_session = |asked: Option<&str>| {
            let Some(opened) = sessions.open(now, (id, asked), (layout, may_have), job_serial)
            else {
                *refused += 1;
                return None;
            };
            *resumed += u64::from(asked == Some(&*opened.session.id));
            Some(opened)
        };
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        match miner.handle_setup(request, &self.config, open_session, reply) {
            Outcome::Done => {}
            Outcome::Ready => self.start_miner(now, id),
            Outcome::StartsOver => {
                miner.start_over();
                self.deliver_first(now, id);
            }
            Outcome::Wishes(wish) => self.grant(now, id, wish),
        }
    }

    /// Closes the connection that a session is resumed from, where it still stands: its end did not reach us. From
    /// another address nobody takes a session from a miner that has it.
    fn free_session(&mut self, now: Instant, id: MinerId, session: &str) {
        let holder = self.sessions.holder(session).filter(|other| *other != id);
        let address = |it: &Self, id| Some(it.miners.get(id)?.peer.ip().to_canonical());
        let subscribed = |it: &Self| {
            it.miners
                .get(id)
                .is_some_and(|miner| miner.slot().is_some())
        };
        if let Some(other) = holder
            && address(self, other) == address(self, id)
            && !subscribed(self)
        {
            self.close_miner(now, other, CloseReason::SessionResumed);
        }
    }

    fn start_miner(&mut self, now: Instant, id: MinerId) {
        self.join_lane(now, id);
        let ceiling = self.ceiling_at(now, id);
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        let known = self.known.find(miner.worker_name());
        if let Some(difficulty) = miner.start(known) {
            miner.assigned.start_at(difficulty);
        }
        if let Some(ceiling) = ceiling {
            miner.lower_start(ceiling);
        }
        let ready = Event::MinerReady {
            peer: miner.peer,
            worker: miner.worker_name().to_owned(),
            user_agent: miner.user_agent().to_owned(),
            firmware: miner.firmware().map(|firmware| firmware.name),
            difficulty: miner.assigned.difficulty(),
        };
        let seen = miner.seen_before();
        self.mining += 1;
        self.event(ready);
        match seen {
            Some(seen) => self.deliver_anew(now, id, seen),
            None => self.deliver_first(now, id),
        }
        self.begin_demand(now, id);
        self.open_own_channel(now);
    }

    /// Follows a miner's wish for a difficulty, as far as the operator allows.
    pub(super) fn grant(&mut self, now: Instant, id: MinerId, wish: Difficulty) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        // What was measured before gives way to what the miner wants.
        miner.waiting_raise = None;
        let difficulty = miner.clamp(wish);
        self.change_difficulty(now, id, difficulty);
    }
}
