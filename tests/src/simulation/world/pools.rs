//! The pools' side of a world: dials, messages both ways, blocks, and what pools make of our shares.

use std::rc::Rc;
use std::time::Duration;

use sv2::message::{Message, Received};
use sv2::messages::common::{Common, SetupConnectionSuccess};
use sv2::messages::extensions::ExtensionsNegotiation;
use sv2::messages::mining::{Mining, setup_success_flags};
use sv2::tlv::{UserIdentity, WORKER_SPECIFIC_HASHRATE_TRACKING};
use sv2_pool::{Output as Wants, PoolEvent, Refusal};
use translate::Fault;

use super::{Event, Sent, Step, World, upstream};
use crate::simulation::invariant::{Checked, Invariant, ensure};
use crate::simulation::site::{Call, End};
use crate::simulation::view::View;

/// How long the body tries to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl World {
    /// The proxy dials an upstream.
    pub(super) fn dial(
        &mut self,
        (id, configured): (usize, usize),
        redirect: Option<&(String, u16)>,
    ) -> Checked {
        let site = self.listed.site(configured);
        if redirect.is_some() {
            self.coverage.count("upstream dialled elsewhere");
        }
        let is_own = id != configured;
        if !is_own {
            self.idle_since[site] = None;
        }
        let connected = self.present(id).is_some();
        let invariant = match is_own {
            true => Invariant::OwnChannelEnds,
            false => Invariant::DialledForEver,
        };
        ensure(!connected, invariant, || {
            format!("upstream {id} is dialled while it is connected")
        })?;
        let place = &mut self.sites[site];
        place.calls.push(Call::new((id, is_own), place.delay));
        let attempt = place.attempt();
        self.dialled.insert(id, (site, attempt));
        self.trail.note(self.now, b"dial", || {
            format!("pool {site}: dialled as upstream {id}, attempt {attempt}")
        });
        let place = &self.sites[site];
        let answers = place.is_reachable && !place.is_hung;
        let event = match (answers, place.pool.is_some()) {
            (true, true) => Event::Dialled(site, attempt),
            (true, false) => Event::Lost(site, attempt, "connection refused"),
            (false, _) => Event::Lost(site, attempt, "no answer within 10 s"),
        };
        let takes = match answers {
            true => self.random.seconds(0.01, 1.5),
            false => CONNECT_TIMEOUT,
        };
        self.queue.put(self.now + takes, event);
        Ok(())
    }

    pub(super) fn upstream_connects(&mut self, site: usize, attempt: u64) -> Checked {
        let (now, since) = (self.instant(), self.now);
        let place = &mut self.sites[site];
        if place
            .call(attempt)
            .is_none_or(|call| call.end != End::Dialling)
        {
            return Ok(());
        }
        let is_there = place.is_reachable && !place.is_hung;
        let connection = place
            .pool
            .as_mut()
            .filter(|_| is_there)
            .and_then(|pool| pool.handle_connected(now));
        let Some(connection) = connection else {
            return self.upstream_is_lost(site, attempt, "connection reset");
        };
        let Some(call) = place.call(attempt) else {
            return Ok(());
        };
        call.connection = Some(connection);
        call.end = End::Connected;
        call.heard_at = since;
        let id = upstream(call.upstream);
        self.trail.note(self.now, b"connected", || {
            format!("pool {site}: connected, attempt {attempt}")
        });
        self.brain.handle_upstream_connected(now, id);
        self.finish(None)
    }

    /// The proxy learns that a connection ended.
    pub(super) fn upstream_is_lost(&mut self, site: usize, attempt: u64, words: &str) -> Checked {
        let now = self.instant();
        let call = self.sites[site].call(attempt);
        let Some(call) = call.filter(|call| call.end != End::Over) else {
            return Ok(());
        };
        let id = upstream(call.upstream);
        self.lost_blocks.append(&mut call.end());
        self.trail.note(self.now, b"lost", || {
            format!("pool {site}: attempt {attempt} lost, {words}")
        });
        self.brain.handle_upstream_lost(now, id, words.into());
        self.finish(None)
    }

    /// The proxy hangs up, once what it sent has gone out.
    pub(super) fn hang_up(&mut self, id: usize, reason: &Fault) {
        let Some((site, attempt)) = self.dialled.get(&id).copied() else {
            return;
        };
        self.trail.note(self.now, b"hang up", || {
            format!("pool {site}: the proxy hangs up on attempt {attempt}: {reason}")
        });
        let is_own = self.sites[site]
            .call(attempt)
            .is_some_and(|call| call.is_own);
        if let (true, Fault::NotNeeded) = (is_own, reason) {
            self.coverage.count("own channel: retired");
            if self.seam.holds_back(Invariant::OwnChannelEnds)
                && let Some(call) = self.sites[site].call(attempt)
            {
                call.is_deserted = true;
                return;
            }
        }
        let call = self.sites[site].call(attempt);
        if let Some(call) = call.filter(|call| call.end != End::Over) {
            self.lost_blocks.append(&mut call.end());
            let at = call.to_pool.arrival(self.now, &mut self.random);
            self.queue.put(at, Event::PoolHangUp(site, attempt));
        }
        // What goes out behind it in the same step may be the last job of all.
        self.note_outage();
    }

    /// The connection that is an upstream to the proxy.
    fn present(&mut self, id: usize) -> Option<&mut Call> {
        let (site, attempt) = *self.dialled.get(&id)?;
        let call = self.sites[site].call(attempt);
        call.filter(|call| call.end != End::Over)
    }

    /// Sends a message to an upstream.
    pub(super) fn send(
        &mut self,
        id: usize,
        message: Message,
        worker: Option<UserIdentity>,
        step: &mut Step,
    ) -> Checked {
        let (site, attempt) = self.dialled.get(&id).copied().unwrap_or_default();
        if let Message::Mining(Mining::OpenExtendedMiningChannel(open)) = &message {
            self.check_owner((id, site), &open.user_identity.to_string())?;
        }
        let call = self
            .sites
            .get_mut(site)
            .and_then(|place| place.call(attempt));
        let Some(call) = call.filter(|call| call.end == End::Connected) else {
            return ensure(false, Invariant::ShareSent, || {
                format!(
                    "{} for upstream {id}, which is not connected",
                    message.name()
                )
            });
        };
        self.trail.note(self.now, message.name().as_bytes(), || {
            format!("pool {site}, attempt {attempt} < {message:?}")
        });
        let mut message = message;
        if let Message::Mining(Mining::SubmitSharesExtended(share)) = &mut message {
            step.sends.push(((site, attempt), share.clone(), worker));
            self.counted.sent[site] += 1;
            call.note_share(share.sequence_number.0);
            let sent = Sent {
                blocks_told: call.blocks_told,
            };
            self.sent
                .insert((site, attempt, share.sequence_number.0), sent);
            self.seam.leaves(share);
        }
        if let Message::Mining(Mining::OpenExtendedMiningChannel(open)) = &message {
            call.is_opening = true;
            call.user = Some(open.user_identity.to_string());
        }
        let mut frame = Vec::new();
        let encoded = message.encode_with(worker.as_ref(), &mut frame);
        ensure(encoded.is_ok(), Invariant::PoolHasNoComplaint, || {
            format!("{} fits no frame", message.name())
        })?;
        let at = call.to_pool.arrival(self.now, &mut self.random);
        self.queue.put(at, Event::ToPool(site, attempt, frame));
        Ok(())
    }

    /// A message of a pool arrives at the proxy.
    pub(super) fn proxy_hears(&mut self, site: usize, attempt: u64, message: Message) -> Checked {
        let now = self.instant();
        let call = self.sites[site].call(attempt);
        let Some(call) = call.filter(|call| call.end == End::Connected) else {
            return Ok(());
        };
        let id = upstream(call.upstream);
        self.trail.note(self.now, message.name().as_bytes(), || {
            format!("pool {site}, attempt {attempt} > {message:?}")
        });
        call.heard_at = self.now;
        let dealt = call.note(&message, (site, attempt));
        self.jobs.extend(dealt.as_ref().map(Rc::clone));
        let opened = matches!(
            message,
            Message::Mining(Mining::OpenExtendedMiningChannelSuccess(_))
        );
        if opened {
            self.coverage.count(match call.is_own {
                true => "own channel: opened",
                false => "pool: channel opened",
            });
        }
        if let Message::Mining(Mining::SubmitSharesSuccess(success)) = &message
            && success.new_submits_accepted_count > 1
        {
            self.coverage
                .count("pool: acknowledged several shares at once");
        }
        self.brain.handle_message(now, id, message);
        self.finish(None)
    }

    pub(super) fn pool_hears(&mut self, site: usize, attempt: u64, frame: Vec<u8>) -> Checked {
        let now = self.instant();
        let place = &mut self.sites[site];
        if place.is_hung {
            place.held.push((attempt, frame));
            return Ok(());
        }
        let received = Message::decode(&frame);
        let Ok(Received { mut message, tlvs }) = received else {
            return ensure(false, Invariant::PoolHasNoComplaint, || {
                format!("a pool cannot read what we sent: {received:?}")
            });
        };
        let refuses_own = place.refuses_own;
        let Some((connection, refused)) = place.call(attempt).and_then(|call| {
            call.back(&mut message);
            Some((call.connection?, refuses_own && call.is_own))
        }) else {
            return Ok(());
        };
        if let Some(pool) = &mut place.pool {
            let faults = place.faults.clone();
            if refused {
                let mut refusing = faults.clone();
                refusing.refuse_channels = Some("unknown-user".into());
                pool.set_faults(refusing);
            }
            pool.handle_message(now, connection, Received { message, tlvs });
            if refused {
                pool.set_faults(faults);
            }
        }
        self.pool_acts(site)
    }

    pub(super) fn pool_loses_proxy(&mut self, site: usize, attempt: u64) {
        let place = &mut self.sites[site];
        let connection = place.call(attempt).and_then(|call| call.connection.take());
        if let (Some(pool), Some(connection)) = (&mut place.pool, connection) {
            pool.handle_disconnected(connection);
        }
    }

    pub(super) fn pool_times_out(&mut self, site: usize) -> Checked {
        let now = self.instant();
        if let Some(pool) = &mut self.sites[site].pool {
            pool.handle_timeout(now);
        }
        self.pool_acts(site)
    }

    /// Does what a pool wants done.
    pub(super) fn pool_acts(&mut self, site: usize) -> Checked {
        while let Some(wants) = self.sites[site]
            .pool
            .as_mut()
            .and_then(|pool| pool.poll_output())
        {
            match wants {
                Wants::Send(connection, message) => {
                    if let Some(attempt) = self.sites[site].attempt_of(connection) {
                        self.pool_says(site, attempt, message);
                    }
                }
                Wants::Disconnect(connection, reason) => {
                    if let Some(attempt) = self.sites[site].attempt_of(connection) {
                        self.pool_hangs_up(site, attempt, &reason)?;
                    }
                }
                Wants::Event(event) => self.pool_tells(site, &event)?,
            }
        }
        Ok(())
    }

    fn pool_says(&mut self, site: usize, attempt: u64, mut message: Message) {
        let place = &mut self.sites[site];
        let (renumbers, no_rolling) = (place.renumbers, place.forbids_rolling);
        let other_version = place.speaks_other_version;
        let Some(call) = place.call(attempt) else {
            return;
        };
        call.on_the_way(&mut message, renumbers, no_rolling);
        if let Message::Common(Common::SetupConnectionSuccess(success)) = &mut message
            && other_version
        {
            success.used_version = 3;
        }
        self.put_on_the_way(site, attempt, message);
    }

    /// Puts a message on the way to the proxy, as bytes that are read again.
    pub(super) fn put_on_the_way(&mut self, site: usize, attempt: u64, message: Message) {
        let Some(call) = self.sites[site].call(attempt) else {
            return;
        };
        let mut frame = Vec::new();
        let read = message
            .encode(&mut frame)
            .ok()
            .and_then(|()| Message::decode(&frame).ok());
        if let Some(received) = read {
            let at = call.to_proxy.arrival(self.now, &mut self.random);
            let event = Event::FromPool(site, attempt, Box::new(received.message));
            self.queue.put(at, event);
        }
    }

    fn pool_hangs_up(&mut self, site: usize, attempt: u64, reason: &str) -> Checked {
        // A link that stalls, or a pool that hangs, makes the set-up late.
        let wanted = [
            "set-up refused",
            "trouble",
            "no SetupConnection came in time",
        ];
        let is_wanted = wanted.iter().any(|wanted| reason.starts_with(wanted));
        ensure(is_wanted, Invariant::PoolHasNoComplaint, || {
            format!("pool {site} hangs up: {reason}")
        })?;
        self.pool_loses_proxy(site, attempt);
        if let Some(call) = self.sites[site].call(attempt) {
            let at = call.to_proxy.arrival(self.now, &mut self.random);
            self.queue
                .put(at, Event::Lost(site, attempt, "closed by the pool"));
        }
        Ok(())
    }

    fn pool_tells(&mut self, site: usize, event: &PoolEvent) -> Checked {
        match event {
            PoolEvent::ShareAccepted(_) => self.coverage.count("pool: accepted a share"),
            PoolEvent::BlockFound { .. } => {
                let soon = self.now + self.random.seconds(0.05, 1.0);
                self.queue.put(soon, Event::Block);
            }
            PoolEvent::ShareRefused {
                connection,
                sequence_number,
                refusal,
                ..
            } => {
                let Some(attempt) = self.sites[site].attempt_of(*connection) else {
                    return Ok(());
                };
                return self.check_refusal(site, attempt, sequence_number.0, *refusal);
            }
            _ => {}
        }
        Ok(())
    }

    /// A pool may refuse what was sent before its news arrived.
    fn check_refusal(
        &mut self,
        site: usize,
        attempt: u64,
        number: u32,
        refusal: Refusal,
    ) -> Checked {
        let sent = self.sent.get(&(site, attempt, number)).copied();
        let Some(call) = self.sites[site].call(attempt) else {
            return Ok(());
        };
        let block_under_way = sent.is_some_and(|sent| sent.blocks_told < call.blocks_sent);
        let close_under_way = call.is_closed && refusal == Refusal::UnknownChannel;
        let explained = block_under_way || close_under_way || call.is_tainted;
        self.coverage
            .count("pool: refused a share that was under way");
        ensure(explained, Invariant::PoolRefusesNothing, || {
            format!("pool {site} refused share {number}: {refusal}")
        })
    }

    /// A block is found somewhere, and pools hear of it one after the other.
    pub(super) fn block(&mut self) {
        self.height += 1;
        for site in 0..self.sites.len() {
            let (least, most) = self.sites[site].block_delay;
            let at = self.now + self.random.seconds(least, most);
            self.queue.put(at, Event::Hears(site, self.height));
        }
        // A found block starts no second chain of blocks.
        let planned = self.now + self.random.exponential(120.0);
        if self.next_block <= self.now {
            self.next_block = planned;
            self.queue.put(planned, Event::Block);
        }
    }

    pub(super) fn pool_hears_of_block(&mut self, site: usize, height: u32) -> Checked {
        let now = self.instant();
        let place = &mut self.sites[site];
        if place.is_hung {
            return Ok(());
        }
        while place.heard < height {
            place.heard += 1;
            if let Some(pool) = &mut place.pool {
                pool.new_block(now);
            }
        }
        self.pool_acts(site)
    }
}

impl Call {
    /// Notes what a message means before the proxy gets it; gives the job that becomes active.
    fn note(
        &mut self,
        message: &Message,
        id: (usize, u64),
    ) -> Option<Rc<crate::simulation::view::Dealt>> {
        match message {
            Message::Common(Common::SetupConnectionSuccess(SetupConnectionSuccess {
                flags,
                ..
            })) => {
                self.fixed_version = flags & setup_success_flags::REQUIRES_FIXED_VERSION != 0;
            }
            Message::ExtensionsNegotiation(ExtensionsNegotiation::RequestExtensionsSuccess(it))
                if !self.is_opening =>
            {
                self.names = it
                    .supported_extensions
                    .contains(&WORKER_SPECIFIC_HASHRATE_TRACKING);
            }
            Message::Mining(Mining::OpenExtendedMiningChannelSuccess(success))
                if self.view.is_none() =>
            {
                self.view = Some(View::new(id, success, self.fixed_version));
            }
            Message::Mining(message) => {
                match message {
                    Mining::SubmitSharesSuccess(it) => {
                        self.note_success(it.new_submits_accepted_count);
                    }
                    Mining::SubmitSharesError(it) => self.note_error(it.sequence_number.0),
                    _ => {}
                }
                if let Mining::SetNewPrevHash(_) = message {
                    self.blocks_told += 1;
                }
                return self.view.as_mut()?.take(message);
            }
            _ => {}
        }
        None
    }
}

/// The kind of event that a fault of an own channel's connection is.
pub(super) fn own_kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::ChannelRefused(_) => "own channel: refused",
        Fault::ChannelClosed(_) => "own channel: closed by the pool",
        Fault::Silent(_) => "own channel: silent",
        _ => "own channel: lost",
    }
}

/// The kind of event that a fault is.
pub(super) fn kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::ConnectionLost(_) => "upstream left: connection lost",
        Fault::NoAnswer(_) => "upstream left: no answer",
        Fault::SetupRefused { .. } => "upstream left: set-up refused",
        Fault::OtherProtocolVersion(_) => "upstream left: other version",
        Fault::ExtensionsRequired(_) => "upstream left: extensions required",
        Fault::ChannelRefused(_) => "upstream left: channel refused",
        Fault::TooLittleExtranonce { .. } | Fault::ExtranonceRefused { .. } => {
            "upstream left: too little extranonce"
        }
        Fault::Silent(_) => "upstream left: silent",
        Fault::NoJob => "upstream left: no job",
        Fault::ChannelClosed(_) => "upstream left: channel closed",
        Fault::Reconnect => "upstream left: asked to reconnect",
        Fault::Violation(_) => "upstream left: violation",
        _ => "upstream left: another fault",
    }
}
