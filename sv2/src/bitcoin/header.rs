//! [`Header`]: the 80 bytes that miners hash.

use super::{BlockHash, double_sha256};

/// A block header, put together from a job (SV2 §5.3.15, §5.3.16), a prevhash (SV2 §5.3.17) and a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// Version with the bits that the miner rolled.
    pub version: u32,
    /// Hash of the block that this one follows.
    pub prev_hash: BlockHash,
    /// Root of the merkle tree over the transactions, in wire order.
    pub merkle_root: [u8; 32],
    /// Time of the block, in s since epoch.
    pub ntime: u32,
    /// Network target in compact form.
    pub nbits: u32,
    /// What the miner rolls first.
    pub nonce: u32,
}

impl Header {
    /// Serializes the header as it is hashed: numbers little-endian, hashes in wire order.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 80] {
        let mut bytes = [0; 80];
        bytes[..4].copy_from_slice(&self.version.to_le_bytes());
        bytes[4..36].copy_from_slice(&self.prev_hash.0);
        bytes[36..68].copy_from_slice(&self.merkle_root);
        bytes[68..72].copy_from_slice(&self.ntime.to_le_bytes());
        bytes[72..76].copy_from_slice(&self.nbits.to_le_bytes());
        bytes[76..].copy_from_slice(&self.nonce.to_le_bytes());
        bytes
    }

    /// Hashes the header.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        BlockHash(double_sha256(&self.to_bytes()))
    }
}
