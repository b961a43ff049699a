//! The load tool: thousands of small miners in one process, against Millrace or any other proxy, with the small pool behind
//! it. [`docs/load.md`](../../../docs/load.md) says what each figure means and how it is taken.
//!
//! ```text
//! Crowd (one thread, epoll) ── Sv1 ──► proxy, a process of its own ── Sv2 ──► LoadPool (one thread)
//!            └────────────────────────► Floor, a process of its own: the same bytes without any proxy
//! ```
//! The pool's writes and the miners' reads are timed by the same clock, in the same process.

mod block;
mod churn;
mod contender;
mod crowd;
mod descriptors;
mod figures;
pub mod floor;
mod hold;
mod job;
mod mine;
mod miner;
mod sheet;
mod storm;
mod tally;
mod upstream;
mod watched;

use std::time::Duration;

pub use churn::{Churn, ChurnReport};
pub use contender::Contender;
pub use figures::{Figures, FiguresReport};
pub use hold::{Hold, HoldReport, WriterReport};
pub use mine::{Flow, Mine, MineReport};
pub use storm::{Storm, StormReport};
pub use watched::{Watched, WatchedReport};

use crate::Usage;

/// Longest wait for a new block, or for what has to be there at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// Miners that may be setting up at a time, where it is not a storm.
const WINDOW: usize = 100;

/// Makes ready: one thread for the pool, and as many open files as may be. Gives how many miners those are enough for.
#[must_use]
pub fn prepare() -> usize {
    async_global_executor::init_with_config(
        async_global_executor::GlobalExecutorConfig::default()
            .with_min_threads(1)
            .with_max_threads(1),
    );
    descriptors::raise_limit()
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn kilobytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000.0
}

/// CPU time of this process: miners and pool.
fn own_cpu() -> Duration {
    Usage::of_this_process().unwrap_or_default().cpu
}

/// CPU time of this thread: the miners.
fn thread_cpu() -> Duration {
    Usage::of_this_thread().unwrap_or_default().cpu
}
