//! Judging a share completely (SV2 §5.3.11, §5.3.12): the pool's own word, by concatenation and SHA-256.
//!
//! Nothing here is shared with what the proxy judges by: the same mistake cannot hide on both sides.
//! The order of the checks and the error codes are the reference pool's, so that a share that is wrong in two
//! ways gets the same answer.

use std::time::Instant;

use sha2::{Digest, Sha256};
use sv2::bitcoin::{BlockHash, Target, VersionMask};
use sv2::messages::mining::SubmitSharesExtended;
use sv2::types::B0_32;

use crate::config::NtimeLimit;
use crate::job::{Job, Tip};

/// Why a share is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The channel was never opened, or is closed.
    #[error("the channel is not open on this connection")]
    UnknownChannel,
    /// The job was never dealt to the channel, is not active yet, or is long forgotten.
    #[error("the channel has no such active job")]
    UnknownJob,
    /// The job builds on an old block.
    #[error("the job builds on an old block")]
    Stale,
    /// The extranonce is not as long as the channel's.
    #[error("the extranonce has {length} bytes where the channel has {expected}")]
    BadExtranonceSize {
        /// Bytes that came.
        length: usize,
        /// Bytes of the channel.
        expected: usize,
    },
    /// The time is before the job's.
    #[error("ntime {ntime} is before the job's {min_ntime}")]
    NtimeTooLow {
        /// The share's.
        ntime: u32,
        /// The job's smallest.
        min_ntime: u32,
    },
    /// The time is too far ahead.
    #[error("ntime {ntime} is after {max_ntime}")]
    NtimeTooHigh {
        /// The share's.
        ntime: u32,
        /// The largest allowed.
        max_ntime: u32,
    },
    /// A version bit outside the mask differs from the job's.
    #[error("version bits {0:08x} outside the mask were changed")]
    NonRollableVersionBit(u32),
    /// The version differs, and the job allows no rolling.
    #[error("the job does not allow version rolling")]
    VersionRollingNotAllowed,
    /// The hash is above the job's target and the network's.
    #[error("the hash is above the target")]
    DifficultyTooLow,
    /// The same header was accepted before.
    #[error("the share was accepted before")]
    Duplicate,
}

impl Refusal {
    /// Gives the `error_code` of `SubmitShares.Error`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownChannel => "invalid-channel-id",
            Self::UnknownJob => "invalid-job-id",
            Self::Stale => "stale-share",
            Self::BadExtranonceSize { .. } => "bad-extranonce-size",
            Self::NtimeTooLow { .. } | Self::NtimeTooHigh { .. } => "invalid-share",
            Self::NonRollableVersionBit(_) => "invalid-non-rollable-version-bit",
            Self::VersionRollingNotAllowed => "version-rolling-not-allowed",
            Self::DifficultyTooLow => "difficulty-too-low",
            Self::Duplicate => "duplicate-share",
        }
    }
}

/// What shares of a job are judged by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) job: &'a Job,
    pub(crate) tip: Tip,
    pub(crate) min_ntime: u32,
    pub(crate) active_since: Instant,
    pub(crate) target: Target,
    pub(crate) extranonce_prefix: &'a B0_32,
    pub(crate) extranonce_size: u16,
    pub(crate) version_mask: VersionMask,
    pub(crate) ntime_limit: NtimeLimit,
}

/// A share that meets its target or the network's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Solution {
    pub(crate) coinbase_tx: Vec<u8>,
    pub(crate) header: [u8; 80],
    pub(crate) hash: BlockHash,
    pub(crate) is_block: bool,
}

/// Judges a share of a known job, but for duplicates.
pub(crate) fn judge(
    now: Instant,
    rules: &Rules<'_>,
    share: &SubmitSharesExtended,
) -> Result<Solution, Refusal> {
    check_extranonce(rules, share)?;
    check_ntime(now, rules, share.ntime)?;
    check_version(rules, share.version)?;
    let solution = assemble(rules, share);
    let is_met = |target| !above(&solution.hash, target);
    if solution.is_block || is_met(rules.target) {
        return Ok(solution);
    }
    Err(Refusal::DifficultyTooLow)
}

fn check_extranonce(rules: &Rules<'_>, share: &SubmitSharesExtended) -> Result<(), Refusal> {
    let length = share.extranonce.len();
    let expected = usize::from(rules.extranonce_size);
    if length != expected {
        return Err(Refusal::BadExtranonceSize { length, expected });
    }
    Ok(())
}

fn check_ntime(now: Instant, rules: &Rules<'_>, ntime: u32) -> Result<(), Refusal> {
    let min_ntime = rules.min_ntime;
    if ntime < min_ntime {
        return Err(Refusal::NtimeTooLow { ntime, min_ntime });
    }
    let ahead = match rules.ntime_limit {
        NtimeLimit::Ahead(seconds) => seconds,
        NtimeLimit::Elapsed { slack } => {
            let elapsed = now.saturating_duration_since(rules.active_since).as_secs();
            let elapsed = u32::try_from(elapsed).unwrap_or(u32::MAX);
            elapsed.saturating_add(slack)
        }
    };
    let max_ntime = min_ntime.saturating_add(ahead);
    if ntime > max_ntime {
        return Err(Refusal::NtimeTooHigh { ntime, max_ntime });
    }
    Ok(())
}

fn check_version(rules: &Rules<'_>, version: u32) -> Result<(), Refusal> {
    let changed = version ^ rules.job.version;
    if !rules.job.version_rolling_allowed && changed != 0 {
        return Err(Refusal::VersionRollingNotAllowed);
    }
    let forbidden = changed & !rules.version_mask.bits();
    if forbidden != 0 {
        return Err(Refusal::NonRollableVersionBit(forbidden));
    }
    Ok(())
}

fn assemble(rules: &Rules<'_>, share: &SubmitSharesExtended) -> Solution {
    let coinbase_tx = [
        &rules.job.coinbase_tx_prefix[..],
        &rules.extranonce_prefix[..],
        &share.extranonce[..],
        &rules.job.coinbase_tx_suffix[..],
    ]
    .concat();
    let merkle_root = (rules.job.merkle_path.iter()).fold(sha256d(&coinbase_tx), |left, right| {
        sha256d(&[left, right.0].concat())
    });
    let header = header(share, rules.tip, &merkle_root);
    let hash = BlockHash(sha256d(&header));
    let network = Target::from_compact(rules.tip.nbits).unwrap_or(Target::ZERO);
    Solution {
        is_block: !above(&hash, network),
        coinbase_tx,
        header,
        hash,
    }
}

fn header(share: &SubmitSharesExtended, tip: Tip, merkle_root: &[u8; 32]) -> [u8; 80] {
    let bytes = share
        .version
        .to_le_bytes()
        .into_iter()
        .chain(tip.prev_hash.0)
        .chain(*merkle_root)
        .chain(share.ntime.to_le_bytes())
        .chain(tip.nbits.to_le_bytes())
        .chain(share.nonce.to_le_bytes());
    let mut header = [0; 80];
    for (place, byte) in header.iter_mut().zip(bytes) {
        *place = byte;
    }
    header
}

/// Compares as numbers of 256 bits: the hash's last byte is its most significant one.
fn above(hash: &BlockHash, target: Target) -> bool {
    let mut number = hash.0;
    number.reverse();
    number > target.to_be_bytes()
}

fn sha256d(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(bytes)).into()
}

#[cfg(test)]
#[path = "share_tests.rs"]
mod tests;
