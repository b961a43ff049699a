//! The seam between the translator and its world, where something goes wrong on purpose: for each invariant a break
//! that a run must find, or nobody watches it.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sv1::{FromServer, Notification, NotifyParts, parse_from_server};
use sv2::message::Message;
use sv2::messages::common::{Common, SetupConnection};
use sv2::messages::mining::{Mining, OpenMiningChannelError, SubmitSharesExtended};
use sv2::types::Str0_255;
use translate::{CloseReason, Delivery, Event, MinerId, Output, Refusal, Statistics, Translator};

use crate::simulation::conn::Wire;
use crate::simulation::{Invariant, Options};

/// Chances that pass between two breaks: not each share is doubled, so that the world goes on until somebody notices.
const EVERY: u64 = 3;

/// The seam of a world in which an invariant is to be broken.
#[derive(Debug)]
pub(in crate::simulation) struct Seam {
    breaks: Option<Invariant>,
    chances: u64,
    /// Outputs that go out before the translator's next.
    more: VecDeque<Output>,
    first_subscribe: Option<Vec<u8>>,
    /// Who the first own channel was for.
    first_user: Option<Str0_255>,
    /// A miner who got work, and the work that it got first.
    served: Option<(MinerId, Delivery)>,
    /// The block of the last work that went out.
    block: Option<[u8; 32]>,
    /// A notify that went out, and the last but one header time.
    notify: Option<Wire>,
}

impl Seam {
    /// The seam of a world.
    pub(in crate::simulation) fn new(options: Options) -> Self {
        Self {
            breaks: options.breaks,
            chances: 0,
            more: VecDeque::new(),
            first_subscribe: None,
            first_user: None,
            served: None,
            block: None,
            notify: None,
        }
    }

    /// Whether this is the time to break an invariant.
    fn strikes(&mut self, invariant: Invariant) -> bool {
        if self.breaks != Some(invariant) {
            return false;
        }
        self.chances += 1;
        self.chances.is_multiple_of(EVERY)
    }

    /// The next output, or what takes its place.
    pub(in crate::simulation) fn output(
        &mut self,
        now: Instant,
        brain: &mut Translator,
    ) -> Option<Output> {
        if let Some(output) = self.more.pop_front() {
            return Some(output);
        }
        let output = brain.poll_output()?;
        match output {
            Output::Send {
                message: Message::Mining(Mining::SubmitSharesExtended(_)),
                ..
            } => self.share(now, output, brain),
            Output::Send {
                upstream,
                message: Message::Mining(Mining::OpenExtendedMiningChannel(open)),
                ..
            } if open.min_extranonce_size > 32 && self.breaks == Some(Invariant::SilentIsLeft) => {
                // Answers in the place of an upstream that may be silent.
                let answer = OpenMiningChannelError {
                    request_id: open.request_id,
                    error_code: Str0_255::truncated("alive"),
                };
                brain.handle_message(now, upstream, answer.into());
                self.output(now, brain)
            }
            Output::Send { .. } => {
                let output = self.named_otherwise(output);
                Some(self.message(output))
            }
            Output::Deliver { miner, delivery } => self.delivery(now, (miner, delivery), brain),
            Output::HangUp { .. } if self.breaks == Some(Invariant::MovedForCause) => {
                let served = self.served.as_ref().map(|(miner, _)| *miner);
                self.more.extend(served.map(|miner| Output::Reconnect {
                    miner,
                    names_place: false,
                }));
                Some(output)
            }
            Output::HangUp { .. } if self.breaks == Some(Invariant::NoMinerPaysForPools) => {
                if let Some((miner, _)) = &self.served {
                    let reason = CloseReason::NoUpstream(0);
                    self.more.push_back(Output::CloseMiner {
                        miner: *miner,
                        reason,
                    });
                }
                Some(output)
            }
            Output::Dial {
                upstream,
                configured,
                ..
            } if upstream != configured && self.breaks == Some(Invariant::OwnChannelOpens) => {
                self.output(now, brain)
            }
            Output::Dial {
                upstream,
                configured,
                ..
            } if upstream == configured && self.strikes(Invariant::DialledForEver) => {
                self.output(now, brain)
            }
            Output::KeepBlock(_) if self.breaks == Some(Invariant::BlockKept) => {
                self.output(now, brain)
            }
            Output::Event(event) => Some(Output::Event(self.event(event))),
            output => Some(output),
        }
    }

    fn share(&mut self, now: Instant, output: Output, brain: &mut Translator) -> Option<Output> {
        if self.strikes(Invariant::ShareSent) {
            return self.output(now, brain);
        }
        let Output::Send {
            upstream,
            mut message,
            mut worker,
        } = output
        else {
            return None;
        };
        if self.strikes(Invariant::ShareSentOnce) {
            let message = message.clone();
            self.more.push_back(Output::Send {
                upstream,
                message,
                worker,
            });
        }
        if self.strikes(Invariant::WorkerNamed) {
            worker = sv2::tlv::UserIdentity::new("somebody");
        }
        if let Message::Mining(Mining::SubmitSharesExtended(share)) = &mut message
            && self.strikes(Invariant::ShareUnaltered)
        {
            share.nonce ^= 1;
        }
        Some(Output::Send {
            upstream,
            message,
            worker,
        })
    }

    /// Sets a connection up twice.
    fn message(&mut self, output: Output) -> Output {
        if let Output::Send {
            upstream,
            message: Message::Common(Common::SetupConnection(setup)),
            ..
        } = &output
            && self.breaks == Some(Invariant::PoolHasNoComplaint)
        {
            let again = SetupConnection {
                device_id: Str0_255::truncated("again"),
                ..setup.clone()
            };
            self.more.push_back(Output::Send {
                upstream: *upstream,
                message: again.into(),
                worker: None,
            });
        }
        output
    }

    /// Asks for a channel in another name.
    fn named_otherwise(&mut self, mut output: Output) -> Output {
        let Output::Send {
            message: Message::Mining(Mining::OpenExtendedMiningChannel(open)),
            ..
        } = &mut output
        else {
            return output;
        };
        match self.breaks {
            Some(Invariant::ChannelInOwnersName) => {
                open.user_identity = Str0_255::truncated("somebody");
            }
            Some(Invariant::NobodyElsesWork)
                if open.user_identity != Str0_255::truncated("farm") =>
            {
                let first = self
                    .first_user
                    .get_or_insert_with(|| open.user_identity.clone());
                open.user_identity = first.clone();
            }
            _ => {}
        }
        output
    }

    fn delivery(
        &mut self,
        now: Instant,
        (miner, delivery): (MinerId, Delivery),
        brain: &mut Translator,
    ) -> Option<Output> {
        let block = prev_hash(&delivery);
        let is_new = std::mem::replace(&mut self.block, block) != block;
        if is_new && self.served.is_some() && self.strikes(Invariant::WorkForAll) {
            return self.output(now, brain);
        }
        let (last, first) = self.served.get_or_insert_with(|| (miner, delivery.clone()));
        *last = miner;
        let first = first.clone();
        if self.strikes(Invariant::Bounded) {
            let more = (0..20_000).map(|_| Output::Deliver {
                miner,
                delivery: Delivery {
                    extranonce: None,
                    ..first.clone()
                },
            });
            self.more.extend(more);
        }
        Some(Output::Deliver { miner, delivery })
    }

    /// Tells another reason than the true one.
    fn event(&mut self, event: Event) -> Event {
        match event {
            Event::ShareRefused { worker, refusal }
                if self.breaks == Some(Invariant::RefusedForTrueReason) =>
            {
                let refusal = match refusal {
                    Refusal::Stale => Refusal::UnknownJob,
                    _ => Refusal::Stale,
                };
                Event::ShareRefused { worker, refusal }
            }
            event => event,
        }
    }

    /// The replies to one request, or others.
    pub(in crate::simulation) fn replies(&mut self, replies: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(replies).into_owned();
        let is_subscribe = text.contains("mining.notify");
        if is_subscribe && self.breaks == Some(Invariant::SpaceUnshared) {
            let first = self.first_subscribe.get_or_insert_with(|| replies.to_vec());
            return with_slot_of(&text, &String::from_utf8_lossy(first));
        }
        let served = self.served.is_some();
        if is_subscribe && served && self.breaks == Some(Invariant::MovedComesBack) {
            return with_longer_slot(&text);
        }
        if text.contains("\"error\":[") && self.strikes(Invariant::AcceptedIsGood) {
            let id = text.split(",\"").next().unwrap_or_default();
            return format!("{id},\"result\":true,\"error\":null}}\n").into_bytes();
        }
        if !is_subscribe && self.strikes(Invariant::RepliesInOrder) {
            return text.replacen("{\"id\":", "{\"id\":1", 1).into_bytes();
        }
        replies.to_vec()
    }

    /// Lines that are written to one miner at once, or others.
    pub(in crate::simulation) fn wires(&mut self, mut wires: Vec<Wire>) -> Vec<Wire> {
        if wires.iter().any(|wire| wire.answers_subscribe)
            && self.breaks == Some(Invariant::SubscribeFirst)
        {
            wires.splice(0..0, self.notify.clone());
        }
        let is_difficulty = |wire: &Wire| {
            matches!(
                &*wire.line,
                FromServer::Notification(Notification::SetDifficulty(_))
            )
        };
        if let Some(place) = wires.iter().position(is_difficulty)
            && self.strikes(Invariant::NewsBeforeNotify)
        {
            wires.insert(place, wires[place].clone());
        }
        for wire in &mut wires {
            if let FromServer::Notification(Notification::Notify(notify)) = &*Rc::clone(&wire.line)
            {
                self.alter(notify, wire);
                self.notify = Some(wire.clone());
            }
        }
        if self.strikes(Invariant::JobIdsFresh) {
            let continuing = |wire: &&Wire| matches!(&*wire.line, FromServer::Notification(Notification::Notify(it)) if !it.clean_jobs);
            let again = wires.iter().find(continuing).cloned();
            wires.extend(again);
        }
        wires
    }

    fn alter(&mut self, notify: &sv1::Notify, wire: &mut Wire) {
        let mut notify = notify.clone();
        if self.strikes(Invariant::WorkIsDealt) {
            notify.prev_hash[0] ^= 1;
        } else if !notify.clean_jobs && self.strikes(Invariant::NtimeRises) {
            notify.ntime -= 1_000;
        } else {
            return;
        }
        let parts = NotifyParts {
            job_id: notify.job_id,
            prev_hash: &notify.prev_hash,
            coinb1: &[&notify.coinb1],
            coinb2: &[&notify.coinb2],
            merkle_path: &notify.merkle_path,
            version: notify.version,
            nbits: notify.nbits,
            ntime: notify.ntime,
            clean_jobs: notify.clean_jobs,
        };
        let bytes = parts.encode();
        if let Ok(line) = parse_from_server(bytes.trim_ascii_end()) {
            wire.line = Rc::new(line);
            wire.bytes = bytes.into();
        }
    }

    /// Whether that is left out which would keep an invariant.
    pub(in crate::simulation) fn holds_back(&self, invariant: Invariant) -> bool {
        self.breaks == Some(invariant)
    }

    /// A share that leaves for a pool, already judged, or one that is altered.
    pub(in crate::simulation) fn leaves(&mut self, share: &mut SubmitSharesExtended) {
        if self.strikes(Invariant::PoolRefusesNothing) {
            share.ntime = 0;
        }
    }

    /// The translator's next timeout, or one in the past.
    pub(in crate::simulation) fn timeout(
        &self,
        now: Duration,
        due: Option<Duration>,
    ) -> Option<Duration> {
        match self.breaks {
            Some(Invariant::ClockMovesOn) if now > Duration::from_secs(30) => Some(now),
            _ => due,
        }
    }

    /// The translator's statistics, or wrong ones.
    pub(in crate::simulation) fn statistics(&self, mut statistics: Statistics) -> Statistics {
        if self.breaks == Some(Invariant::StatisticsAddUp) && statistics.shares_accepted > 10 {
            statistics.shares_accepted -= 1;
        }
        statistics
    }
}

/// The previous block's hash in work that goes out.
fn prev_hash(delivery: &Delivery) -> Option<[u8; 32]> {
    let line = delivery.notify.line(true).trim_ascii_end();
    match parse_from_server(line) {
        Ok(FromServer::Notification(Notification::Notify(notify))) => Some(notify.prev_hash),
        _ => None,
    }
}

/// A subscribe reply whose extranonce1 is longer than any pool has room for.
fn with_longer_slot(reply: &str) -> Vec<u8> {
    match reply.rsplit_once("\",") {
        Some((slot, size)) => format!("{slot}{}\",{size}", "00".repeat(12)).into_bytes(),
        None => reply.as_bytes().to_vec(),
    }
}

/// A subscribe reply with the extranonce1 of another, where that is as long.
fn with_slot_of(reply: &str, other: &str) -> Vec<u8> {
    let slot = |reply: &str| {
        let (before, _) = reply.rsplit_once("\",")?;
        let (_, slot) = before.rsplit_once('"')?;
        Some(slot.to_owned())
    };
    match (slot(reply), slot(other)) {
        (Some(own), Some(other)) if own.len() == other.len() => reply
            .replacen(&format!("\"{own}\","), &format!("\"{other}\","), 1)
            .into_bytes(),
        _ => reply.as_bytes().to_vec(),
    }
}
