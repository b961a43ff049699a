//! A solved block that its upstream may not have: all that we know of it, so that it can be rebuilt.
//!
//! The other transactions of the block are known to the upstream alone; it finds them by the job.

use std::time::Duration;

use sv2::bitcoin::BlockHash;
use sv2::types::{B0_32, ChannelId, JobId};

/// A solved block, to be kept where a restart does not lose it.
///
/// On an easy network there may be any number of them: who keeps them sets a bound. The same block may come twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBlock {
    /// The block's hash.
    pub hash: BlockHash,
    /// The 80 bytes that were hashed: version, hash of the block before, merkle root, ntime, nbits, nonce.
    pub header: [u8; 80],
    /// The whole coinbase transaction as its txid hashes it: without the marker, flag and witness of BIP-0141.
    pub coinbase: Vec<u8>,
    /// Hashes from the coinbase up to the merkle root, in wire order.
    pub merkle_path: Vec<[u8; 32]>,
    /// Name of the upstream whose job it is.
    pub upstream: String,
    /// The channel that the job was dealt on.
    pub channel_id: ChannelId,
    /// The upstream's id of the job.
    pub job_id: JobId,
    /// The extranonce as SV2 SubmitSharesExtended bears it, without the channel's prefix.
    pub extranonce: B0_32,
    /// The worker who found it.
    pub worker: String,
    /// Smallest header time of the job, in s since epoch.
    pub min_ntime: u32,
    /// Header time of the block, in s since epoch.
    pub ntime: u32,
    /// How long the job had been active as the block came.
    pub job_age: Duration,
    /// Whether it was sent to the upstream, which never answered; else the connection had ended before.
    pub sent: bool,
}
