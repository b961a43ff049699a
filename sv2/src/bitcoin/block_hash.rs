//! [`BlockHash`]: the double SHA-256 of a block header, and the hash function itself.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::{Error, Target};

/// The hash of a block header in wire order, as it comes out of SHA-256: its last bytes are the most significant.
///
/// `Display` and `FromStr` use the reversed hex of block explorers, which starts with the zeros. There is no order
/// among hashes, because that of the bytes would be wrong: compare them as [`Target`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockHash(pub [u8; 32]);

impl BlockHash {
    /// Reads the hash as a number: the lowest target that it meets. Its difficulty is that of the share.
    #[must_use]
    pub fn to_target(self) -> Target {
        Target::from_le_bytes(self.0)
    }
}

impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_target().fmt(f)
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockHash({self})")
    }
}

impl FromStr for BlockHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut bytes = [0; 32];
        let (digits, []) = text.as_bytes().as_chunks() else {
            return Err(Error::NotABlockHash);
        };
        if digits.len() != bytes.len() {
            return Err(Error::NotABlockHash);
        }
        for (byte, digits) in bytes.iter_mut().rev().zip(digits) {
            *byte = byte_of_hex(*digits).ok_or(Error::NotABlockHash)?;
        }
        Ok(Self(bytes))
    }
}

fn byte_of_hex([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |ascii: u8| char::from(ascii).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// Hashes with SHA-256 twice, as Bitcoin does for headers, transactions and merkle nodes.
#[must_use]
pub fn double_sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(bytes)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENESIS: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";

    #[test]
    fn text_is_the_wire_order_reversed() {
        let hash: BlockHash = GENESIS.parse().unwrap();
        assert_eq!(hash.0.first(), Some(&0x6f));
        assert_eq!(hash.to_string(), GENESIS);
        assert_eq!(format!("{hash:?}"), format!("BlockHash({GENESIS})"));
    }

    #[test]
    fn text_of_another_length_or_alphabet_is_an_error() {
        let signed = GENESIS.replacen('0', "+", 1);
        let wide = GENESIS.replacen("00", "é", 1);
        for text in [
            "",
            "00",
            &GENESIS[1..],
            &format!("{GENESIS}00"),
            &signed,
            &wide,
        ] {
            assert_eq!(
                text.parse::<BlockHash>(),
                Err(Error::NotABlockHash),
                "{text}"
            );
        }
    }
}
