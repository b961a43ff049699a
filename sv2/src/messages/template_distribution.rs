//! Template Distribution Protocol (SV2 §7).

use crate::messages::messages;
use crate::types::{B0_16M, B0_64K, B0_255, Seq0_64K, Seq0_255, Str0_255, TemplateId, U256};

messages! {
    /// A message of the Template Distribution Protocol (SV2 §7).
    pub enum TemplateDistribution, extension 0x0000;

    /// Tells how much room the coinbase outputs need (SV2 §7.1).
    0x70, 0, CoinbaseOutputConstraints "CoinbaseOutputConstraints" {
        /// Bytes that outputs may add at most.
        coinbase_output_max_additional_size: u32,
        /// Signature operations that outputs may add at most.
        coinbase_output_max_additional_sigops: u16,
    }

    /// Deals a block template (SV2 §7.2).
    0x71, 0, NewTemplate "NewTemplate" {
        /// The template.
        template_id: TemplateId,
        /// Whether it waits for a `SetNewPrevHash`.
        future_template: bool,
        /// Block version.
        version: u32,
        /// nVersion of the coinbase transaction.
        coinbase_tx_version: u32,
        /// Up to 8 bytes at the start of the coinbase field.
        coinbase_prefix: B0_255,
        /// nSequence of the coinbase transaction's input.
        coinbase_tx_input_sequence: u32,
        /// Satoshis that the client's outputs may spend.
        coinbase_tx_value_remaining: u64,
        /// Outputs in `coinbase_tx_outputs`.
        coinbase_tx_outputs_count: u32,
        /// Outputs that must come last in the coinbase.
        coinbase_tx_outputs: B0_64K,
        /// Lock time of the coinbase transaction.
        coinbase_tx_locktime: u32,
        /// Merkle path from the coinbase, deepest first.
        merkle_path: Seq0_255<U256>,
    }

    /// Starts a new block (SV2 §7.3).
    0x72, 0, SetNewPrevHash "SetNewPrevHash" {
        /// The template to work on.
        template_id: TemplateId,
        /// Hash of the previous block.
        prev_hash: U256,
        /// Header time to start at, in s since epoch.
        header_timestamp: u32,
        /// Compact form of the network's target.
        #[cfg_attr(feature = "serde", serde(rename = "nBits"))]
        n_bits: u32,
        /// Highest hash that is a block; may be lower than `n_bits` says.
        target: U256,
    }

    /// Asks for the transactions of a template (SV2 §7.4).
    0x73, 0, RequestTransactionData "RequestTransactionData" {
        /// The template.
        template_id: TemplateId,
    }

    /// Gives the transactions of a template (SV2 §7.5).
    0x74, 0, RequestTransactionDataSuccess "RequestTransactionData.Success" {
        /// The template.
        template_id: TemplateId,
        /// Further data that the pool may need for validation.
        excess_data: B0_64K,
        /// Whole transactions without the coinbase.
        transaction_list: Seq0_64K<B0_16M>,
    }

    /// Refuses to give the transactions of a template (SV2 §7.6).
    0x75, 0, RequestTransactionDataError "RequestTransactionData.Error" {
        /// The template.
        template_id: TemplateId,
        /// Reason, for example `stale-template-id`.
        error_code: Str0_255,
    }

    /// Hands in a block (SV2 §7.7).
    0x76, 0, SubmitSolution "SubmitSolution" {
        /// The template.
        template_id: TemplateId,
        /// Header version.
        version: u32,
        /// Header time in s since epoch.
        header_timestamp: u32,
        /// Header nonce.
        header_nonce: u32,
        /// The whole coinbase transaction.
        coinbase_tx: B0_64K,
    }
}
