//! What happened so far, in numbers. Counters only rise; the body shows them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use crate::config::ListenerId;
use crate::event::Event;
use crate::kept_block::KeptBlock;
use crate::latency::Latency;
use crate::meter::Meter;
use crate::miners::MinerId;
use crate::output::Output;
use crate::upstream::Outputs;

/// Error codes of an upstream that are counted each by itself; the rest together as `other`.
const MAX_ERROR_CODES: usize = 32;

/// Counters of the whole translator.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Miners that connected.
    pub miners_connected: u64,
    /// Miners that are connected now.
    pub miners: u64,
    /// Miners that subscribed and authorized and are connected now.
    pub miners_mining: u64,
    /// Sessions that miners resumed over another connection.
    pub sessions_resumed: u64,
    /// Miners whose extranonce was too long for the upstream, by what was done with them: `set-extranonce`, `reconnect`,
    /// `closed` (also those who did not follow a `reconnect`).
    pub miners_moved: BTreeMap<&'static str, u64>,
    /// Miners refused at SV1 mining.subscribe because no slot was left.
    pub subscribes_refused: u64,
    /// Shares that miners submitted.
    pub shares_submitted: u64,
    /// Shares that were good.
    pub shares_accepted: u64,
    /// Sum of the difficulties that miners were credited with.
    pub work_accepted: f64,
    /// Refused shares by reason.
    pub shares_rejected: BTreeMap<&'static str, u64>,
    /// How often limits on miners were met, by which: connections refused and closed, miners paused and slowed,
    /// addresses banned.
    pub limits_met: BTreeMap<&'static str, u64>,
    /// Blocks that miners solved.
    pub blocks_found: u64,
    /// Jobs that went out to miners, keepalives not counted.
    pub jobs: u64,
    /// Blocks that began while we watched.
    pub new_blocks: u64,
    /// Notifies that went out to keep miners from giving up.
    pub keepalives: u64,
    /// Estimated hashrate of all miners, in h/s.
    pub hashrate: f64,
    /// Accepted work of the whole farm, and refused shares.
    pub meter: Meter,
    /// How often miners were given to another upstream, by cause: `start` for the first, `failed` where theirs had no
    /// work any more, `late` where it missed a block, `preferred` where a preferred one was back.
    pub switches: BTreeMap<&'static str, u64>,
    /// Times that no upstream had work, the start not counted.
    pub outages: u64,
    /// Since when none has.
    pub outage_since: Option<Instant>,
    /// Each listener, by [`ListenerId`].
    pub listeners: Vec<ListenerStatistics>,
    /// How many miners work at which difficulty, the easiest first; as of the last look at all miners.
    pub difficulties: Vec<(f64, u64)>,
    /// Each upstream, in the order of the configuration; behind them those that are no longer configured, as long as their
    /// channels are open.
    pub upstreams: Vec<UpstreamStatistics>,
}

/// Counters of one listener.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListenerStatistics {
    /// Miners that connected.
    pub miners_connected: u64,
    /// Miners that are connected now.
    pub miners: u64,
}

/// How far a connection to an upstream has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum UpstreamState {
    /// It is not needed, or the next attempt is not due yet.
    #[default]
    Waiting,
    /// It is dialled.
    Dialling,
    /// The connection is set up.
    SettingUp,
    /// The channel is asked for.
    Opening,
    /// The channel is open and has no job yet.
    Open,
    /// There is work that nobody needs: it is held warm.
    Warm,
    /// It is known to have missed a block.
    Late,
    /// The miners work for it.
    Active,
}

impl UpstreamState {
    /// All of them, from the farthest to the best.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Dialling,
        Self::SettingUp,
        Self::Opening,
        Self::Open,
        Self::Warm,
        Self::Late,
        Self::Active,
    ];

    /// Gives its name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Dialling => "dialling",
            Self::SettingUp => "setting-up",
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Warm => "warm",
            Self::Late => "late",
            Self::Active => "active",
        }
    }
}

/// The last time that a connection to an upstream ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: Instant,
    /// Why, in words.
    pub words: String,
}

/// Counters of one upstream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UpstreamStatistics {
    /// The operator's name for it.
    pub name: String,
    /// How far its connection has come.
    pub state: UpstreamState,
    /// Whether the miners work for it.
    pub active: bool,
    /// Since when its channel is open, or is not.
    pub since: Option<Instant>,
    /// When it is dialled again.
    pub retry_at: Option<Instant>,
    /// Times that it was dialled.
    pub dials: u64,
    /// How often its connection ended or could not be made, by cause.
    pub failures: BTreeMap<&'static str, u64>,
    /// The last time.
    pub last_failure: Option<Failure>,
    /// Whether a channel is open now.
    pub open: bool,
    /// Channels opened so far.
    pub channels_opened: u64,
    /// Shares sent.
    pub shares_sent: u64,
    /// Shares that it acknowledged.
    pub shares_accepted: u64,
    /// Sum of the difficulties that it says that it credited.
    pub work_accepted: u64,
    /// Sum of the difficulties that the jobs of the acknowledged shares had.
    pub work_acknowledged: f64,
    /// The same over spans of time.
    pub meter: Meter,
    /// From a share that was sent to its answer.
    pub answers: Latency,
    /// Shares that it refused, by error code.
    pub shares_rejected: BTreeMap<String, u64>,
    /// Shares without an answer as their connection ended.
    pub shares_unanswered: u64,
    /// Blocks that it may not have: solved while its connection was gone, or sent and never answered.
    pub blocks_kept: u64,
    /// Times that it refused as much extranonce as was asked for.
    pub extranonce_refusals: u64,
    /// Blocks that another upstream had announced well before it.
    pub blocks_late: u64,
    /// Shares sent on the present connection that have no answer yet.
    pub shares_pending: u64,
    /// Present target of the channel, as a difficulty; 0 without a channel.
    pub difficulty: f64,
    /// Channels that are open now beside the farm's first one: of single accounts or miners, and further ones. The counters above hold theirs too.
    pub own_channels: u64,
}

/// What is known of one miner.
#[derive(Debug, Clone, PartialEq)]
pub struct MinerStatistics {
    /// Its connection.
    pub id: MinerId,
    /// The listener that it came to; `None` for the usual one.
    pub listener: Option<ListenerId>,
    /// When it connected.
    pub connected: Instant,
    /// How far it has come.
    pub state: MinerState,
    /// Shares per minute that it is to find.
    pub shares_per_minute: f64,
    /// What it achieved over this connection.
    pub meter: Meter,
    /// Name of the first authorized worker.
    pub worker: String,
    /// What the miner says of itself.
    pub user_agent: String,
    /// The firmware that it is known for.
    pub firmware: Option<&'static str>,
    /// Its address.
    pub peer: SocketAddr,
    /// The difficulty of its work.
    pub difficulty: f64,
    /// Estimated hashrate, in h/s.
    pub hashrate: f64,
}

/// How far a miner has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinerState {
    /// It has not subscribed and authorized.
    SettingUp,
    /// No upstream had work for it yet.
    WithoutWork,
    /// It works.
    Mining,
    /// It works and its shares are not looked at for now: nearly all were invalid.
    Paused,
}

impl UpstreamStatistics {
    /// Counts a block that the upstream may not have, and has it kept.
    pub(crate) fn keep_block(&mut self, block: Box<KeptBlock>, outputs: &mut Outputs) {
        self.blocks_kept += 1;
        outputs.push_back(Output::Event(Event::BlockKept {
            hash: block.hash,
            worker: block.worker.clone(),
            upstream: block.upstream.clone(),
            sent: block.sent,
        }));
        outputs.push_back(Output::KeepBlock(block));
    }

    /// Adds the counters of another connection to the same upstream.
    pub(crate) fn add(&mut self, other: &Self) {
        self.channels_opened += other.channels_opened;
        self.shares_sent += other.shares_sent;
        self.shares_accepted += other.shares_accepted;
        self.work_accepted = self.work_accepted.saturating_add(other.work_accepted);
        self.work_acknowledged += other.work_acknowledged;
        self.meter.add(&other.meter);
        self.answers.add(&other.answers);
        self.dials += other.dials;
        for (label, count) in &other.failures {
            *self.failures.entry(label).or_default() += count;
        }
        self.shares_unanswered += other.shares_unanswered;
        self.blocks_kept += other.blocks_kept;
        self.shares_pending += other.shares_pending;
        for (code, count) in &other.shares_rejected {
            *self.shares_rejected.entry(code.clone()).or_default() += count;
        }
    }

    /// Counts a refusal by the pool; what it may name is bounded.
    pub(crate) fn count_rejection(&mut self, error_code: &str) {
        let known = self.shares_rejected.contains_key(error_code);
        let room = self.shares_rejected.len() < MAX_ERROR_CODES;
        let code = if known || room { error_code } else { "other" };
        *self.shares_rejected.entry(code.to_owned()).or_default() += 1;
    }
}
