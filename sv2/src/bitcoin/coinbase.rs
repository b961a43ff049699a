//! From the pieces of a coinbase transaction to the merkle root (SV2 §5.3.16 `NewExtendedMiningJob`).
//!
//! The txid is over the transaction without BIP-0141 witness: prefix, extranonce and suffix in a row. The extranonce
//! itself is made of several pieces, so all functions take slices of slices and nothing is joined in memory.

use sha2::{Digest, Sha256};

/// The constant leading bytes of a job's coinbase, hashed once.
///
/// Made per job from everything that its shares have in common; each share then hashes only what differs and what
/// follows.
#[derive(Clone)]
pub struct CoinbasePrefix {
    hasher: Sha256,
}

impl CoinbasePrefix {
    /// Hashes the leading pieces, for instance `coinbase_tx_prefix` and the extranonce prefix.
    #[must_use]
    pub fn new(leading: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        leading.iter().for_each(|piece| hasher.update(piece));
        Self { hasher }
    }

    /// Gives the txid, in wire order, of the coinbase that goes on with these pieces: the share's extranonce, then
    /// `coinbase_tx_suffix`. Nothing is allocated.
    #[must_use]
    pub fn txid(&self, rest: &[&[u8]]) -> [u8; 32] {
        let mut hasher = self.hasher.clone();
        rest.iter().for_each(|piece| hasher.update(piece));
        Sha256::digest(hasher.finalize()).into()
    }
}

impl std::fmt::Debug for CoinbasePrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoinbasePrefix").finish_non_exhaustive()
    }
}

/// Gives the txid, in wire order, of a coinbase in pieces, for a caller that has only one share of it.
#[must_use]
pub fn coinbase_txid(pieces: &[&[u8]]) -> [u8; 32] {
    CoinbasePrefix::new(&[]).txid(pieces)
}

/// Climbs from the coinbase's txid to the merkle root: each hash of the path is the right-hand neighbour. All are in
/// wire order.
#[must_use]
pub fn merkle_root<'a>(
    coinbase_txid: [u8; 32],
    path: impl IntoIterator<Item = &'a [u8; 32]>,
) -> [u8; 32] {
    path.into_iter().fold(coinbase_txid, |left, right| {
        let node = Sha256::new().chain_update(left).chain_update(right);
        Sha256::digest(node.finalize()).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bitcoin::double_sha256;

    #[test]
    fn the_txid_does_not_depend_on_where_the_coinbase_is_cut() {
        let coinbase: Vec<u8> = (0..=255).collect();
        let whole = double_sha256(&coinbase);
        for cut in 0..=coinbase.len() {
            let (leading, rest) = coinbase.split_at(cut);
            let prefix = CoinbasePrefix::new(&[leading]);
            assert_eq!(prefix.txid(&[rest]), whole);
            assert_eq!(
                prefix.txid(&[rest, &[]]),
                whole,
                "the prefix stays as it was"
            );
            assert_eq!(coinbase_txid(&[leading, rest]), whole);
        }
    }

    #[test]
    fn without_a_path_the_root_is_the_txid() {
        assert_eq!(merkle_root([7; 32], &[]), [7; 32]);
    }
}
