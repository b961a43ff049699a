//! The time from the pool's write of a new block to its arrival at each miner.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;
use super::crowd::Crowd;
use super::seconds;
use super::upstream::LoadPool;
use crate::spread::Spread;

/// Starts a new block and waits until it has reached the whole crowd; `None` where it does not.
pub(super) fn time_block(crowd: &mut Crowd, pool: &LoadPool) -> io::Result<Option<Spread>> {
    pool.new_block();
    let miners = crowd.tally().mining;
    let deadline = Instant::now() + PATIENCE;
    let mut write = None;
    let arrived = crowd.run_until(deadline, |tally| {
        write = write.or_else(|| pool.block_write());
        write.is_some_and(|write| tally.arrivals(&write.prev_hash.0).len() >= miners)
    })?;
    let delays = write.filter(|_| arrived).map(|write| {
        let arrivals = crowd.tally().arrivals(&write.prev_hash.0).iter();
        let delays: Vec<Duration> = arrivals
            .map(|arrival| arrival.saturating_duration_since(write.began))
            .collect();
        Spread::of(&delays)
    });
    Ok(delays)
}

/// The medians of several blocks' medians, 99th percentiles and ends; all zero where there is none.
pub(super) fn typical(blocks: &[Spread]) -> Spread {
    let median = |time: fn(&Spread) -> Duration| {
        let times: Vec<Duration> = blocks.iter().map(time).collect();
        Spread::of(&times).median
    };
    Spread {
        count: blocks.len(),
        median: median(|block| block.median),
        p99: median(|block| block.p99),
        max: median(|block| block.max),
    }
}

/// Gives the figures of a block for programs.
pub(super) fn block_json(block: &Spread) -> Value {
    json!({
        "miners": block.count,
        "median_seconds": seconds(block.median),
        "p99_seconds": seconds(block.p99),
        "last_seconds": seconds(block.max),
    })
}
