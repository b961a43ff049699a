//! One extended channel: its extranonce, its target, its jobs, and the shares it has seen.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use sv2::bitcoin::{Hashrate, Target, VersionMask};
use sv2::messages::mining::SubmitSharesExtended;
use sv2::types::{B0_32, JobId, Str0_255};

use crate::acknowledgement::Batch;
use crate::config::{NtimeLimit, PoolConfig};
use crate::job::{Job, Tip};
use crate::share::{self, Refusal, Rules, Solution};

/// An open channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) user_identity: Str0_255,
    pub(crate) hashrate: Hashrate,
    pub(crate) max_target: Target,
    /// Counts for jobs that become active from now on.
    pub(crate) target: Target,
    /// Set by command, in place of the configured choice.
    pub(crate) commanded_target: Option<Target>,
    /// Counts for jobs that are dealt from now on.
    pub(crate) extranonce_prefix: B0_32,
    pub(crate) extranonce_size: u16,
    pub(crate) batch: Batch,
    jobs: VecDeque<ChannelJob>,
    seen: HashSet<[u8; 32]>,
    terms: Terms,
}

/// The pool's rules for every channel.
#[derive(Debug, Clone, Copy)]
struct Terms {
    version_mask: VersionMask,
    ntime_limit: NtimeLimit,
    max_jobs: usize,
    max_seen_shares: usize,
}

/// A job with what was fixed when it was dealt: the extranonce prefix (SV2 §5.3.10).
#[derive(Debug)]
struct ChannelJob {
    job: Arc<Job>,
    extranonce_prefix: B0_32,
    state: JobState,
}

#[derive(Debug, Clone, Copy)]
enum JobState {
    Future,
    Active(Activation),
    Stale,
}

/// What is fixed when a job becomes active: its target too (SV2 §5.3.21).
#[derive(Debug, Clone, Copy)]
struct Activation {
    tip: Tip,
    min_ntime: u32,
    target: Target,
    since: Instant,
}

/// An accepted share and what it was judged by.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) job: Arc<Job>,
    pub(crate) extranonce_prefix: B0_32,
    pub(crate) tip: Tip,
    pub(crate) min_ntime: u32,
    pub(crate) target: Target,
    pub(crate) solution: Solution,
}

impl Channel {
    pub(crate) fn new(
        config: &PoolConfig,
        user_identity: Str0_255,
        hashrate: Hashrate,
        max_target: Target,
        extranonce_prefix: B0_32,
    ) -> Self {
        Self {
            user_identity,
            hashrate,
            max_target,
            target: config.share_target.choose(hashrate).min(max_target),
            commanded_target: None,
            extranonce_prefix,
            extranonce_size: config.extranonce_size,
            batch: Batch::default(),
            jobs: VecDeque::new(),
            seen: HashSet::new(),
            terms: Terms {
                version_mask: config.version_mask,
                ntime_limit: config.ntime_limit,
                max_jobs: config.limits.max_jobs,
                max_seen_shares: config.limits.max_seen_shares,
            },
        }
    }

    /// Tells how long the whole extranonce is.
    pub(crate) fn extranonce_len(&self) -> usize {
        self.extranonce_prefix.len() + usize::from(self.extranonce_size)
    }

    /// Chooses the target anew after a change; the new one where it differs.
    pub(crate) fn retarget(&mut self, config: &PoolConfig) -> Option<Target> {
        let chosen = self
            .commanded_target
            .unwrap_or_else(|| config.share_target.choose(self.hashrate));
        let target = chosen.min(self.max_target);
        let changed = target != self.target;
        self.target = target;
        changed.then_some(target)
    }

    /// Takes a job that waits for its block.
    pub(crate) fn add_future(&mut self, job: Arc<Job>) {
        self.add(job, JobState::Future);
    }

    /// Takes a job that is active at once; older jobs on the same block stay good.
    pub(crate) fn add_active(&mut self, now: Instant, job: Arc<Job>, tip: Tip, min_ntime: u32) {
        let activation = self.activation(now, tip, min_ntime);
        self.add(job, JobState::Active(activation));
    }

    /// Starts a block: one future job becomes active, everything else is stale (SV2 §5.3.17).
    pub(crate) fn activate(&mut self, now: Instant, job_id: JobId, tip: Tip) {
        let activation = self.activation(now, tip, tip.min_ntime);
        for job in &mut self.jobs {
            let is_next = job.job.job_id == job_id && matches!(job.state, JobState::Future);
            job.state = match is_next {
                true => JobState::Active(activation),
                false => JobState::Stale,
            };
        }
        self.seen.clear();
    }

    /// Tells whether another share could not be told from a duplicate.
    pub(crate) fn has_seen_too_many(&self) -> bool {
        self.seen.len() >= self.terms.max_seen_shares
    }

    /// Judges a share, and remembers it where it is accepted.
    pub(crate) fn submit(
        &mut self,
        now: Instant,
        share: &SubmitSharesExtended,
    ) -> Result<Accepted, Refusal> {
        let (job, activation) = self.active_job(share.job_id)?;
        let rules = Rules {
            job: &job.job,
            tip: activation.tip,
            min_ntime: activation.min_ntime,
            active_since: activation.since,
            target: activation.target,
            extranonce_prefix: &job.extranonce_prefix,
            extranonce_size: self.extranonce_size,
            version_mask: self.terms.version_mask,
            ntime_limit: self.terms.ntime_limit,
        };
        let solution = share::judge(now, &rules, share)?;
        let accepted = Accepted {
            job: job.job.clone(),
            extranonce_prefix: job.extranonce_prefix,
            tip: activation.tip,
            min_ntime: activation.min_ntime,
            target: activation.target,
            solution,
        };
        match self.seen.insert(accepted.solution.hash.0) {
            true => Ok(accepted),
            false => Err(Refusal::Duplicate),
        }
    }

    fn active_job(&self, job_id: JobId) -> Result<(&ChannelJob, Activation), Refusal> {
        let job = self.jobs.iter().rev().find(|job| job.job.job_id == job_id);
        let job = job.ok_or(Refusal::UnknownJob)?;
        match job.state {
            JobState::Active(activation) => Ok((job, activation)),
            JobState::Stale => Err(Refusal::Stale),
            JobState::Future => Err(Refusal::UnknownJob),
        }
    }

    fn activation(&self, now: Instant, tip: Tip, min_ntime: u32) -> Activation {
        Activation {
            tip,
            min_ntime,
            target: self.target,
            since: now,
        }
    }

    fn add(&mut self, job: Arc<Job>, state: JobState) {
        while self.jobs.len() >= self.terms.max_jobs.max(1) {
            self.jobs.pop_front();
        }
        self.jobs.push_back(ChannelJob {
            job,
            extranonce_prefix: self.extranonce_prefix,
            state,
        });
    }
}
