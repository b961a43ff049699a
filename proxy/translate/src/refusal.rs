//! Why a share is refused: the words that a miner reads, the SV1 code beside them, and a short label for counts.

use std::fmt;

use sv1::RejectCode;
use sv2::bitcoin::{Difficulty, VersionMask};

use crate::job::MAX_NTIME_AHEAD;

/// The true reason of a refused share. A wrong share is a reply, not an error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Refusal {
    /// The connection has not subscribed.
    NotSubscribed,
    /// The share names a worker that is not authorized on this connection.
    UnauthorizedWorker,
    /// The parameters cannot be read.
    Malformed,
    /// The job id was never given out.
    UnknownJob,
    /// The job was given out on another channel, to others.
    OtherChannelsJob,
    /// The job belongs to an earlier block, or was replaced.
    Stale,
    /// The job's upstream connection is gone, so nobody would pay for the share.
    UpstreamGone,
    /// extranonce2 has another length than the subscribe reply said.
    Extranonce2Size {
        /// Bytes that came.
        given: usize,
        /// Bytes that the subscribe reply announced.
        expected: usize,
    },
    /// The header time is before the job's.
    NtimeTooOld {
        /// Header time of the share, in s since epoch.
        ntime: u32,
        /// Smallest header time of the job.
        min_ntime: u32,
    },
    /// The header time is too far in the future.
    NtimeTooNew {
        /// Header time of the share, in s since epoch.
        ntime: u32,
        /// Smallest header time of the job.
        min_ntime: u32,
    },
    /// The share rolls version bits without `mining.configure`.
    VersionRollingNotNegotiated,
    /// The job allows no version rolling.
    VersionRollingNotAllowed,
    /// The share rolls bits outside the mask.
    VersionBitsOutsideMask {
        /// The sixth parameter.
        bits: u32,
        /// The mask in force.
        mask: VersionMask,
    },
    /// The same header came before.
    Duplicate,
    /// The miner is paused, since nearly all of its shares were invalid; for how many more seconds.
    Paused(u64),
    /// The hash does not meet the miner's difficulty.
    LowDifficulty {
        /// Difficulty that the hash reaches.
        reached: Difficulty,
        /// Difficulty that was asked for.
        wanted: Difficulty,
    },
}

impl Refusal {
    /// Gives the code of the error reply.
    #[must_use]
    pub fn code(&self) -> RejectCode {
        match self {
            Self::NotSubscribed => RejectCode::NotSubscribed,
            Self::UnauthorizedWorker => RejectCode::Unauthorized,
            Self::UnknownJob | Self::OtherChannelsJob | Self::Stale | Self::UpstreamGone => {
                RejectCode::JobNotFound
            }
            Self::Duplicate => RejectCode::Duplicate,
            Self::LowDifficulty { .. } => RejectCode::LowDifficulty,
            Self::Malformed
            | Self::Paused(_)
            | Self::Extranonce2Size { .. }
            | Self::NtimeTooOld { .. }
            | Self::NtimeTooNew { .. }
            | Self::VersionRollingNotNegotiated
            | Self::VersionRollingNotAllowed
            | Self::VersionBitsOutsideMask { .. } => RejectCode::Other,
        }
    }

    /// The labels of all refusals, each at the place that `place` gives.
    pub const LABELS: [&'static str; 16] = [
        "not-subscribed",
        "unauthorized-worker",
        "malformed",
        "unknown-job",
        "other-channels-job",
        "stale",
        "upstream-gone",
        "extranonce2-size",
        "ntime-too-old",
        "ntime-too-new",
        "version-rolling-not-negotiated",
        "version-rolling-not-allowed",
        "version-bits-outside-mask",
        "duplicate",
        "paused",
        "low-difficulty",
    ];

    /// Gives the label under which such refusals are counted.
    #[must_use]
    pub fn label(&self) -> &'static str {
        Self::LABELS.get(self.place()).copied().unwrap_or_default()
    }

    /// Gives the place of the label in [`LABELS`](Self::LABELS).
    pub(crate) fn place(&self) -> usize {
        match self {
            Self::NotSubscribed => 0,
            Self::UnauthorizedWorker => 1,
            Self::Malformed => 2,
            Self::UnknownJob => 3,
            Self::OtherChannelsJob => 4,
            Self::Stale => 5,
            Self::UpstreamGone => 6,
            Self::Extranonce2Size { .. } => 7,
            Self::NtimeTooOld { .. } => 8,
            Self::NtimeTooNew { .. } => 9,
            Self::VersionRollingNotNegotiated => 10,
            Self::VersionRollingNotAllowed => 11,
            Self::VersionBitsOutsideMask { .. } => 12,
            Self::Duplicate => 13,
            Self::Paused(_) => 14,
            Self::LowDifficulty { .. } => 15,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSubscribed => f.write_str("not subscribed"),
            Self::UnauthorizedWorker => f.write_str("worker is not authorized on this connection"),
            Self::Malformed => f.write_str("parameters cannot be read"),
            Self::UnknownJob => f.write_str("job not found"),
            Self::OtherChannelsJob => {
                f.write_str("job of another channel, which this miner does not work on")
            }
            Self::Stale => f.write_str("stale: a new block has come since this job"),
            Self::UpstreamGone => f.write_str("stale: the connection to this job's pool is gone"),
            Self::Extranonce2Size { given, expected } => {
                write!(f, "extranonce2 has {given} bytes, not {expected}")
            }
            Self::NtimeTooOld { ntime, min_ntime } => {
                write!(f, "ntime {ntime:08x} is before the job's {min_ntime:08x}")
            }
            Self::NtimeTooNew { ntime, min_ntime } => {
                write!(
                    f,
                    "ntime {ntime:08x} is over {MAX_NTIME_AHEAD} s after the job's {min_ntime:08x}"
                )
            }
            Self::VersionRollingNotNegotiated => {
                f.write_str("version bits without mining.configure of version-rolling")
            }
            Self::VersionRollingNotAllowed => {
                f.write_str("this job does not allow version rolling")
            }
            Self::VersionBitsOutsideMask { bits, mask } => {
                write!(f, "version bits {bits:08x} are outside the mask {mask}")
            }
            Self::Duplicate => f.write_str("duplicate share"),
            Self::Paused(left) => {
                write!(
                    f,
                    "paused for another {left} s: nearly all shares were invalid"
                )
            }
            Self::LowDifficulty { reached, wanted } => {
                write!(
                    f,
                    "low difficulty share: {:.3e} of {wanted}",
                    reached.to_f64()
                )
            }
        }
    }
}
