//! Jobs: what is dealt to channels (SV2 §5.3.16), and the block that they build on.

use sv2::bitcoin::BlockHash;
use sv2::types::{B0_64K, JobId, Seq0_255, U256};

use crate::coinbase::Coinbase;

/// An extended job as it was dealt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number; no other job of this pool has it.
    pub job_id: JobId,
    /// Block version.
    pub version: u32,
    /// Whether the version may be rolled.
    pub version_rolling_allowed: bool,
    /// Merkle path from the coinbase, deepest first.
    pub merkle_path: Seq0_255<U256>,
    /// Coinbase transaction before the extranonce, without BIP-0141 fields.
    pub coinbase_tx_prefix: B0_64K,
    /// Coinbase transaction behind the extranonce, without BIP-0141 fields.
    pub coinbase_tx_suffix: B0_64K,
}

/// The block that jobs build on, as `SetNewPrevHash` tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Hash of the previous block.
    pub prev_hash: BlockHash,
    /// Compact form of the network's target.
    pub nbits: u32,
    /// Smallest ntime in s since epoch.
    pub min_ntime: u32,
}

/// A job to be dealt as it is, for example a real block's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenJob {
    /// The block that it builds on.
    pub tip: Tip,
    /// Block version.
    pub version: u32,
    /// Whether the version may be rolled.
    pub version_rolling_allowed: bool,
    /// Merkle path from the coinbase, deepest first.
    pub merkle_path: Seq0_255<U256>,
    /// Coinbase transaction before the extranonce; the length of its script must fit the pool's extranonce.
    pub coinbase_tx_prefix: B0_64K,
    /// Coinbase transaction behind the extranonce.
    pub coinbase_tx_suffix: B0_64K,
}

/// A job before it is known how long the extranonce of its channel is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) job_id: JobId,
    pub(crate) version: u32,
    pub(crate) version_rolling_allowed: bool,
    pub(crate) merkle_path: Seq0_255<U256>,
    pub(crate) coinbase: CoinbaseSource,
}

/// Where a template's coinbase comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CoinbaseSource {
    Made(Coinbase),
    Given { prefix: B0_64K, suffix: B0_64K },
}

impl Template {
    /// Takes a given job under `job_id`.
    pub(crate) fn given(job_id: JobId, given: &GivenJob) -> Self {
        Self {
            job_id,
            version: given.version,
            version_rolling_allowed: given.version_rolling_allowed,
            merkle_path: given.merkle_path.clone(),
            coinbase: CoinbaseSource::Given {
                prefix: given.coinbase_tx_prefix.clone(),
                suffix: given.coinbase_tx_suffix.clone(),
            },
        }
    }

    /// Makes the job for channels whose whole extranonce has `extranonce_len` bytes.
    pub(crate) fn job(&self, extranonce_len: usize) -> Job {
        let (coinbase_tx_prefix, coinbase_tx_suffix) = match &self.coinbase {
            CoinbaseSource::Made(coinbase) => coinbase.split(extranonce_len),
            CoinbaseSource::Given { prefix, suffix } => (prefix.clone(), suffix.clone()),
        };
        Job {
            job_id: self.job_id,
            version: self.version,
            version_rolling_allowed: self.version_rolling_allowed,
            merkle_path: self.merkle_path.clone(),
            coinbase_tx_prefix,
            coinbase_tx_suffix,
        }
    }
}
