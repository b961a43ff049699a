//! Which headers were already submitted for a block (SV1 reject code 22).
//!
//! Keepalives give one upstream job several Sv1 ids, and some miners restart extranonce2 for each, so that a
//! duplicate shows only in the header itself. Sixty-four bits of its hash stand for it: the chance that any of
//! a million shares is wrongly taken for a duplicate is below one in thirty million.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use sv2::bitcoin::BlockHash;

/// Shares in one generation. Two generations of 2^19 entries of 8 bytes stay under 24 MiB, and hold 14 hours of
/// 10,000 miners' shares that reach the pool at 20 a second.
const GENERATION: usize = 1 << 19;

/// The low bits of a block hash are uniform already.
#[derive(Debug, Default, Clone)]
struct AlreadyUniform(u64);

impl Hasher for AlreadyUniform {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut()
                .zip(chunk)
                .for_each(|(place, byte)| *place = *byte);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type Seen = HashSet<u64, BuildHasherDefault<AlreadyUniform>>;

/// The headers submitted since the block began; past a bound the older half is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Duplicates {
    recent: Seen,
    older: Seen,
}

impl Duplicates {
    /// Notes a header; `false` where it was noted before.
    pub(crate) fn insert(&mut self, hash: &BlockHash) -> bool {
        let [a, b, c, d, e, f, g, h, ..] = hash.0;
        let key = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        if self.older.contains(&key) || !self.recent.insert(key) {
            return false;
        }
        if self.recent.len() >= GENERATION {
            self.older = std::mem::take(&mut self.recent);
        }
        true
    }

    /// Forgets all: a new block began.
    pub(crate) fn clear(&mut self) {
        self.recent = Seen::default();
        self.older = Seen::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> BlockHash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        BlockHash(bytes)
    }

    #[test]
    fn a_header_is_new_once_per_block() {
        let mut duplicates = Duplicates::default();
        assert!(duplicates.insert(&hash(1)));
        assert!(duplicates.insert(&hash(2)));
        assert!(!duplicates.insert(&hash(1)));
        duplicates.clear();
        assert!(duplicates.insert(&hash(1)));
    }

    #[test]
    fn memory_is_bounded_and_the_newer_half_is_remembered() {
        let mut duplicates = Duplicates::default();
        let count = 5 * GENERATION as u64 / 2;
        (0..count).for_each(|i| assert!(duplicates.insert(&hash(i))));
        assert!(duplicates.recent.len() + duplicates.older.len() <= 2 * GENERATION);
        assert!(!duplicates.insert(&hash(count - GENERATION as u64)));
        assert!(!duplicates.insert(&hash(count - 1)));
    }
}
