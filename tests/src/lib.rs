//! A bench for the appliance from outside: the program as a process, a pool beside it, and scripted peers on both of
//! its sides over real TCP and Noise.
//!
//! Every wait is bounded by [`PATIENCE`] and ends as soon as what is waited for is there; nothing sleeps. Every port
//! is one that the system chose, so that tests run beside each other.

#![expect(
    clippy::indexing_slicing,
    reason = "what is not there in a JSON value reads as null"
)]

pub mod browser;
mod build;
mod config;
pub mod failover;
pub mod farm;
pub mod flood;
mod http;
pub mod load;
mod pool;
mod program;
mod rig;
pub mod simulation;
mod spread;
pub mod stage;
mod switchboard;
mod usage;
mod verdict;
mod wire;

use std::time::Duration;

pub use browser::Browser;
pub use build::build;
pub use config::ProxyConfig;
pub use http::{Http, Reply};
pub use pool::Pool;
pub use program::{Ended, Program};
pub use rig::{Answer, Rig};
pub use stage::{Scene, Stage};
pub use switchboard::{Line, Switchboard};
pub use usage::Usage;
pub use verdict::conclude;
pub use wire::Wire;

/// Longest wait for anything that must happen: far above what the slowest machine needs, so that it decides nothing
/// but how long a broken test takes. The longest thing to wait for is a channel that is kept for late shares: 30 s.
pub const PATIENCE: Duration = Duration::from_secs(120);
