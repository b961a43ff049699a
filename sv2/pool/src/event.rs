//! What happened, for tests and logs that watch from beside.

use std::sync::Arc;
use std::time::Instant;

use sv2::bitcoin::{BlockHash, Target};
use sv2::messages::mining::SubmitSharesExtended;
use sv2::tlv::UserIdentity;
use sv2::types::{B0_32, ChannelId, JobId, SequenceNumber, Str0_255};

use crate::job::{Job, Tip};
use crate::outbox::ConnectionId;
use crate::share::Refusal;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PoolEvent {
    /// A connection was set up.
    SetUp {
        /// The connection.
        connection: ConnectionId,
        /// Flags of its `SetupConnection`.
        flags: u32,
        /// Maker of the client.
        vendor: Str0_255,
    },
    /// A connection ended.
    Disconnected {
        /// The connection.
        connection: ConnectionId,
    },
    /// A channel was opened.
    ChannelOpened {
        /// The connection.
        connection: ConnectionId,
        /// The channel.
        channel_id: ChannelId,
        /// Who mines.
        user_identity: Str0_255,
        /// Announced hashrate in h/s.
        nominal_hash_rate: f32,
        /// Its fixed bytes of extranonce.
        extranonce_prefix: B0_32,
        /// Bytes of extranonce granted.
        extranonce_size: u16,
        /// Its initial target.
        target: Target,
    },
    /// A channel was refused.
    ChannelRefused {
        /// The connection.
        connection: ConnectionId,
        /// Error code sent.
        error_code: String,
        /// Bytes of extranonce asked for.
        min_extranonce_size: u16,
    },
    /// The client told of a change.
    ChannelUpdated {
        /// The connection.
        connection: ConnectionId,
        /// The channel.
        channel_id: ChannelId,
        /// Announced hashrate in h/s.
        nominal_hash_rate: f32,
        /// Target of the channel from now on.
        target: Target,
    },
    /// The client closed a channel.
    ChannelClosed {
        /// The connection.
        connection: ConnectionId,
        /// The channel.
        channel_id: ChannelId,
        /// Reason given.
        reason_code: Str0_255,
    },
    /// A job was dealt to every channel.
    JobDealt {
        /// The job.
        job_id: JobId,
        /// Whether it waits for a new block.
        future: bool,
    },
    /// A new block started on every channel.
    NewBlock {
        /// The future job that became active.
        job_id: JobId,
        /// The block that jobs build on now.
        tip: Tip,
    },
    /// A share was accepted.
    ShareAccepted(AcceptedShare),
    /// A share was refused.
    ShareRefused {
        /// The connection.
        connection: ConnectionId,
        /// The channel that it names.
        channel_id: ChannelId,
        /// Its number.
        sequence_number: SequenceNumber,
        /// Why.
        refusal: Refusal,
    },
    /// A share solves a block; its [`ShareAccepted`](Self::ShareAccepted) comes first.
    BlockFound {
        /// The block's hash.
        hash: BlockHash,
        /// The whole coinbase transaction, without BIP-0141 fields.
        coinbase_tx: Vec<u8>,
        /// The header.
        header: [u8; 80],
        /// The worker, or the channel's user where none was named.
        worker: String,
    },
}

/// A new block on its way to one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockWrite {
    /// The connection.
    pub connection: ConnectionId,
    /// The block that jobs build on now.
    pub prev_hash: BlockHash,
    /// When the write of its `SetNewPrevHash` began: encrypted, and about to be handed to the socket.
    pub began: Instant,
}

/// An accepted share with everything that it was judged by, so that others can judge it again.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptedShare {
    /// The connection.
    pub connection: ConnectionId,
    /// The channel's user.
    pub user_identity: Str0_255,
    /// The worker's name, where SV2 ext 0x0002 was negotiated and it came.
    pub worker: Option<UserIdentity>,
    /// The share as submitted.
    pub share: SubmitSharesExtended,
    /// Its job.
    pub job: Arc<Job>,
    /// Smallest ntime of the job, in s since epoch.
    pub min_ntime: u32,
    /// The block that the job builds on.
    pub tip: Tip,
    /// Fixed bytes of extranonce that the job was dealt with.
    pub extranonce_prefix: B0_32,
    /// Bytes of extranonce that were the client's.
    pub extranonce_size: u16,
    /// Target of the job, fixed when it became active.
    pub target: Target,
    /// The header.
    pub header: [u8; 80],
    /// Its hash.
    pub hash: BlockHash,
    /// Whether the hash meets the network's target.
    pub is_block: bool,
}
