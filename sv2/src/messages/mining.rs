//! Mining Protocol (SV2 §5.3).

use crate::messages::messages;
use crate::types::{
    B0_32, B0_64K, B0_255, ChannelId, JobId, RequestId, Seq0_64K, Seq0_255, SequenceNumber,
    Str0_255, U256,
};

/// Bits of `SetupConnection.flags` and `SetupConnection.Error.flags` on a mining connection (SV2 §5.3.1).
pub mod setup_flags {
    /// The client cannot process extended jobs.
    pub const REQUIRES_STANDARD_JOBS: u32 = 1 << 0;
    /// The client will send `SetCustomMiningJob`.
    pub const REQUIRES_WORK_SELECTION: u32 = 1 << 1;
    /// The server must not send jobs that do not allow version rolling.
    pub const REQUIRES_VERSION_ROLLING: u32 = 1 << 2;
}

/// Bits of `SetupConnection.Success.flags` on a mining connection (SV2 §5.3.1).
pub mod setup_success_flags {
    /// The server accepts no change to the version field.
    pub const REQUIRES_FIXED_VERSION: u32 = 1 << 0;
    /// The server opens no standard channel.
    pub const REQUIRES_EXTENDED_CHANNELS: u32 = 1 << 1;
}

messages! {
    /// A message of the Mining Protocol (SV2 §5.3).
    pub enum Mining, extension 0x0000;

    /// Asks for a standard channel (SV2 §5.3.2).
    0x10, 0, OpenStandardMiningChannel "OpenStandardMiningChannel" {
        /// Pairs the response with this request; unique within the connection.
        request_id: RequestId,
        /// Who mines, for example `account.worker`.
        user_identity: Str0_255,
        /// Expected hashrate in h/s; 0.0 while no miner is connected.
        nominal_hash_rate: f32,
        /// Highest target that the client can work with.
        max_target: U256,
    }

    /// Opens a standard channel (SV2 §5.3.3).
    0x11, 0, OpenStandardMiningChannelSuccess "OpenStandardMiningChannel.Success" {
        /// Value from the request.
        request_id: RequestId,
        /// The channel, for the rest of the connection.
        channel_id: ChannelId,
        /// Initial target of the channel.
        target: U256,
        /// The channel's whole extranonce.
        extranonce_prefix: B0_32,
        /// Group that the channel belongs to.
        group_channel_id: ChannelId,
    }

    /// Refuses to open a channel of either kind (SV2 §5.3.6).
    0x12, 0, OpenMiningChannelError "OpenMiningChannel.Error" {
        /// Value from the request.
        request_id: RequestId,
        /// Reason, for example `unknown-user`.
        error_code: Str0_255,
    }

    /// Asks for an extended channel (SV2 §5.3.4).
    0x13, 0, OpenExtendedMiningChannel "OpenExtendedMiningChannel" {
        /// Pairs the response with this request; unique within the connection.
        request_id: RequestId,
        /// Who mines, for example `account.worker`.
        user_identity: Str0_255,
        /// Expected hashrate in h/s; 0.0 while no miner is connected.
        nominal_hash_rate: f32,
        /// Highest target that the client can work with.
        max_target: U256,
        /// Bytes of extranonce that the client needs at least.
        min_extranonce_size: u16,
    }

    /// Opens an extended channel (SV2 §5.3.5).
    0x14, 0, OpenExtendedMiningChannelSuccess "OpenExtendedMiningChannel.Success" {
        /// Value from the request.
        request_id: RequestId,
        /// The channel, for the rest of the connection.
        channel_id: ChannelId,
        /// Initial target of the channel.
        target: U256,
        /// Bytes of extranonce that are the client's to roll.
        extranonce_size: u16,
        /// Fixed bytes before the client's part of the extranonce.
        extranonce_prefix: B0_32,
        /// Group that the channel belongs to.
        group_channel_id: ChannelId,
    }

    /// Deals a standard job (SV2 §5.3.15).
    0x15, 1, NewMiningJob "NewMiningJob" {
        /// Standard channel that the job is for.
        channel_id: ChannelId,
        /// The job.
        job_id: JobId,
        /// Smallest ntime in s since epoch; `None` for a future job.
        min_ntime: Option<u32>,
        /// Block version.
        version: u32,
        /// Merkle root as it stands in the block header.
        merkle_root: U256,
    }

    /// Tells of a change downstream of a channel (SV2 §5.3.7).
    0x16, 1, UpdateChannel "UpdateChannel" {
        /// The channel concerned.
        channel_id: ChannelId,
        /// Expected hashrate in h/s; 0.0 while no miner is connected.
        nominal_hash_rate: f32,
        /// Highest target that the client wishes for.
        maximum_target: U256,
    }

    /// Refuses an `UpdateChannel` (SV2 §5.3.8).
    0x17, 1, UpdateChannelError "UpdateChannel.Error" {
        /// The channel concerned.
        channel_id: ChannelId,
        /// Reason, for example `invalid-channel-id`.
        error_code: Str0_255,
    }

    /// Closes a channel, or all channels of a group (SV2 §5.3.9).
    0x18, 1, CloseChannel "CloseChannel" {
        /// Channel or group channel.
        channel_id: ChannelId,
        /// Reason, printable ASCII.
        reason_code: Str0_255,
    }

    /// Changes the fixed part of a channel's extranonce for jobs sent later (SV2 §5.3.10).
    0x19, 1, SetExtranoncePrefix "SetExtranoncePrefix" {
        /// Extended or standard channel, not a group.
        channel_id: ChannelId,
        /// The new fixed bytes.
        extranonce_prefix: B0_32,
    }

    /// Submits a share of a standard job (SV2 §5.3.11).
    0x1a, 1, SubmitSharesStandard "SubmitSharesStandard" {
        /// The channel.
        channel_id: ChannelId,
        /// Number of the submit within the channel.
        sequence_number: SequenceNumber,
        /// The job that was worked on.
        job_id: JobId,
        /// Header nonce.
        nonce: u32,
        /// Header time in s since epoch.
        ntime: u32,
        /// Header version, all bits.
        version: u32,
    }

    /// Submits a share of an extended job (SV2 §5.3.12).
    0x1b, 1, SubmitSharesExtended "SubmitSharesExtended" {
        /// The channel.
        channel_id: ChannelId,
        /// Number of the submit within the channel.
        sequence_number: SequenceNumber,
        /// The job that was worked on.
        job_id: JobId,
        /// Header nonce.
        nonce: u32,
        /// Header time in s since epoch.
        ntime: u32,
        /// Header version, all bits.
        version: u32,
        /// The client's part of the extranonce, `extranonce_size` bytes.
        extranonce: B0_32,
    }

    /// Accepts a batch of shares (SV2 §5.3.13).
    0x1c, 1, SubmitSharesSuccess "SubmitShares.Success" {
        /// Channel that the shares were submitted on.
        channel_id: ChannelId,
        /// Most recent sequence number with a correct result.
        last_sequence_number: SequenceNumber,
        /// Shares that this message acknowledges.
        new_submits_accepted_count: u32,
        /// Sum of the difficulties of those shares.
        new_shares_sum: u64,
    }

    /// Rejects one share (SV2 §5.3.14).
    0x1d, 1, SubmitSharesError "SubmitShares.Error" {
        /// Channel that the share was submitted on.
        channel_id: ChannelId,
        /// The share's number.
        sequence_number: SequenceNumber,
        /// Reason, for example `stale-share`.
        error_code: Str0_255,
    }

    /// Deals an extended job to a channel or a group (SV2 §5.3.16).
    0x1f, 1, NewExtendedMiningJob "NewExtendedMiningJob" {
        /// Channel or group channel.
        channel_id: ChannelId,
        /// The job.
        job_id: JobId,
        /// Smallest ntime in s since epoch; `None` for a future job.
        min_ntime: Option<u32>,
        /// Block version.
        version: u32,
        /// Whether the general purpose bits of the version may be rolled (BIP-0323).
        version_rolling_allowed: bool,
        /// Merkle path from the coinbase, deepest first.
        merkle_path: Seq0_255<U256>,
        /// Coinbase transaction before the extranonce, without BIP-0141 fields.
        coinbase_tx_prefix: B0_64K,
        /// Coinbase transaction behind the extranonce, without BIP-0141 fields.
        coinbase_tx_suffix: B0_64K,
    }

    /// Starts a new block: activates one future job and ends all others (SV2 §5.3.17).
    0x20, 1, SetNewPrevHash "SetNewPrevHash" {
        /// Channel or group channel.
        channel_id: ChannelId,
        /// The future job to work on.
        job_id: JobId,
        /// Hash of the previous block.
        prev_hash: U256,
        /// Smallest ntime in s since epoch.
        min_ntime: u32,
        /// Compact form of the network's target.
        nbits: u32,
    }

    /// Sets the target of a channel or group, for jobs received later and future jobs (SV2 §5.3.21).
    0x21, 1, SetTarget "SetTarget" {
        /// Channel or group channel.
        channel_id: ChannelId,
        /// Highest hash that counts as a share.
        maximum_target: U256,
    }

    /// Asks to be paid for a job of the client's own (SV2 §5.3.18).
    0x22, 1, SetCustomMiningJob "SetCustomMiningJob" {
        /// Extended channel.
        channel_id: ChannelId,
        /// Pairs the response with this request.
        request_id: RequestId,
        /// Token of the job declaration.
        mining_job_token: B0_255,
        /// Block version.
        version: u32,
        /// Hash of the previous block.
        prev_hash: U256,
        /// Smallest ntime in s since epoch.
        min_ntime: u32,
        /// Compact form of the network's target.
        nbits: u32,
        /// nVersion of the coinbase transaction.
        coinbase_tx_version: u32,
        /// Up to 8 bytes at the start of the coinbase field.
        coinbase_prefix: B0_255,
        /// nSequence of the coinbase transaction's input.
        #[cfg_attr(feature = "serde", serde(rename = "coinbase_tx_input_nSequence"))]
        coinbase_tx_input_n_sequence: u32,
        /// Outputs of the coinbase transaction behind their CompactSize count.
        coinbase_tx_outputs: B0_64K,
        /// Lock time of the coinbase transaction.
        coinbase_tx_locktime: u32,
        /// Merkle path from the coinbase, deepest first.
        merkle_path: Seq0_255<U256>,
    }

    /// Accepts a custom job (SV2 §5.3.19).
    0x23, 1, SetCustomMiningJobSuccess "SetCustomMiningJob.Success" {
        /// Extended channel.
        channel_id: ChannelId,
        /// Value from the request.
        request_id: RequestId,
        /// The server's number for the job.
        job_id: JobId,
    }

    /// Refuses a custom job (SV2 §5.3.20).
    0x24, 1, SetCustomMiningJobError "SetCustomMiningJob.Error" {
        /// Extended channel.
        channel_id: ChannelId,
        /// Value from the request.
        request_id: RequestId,
        /// Reason, for example `invalid-mining-job-token`.
        error_code: Str0_255,
    }

    /// Puts channels into a group (SV2 §5.3.22).
    0x25, 0, SetGroupChannel "SetGroupChannel" {
        /// The group.
        group_channel_id: ChannelId,
        /// Channels that now belong to it.
        channel_ids: Seq0_64K<ChannelId>,
    }
}
