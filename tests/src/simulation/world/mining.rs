//! The miners' side of a world: connections come and go, lines go both ways, work is given out.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use sv1::{
    ConfigureReply, FromServer, Id, Incoming, LineDecoder, MAX_CALL_LINE, Request, Response,
    SubscribeReply, parse_call,
};
use translate::{CloseReason, Delivery, ListenerId, MinerId};

use super::judge::Submitted;
use super::{Event, World, close_kind};
use crate::simulation::conn::{Conn, Wire};
use crate::simulation::invariant::{Checked, Invariant, ensure};
use crate::simulation::miner::News;
use crate::simulation::slot::{Slot, Space};
use crate::simulation::view::Dealt;

/// How long a slot stays with the miner who had it: cgminer hands pending shares in for so long.
const SLOT_RESTS: Duration = Duration::from_secs(120);

impl World {
    pub(super) fn miner_connects(&mut self, miner: usize) -> Checked {
        if self.miners[miner]
            .conn
            .is_some_and(|conn| self.conns[conn].is_open)
        {
            return Ok(());
        }
        let port = 1_024 + u16::try_from(self.conns.len() % 60_000).unwrap_or(0);
        let peer = SocketAddr::new(self.miners[miner].address, port);
        let now = self.instant();
        let listener = self.listener_of(miner);
        if listener > 0 {
            self.coverage.count("miner: came in on another listener");
        }
        let id = self
            .brain
            .handle_miner_connected(now, peer, ListenerId(listener));
        self.trail.note(self.now, b"connect", || {
            format!("miner {miner} connects: {id:?}")
        });
        self.finish(None)?;
        let Some(id) = id else {
            let again = self.now + self.random.seconds(5.0, 30.0);
            self.coverage.count("miner: refused at the door");
            self.queue.put(again, Event::Connect(miner));
            return Ok(());
        };
        self.coverage.count("miner: connected");
        let index = self.conns.len();
        let delay = self.miners[miner].habits.delay;
        self.conns.push(Conn::new(id, miner, self.now, delay));
        self.by_id.insert(id, index);
        let lines = self.miners[miner].connect(&mut self.random);
        self.miners[miner].conn = Some(index);
        self.say(index, lines);
        let restless = self.miners[miner].habits.restless;
        let fidget = self.now + self.random.exponential(restless);
        self.queue.put(fidget, Event::Fidget(miner, index));
        Ok(())
    }

    /// The listener that a miner comes in on, as far as there are several.
    pub(super) fn listener_of(&self, miner: usize) -> usize {
        match self.config.listeners.is_empty() {
            true => 0,
            false => self.miners[miner].habits.listener,
        }
    }

    /// A miner sends bytes, now and then in pieces.
    pub(super) fn say(&mut self, conn: usize, mut bytes: Vec<u8>) {
        if !self.conns[conn].is_open || bytes.is_empty() {
            return;
        }
        if self.random.chance(0.1) {
            let rest = bytes.split_off(self.random.place(bytes.len()));
            self.say_piece(conn, bytes);
            bytes = rest;
        }
        self.say_piece(conn, bytes);
    }

    fn say_piece(&mut self, conn: usize, bytes: Vec<u8>) {
        let at = self.conns[conn]
            .to_proxy
            .arrival(self.now, &mut self.random);
        self.queue.put(at, Event::ToProxy(conn, bytes));
    }

    pub(super) fn proxy_reads(&mut self, index: usize, mut bytes: &[u8]) -> Checked {
        let empty = LineDecoder::new(MAX_CALL_LINE);
        let mut decoder = std::mem::replace(&mut self.conns[index].decoder, empty);
        while let Some(line) = decoder.next_line(&mut bytes) {
            if !self.conns[index].is_live {
                break;
            }
            match line {
                Ok(line) => self.proxy_takes_line(index, line)?,
                Err(error) => {
                    let (now, id) = (self.instant(), self.conns[index].id);
                    let reason = CloseReason::UnanswerableLine(error.to_string());
                    self.brain.close_miner(now, id, reason);
                    self.finish(None)?;
                }
            }
        }
        self.conns[index].decoder = decoder;
        Ok(())
    }

    fn proxy_takes_line(&mut self, index: usize, line: &[u8]) -> Checked {
        let (now, id, miner) = (
            self.instant(),
            self.conns[index].id,
            self.conns[index].miner,
        );
        self.trail.note(self.now, line, || {
            format!("miner {miner} > {}", String::from_utf8_lossy(line))
        });
        let parsed = parse_call(line);
        let asked = match &parsed {
            Ok(Incoming::Call { id, request }) => Some((id.clone(), Some(request.clone()))),
            Ok(Incoming::Response(_)) => None,
            Err(error) => error.id.clone().map(|id| (id, None)),
        };
        let malformed = matches!(&parsed, Err(error)
            if error.id.is_some() && error.method.as_deref() == Some("mining.submit"));
        self.claiming = match &asked {
            Some((_, Some(Request::Subscribe(subscribe)))) => subscribe.session_id.clone(),
            _ => None,
        };
        let mut replies = Vec::new();
        match parsed {
            Ok(incoming) => self.brain.handle_incoming(now, id, incoming, &mut replies),
            Err(error) => self.brain.handle_bad_line(now, id, &error, &mut replies),
        }
        let reply = self.hear_replies(index, asked.as_ref(), &replies)?;
        let submitted = match (asked, reply) {
            (Some((_, Some(Request::Submit(submit)))), Some(reply)) => Some(Submitted {
                conn: index,
                submit: Some(submit),
                reply,
            }),
            (Some((_, None)), Some(reply)) if malformed => Some(Submitted {
                conn: index,
                submit: None,
                reply,
            }),
            _ => None,
        };
        self.finish(submitted)
    }

    /// Takes what was appended to the replies: one line for a request, nothing otherwise.
    fn hear_replies(
        &mut self,
        index: usize,
        asked: Option<&(Id, Option<Request>)>,
        replies: &[u8],
    ) -> Checked<Option<Response>> {
        let replies = self.seam.replies(replies);
        let lines: Vec<&[u8]> = replies.split_inclusive(|byte| *byte == b'\n').collect();
        let (Some((id, request)), [line]) = (asked, &lines[..]) else {
            ensure(
                asked.is_none() && lines.is_empty(),
                Invariant::RepliesInOrder,
                || format!("{} replies to {asked:?}", lines.len()),
            )?;
            return Ok(None);
        };
        let mut wire = Self::wire(line)?;
        let FromServer::Response(response) = (*wire.line).clone() else {
            ensure(false, Invariant::RepliesInOrder, || {
                format!("{:?} is no reply", wire.line)
            })?;
            return Ok(None);
        };
        ensure(response.id == *id, Invariant::RepliesInOrder, || {
            format!("reply to {:?} where {id:?} asked", response.id)
        })?;
        match request {
            Some(Request::Subscribe(subscribe)) => {
                let claimed = subscribe.session_id.as_deref();
                self.hear_subscribed(index, &response, claimed)?;
                wire.answers_subscribe = self.conns[index].said.is_subscribed;
            }
            Some(Request::ExtranonceSubscribe) => self.note_extranonce_subscribe(index),
            Some(Request::Configure(configure)) => {
                if configure.subscribe_extranonce {
                    self.note_extranonce_subscribe(index);
                }
                let mask = ConfigureReply::parse(&response.result);
                if let Some(mask) = mask.and_then(|reply| reply.version_rolling) {
                    self.conns[index].said.mask = Some(mask).filter(|mask| *mask != 0);
                }
            }
            Some(Request::Authorize { user, .. }) if response.is_accepted() => {
                self.conns[index].said.workers.push(user.clone());
            }
            _ => {}
        }
        self.conns[index].outbox.reply(wire);
        self.dirty.push(index);
        Ok(Some(response))
    }

    fn note_extranonce_subscribe(&mut self, index: usize) {
        self.coverage
            .count("miner: asked for mining.set_extranonce");
        self.conns[index].said.asked_for_extranonce = true;
    }

    fn hear_subscribed(
        &mut self,
        index: usize,
        response: &Response,
        claimed: Option<&str>,
    ) -> Checked {
        let Some(reply) = SubscribeReply::parse(&response.result) else {
            return Ok(());
        };
        let slot = Slot {
            extranonce1: reply.extranonce1.as_bytes().to_vec(),
            extranonce2_size: usize::from(reply.extranonce2_size),
            page: None,
        };
        if self.conns[index].said.is_subscribed {
            self.coverage.count("miner: subscribed again");
            let known = self.conns[index].said.slot();
            let same = (&known.extranonce1, known.size()) == (&slot.extranonce1, slot.size());
            return ensure(same, Invariant::SpaceUnshared, || {
                format!(
                    "miner {} has another slot on one connection",
                    self.conns[index].miner
                )
            });
        }
        let said = &mut self.conns[index].said;
        said.is_subscribed = true;
        said.change_slot(0, slot);
        if claimed == Some(&*reply.session_id) {
            self.coverage.count("miner: resumed its session");
            let same = |conn: &&Conn| conn.said.session == reply.session_id;
            let before = self.conns.iter().rposition(|conn| same(&conn));
            // The connection that a session is claimed from is closed in the same step.
            self.ceding = before;
            if let Some(before) = before.map(|before| self.conns[before].said.clone()) {
                self.conns[index].said.resume(&before);
                self.conns[index].said.resume_slot(&before);
            }
        }
        self.conns[index].said.session = reply.session_id;
        self.check_room(index)
    }

    /// Nobody else searches where a miner begins to, nor did a while ago, unless it comes with its session again.
    fn check_space(&self, index: usize, space: Space) -> Checked {
        let overlaps = |other: &&usize| {
            let other = (**other != index).then_some(&self.conns[**other].said);
            let other = other.and_then(|said| said.space);
            other.is_some_and(|other| other.overlaps(space))
        };
        let other = self.by_id.values().find(overlaps);
        let said = &self.conns[index].said;
        ensure(other.is_none(), Invariant::SpaceUnshared, || {
            format!("two live connections search {:?}", said.slot())
        })?;
        // Those before did not overlap, so that the last one to begin is the only one that can.
        let mut freed = self.freed.range(
            ..=Space {
                first: space.last,
                last: u128::MAX,
            },
        );
        let freed = freed.next_back().filter(|(freed, _)| freed.overlaps(space));
        let rests = freed.is_some_and(|(_, freed)| self.now < *freed + SLOT_RESTS);
        ensure(said.is_resumed || !rests, Invariant::SpaceUnshared, || {
            format!("{:?} was handed out anew, freed: {freed:?}", said.slot())
        })
    }

    /// Work for a miner.
    pub(super) fn deliver(&mut self, id: MinerId, delivery: Delivery) -> Checked {
        let index = self.by_id.get(&id).copied();
        ensure(index.is_some(), Invariant::RepliesInOrder, || {
            format!("work for {id:?}, who is gone")
        })?;
        let Some(index) = index else { return Ok(()) };
        let wire = self.notify_wire(&delivery.notify, delivery.clean_jobs)?;
        let FromServer::Notification(sv1::Notification::Notify(notify)) = &*wire.line else {
            return Ok(());
        };
        let dealt = self.check_given(notify)?;
        self.check_own_work(index, &dealt)?;
        let is_own = self.is_own(&dealt);
        if !is_own {
            self.farm_mines_at(dealt.upstream)?;
        }
        self.conns[index].worked_since.get_or_insert(self.now);
        let number = notify.job_id.as_number().unwrap_or(u64::MAX);
        if let Some(line) = &delivery.extranonce {
            self.change_slot(index, line, (number, &dealt))?;
        }
        self.conns[index].asked_to_go = None;
        if let Some(space) = self.conns[index].said.note_padding(dealt.padding(notify)) {
            if self.conns[index]
                .said
                .slot()
                .page
                .is_some_and(|page| page > 0)
            {
                self.coverage.count("miner: has a slot of a further page");
            }
            self.check_space(index, space)?;
        }
        let difficulty = match &delivery.difficulty {
            Some(line) => match &*Self::wire(line)?.line {
                FromServer::Notification(sv1::Notification::SetDifficulty(it)) => Some(*it),
                _ => None,
            },
            None => None,
        };
        self.conns[index].held_back = self.holds_back(index, &dealt);
        let said = &mut self.conns[index].said;
        said.set_difficulty(difficulty);
        if self.conns[index].held_back.is_some() {
            return Ok(());
        }
        let said = &mut self.conns[index].said;
        if said
            .work
            .as_ref()
            .is_some_and(|last| Rc::ptr_eq(last, &dealt))
        {
            self.coverage.count("work: the same job again");
        }
        said.give(number, &dealt);
        self.conns[index].outbox.deliver(delivery);
        self.dirty.push(index);
        Ok(())
    }

    /// The proxy closes a connection.
    pub(super) fn close(&mut self, id: MinerId, reason: &CloseReason) -> Checked {
        self.trail
            .note(self.now, b"close", || format!("closed {id:?}: {reason}"));
        let Some(index) = self.by_id.get(&id).copied() else {
            return Ok(());
        };
        self.check_close(index, reason)?;
        if let Some(kind) = close_kind(reason) {
            self.coverage.count(kind);
        }
        self.forget(index);
        self.flush(index)?;
        let at = self.conns[index]
            .to_miner
            .arrival(self.now, &mut self.random);
        self.queue.put(at, Event::ProxyGone(index));
        Ok(())
    }

    fn check_close(&self, index: usize, reason: &CloseReason) -> Checked {
        let conn = &self.conns[index];
        let for_long = |since: Option<Duration>, after: Option<Duration>| {
            since
                .zip(after)
                .is_some_and(|(since, after)| self.now >= since + after)
        };
        let is_true = match reason {
            CloseReason::SetupTimeout(_) => {
                !conn.is_mining() && self.now >= conn.since + self.config.setup_timeout
            }
            CloseReason::Idle(_) => self.now >= conn.since + self.config.idle_timeout,
            CloseReason::NoUpstream(_) => {
                let lives =
                    |work: &Dealt| self.is_alive(work) && self.listed.is_listed(work.upstream);
                !conn.said.work.as_deref().is_some_and(lives)
                    && for_long(self.outage_since, self.config.release_after)
                    && for_long(Some(conn.since), self.config.release_after)
            }
            CloseReason::Stopping => self.is_stopping,
            // Judged at the end of the step.
            CloseReason::ExtranonceTooLong(_) => true,
            CloseReason::SessionResumed => self.claiming.as_deref() == Some(&*conn.said.session),
            CloseReason::UnanswerableLine(_) | CloseReason::Banned(_) => true,
            _ => false,
        };
        ensure(is_true, Invariant::NoMinerPaysForPools, || {
            format!("miner {} was closed: {reason}", conn.miner)
        })
    }

    /// The translator knows a connection no more.
    fn forget(&mut self, index: usize) {
        self.note_leaving(index);
        let conn = &mut self.conns[index];
        conn.is_live = false;
        self.by_id.remove(&conn.id);
        if let Some(space) = conn.said.space.take() {
            self.freed.insert(space, self.now);
        }
    }

    pub(super) fn proxy_loses_miner(&mut self, index: usize) -> Checked {
        if !self.conns[index].is_live {
            return Ok(());
        }
        let (now, id) = (self.instant(), self.conns[index].id);
        self.forget(index);
        self.trail
            .note(self.now, b"left", || format!("{id:?} left"));
        self.brain.handle_miner_left(now, id, None);
        self.finish(None)
    }

    pub(super) fn miner_reads(&mut self, index: usize, wire: &Wire) {
        let miner = self.conns[index].miner;
        if !self.conns[index].is_open || self.miners[miner].conn != Some(index) {
            return;
        }
        let mut out = Vec::new();
        let before = self.miners[miner].handed_in_again;
        let news = self.miners[miner].hear(&wire.line, &mut out);
        if self.miners[miner].handed_in_again > before {
            self.coverage
                .count("miner: handed in shares of an earlier connection");
        }
        self.say(index, out);
        match news {
            News::Terms => self.plan_find(miner),
            News::Leave => self.miner_leaves(miner, index),
            News::Stay => self.coverage.count("miner moved: stays in spite of it"),
            News::Nothing => {}
        }
    }

    fn plan_find(&mut self, miner: usize) {
        let Some(mean) = self.miners[miner].mean_time() else {
            return;
        };
        self.miners[miner].plan += 1;
        let at = self.now + self.random.exponential(mean);
        let plan = self.miners[miner].plan;
        self.queue.put(at, Event::Find(miner, plan));
    }

    pub(super) fn miner_finds(&mut self, miner: usize, plan: u64) {
        let Some(conn) = self.miners[miner]
            .conn
            .filter(|_| self.miners[miner].plan == plan)
        else {
            return;
        };
        let mut out = Vec::new();
        self.miners[miner].find(&mut self.random, &mut out);
        self.say(conn, out);
        self.plan_find(miner);
    }

    pub(super) fn miner_fidgets(&mut self, miner: usize, conn: usize) {
        if self.miners[miner].conn != Some(conn) {
            return;
        }
        let again = self.now + self.random.exponential(self.miners[miner].habits.restless);
        self.queue.put(again, Event::Fidget(miner, conn));
        match self.random.below(12) {
            0..=3 => self.miner_leaves(miner, conn),
            4 => self.miner_vanishes(miner, conn),
            5 => {
                self.coverage.count("miner: sent garbage");
                let mut garbage = match self.random.chance(0.3) {
                    true => vec![b'x'; 5_000],
                    false => self.random.bytes(20),
                };
                garbage.push(b'\n');
                self.say(conn, garbage);
            }
            6 | 7 if self.miners[miner].habits.stalls => {
                self.coverage.count("miner: stopped reading for a while");
                let until = self.now + self.random.seconds(1.0, 40.0);
                self.conns[conn].to_miner.stall(until);
                self.queue.put(until, Event::Unstall(conn));
            }
            _ => {
                let mut out = Vec::new();
                self.miners[miner].fidget(&mut self.random, &mut out);
                self.say(conn, out);
            }
        }
    }

    /// Closes its connection and comes again after a while.
    fn miner_leaves(&mut self, miner: usize, conn: usize) {
        self.coverage.count("miner: left");
        let at = self.conns[conn]
            .to_proxy
            .arrival(self.now, &mut self.random);
        self.queue.put(at, Event::MinerGone(conn));
        self.hang_up_miner(miner, conn);
    }

    /// Its cable is pulled, and the proxy hears of it long after it is back.
    fn miner_vanishes(&mut self, miner: usize, conn: usize) {
        self.coverage.count("miner: vanished without a word");
        let at = self.now + self.random.seconds(60.0, 120.0);
        self.queue.put(at, Event::MinerGone(conn));
        self.hang_up_miner(miner, conn);
    }

    fn hang_up_miner(&mut self, miner: usize, conn: usize) {
        self.conns[conn].is_open = false;
        self.miners[miner].conn = None;
        self.miners[miner].plan += 1;
        let back = self.now + self.random.seconds(0.2, 20.0);
        self.queue.put(back, Event::Connect(miner));
    }

    pub(super) fn miner_loses_proxy(&mut self, conn: usize) {
        let miner = self.conns[conn].miner;
        if self.conns[conn].is_open && self.miners[miner].conn == Some(conn) {
            self.hang_up_miner(miner, conn);
        }
        self.conns[conn].is_open = false;
    }
}
