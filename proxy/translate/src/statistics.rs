//! What happened so far, in numbers. Counters only rise; the body shows them.

use std::collections::BTreeMap;

use crate::event::Event;
use crate::kept_block::KeptBlock;
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
    /// Each upstream, in the order of the configuration.
    pub upstreams: Vec<UpstreamStatistics>,
}

/// Counters of one upstream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UpstreamStatistics {
    /// The operator's name for it.
    pub name: String,
    /// Whether a channel is open now.
    pub open: bool,
    /// Channels opened so far.
    pub channels_opened: u64,
    /// Shares sent.
    pub shares_sent: u64,
    /// Shares that it acknowledged.
    pub shares_accepted: u64,
    /// Sum of the difficulties that it acknowledged.
    pub work_accepted: u64,
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
    /// Name of the first authorized worker.
    pub worker: String,
    /// What the miner says of itself.
    pub user_agent: String,
    /// The firmware that it is known for.
    pub firmware: Option<&'static str>,
    /// Its address.
    pub peer: std::net::SocketAddr,
    /// The difficulty of its work.
    pub difficulty: f64,
    /// Estimated hashrate, in h/s.
    pub hashrate: f64,
    /// Shares that were good.
    pub shares_accepted: u64,
    /// Shares that were refused.
    pub shares_rejected: u64,
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
