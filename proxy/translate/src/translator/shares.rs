//! Shares of miners: judged, answered, counted, sent on.

use std::sync::Arc;
use std::time::Instant;

use sv1::{Id, Submit, reply};

use super::Translator;
use crate::event::Event;
use crate::job::Job;
use crate::kept_block::KeptBlock;
use crate::miner::Miner;
use crate::miners::MinerId;
use crate::output::Output;
use crate::refusal::Refusal;
use crate::share::{self, GoodShare};
use crate::statistics::UpstreamStatistics;
use crate::upstream::Upstream;
use crate::work::WorkId;

impl Translator {
    pub(super) fn handle_submit(
        &mut self,
        now: Instant,
        id: MinerId,
        call: &Id,
        submit: &Submit,
        replies: &mut Vec<u8>,
    ) {
        self.statistics.shares_submitted += 1;
        match self.judge(now, id, submit) {
            Ok((share, job)) => {
                reply::result_true(replies, call);
                if share.for_upstream {
                    self.forward(now, id, submit, &share, &job);
                }
                self.count_share(now, id, &share);
            }
            Err(refusal) => {
                reply::error(replies, call, refusal.code(), &refusal.to_string());
                self.count_refusal(now, id, refusal);
            }
        }
    }

    fn judge(
        &mut self,
        now: Instant,
        id: MinerId,
        submit: &Submit,
    ) -> Result<(GoodShare, Arc<Job>), Refusal> {
        let miner = self.miners.get(id).ok_or(Refusal::NotSubscribed)?;
        if let Some(left) = miner.conduct.pause_left(now)
            && !self.solves_block(miner, submit)
        {
            return Err(Refusal::Paused(left.as_secs().max(1)));
        }
        if miner.slot().is_none() {
            return Err(Refusal::NotSubscribed);
        }
        miner.identity(&submit.worker)?;
        let (work, job) = self.find_job(miner, submit)?;
        let terms = miner.terms(work)?;
        let upstream = self.upstreams.get_mut(job.connection.upstream);
        let channel = upstream.and_then(|upstream| upstream.channel_of(job.connection));
        let Some((channel, _)) = channel else {
            // Nobody pays for it, but a block must not be lost.
            let share = share::examine(submit, (work, &job), terms);
            if let Ok(share) = share.as_ref()
                && share.is_block
                && self.kept_blocks.insert(&share.hash)
            {
                self.keep_block(now, submit, share, &job);
            }
            return Err(Refusal::UpstreamGone);
        };
        if !channel.is_of_present_block(&job) {
            return Err(Refusal::Stale);
        }
        let share = share::judge(submit, (work, &job), terms, &mut channel.duplicates)?;
        Ok((share, job))
    }

    /// Finds the job of a share.
    fn find_job(&self, miner: &Miner, submit: &Submit) -> Result<(WorkId, Arc<Job>), Refusal> {
        let work = self.work_ids.find(&submit.job_id);
        let work = work.ok_or(Refusal::UnknownJob)?;
        // A miner with a channel of its own had the farm's work before, and shares may be under way.
        let own = self.lanes.get(miner.home).map(|lane| &lane.works);
        let mut works = own.into_iter().chain([&self.works]);
        match works.clone().find_map(|works| works.find(work)) {
            Some(job) => Ok((work, Arc::clone(job))),
            None if works.any(|works| works.had(work)) => Err(Refusal::Stale),
            None => Err(Refusal::OtherChannelsJob),
        }
    }

    /// Tells whether a share of a paused miner is worth more than the quiet that the pause is for.
    fn solves_block(&self, miner: &Miner, submit: &Submit) -> bool {
        let share = self.find_job(miner, submit).and_then(|(work, job)| {
            let terms = miner.terms(work)?;
            share::examine(submit, (work, &job), terms)
        });
        share.is_ok_and(|share| share.is_block)
    }

    /// Has a solved block kept whose upstream is gone.
    fn keep_block(&mut self, now: Instant, submit: &Submit, share: &GoodShare, job: &Job) {
        let configured = job.connection.configured;
        let upstream = self.upstreams.get(configured).map(Upstream::name);
        let name = upstream.or_else(|| self.upstreams.name_of_gone(configured));
        let block = kept_block(now, (name.unwrap_or_default(), job), submit, share);
        let Some(block) = block.map(Box::new) else {
            return;
        };
        self.statistics.blocks_found += 1;
        match self.upstreams.get_mut(configured) {
            Some(upstream) => upstream.statistics.keep_block(block, &mut self.outputs),
            // Its counters are gone with it; the block is not.
            None => UpstreamStatistics::default().keep_block(block, &mut self.outputs),
        }
    }

    /// Sends a share to the upstream whose job it is.
    fn forward(
        &mut self,
        now: Instant,
        id: MinerId,
        submit: &Submit,
        share: &GoodShare,
        job: &Job,
    ) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        let Some(extranonce) = job.extranonce(share.slot, submit.extranonce2.as_bytes()) else {
            return;
        };
        let id = job.connection.upstream;
        let Some(upstream) = self.upstreams.get_mut(id) else {
            return;
        };
        let block = share
            .is_block
            .then(|| kept_block(now, (upstream.name(), job), submit, share))
            .flatten();
        let Some((channel, statistics)) = upstream.channel_of(job.connection) else {
            return;
        };
        let worker = channel
            .worker_names()
            .then(|| miner.identity(&submit.worker).ok())
            .flatten();
        let message = channel.submit(now, job, share.fields, extranonce, statistics);
        let found = block.map(|block| {
            let upstream = block.upstream.clone();
            let block = KeptBlock {
                sent: true,
                ..block
            };
            channel.hold_block(message.sequence_number, Box::new(block));
            upstream
        });
        self.outputs.push_back(Output::Send {
            upstream: id,
            message: message.into(),
            worker,
        });
        if let Some(upstream) = found {
            self.statistics.blocks_found += 1;
            let worker = submit.worker.to_string();
            self.event(Event::BlockFound {
                hash: share.hash,
                worker,
                upstream,
            });
        }
    }

    fn count_share(&mut self, now: Instant, id: MinerId, share: &GoodShare) {
        self.statistics.shares_accepted += 1;
        let work = share.credit.to_f64();
        self.statistics.work_accepted += work;
        self.statistics.meter.accept(now, work);
        self.history.note(now, |minute| {
            minute.accepted += 1;
            minute.work += work;
        });
        if share.for_upstream {
            self.flow.note(now);
        }
        let ceiling = self.ceiling_at(now, id);
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        miner.meter.accept(now, work);
        miner.conduct.note_good(now);
        miner.flow.note(now);
        self.guard.note_good(now, miner.peer.ip());
        let current = miner.assigned.difficulty();
        miner.vardiff.note(now, share.credit, current);
        // Only a miner that floods is not left to the next look at all miners.
        let change = miner.measured_change(now, ceiling);
        if let Some(difficulty) = change.filter(|change| *change > current) {
            self.change_difficulty(now, id, difficulty);
        }
    }

    pub(super) fn count_refusal(&mut self, now: Instant, id: MinerId, refusal: Refusal) {
        *self
            .statistics
            .shares_rejected
            .entry(refusal.label())
            .or_default() += 1;
        self.statistics.meter.reject(now, refusal);
        self.history.note(now, |minute| minute.rejected += 1);
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        miner.meter.reject(now, refusal);
        let worker = match miner.worker_name() {
            "" => miner.peer.to_string(),
            worker => worker.to_owned(),
        };
        self.event(Event::ShareRefused { worker, refusal });
        self.note_refusal(now, id, &refusal);
    }
}

/// Gathers what is known of a solved block.
fn kept_block(
    now: Instant,
    (upstream, job): (&str, &Job),
    submit: &Submit,
    share: &GoodShare,
) -> Option<KeptBlock> {
    let (slot, extranonce2) = (share.slot, submit.extranonce2.as_bytes());
    Some(KeptBlock {
        hash: share.hash,
        header: job.header(slot, extranonce2, share.fields)?.to_bytes(),
        coinbase: job.coinbase(slot, extranonce2)?,
        merkle_path: job.dealt.merkle_path.to_vec(),
        upstream: upstream.to_owned(),
        channel_id: job.channel_id,
        job_id: job.dealt.id,
        extranonce: job.extranonce(slot, extranonce2)?,
        worker: submit.worker.to_string(),
        min_ntime: job.min_ntime,
        ntime: share.fields.ntime,
        job_age: now.saturating_duration_since(job.active_since),
        sent: false,
    })
}
