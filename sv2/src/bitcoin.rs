//! The Bitcoin arithmetic of shares: coinbase, merkle root, header hash, targets, difficulty and hashrate.
//!
//! Both sides of the proxy and the small pool judge shares with these functions. A threshold is a 256-bit
//! [`Target`] everywhere inside; [`Difficulty`] and [`Hashrate`] are binary64 and stand only at the edges (SV1
//! `mining.set_difficulty`, SV2 §5.3.2 `nominal_hash_rate`, reports). Every conversion is computed on whole
//! numbers and rounded once, so nothing is lost at either end of the range.
//!
//! 256-bit values on the Stratum V2 wire are little-endian (SV2 §3.1), and so are hashes as they come out of
//! SHA-256; people and Stratum V1 see them reversed.

mod block_hash;
mod coinbase;
mod compact;
mod difficulty;
mod error;
mod hashrate;
mod header;
mod target;
mod version_mask;
mod wide;
mod work;

pub use block_hash::{BlockHash, double_sha256};
pub use coinbase::{CoinbasePrefix, coinbase_txid, merkle_root};
pub use difficulty::Difficulty;
pub use error::Error;
pub use hashrate::Hashrate;
pub use header::Header;
pub use target::Target;
pub use version_mask::VersionMask;
pub use work::Work;
