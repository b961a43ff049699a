//! Upstream jobs: as dealt, and as active once their block is known (SV2 §5.3.16, §5.3.17).

use std::time::Instant;

use sv2::bitcoin::{BlockHash, CoinbasePrefix, Difficulty, Header, Target, merkle_root};
use sv2::messages::mining::NewExtendedMiningJob;
use sv2::types::{B0_32, ChannelId, JobId};

use crate::layout::{Layout, Room};
use crate::slot::Slot;
use crate::upstream::ConnectionId;

/// How far a header's time may run ahead of `min_ntime`: Bitcoin's MAX_FUTURE_BLOCK_TIME, in s.
pub(crate) const MAX_NTIME_AHEAD: u32 = 7_200;

/// A job as dealt, with the extranonce layout that it will be worked on with.
#[derive(Debug)]
pub(crate) struct DealtJob {
    pub(crate) id: JobId,
    pub(crate) version: u32,
    pub(crate) version_rolling_allowed: bool,
    pub(crate) merkle_path: Box<[[u8; 32]]>,
    /// The coinbase up to what is a miner's: coinbase_tx_prefix ‖ extranonce_prefix ‖ zeros.
    pub(crate) coinbase_start: Box<[u8]>,
    /// The coinbase behind extranonce2.
    pub(crate) coinbase_end: Box<[u8]>,
    /// Hash state after `coinbase_start`.
    midstate: CoinbasePrefix,
    /// What is ours of the channel's extranonce.
    pub(crate) room: Room,
}

impl DealtJob {
    /// Lays out the extranonce: `extranonce_prefix` is the one in force as the job arrives (SV2 §5.3.10).
    /// `fixed_version` says that the upstream takes no change to the version, whatever the job says.
    pub(crate) fn new(
        message: NewExtendedMiningJob,
        extranonce_prefix: &[u8],
        room: Room,
        fixed_version: bool,
    ) -> Self {
        let padding = vec![0; room.zeros()];
        let prefix: &[u8] = &message.coinbase_tx_prefix;
        let coinbase_start: Box<[u8]> = [prefix, extranonce_prefix, &padding].concat().into();
        Self {
            id: message.job_id,
            version: message.version,
            version_rolling_allowed: message.version_rolling_allowed && !fixed_version,
            merkle_path: message.merkle_path.iter().map(|hash| hash.0).collect(),
            midstate: CoinbasePrefix::new(&[&coinbase_start]),
            coinbase_start,
            coinbase_end: message.coinbase_tx_suffix.into_vec().into(),
            room,
        }
    }
}

/// The block that is being built on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tip {
    pub(crate) prev_hash: BlockHash,
    pub(crate) nbits: u32,
    pub(crate) network_target: Target,
}

/// A job that miners can work on.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) dealt: DealtJob,
    pub(crate) tip: Tip,
    /// Smallest header time, in s since epoch.
    pub(crate) min_ntime: u32,
    /// When `min_ntime` came.
    pub(crate) active_since: Instant,
    /// The channel's target as the job became active; it stays (SV2 §5.3.21).
    pub(crate) target: Target,
    /// The hardest difficulty at which no share is lost that the pool pays for by `target`.
    pub(crate) ceiling: Difficulty,
    /// `target` as a difficulty: what a share of it is worth upstream.
    pub(crate) worth: f64,
    /// Whose job it is.
    pub(crate) connection: ConnectionId,
    /// The channel that it was dealt on.
    pub(crate) channel_id: ChannelId,
    /// Counts the blocks of that connection: a job of an earlier one is stale.
    pub(crate) block: u64,
}

impl Job {
    /// The header time for a notify: seconds that passed since `min_ntime` came are added to it, whatever the
    /// wall clock says, and it stops short of what the network would take for the future.
    pub(crate) fn ntime_at(&self, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(self.active_since).as_secs();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.min_ntime
            .saturating_add(passed)
            .min(self.latest_ntime())
    }

    /// Tells whether shares of this job still count once `next` is dealt on the same connection.
    pub(crate) fn stays_beside(&self, next: &Self) -> bool {
        self.block == next.block && self.dealt.id != next.dealt.id
    }

    /// The last header time for a notify.
    pub(crate) fn latest_ntime(&self) -> u32 {
        self.min_ntime.saturating_add(MAX_NTIME_AHEAD - 1)
    }

    /// Gives what stands between `coinbase_start` and the slot of a miner with a layout; `None` where that has no room.
    pub(crate) fn padding(&self, layout: Layout) -> Option<&'static [u8]> {
        self.dealt.room.padding(layout)
    }

    /// Gives the header that a miner with `slot` found; `None` where the job has no room for its layout.
    pub(crate) fn header(
        &self,
        slot: Slot,
        extranonce2: &[u8],
        fields: RolledFields,
    ) -> Option<Header> {
        let padding = self.padding(slot.layout())?;
        let end = &self.dealt.coinbase_end;
        let rest = [padding, slot.as_bytes(), extranonce2, end];
        let txid = self.dealt.midstate.txid(&rest);
        Some(Header {
            version: fields.version,
            prev_hash: self.tip.prev_hash,
            merkle_root: merkle_root(txid, &self.dealt.merkle_path),
            ntime: fields.ntime,
            nbits: self.tip.nbits,
            nonce: fields.nonce,
        })
    }

    /// Gives the coinbase of a share, without witness; `None` where there is no room for the layout.
    pub(crate) fn coinbase(&self, slot: Slot, extranonce2: &[u8]) -> Option<Vec<u8>> {
        let padding = self.padding(slot.layout())?;
        let (start, end) = (&*self.dealt.coinbase_start, &*self.dealt.coinbase_end);
        Some([start, padding, slot.as_bytes(), extranonce2, end].concat())
    }

    /// Gives the channel's extranonce for a share: zeros, the last of which may be the slot's page ‖ slot ‖ extranonce2;
    /// `None` where there is no room for it.
    pub(crate) fn extranonce(&self, slot: Slot, extranonce2: &[u8]) -> Option<B0_32> {
        let zeros = B0_32::zeros(self.dealt.room.zeros()).ok()?;
        let start = zeros.join(self.padding(slot.layout())?).ok()?;
        start.join(slot.as_bytes()).ok()?.join(extranonce2).ok()
    }
}

/// What a miner rolls in the header itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RolledFields {
    pub(crate) version: u32,
    pub(crate) ntime: u32,
    pub(crate) nonce: u32,
}
