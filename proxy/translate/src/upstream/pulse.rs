//! Signs of life of an open connection. Sv2 has no ping, and a pool may leave shares unanswered for ever, so a silent
//! upstream is asked for a channel that it must refuse: one with more extranonce than a coinbase can hold (SV2 §5.3.4).
//!
//! Any frame proves life. The reference pool checks the extranonce before it makes a channel and answers
//! `min-extranonce-size-too-large`; so does our own small pool. Neither keeps anything of such a request.

use std::time::{Duration, Instant};

use sv2::messages::mining::{CloseChannel, OpenExtendedMiningChannel};
use sv2::types::{B0_32, ChannelId, Str0_255, U256};

use super::{Channel, Fault, Outputs, State, Upstream};
use crate::event::Event;
use crate::output::Output;

/// Extranonce that no channel can give: one byte more than the longest.
#[expect(
    clippy::cast_possible_truncation,
    reason = "33 fits, and a constant cannot convert"
)]
const IMPOSSIBLE_EXTRANONCE: u16 = B0_32::MAX_LEN as u16 + 1;

/// How much longer an upstream may be silent that nobody mines for. A warm one that died is known for dead within a
/// minute, and one that is silent as the miners come is asked at once.
const IDLE_FACTOR: u32 = 3;

/// How long a silence may last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Silence after which an upstream is asked for a sign of life.
    pub(super) probe_after: Duration,
    /// Time for the answer.
    pub(super) probe_timeout: Duration,
}

impl Patience {
    /// Gives what an upstream is allowed that nobody mines for.
    pub(super) fn while_idle(self) -> Self {
        Self {
            probe_after: self.probe_after * IDLE_FACTOR,
            ..self
        }
    }
}

/// What a silence leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing yet.
    Steady,
    /// The upstream is to be asked; for how long it has been silent.
    Probe(Duration),
    /// It did not answer; for how long it has been silent.
    Dead(Duration),
}

/// When an upstream was last heard, and whether it was asked since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pulse {
    heard: Instant,
    probed: Option<Instant>,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            heard: now,
            probed: None,
        }
    }

    /// Notes a frame, whatever it says.
    pub(super) fn hear(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// Tells when [`beat`](Self::beat) has something to say.
    pub(super) fn due(&self, patience: Patience) -> Instant {
        match self.probed {
            Some(probed) => probed + patience.probe_timeout,
            None => self.heard + patience.probe_after,
        }
    }

    /// Tells whether an answer is awaited.
    pub(super) fn is_asked(&self) -> bool {
        self.probed.is_some()
    }

    pub(super) fn beat(&mut self, now: Instant, patience: Patience) -> Beat {
        let silence = now.saturating_duration_since(self.heard);
        if now < self.due(patience) {
            return Beat::Steady;
        }
        match self.probed {
            Some(_) => Beat::Dead(silence),
            None => {
                self.probed = Some(now);
                Beat::Probe(silence)
            }
        }
    }
}

impl Upstream {
    /// Looks after an open channel: is the upstream alive, and is there work?
    pub(super) fn watch(&mut self, now: Instant, outputs: &mut Outputs) {
        let patience = self.patience;
        let State::Open(channel) = &mut self.state else {
            return;
        };
        if channel.first_job_due().is_some_and(|due| due <= now) {
            return self.fail(now, Fault::NoJob, None, outputs);
        }
        match channel.beat(now, patience) {
            Beat::Steady => {}
            Beat::Probe(silence) => self.probe(silence, outputs),
            Beat::Dead(silence) => {
                self.fail(now, Fault::Silent(silence.as_secs()), None, outputs);
            }
        }
    }

    /// Tells whether the upstream was heard lately enough to be given the miners; asks it where not.
    pub(crate) fn is_awake(&mut self, now: Instant, outputs: &mut Outputs) -> bool {
        let patience = self.patience;
        let State::Open(channel) = &mut self.state else {
            return false;
        };
        match channel.pulse.beat(now, patience) {
            Beat::Steady => !channel.pulse.is_asked(),
            Beat::Probe(silence) => {
                self.probe(silence, outputs);
                false
            }
            // What follows is up to the next look at it, which is due now.
            Beat::Dead(_) => false,
        }
    }

    /// Asks for a channel that must be refused. It bears the channel's own identity: pools pay by it, and some pay
    /// whoever was named last.
    fn probe(&mut self, silence: Duration, outputs: &mut Outputs) {
        let Some(demand) = self.channel().map(Channel::announced) else {
            return;
        };
        let message = OpenExtendedMiningChannel {
            request_id: self.next_request(),
            user_identity: Str0_255::truncated(&self.config.user),
            nominal_hash_rate: demand.hashrate.to_f32(),
            max_target: U256(demand.max_target.to_le_bytes()),
            min_extranonce_size: IMPOSSIBLE_EXTRANONCE,
        };
        self.send(message.into(), outputs);
        outputs.push_back(Output::Event(Event::UpstreamProbed {
            upstream: self.config.name.clone(),
            silence,
        }));
    }

    /// Closes a channel that was opened where it had to be refused.
    pub(super) fn close_unwanted(&mut self, channel_id: ChannelId, outputs: &mut Outputs) {
        let State::Open(channel) = &mut self.state else {
            return;
        };
        // Said twice, the answer to our own request is still no other channel.
        if channel.is_addressed_by(channel_id) {
            return;
        }
        channel.forget(channel_id);
        let reason_code = Str0_255::truncated("not-needed");
        let message = CloseChannel {
            channel_id,
            reason_code,
        };
        self.send(message.into(), outputs);
    }
}
