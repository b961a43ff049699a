//! Double SHA-256 of block headers, as fast as one core does it: the miner's inner loop.
//!
//! Of the header's 80 bytes the first 64 are hashed once (the midstate); per nonce two compressions
//! remain, done with the SHA instructions of the CPU where it has them.

use std::ops::Range;

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

use crate::target::Target;

/// The state that SHA-256 begins with (FIPS 180-4 §5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// Returns the SHA-256 of the SHA-256 of `data`, in the order in which SHA-256 gives its bytes.
#[must_use]
pub fn double_sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(data)).into()
}

/// A header prepared for trying nonces.
#[derive(Clone, Debug)]
pub struct Search {
    midstate: [u32; 8],
    /// The header's last 16 bytes with SHA-256's padding: merkle root's end, ntime, nbits, nonce.
    tail: [u8; 64],
    target: Target,
}

impl Search {
    /// Prepares a header, whose nonce does not matter.
    #[must_use]
    pub fn new(header: &[u8; 80], target: Target) -> Self {
        let (head, rest) = header.split_at(64);
        let mut midstate = INITIAL;
        let mut block = [0; 64];
        block.copy_from_slice(head);
        compress256(&mut midstate, &[block]);
        Self {
            midstate,
            tail: padded(rest),
            target,
        }
    }

    /// Tries the nonces in order, and returns the first whose hash meets the target.
    #[must_use]
    pub fn first_share(&self, nonces: Range<u64>) -> Option<u32> {
        let top = self.target.top();
        let mut tail = self.tail;
        let mut second = padded(&[0; 32]);
        for nonce in nonces.filter_map(|nonce| u32::try_from(nonce).ok()) {
            if let Some(place) = tail.get_mut(12..16) {
                place.copy_from_slice(&nonce.to_le_bytes());
            }
            let mut state = self.midstate;
            compress256(&mut state, &[tail]);
            for (word, value) in second.as_chunks_mut::<4>().0.iter_mut().zip(state) {
                *word = value.to_be_bytes();
            }
            let mut state = INITIAL;
            compress256(&mut state, &[second]);
            // The hash's last word is the most significant one of the number; nearly every nonce
            // ends here.
            let [.., last] = state;
            if last.swap_bytes() <= top && self.target.is_met_by(&bytes(&state)) {
                return Some(nonce);
            }
        }
        None
    }
}

/// The last block of a message whose blocks before it are whole: 16 bytes after 64, or 32 alone.
fn padded(end: &[u8]) -> [u8; 64] {
    let mut block = [0; 64];
    for (place, byte) in block.iter_mut().zip(end.iter().chain(&[0x80])) {
        *place = *byte;
    }
    let length: u64 = if end.len() == 16 { 80 } else { 32 };
    if let Some(place) = block.get_mut(56..) {
        place.copy_from_slice(&(8 * length).to_be_bytes());
    }
    block
}

/// The bytes of a state, as SHA-256 gives them.
fn bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *place = word.to_be_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn genesis() -> [u8; 80] {
        let mut header = [0; 80];
        header[0] = 1;
        let root = "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a";
        assert!(sv1::hex::decode_into(root.as_bytes(), &mut header[36..68]));
        header[68..72].copy_from_slice(&1_231_006_505_u32.to_le_bytes());
        header[72..76].copy_from_slice(&0x1d00_ffff_u32.to_le_bytes());
        header[76..80].copy_from_slice(&2_083_236_893_u32.to_le_bytes());
        header
    }

    #[test]
    fn the_first_block_of_bitcoin_is_found_again() {
        let search = Search::new(&genesis(), Target::from_difficulty(1.0));
        let nonce = 2_083_236_893;
        assert_eq!(
            search.first_share(nonce - 1000..nonce + 1000),
            Some(2_083_236_893)
        );
        assert_eq!(search.first_share(nonce + 1..nonce + 1000), None);
    }

    #[test]
    fn the_fast_path_finds_what_plain_hashing_finds() {
        let target = Target::from_difficulty(2_f64.powi(-26));
        let search = Search::new(&genesis(), target);
        let plain = (0..10_000_u32).find(|nonce| {
            let mut header = genesis();
            header[76..80].copy_from_slice(&nonce.to_le_bytes());
            target.is_met_by(&double_sha256(&header))
        });
        assert!(plain.is_some());
        assert_eq!(search.first_share(0..10_000), plain);
    }

    #[test]
    fn nonces_end_at_32_bits() {
        let search = Search::new(&genesis(), Target::MAX);
        let end = u64::from(u32::MAX);
        assert_eq!(search.first_share(end..end + 2), Some(u32::MAX));
        assert_eq!(search.first_share(end + 1..end + 2), None);
        assert_eq!(search.first_share(0..0), None);
    }
}
