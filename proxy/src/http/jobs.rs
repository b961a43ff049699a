//! `/api/v1/jobs`: the last jobs that went out to miners.

use std::net::SocketAddr;

use serde::Serialize;

use crate::snapshot::Snapshot;

use super::shards::View;
use super::time::Time;

/// The last jobs, the newest first.
#[derive(Debug, Serialize)]
pub(super) struct Jobs {
    time: Time,
    jobs: Vec<JobRow>,
}

#[derive(Debug, Serialize)]
struct JobRow {
    time: Time,
    listeners: Vec<SocketAddr>,
    upstream: String,
    job_id: u32,
    height: Option<u32>,
    prev_hash: String,
    network_difficulty: f64,
    difficulty: f64,
    new_block: bool,
    clean: bool,
    miners: usize,
}

impl Jobs {
    pub(super) fn of(view: &View<Snapshot>) -> Self {
        let rows = view.shards.iter().flat_map(|seen| {
            seen.shown.jobs.iter().map(|job| JobRow {
                time: view.clock.at(job.at),
                listeners: seen.listeners.to_vec(),
                upstream: job.upstream.clone(),
                job_id: job.job_id.0,
                height: job.height,
                prev_hash: job.prev_hash.to_string(),
                network_difficulty: job.network_difficulty.to_f64(),
                difficulty: job.difficulty.to_f64(),
                new_block: job.new_block,
                clean: job.clean,
                miners: job.miners,
            })
        });
        let mut jobs: Vec<_> = rows.collect();
        jobs.sort_by_key(|job| std::cmp::Reverse(job.time));
        Self {
            time: view.clock.time(),
            jobs,
        }
    }
}
