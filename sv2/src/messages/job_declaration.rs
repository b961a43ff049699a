//! Job Declaration Protocol (SV2 §6.4).

use crate::messages::messages;
use crate::types::{B0_16M, B0_32, B0_64K, B0_255, RequestId, Seq0_64K, Str0_255, U256};

messages! {
    /// A message of the Job Declaration Protocol (SV2 §6.4).
    pub enum JobDeclaration, extension 0x0000;

    /// Asks for a token that makes a job eligible (SV2 §6.4.2).
    0x50, 0, AllocateMiningJobToken "AllocateMiningJobToken" {
        /// Who mines, as the pool knows them.
        user_identifier: Str0_255,
        /// Pairs the response with this request.
        request_id: RequestId,
    }

    /// Grants a token (SV2 §6.4.3).
    0x51, 0, AllocateMiningJobTokenSuccess "AllocateMiningJobToken.Success" {
        /// Value from the request.
        request_id: RequestId,
        /// The token.
        mining_job_token: B0_255,
        /// Outputs that the pool wants in the coinbase, behind their CompactSize count.
        coinbase_tx_outputs: B0_64K,
    }

    /// Asks for transactions that the server does not have (SV2 §6.4.7).
    0x55, 0, ProvideMissingTransactions "ProvideMissingTransactions" {
        /// Identifier of the declaration.
        request_id: RequestId,
        /// Their positions in the declaration's list, from 0.
        unknown_tx_position_list: Seq0_64K<u16>,
    }

    /// Provides missing transactions (SV2 §6.4.8).
    0x56, 0, ProvideMissingTransactionsSuccess "ProvideMissingTransactions.Success" {
        /// Identifier of the declaration.
        request_id: RequestId,
        /// Whole transactions in the order asked for.
        transaction_list: Seq0_64K<B0_16M>,
    }

    /// Declares a job of the client's own (SV2 §6.4.4).
    0x57, 0, DeclareMiningJob "DeclareMiningJob" {
        /// Pairs the response with this request.
        request_id: RequestId,
        /// Token granted before.
        mining_job_token: B0_255,
        /// Block version.
        version: u32,
        /// Coinbase transaction before the extranonce, with BIP-0141 fields.
        coinbase_tx_prefix: B0_64K,
        /// Coinbase transaction behind the extranonce, with BIP-0141 fields.
        coinbase_tx_suffix: B0_64K,
        /// Transactions of the template without the coinbase.
        wtxid_list: Seq0_64K<U256>,
        /// Further data that the pool may need for validation.
        excess_data: B0_64K,
    }

    /// Accepts a declared job (SV2 §6.4.5).
    0x58, 0, DeclareMiningJobSuccess "DeclareMiningJob.Success" {
        /// Value from the request.
        request_id: RequestId,
        /// Token to use with `SetCustomMiningJob`.
        new_mining_job_token: B0_255,
    }

    /// Refuses a declared job (SV2 §6.4.6).
    0x59, 0, DeclareMiningJobError "DeclareMiningJob.Error" {
        /// Value from the request.
        request_id: RequestId,
        /// Reason, for example `invalid-mining-job-token`.
        error_code: Str0_255,
        /// Further details.
        error_details: B0_64K,
    }

    /// Hands in a block (SV2 §6.4.9).
    0x60, 0, PushSolution "PushSolution" {
        /// The whole extranonce.
        extranonce: B0_32,
        /// Hash of the previous block.
        prev_hash: U256,
        /// Header nonce.
        nonce: u32,
        /// Header time in s since epoch.
        ntime: u32,
        /// Compact form of the network's target.
        nbits: u32,
        /// Header version.
        version: u32,
    }
}
