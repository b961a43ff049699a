//! An upstream: the story of its connection from the first dial to the open channel, and again after every fault.
//!
//! ```text
//! Waiting ─► Dialling ─► SettingUp ─► Negotiating ─► Opening ─► Open
//!    ▲                                                            │
//!    └────────────────────── any fault ◄──────────────────────────┘
//! ```
//!
//! `Stopped` is the end of it.

mod channel;
mod fault;
mod leaving;
mod pulse;
mod remarks;
mod setup;

pub(crate) use channel::{Channel, News, Tidings};
pub use fault::{Fault, Violation};
pub(crate) use leaving::RETIREMENT;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sv2::bitcoin::{BlockHash, Hashrate, Target};
use sv2::message::Message;
use sv2::messages::common::Common;
use sv2::messages::mining::{CloseChannel, Mining};
use sv2::types::{RequestId, Str0_255};

use crate::backoff::Backoff;
use crate::config::{Config, UpstreamConfig};
use crate::event::Event;
use crate::job::Job;
use crate::layout::{Layout, Page};
use crate::output::Output;
use crate::statistics::{Failure, UpstreamState, UpstreamStatistics};

use self::pulse::Patience;
use self::remarks::Remarks;
use self::setup::Opening;

/// An upstream by its number: at the start its place in the configuration. One that is configured later gets a number
/// that no other had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub usize);

/// One connection to an upstream: jobs and shares belong to it, not to its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionId {
    pub(crate) upstream: UpstreamId,
    /// The configured upstream that it goes to, which stays when a connection of a lane's is gone.
    pub(crate) configured: UpstreamId,
    number: u64,
}

/// Things to do, in order.
pub(crate) type Outputs = VecDeque<Output>;

/// How long to wait for an answer to `RequestExtensions`: a server that does not know it stays silent.
const EXTENSIONS_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a channel must have given work to count as healthy: the pauses start over, and a preferred upstream takes
/// the miners back. A pool that restarts over and over does not pass for healthy in between.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// Host and port.
type Place = (String, u16);

#[derive(Debug)]
enum State {
    Waiting {
        until: Instant,
        /// Where the upstream asked us to go (SV2 §3.6.5).
        redirect: Option<Place>,
    },
    Dialling,
    SettingUp {
        deadline: Instant,
    },
    Negotiating {
        deadline: Instant,
    },
    Opening {
        deadline: Instant,
        worker_names: bool,
        /// Bytes of extranonce that were asked for.
        asked: u16,
    },
    Open(Box<Channel>),
    Stopped,
}

/// What the farm is to tell an upstream of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    /// Hashrate of all miners; zero while there is none.
    pub(crate) hashrate: Hashrate,
    /// The easiest target that would not lose or flood.
    pub(crate) max_target: Target,
}

/// One upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    id: UpstreamId,
    /// Whose place and key it has: itself, but for the connection of a lane.
    configured: UpstreamId,
    config: UpstreamConfig,
    asks_worker_names: bool,
    /// What is asked for: room for the usual layout.
    layout: Layout,
    /// The slots that its channel is for, where it has room for a page only.
    page: Page,
    /// Whether the server refused a channel since it last opened one.
    refuses_channel: bool,
    setup_timeout: Duration,
    patience: Patience,
    remarks: Remarks,
    state: State,
    backoff: Backoff,
    connections: u64,
    requests: u32,
    /// Whether it is no longer configured.
    leaves: bool,
    /// When its channel is closed then; `None` while its miners have nowhere else to go.
    retires: Option<Instant>,
    /// Where the present connection goes.
    place: Place,
    /// The server refused the flag REQUIRES_VERSION_ROLLING.
    without_version_rolling: bool,
    /// The server takes no change to the version field.
    fixed_version: bool,
    /// The last connection ended over RequestExtensions, so the next one does without.
    without_extensions: bool,
    pub(crate) statistics: UpstreamStatistics,
}

impl Upstream {
    /// Makes an upstream that is dialled at the first timeout.
    pub(crate) fn new(
        now: Instant,
        id: UpstreamId,
        config: &UpstreamConfig,
        all: &Config,
        seed: u64,
    ) -> Self {
        let extranonce2_size = all.extranonce2_size;
        Self {
            id,
            configured: id,
            config: config.clone(),
            asks_worker_names: all.worker_names,
            layout: Layout::Usual { extranonce2_size },
            page: Page::FIRST,
            refuses_channel: false,
            setup_timeout: all.upstream_setup_timeout,
            patience: Patience {
                probe_after: all.upstream_probe_after,
                probe_timeout: all.upstream_probe_timeout,
            },
            remarks: Remarks::new(now),
            state: State::Waiting {
                until: now,
                redirect: None,
            },
            backoff: Backoff::new(all.retry_min, all.retry_max, seed),
            connections: 0,
            requests: 0,
            leaves: false,
            retires: None,
            place: (config.host.clone(), config.port),
            without_version_rolling: false,
            fixed_version: false,
            without_extensions: false,
            statistics: UpstreamStatistics {
                name: config.name.clone(),
                since: Some(now),
                ..Default::default()
            },
        }
    }

    /// Makes this a lane's connection to a configured upstream, with connections numbered from here on.
    pub(crate) fn become_own(&mut self, configured: UpstreamId, connections: u64, page: Page) {
        self.configured = configured;
        self.connections = connections;
        self.page = page;
    }

    /// Tells whether its channel is a further one of the farm's.
    pub(crate) fn is_further(&self) -> bool {
        self.page != Page::FIRST
    }

    /// Tells whether the server refused a channel, or a useful one, and has opened none since.
    pub(crate) fn refuses_channel(&self) -> bool {
        self.refuses_channel
    }

    /// Tells whether the channel is on its way: dialled or asked for.
    pub(crate) fn is_opening(&self) -> bool {
        !self.is_waiting() && self.channel().is_none()
    }

    pub(crate) fn config(&self) -> &UpstreamConfig {
        &self.config
    }

    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    pub(crate) fn id(&self) -> UpstreamId {
        self.id
    }

    /// Tells whether there is no connection, nor one on its way.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. } | State::Stopped)
    }

    /// Gives the job that miners can work on.
    pub(crate) fn current_job(&self) -> Option<&Arc<Job>> {
        self.channel().and_then(Channel::current)
    }

    /// Tells whether there is a job that miners can work on.
    pub(crate) fn works(&self) -> bool {
        self.current_job().is_some()
    }

    /// Tells whether there is a job that miners with layouts of up to `longest` bytes can work on.
    pub(crate) fn works_for(&self, longest: u16) -> bool {
        let job = self.current_job();
        job.is_some_and(|job| job.dealt.room.layout.size() >= longest)
    }

    /// Tells whether it is known to have missed a block.
    pub(crate) fn is_late(&self) -> bool {
        self.channel().is_some_and(Channel::is_late)
    }

    /// Notes that it misses a block, by the word of another upstream.
    pub(crate) fn mark_late(&mut self, accuser: UpstreamId, block: BlockHash) {
        if let State::Open(channel) = &mut self.state {
            channel.mark_late(accuser, block);
        }
    }

    /// Gives what came of the last block that it went on to, once.
    pub(crate) fn take_tidings(&mut self) -> Option<Tidings> {
        match &mut self.state {
            State::Open(channel) => channel.take_tidings(),
            _ => None,
        }
    }

    /// Tells whether the upstream has given work for long enough to be trusted with the miners.
    pub(crate) fn is_healthy(&self, now: Instant) -> bool {
        let since = self.channel().and_then(Channel::working_since);
        !self.is_late()
            && since.is_some_and(|since| now.saturating_duration_since(since) >= HEALTHY_AFTER)
    }

    /// Tells whether a preferred upstream takes the miners: once it is healthy, or at once where it never failed, so
    /// that a start is no race.
    pub(crate) fn takes_miners(&self, now: Instant) -> bool {
        let never_failed = self.connections == 1 && self.statistics.blocks_late == 0;
        (never_failed && self.works()) || self.is_healthy(now)
    }

    /// Gives the open channel.
    pub(crate) fn channel(&self) -> Option<&Channel> {
        match &self.state {
            State::Open(channel) => Some(channel),
            _ => None,
        }
    }

    /// Gives the channel that a job was dealt on, where it is still open.
    pub(crate) fn channel_of(
        &mut self,
        connection: ConnectionId,
    ) -> Option<(&mut Channel, &mut UpstreamStatistics)> {
        match &mut self.state {
            State::Open(channel) if channel.connection() == connection => {
                Some((channel, &mut self.statistics))
            }
            _ => None,
        }
    }

    /// Tells when [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until, .. } => Some(*until),
            // The body bounds how long connecting takes.
            State::Dialling | State::Stopped => None,
            State::SettingUp { deadline }
            | State::Negotiating { deadline }
            | State::Opening { deadline, .. } => Some(*deadline),
            State::Open(channel) => channel.timeout(self.patience),
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, demand: Demand, outputs: &mut Outputs) {
        match &mut self.state {
            State::Waiting { until, redirect } if *until <= now => {
                let redirect = redirect.take();
                self.dial(redirect, outputs);
            }
            State::SettingUp { deadline } if *deadline <= now => {
                self.fail(now, Fault::NoAnswer("SetupConnection"), None, outputs);
            }
            State::Negotiating { deadline } if *deadline <= now => {
                self.open_channel(now, demand, false, outputs);
            }
            State::Opening { deadline, .. } if *deadline <= now => {
                self.fail(
                    now,
                    Fault::NoAnswer("OpenExtendedMiningChannel"),
                    None,
                    outputs,
                );
            }
            State::Open(_) => self.watch(now, outputs),
            _ => {}
        }
    }

    fn dial(&mut self, redirect: Option<Place>, outputs: &mut Outputs) {
        self.state = State::Dialling;
        self.connections += 1;
        self.statistics.dials += 1;
        let configured = || (self.config.host.clone(), self.config.port);
        self.place = redirect.clone().unwrap_or_else(configured);
        outputs.push_back(Output::Dial {
            upstream: self.id,
            configured: self.configured,
            redirect,
        });
    }

    /// The body connected and shook hands.
    pub(crate) fn handle_connected(&mut self, now: Instant, outputs: &mut Outputs) {
        if !matches!(self.state, State::Dialling) {
            return;
        }
        self.state = State::SettingUp {
            deadline: now + self.setup_timeout,
        };
        let message = self.setup_connection();
        self.send(message.into(), outputs);
    }

    /// The body lost the connection, or never had one.
    pub(crate) fn handle_lost(&mut self, now: Instant, words: String, outputs: &mut Outputs) {
        if self.is_waiting() {
            return;
        }
        if matches!(self.state, State::Negotiating { .. }) {
            self.without_extensions = true;
        }
        self.wait(now, Fault::ConnectionLost(words), None, outputs);
    }

    /// Takes a message; what it means for miners comes back.
    pub(crate) fn handle_message(
        &mut self,
        now: Instant,
        message: Message,
        demand: Demand,
        outputs: &mut Outputs,
    ) -> News {
        if let State::Open(channel) = &mut self.state {
            channel.pulse.hear(now);
        }
        match self.take_message(now, message, demand, outputs) {
            Ok(news) => news,
            Err(fault) => {
                self.fail(now, fault, None, outputs);
                News::Nothing
            }
        }
    }

    fn take_message(
        &mut self,
        now: Instant,
        message: Message,
        demand: Demand,
        outputs: &mut Outputs,
    ) -> Result<News, Fault> {
        match message {
            // A message of an unknown extension is to be ignored (SV2 §3.4.1).
            Message::Unknown(_) => {}
            Message::Common(Common::Reconnect(reconnect)) => {
                self.reconnect(now, &reconnect, outputs)
            }
            message => match &mut self.state {
                // What was on its way as we hung up.
                State::Waiting { .. } | State::Dialling | State::Stopped => {}
                State::SettingUp { .. } => {
                    self.take_setup_answer(now, &message, demand, outputs)?
                }
                State::Negotiating { .. } => {
                    self.take_extensions(now, &message, demand, outputs)?
                }
                State::Opening {
                    worker_names,
                    asked,
                    ..
                } => {
                    let opening = Opening {
                        worker_names: *worker_names,
                        asked: *asked,
                        demand,
                    };
                    self.take_open_answer(now, message, opening, outputs)?;
                    if self.channel().is_some() {
                        return Ok(News::Opened);
                    }
                }
                State::Open(_) => return self.take_channel_message(now, message, outputs),
            },
        }
        Ok(News::Nothing)
    }

    fn take_channel_message(
        &mut self,
        now: Instant,
        message: Message,
        outputs: &mut Outputs,
    ) -> Result<News, Fault> {
        let State::Open(channel) = &mut self.state else {
            return Ok(News::Nothing);
        };
        let Message::Mining(message) = message else {
            // Late answers of the negotiation and changes of a channel's end tell us nothing.
            return Ok(News::Nothing);
        };
        if let Mining::OpenExtendedMiningChannelSuccess(success) = &message {
            self.close_unwanted(success.channel_id, outputs);
            return Ok(News::Nothing);
        }
        let addressed = channel::addressed_channel(&message);
        if let Some(addressed) = addressed.filter(|id| !channel.is_addressed_by(*id)) {
            return match channel.was_addressed_by(addressed) {
                true => Ok(News::Nothing),
                false => Err(Violation::UnknownChannel {
                    message: message.name(),
                    channel: addressed,
                }
                .into()),
            };
        }
        let mut told = channel::Told {
            now,
            upstream: &self.config.name,
            statistics: &mut self.statistics,
            remarks: &mut self.remarks,
            outputs,
        };
        channel.handle_message(now, message, &mut told)
    }

    /// Tells the upstream of the farm where that is due.
    pub(crate) fn announce(&mut self, now: Instant, demand: Demand, outputs: &mut Outputs) {
        let State::Open(channel) = &mut self.state else {
            return;
        };
        let Some(update) = channel.update(now, demand) else {
            return;
        };
        let hashrate = demand.hashrate;
        outputs.push_back(Output::Event(Event::HashrateAnnounced {
            upstream: self.config.name.clone(),
            hashrate,
        }));
        self.send(update.into(), outputs);
        // With miners at stake, its silence so far may be too long already.
        self.watch(now, outputs);
    }

    /// Ends the channel in an orderly way, for good.
    pub(crate) fn stop(&mut self, reason: Fault, outputs: &mut Outputs) {
        if let State::Open(channel) = &self.state {
            let reason_code = Str0_255::truncated(match reason {
                Fault::Stopping => "proxy-stopped",
                _ => "not-needed",
            });
            let message = CloseChannel {
                channel_id: channel.id(),
                reason_code,
            };
            self.send(message.into(), outputs);
        }
        if !self.is_waiting() {
            outputs.push_back(Output::HangUp {
                upstream: self.id,
                reason,
            });
        }
        self.end_channel(outputs);
        self.state = State::Stopped;
    }

    /// Hangs up because of a fault, then waits.
    fn fail(&mut self, now: Instant, fault: Fault, redirect: Option<Place>, outputs: &mut Outputs) {
        outputs.push_back(Output::HangUp {
            upstream: self.id,
            reason: fault.clone(),
        });
        self.wait(now, fault, redirect, outputs);
    }

    fn wait(&mut self, now: Instant, fault: Fault, redirect: Option<Place>, outputs: &mut Outputs) {
        let healthy = self.is_healthy(now);
        if healthy {
            self.backoff.reset();
        }
        self.refuses_channel |= fault.is_refusal();
        if self.statistics.open {
            self.statistics.since = Some(now);
        }
        let unanswered = self.end_channel(outputs);
        self.note_failure(now, &fault);
        // A healthy upstream that sends us elsewhere is followed at once; one that does nothing else is not.
        let retry_in = match healthy && redirect.is_some() {
            true => Duration::ZERO,
            false => self.backoff.pause(),
        };
        self.state = State::Waiting {
            until: now + retry_in,
            redirect,
        };
        let upstream = self.config.name.clone();
        outputs.push_back(Output::Event(Event::UpstreamFailed {
            upstream,
            fault,
            unanswered,
            retry_in: (!self.leaves).then_some(retry_in),
        }));
    }

    fn note_failure(&mut self, now: Instant, fault: &Fault) {
        let failures = &mut self.statistics.failures;
        *failures.entry(fault.label()).or_default() += 1;
        self.statistics.last_failure = Some(Failure {
            at: now,
            words: fault.to_string(),
        });
    }

    /// Tells how far the connection has come; `active` says whether the miners work for it.
    fn state(&self, active: bool) -> UpstreamState {
        match &self.state {
            State::Waiting { .. } | State::Stopped => UpstreamState::Waiting,
            State::Dialling => UpstreamState::Dialling,
            State::SettingUp { .. } | State::Negotiating { .. } => UpstreamState::SettingUp,
            State::Opening { .. } => UpstreamState::Opening,
            State::Open(channel) if channel.current().is_none() => UpstreamState::Open,
            State::Open(channel) if channel.is_late() => UpstreamState::Late,
            State::Open(_) if active => UpstreamState::Active,
            State::Open(_) => UpstreamState::Warm,
        }
    }

    /// Gives its counters as they stand.
    pub(crate) fn statistics(&self, active: bool) -> UpstreamStatistics {
        let mut statistics = self.statistics.clone();
        statistics.state = self.state(active);
        statistics.active = active;
        statistics.retry_at = match &self.state {
            State::Waiting { until, .. } => Some(*until),
            _ => None,
        };
        statistics
    }

    /// Counts what ends with the channel; gives the number of shares without an answer.
    fn end_channel(&mut self, outputs: &mut Outputs) -> u64 {
        let unanswered = self.channel().map_or(0, Channel::unanswered);
        self.statistics.open = false;
        self.statistics.difficulty = 0.0;
        self.statistics.shares_pending = 0;
        self.statistics.shares_unanswered += unanswered;
        if let State::Open(channel) = &mut self.state {
            for block in channel.take_unanswered_blocks() {
                self.statistics.keep_block(block, outputs);
            }
        }
        unanswered
    }

    fn send(&self, message: Message, outputs: &mut Outputs) {
        outputs.push_back(Output::Send {
            upstream: self.id,
            message,
            worker: None,
        });
    }

    fn remark(&self, remark: String, outputs: &mut Outputs) {
        let upstream = self.config.name.clone();
        outputs.push_back(Output::Event(Event::UpstreamRemark { upstream, remark }));
    }

    fn next_request(&mut self) -> RequestId {
        self.requests = self.requests.wrapping_add(1);
        RequestId(self.requests)
    }

    fn connection(&self) -> ConnectionId {
        ConnectionId {
            upstream: self.id,
            configured: self.configured,
            number: self.connections,
        }
    }
}
