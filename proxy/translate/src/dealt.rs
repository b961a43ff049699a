//! The last jobs that went out to the farm: what an operator compares with the pool's and the network's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sv2::bitcoin::{BlockHash, Difficulty};
use sv2::types::JobId;

use crate::job::Job;

/// Jobs that are remembered: half an hour of one in half a minute.
const MAX_JOBS: usize = 64;

/// A job as it went out to all miners of the farm's channel.
#[derive(Debug, Clone, PartialEq)]
pub struct JobStatistics {
    /// When.
    pub at: Instant,
    /// The upstream that dealt it.
    pub upstream: String,
    /// The upstream's id for it.
    pub job_id: JobId,
    /// Height of the block that is being searched for, where its coinbase tells (BIP-0034).
    pub height: Option<u32>,
    /// The block that is built on.
    pub prev_hash: BlockHash,
    /// Difficulty of the network.
    pub network_difficulty: Difficulty,
    /// Difficulty at which the upstream takes shares of it.
    pub difficulty: Difficulty,
    /// Whether it began a new block.
    pub new_block: bool,
    /// Whether it voided all jobs before it.
    pub clean: bool,
    /// Miners that got it.
    pub miners: usize,
}

/// The last of them.
#[derive(Debug, Default)]
pub(crate) struct DealtJobs(VecDeque<Arc<JobStatistics>>);

impl DealtJobs {
    pub(crate) fn note(&mut self, job: JobStatistics) {
        if self.0.len() >= MAX_JOBS {
            self.0.pop_front();
        }
        self.0.push_back(Arc::new(job));
    }

    /// Gives them, the last one first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<JobStatistics>> {
        self.0.iter().rev()
    }
}

impl Job {
    /// Gives the height of the block that is being searched for, where the coinbase begins as BIP-0034 says.
    pub(crate) fn height(&self) -> Option<u32> {
        height(&self.dealt.coinbase_start)
    }
}

/// Bytes ahead of a coinbase's script: the version, one input, which spends nothing (a hash of zeros, index 2^32 - 1),
/// and the script's length in one byte, for it has at most 100.
const SCRIPT_AT: usize = 4 + 1 + 32 + 4 + 1;

/// Reads the height from the beginning of a coinbase: the first thing that its script pushes.
fn height(coinbase: &[u8]) -> Option<u32> {
    let script = coinbase.get(SCRIPT_AT..)?;
    let (push, rest) = script.split_first()?;
    match push {
        // OP_1 to OP_16: the first blocks of a test network.
        0x51..=0x60 => Some(u32::from(push - 0x50)),
        1..=4 => {
            let bytes = rest.get(..usize::from(*push))?;
            let (last, _) = bytes.split_last()?;
            let value = bytes.iter().rev();
            let value = value.fold(0, |value: u32, byte| value << 8 | u32::from(*byte));
            // The highest bit would make it negative.
            (last & 0x80 == 0).then_some(value)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coinbase(script: &[u8]) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 1];
        bytes.extend([0; 32]);
        bytes.extend([0xff; 4]);
        bytes.push(30);
        bytes.extend(script);
        bytes
    }

    #[test]
    fn heights_are_read_as_bip_0034_writes_them() {
        for (script, expected) in [
            (&[3, 0x40, 0x0d, 0x03][..], Some(200_000)),
            (&[3, 0xa0, 0xbb, 0x0d], Some(900_000)),
            (&[4, 0xff, 0xff, 0xff, 0x7f], Some(0x7fff_ffff)),
            (&[1, 17], Some(17)),
            (&[0x51], Some(1)),
            (&[0x60], Some(16)),
        ] {
            assert_eq!(height(&coinbase(script)), expected, "{script:02x?}");
        }
    }

    #[test]
    fn what_is_no_height_is_none() {
        let wrong: [&[u8]; 6] = [
            &[],
            &[3, 1, 2],
            &[0],
            &[5, 1, 2, 3, 4, 5],
            &[1, 0x80],
            &[0x61],
        ];
        for script in wrong {
            assert_eq!(height(&coinbase(script)), None, "{script:02x?}");
        }
        assert_eq!(height(&[0; 10]), None);
    }
}
