//! What the Millrace proxy decides, without I/O, clock, randomness or async.
//!
//! [`Translator`] stands between Sv1 miners and Sv2 upstreams. Its contract is that of a sans-io protocol core:
//! `handle_*(now, …)` takes what came in, [`Translator::poll_output`] says what to do, and
//! [`Translator::poll_timeout`] says when to call [`Translator::handle_timeout`] at the latest. Time is an
//! argument and randomness a seed, so that every behaviour can be replayed on a virtual clock.
//!
//! | question | file |
//! |---|---|
//! | what do we answer to a miner's request? | `miner.rs`, `miner/setup.rs` |
//! | is this share good, and why not? | `share.rs`, `refusal.rs` |
//! | what if the upstream refuses, closes, stalls? | `upstream.rs`, `upstream/channel.rs` |
//! | whose jobs do the miners work on? | `upstreams.rs` |
//! | which bytes is a job for miners? | `work.rs`, `job.rs` |
//! | whose extranonce is whose, also after a reconnect? | `slot.rs`, `session.rs` |
//! | how hard is a miner's work? | `miner/start.rs`, `vardiff.rs`, `ceiling.rs`, `assigned.rs`, `known.rs` |
//! | which firmware needs another answer? | `firmware.rs` |
//! | who may come in, who is paused or banned? | `guard.rs` |
//! | what does an operator see of miners, jobs and hashrates? | `statistics.rs`, `meter.rs`, `left.rs`, `history.rs` |

mod assigned;
mod backoff;
mod ceiling;
mod config;
mod dealt;
mod duplicates;
mod event;
mod firmware;
mod guard;
mod history;
mod job;
mod kept_block;
mod known;
mod lane;
mod latency;
mod layout;
mod left;
mod meter;
mod miner;
mod miners;
mod output;
mod refusal;
mod session;
mod share;
mod slot;
mod statistics;
#[cfg(test)]
mod testing;
mod translator;
mod upstream;
mod upstreams;
mod vardiff;
mod work;
mod worker;

pub use config::{
    ChannelMode, Config, DifficultyPolicy, ListenerConfig, ListenerId, UpstreamConfig,
};
pub use dealt::JobStatistics;
pub use event::{Event, Severity};
pub use firmware::{Firmware, Mark, ReconnectForm};
pub use guard::{GuardPolicy, Limit};
pub use history::{HISTORY_MINUTES, History, Minute};
pub use kept_block::KeptBlock;
pub use known::MAX_KNOWN_WORKERS;
pub use latency::Latency;
pub use left::{LeftCursor, LeftWorker};
pub use meter::{HASHES_PER_DIFFICULTY, Meter, Span};
pub use miners::MinerId;
pub use output::{CloseReason, Delivery, Output};
pub use refusal::Refusal;
pub use session::KeptSession;
pub use statistics::{
    Failure, ListenerStatistics, MinerState, MinerStatistics, Statistics, UpstreamState,
    UpstreamStatistics,
};
pub use translator::Translator;
pub use upstream::{Fault, UpstreamId, Violation};
pub use upstreams::Switch;
pub use work::Notify;
pub use worker::{TemplateError, UserTemplate};
