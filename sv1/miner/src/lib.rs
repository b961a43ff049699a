//! Stratum V1 miners for the CPU: one that really hashes, and a simulated farm of thousands.
//!
//! A test instrument. [`Session`] is a miner's side of a connection without I/O; [`Miner`] runs one
//! over TCP with threads that hash; [`Farm`] runs many whose shares are found by one thread. Headers
//! and targets are reckoned here by the rules of Stratum V1 alone, with nothing of the proxy's
//! arithmetic, so that one wrong byte order cannot hide on both sides.

mod client;
mod farm;
pub mod hash;
mod miner;
mod net;
mod random;
mod session;
mod stats;
mod target;
mod work;

pub use farm::{Farm, FarmConfig, FarmHandle, ShareArrivals};
pub use miner::{Miner, MinerConfig, MinerHandle};
pub use session::{DifficultyCounts, Event, MAX_UNANSWERED, Session, SessionError, SessionOptions};
pub use stats::{CleanJob, NotifySpread, Stats};
pub use target::Target;
pub use work::{Roll, Share, Work};

/// The version bits that BIP-0320 sets aside for miners.
pub const BIP_0320_MASK: u32 = 0x1fff_e000;

/// The name by which these miners introduce themselves.
pub const USER_AGENT: &str = concat!("sv1-miner/", env!("CARGO_PKG_VERSION"));
