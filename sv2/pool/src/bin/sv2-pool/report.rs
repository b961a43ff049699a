//! What the program tells of its pool: a line now and then, and a summary at the end.

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::{Value, json};
use sv2::bitcoin::Hashrate;
use sv2_pool::{PoolStats, WorkerStats};

/// Workers named in the summary; the JSON names all.
const WORKERS_IN_SUMMARY: usize = 20;

/// Tells rates since the start and since the last line.
pub(crate) struct Report {
    start: Instant,
    last: Instant,
    last_hashes: f64,
}

impl Report {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            start: now,
            last: now,
            last_hashes: 0.0,
        }
    }

    /// Tells the state in a line.
    pub(crate) fn line(&mut self, stats: &PoolStats) -> String {
        let now = Instant::now();
        let seconds = now.duration_since(self.last).as_secs_f64();
        let hashes = stats.hashes_accepted - self.last_hashes;
        (self.last, self.last_hashes) = (now, stats.hashes_accepted);
        format!(
            "{} connections, {} channels, {} | shares: {} accepted, {} refused{} | {} jobs, {} new blocks, {} found",
            stats.connections,
            stats.channels,
            rate(hashes, seconds),
            stats.shares_accepted,
            stats.shares_refused_total(),
            reasons(stats),
            stats.jobs,
            stats.new_blocks,
            stats.blocks_found,
        )
    }

    /// Tells what the whole run came to.
    pub(crate) fn summary(&self, stats: &PoolStats) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        let mut text = format!(
            "{:.0} s: {} shares accepted ({} acknowledged) of difficulty {:.6} in all, {} refused{}; {}",
            seconds,
            stats.shares_accepted,
            stats.shares_acknowledged,
            stats.difficulty_accepted,
            stats.shares_refused_total(),
            reasons(stats),
            rate(stats.hashes_accepted, seconds),
        );
        for (name, worker) in stats.workers.iter().take(WORKERS_IN_SUMMARY) {
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "\n{name}: {} accepted, {} refused",
                worker.accepted, worker.refused
            );
        }
        text
    }

    /// Gives the summary as JSON.
    pub(crate) fn json(&self, stats: &PoolStats) -> Value {
        let workers: serde_json::Map<String, Value> = (stats.workers.iter())
            .map(|(name, worker)| (name.clone(), worker_json(worker)))
            .collect();
        json!({
            "duration_seconds": self.start.elapsed().as_secs_f64(),
            "connections": stats.connections_total,
            "channels": stats.channels_total,
            "channels_refused": stats.channels_refused,
            "jobs": stats.jobs,
            "new_blocks": stats.new_blocks,
            "shares_accepted": stats.shares_accepted,
            "shares_acknowledged": stats.shares_acknowledged,
            "shares_refused": stats.shares_refused,
            "difficulty_accepted": stats.difficulty_accepted,
            "hashes_accepted": stats.hashes_accepted,
            "blocks_found": stats.blocks_found,
            "workers": workers,
        })
    }
}

fn worker_json(worker: &WorkerStats) -> Value {
    json!({
        "accepted": worker.accepted,
        "refused": worker.refused,
        "difficulty": worker.difficulty,
    })
}

fn rate(hashes: f64, seconds: f64) -> String {
    let rate = Hashrate::new(hashes / seconds.max(f64::MIN_POSITIVE));
    rate.map_or_else(|_| "? H/s".into(), |rate| rate.to_string())
}

fn reasons(stats: &PoolStats) -> String {
    if stats.shares_refused.is_empty() {
        return String::new();
    }
    let reasons: Vec<String> = (stats.shares_refused.iter())
        .map(|(code, count)| format!("{code} {count}"))
        .collect();
    format!(" ({})", reasons.join(", "))
}
