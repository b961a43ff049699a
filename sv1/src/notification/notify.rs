//! A job for miners: SV1 mining.notify, the message that is built once and goes to everyone.

use crate::error::{ParameterError, Problem};
use crate::hex;
use crate::job_id::JobId;
use crate::params::Params;

/// Bound of the merkle path: a block of 4,000,000 weight units has fewer than 2^16 transactions, and
/// ESP-Miner takes 32.
pub const MAX_MERKLE_BRANCHES: usize = 32;

/// All that stands between the variable parts of a notify.
const PUNCTUATION: usize =
    r#"{"id":null,"method":"mining.notify","params":["","","","",[],"","","",false]}"#.len() + 1;

/// A job's parts, borrowed from where they are, for a server to write.
///
/// Each coinbase half is given in pieces, so that nobody has to join them first.
#[derive(Clone, Copy, Debug)]
pub struct NotifyParts<'a> {
    /// Name of the job: fresh for every notify.
    pub job_id: JobId,
    /// Hash of the previous block as it stands in the header, little-endian.
    pub prev_hash: &'a [u8; 32],
    /// The coinbase before extranonce1.
    pub coinb1: &'a [&'a [u8]],
    /// The coinbase after extranonce2.
    pub coinb2: &'a [&'a [u8]],
    /// The hashes that lead from the coinbase to the merkle root, in header byte order.
    pub merkle_path: &'a [[u8; 32]],
    /// The header's version.
    pub version: u32,
    /// The network's target in compact form.
    pub nbits: u32,
    /// The header's time, in s since the epoch.
    pub ntime: u32,
    /// Whether all jobs before this one are void.
    pub clean_jobs: bool,
}

impl NotifyParts<'_> {
    /// Returns the notification as one line, in a buffer of exactly its size.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_into(&mut out);
        out
    }

    /// Appends the notification as one line.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"");
        out.extend_from_slice(self.job_id.as_str().as_bytes());
        out.extend_from_slice(b"\",\"");
        hex::encode_into(out, &word_swapped(self.prev_hash));
        for coinbase in [self.coinb1, self.coinb2] {
            out.extend_from_slice(b"\",\"");
            for piece in coinbase {
                hex::encode_into(out, piece);
            }
        }
        out.extend_from_slice(b"\",[");
        for (index, hash) in self.merkle_path.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
            hex::encode_into(out, hash);
            out.push(b'"');
        }
        out.push(b']');
        for number in [self.version, self.nbits, self.ntime] {
            out.extend_from_slice(b",\"");
            hex::encode_u32_into(out, number);
            out.push(b'"');
        }
        out.extend_from_slice(match self.clean_jobs {
            true => b",true]}\n",
            false => b",false]}\n",
        });
    }

    /// Returns the length of the line, in bytes, its `\n` among them.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let pieces = self.coinb1.iter().chain(self.coinb2);
        let coinbase: usize = pieces.map(|piece| 2 * piece.len()).sum();
        // Each hash is 64 digits and two quotes; commas stand between them.
        let branches = self.merkle_path.len();
        let merkle_path = 66 * branches + branches.saturating_sub(1);
        let numbers = 64 + 3 * 8;
        PUNCTUATION - usize::from(self.clean_jobs)
            + self.job_id.as_str().len()
            + coinbase
            + merkle_path
            + numbers
    }
}

/// A job as a client received it (SV1 mining.notify).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Name of the job.
    pub job_id: JobId,
    /// Hash of the previous block as it stands in the header, little-endian: the words of the wire's
    /// form are swapped back.
    pub prev_hash: [u8; 32],
    /// The coinbase before extranonce1.
    pub coinb1: Box<[u8]>,
    /// The coinbase after extranonce2.
    pub coinb2: Box<[u8]>,
    /// The hashes that lead from the coinbase to the merkle root, in header byte order.
    pub merkle_path: Vec<[u8; 32]>,
    /// The header's version.
    pub version: u32,
    /// The network's target in compact form.
    pub nbits: u32,
    /// The header's time, in s since the epoch.
    pub ntime: u32,
    /// Whether all jobs before this one are void.
    pub clean_jobs: bool,
}

impl Notify {
    /// Reads the nine parameters; a missing last one is false, as miners take it.
    pub(crate) fn parse(params: &Params<'_>) -> Result<Self, ParameterError> {
        params.need(8)?;
        let branches = params.at(5, "merkle_branches");
        let hashes = branches.elements()?;
        if hashes.len() > MAX_MERKLE_BRANCHES {
            return Err(branches.wrong(Problem::OutOfRange));
        }
        Ok(Self {
            job_id: params.at(1, "job_id").job_id()?,
            prev_hash: word_swapped(&params.at(2, "prevhash").hash()?),
            coinb1: params.at(3, "coinb1").hex_bytes()?.into(),
            coinb2: params.at(4, "coinb2").hex_bytes()?.into(),
            merkle_path: hashes
                .iter()
                .map(|hash| hash.hash())
                .collect::<Result<_, _>>()?,
            version: params.at(6, "version").hex_u32()?,
            nbits: params.at(7, "nbits").hex_u32()?,
            ntime: params.at(8, "ntime").hex_u32()?,
            clean_jobs: params.at(9, "clean_jobs").flag(),
        })
    }

    /// Returns the line that a server would send for this job.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        NotifyParts {
            job_id: self.job_id,
            prev_hash: &self.prev_hash,
            coinb1: &[&self.coinb1],
            coinb2: &[&self.coinb2],
            merkle_path: &self.merkle_path,
            version: self.version,
            nbits: self.nbits,
            ntime: self.ntime,
            clean_jobs: self.clean_jobs,
        }
        .encode()
    }
}

/// Turns each 32-bit word of a hash around: the form in which Stratum V1 has always sent `prevhash`.
fn word_swapped(hash: &[u8; 32]) -> [u8; 32] {
    let mut swapped = *hash;
    for word in swapped.as_chunks_mut::<4>().0 {
        word.reverse();
    }
    swapped
}
