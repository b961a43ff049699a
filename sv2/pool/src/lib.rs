//! A small Stratum V2 pool: for the demo, the tests, and to grow.
//!
//! It deals jobs of the shape that real pools deal and validates every share completely, on a code path of its
//! own. It knows no transactions and pays nobody: it is a test instrument, not a pool to mine on.
//!
//! | question | module |
//! |---|---|
//! | what can be set? | [`config`], [`faults`] |
//! | what is answered to a message? | [`pool`] (the router), `connection`, `channel` |
//! | what is in a job? | [`job`], `coinbase`, `dealer` (when, and on which block) |
//! | why was this share refused? | [`share`] |
//! | when is a share acknowledged? | `acknowledgement` |
//! | what happened so far? | [`statistics`], [`event`] |
//! | sockets, tasks, Noise | [`server`] (the body), [`handle`] |
//!
//! [`Pool`] has no I/O and no clock: time is an argument, randomness a seed. [`PoolServer`] is the body around
//! it, on async-std.

mod acknowledgement;
mod channel;
mod coinbase;
mod command;
pub mod config;
mod connection;
mod dealer;
pub mod event;
pub mod faults;
pub mod handle;
pub mod job;
mod outbox;
pub mod pool;
mod prefixes;
mod random;
pub mod server;
pub mod share;
pub mod statistics;

pub use command::Channels;
pub use config::{Addressing, CertificateValidity, Limits, NtimeLimit, PoolConfig, ShareTarget};
pub use event::{AcceptedShare, BlockWrite, PoolEvent};
pub use faults::Faults;
pub use handle::{PoolHandle, PoolStopped};
pub use job::{GivenJob, Job, Tip};
pub use outbox::{ConnectionId, Output};
pub use pool::Pool;
pub use server::PoolServer;
pub use share::Refusal;
pub use statistics::{PoolStats, WorkerStats};
