//! Work: an upstream job made ready for miners, once for all of them.
//!
//! A job's notify is built once per id as immutable bytes; a fan-out hands the same buffer to every miner. One
//! job gets several ids over its life, because keepalives and new difficulties need a fresh one each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sv1::{JobId, NotifyParts};

use crate::job::Job;

/// Ids kept per block. A pool deals a job every half minute and retargets take at most one id a second, so an
/// hour without a block stays below it.
const MAX_IDS: usize = 4_096;

/// The two forms of a job's SV1 mining.notify line.
#[derive(Debug)]
pub struct Notify {
    clean: Box<[u8]>,
    continuing: Box<[u8]>,
}

impl Notify {
    /// Gives the line; with `clean_jobs` all earlier jobs are void.
    #[must_use]
    pub fn line(&self, clean_jobs: bool) -> &[u8] {
        if clean_jobs {
            &self.clean
        } else {
            &self.continuing
        }
    }
}

/// Numbers the notifies of this translator; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct WorkId(u64);

/// What every miner should be working on.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) id: WorkId,
    pub(crate) job: Arc<Job>,
    pub(crate) notify: Arc<Notify>,
    pub(crate) made: Instant,
    ntime: u32,
}

/// What a share's job id refers to.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A job of the present block.
    Job(WorkId, &'a Arc<Job>),
    /// A job of an earlier block or of an upstream that is gone.
    Stale,
    /// No job of ours.
    Unknown,
}

/// The newest work and the jobs that shares may still refer to.
#[derive(Debug, Default)]
pub(crate) struct Works {
    newest: Option<Work>,
    /// Jobs of the ids `first`, `first + 1`, …; all of the present block.
    jobs: VecDeque<Arc<Job>>,
    first: u64,
}

impl Works {
    pub(crate) fn newest(&self) -> Option<&Work> {
        self.newest.as_ref()
    }

    /// Makes work of a job. `new_block` ends all earlier ids.
    pub(crate) fn make(&mut self, now: Instant, job: Arc<Job>, new_block: bool) -> &Work {
        if new_block {
            self.end_block();
        }
        while self.jobs.len() >= MAX_IDS {
            self.jobs.pop_front();
            self.first += 1;
        }
        let id = WorkId(self.first + self.jobs.len() as u64);
        let ntime = self.next_ntime(&job, now);
        let notify = Arc::new(build(&job, id, ntime));
        self.jobs.push_back(Arc::clone(&job));
        self.newest.insert(Work {
            id,
            job,
            notify,
            made: now,
            ntime,
        })
    }

    /// Ends all ids: their shares are stale from now on.
    pub(crate) fn end_block(&mut self) {
        self.first += self.jobs.len() as u64;
        self.jobs.clear();
    }

    /// Header times of one job rise with every id, as long as they may.
    fn next_ntime(&self, job: &Arc<Job>, now: Instant) -> u32 {
        let by_clock = job.ntime_at(now);
        let latest = job
            .min_ntime
            .saturating_add(crate::job::MAX_NTIME_AHEAD - 1);
        match &self.newest {
            Some(before) if Arc::ptr_eq(&before.job, job) => {
                by_clock.max(before.ntime + 1).min(latest)
            }
            _ => by_clock,
        }
    }

    pub(crate) fn find(&self, id: &JobId) -> Found<'_> {
        let Some(number) = id.as_number() else {
            return Found::Unknown;
        };
        let Some(position) = number.checked_sub(self.first) else {
            return Found::Stale;
        };
        let job = usize::try_from(position)
            .ok()
            .and_then(|i| self.jobs.get(i));
        job.map_or(Found::Unknown, |job| Found::Job(WorkId(number), job))
    }
}

fn build(job: &Job, id: WorkId, ntime: u32) -> Notify {
    let line = |clean_jobs| {
        let parts = NotifyParts {
            job_id: JobId::from_number(id.0),
            prev_hash: &job.tip.prev_hash.0,
            coinb1: &[&job.dealt.coinbase_start],
            coinb2: &[&job.dealt.coinbase_end],
            merkle_path: &job.dealt.merkle_path,
            version: job.dealt.version,
            nbits: job.tip.nbits,
            ntime,
            clean_jobs,
        };
        parts.encode().into_boxed_slice()
    };
    Notify {
        clean: line(true),
        continuing: line(false),
    }
}
