//! An extended channel: jobs and their targets, shares and their acknowledgement (SV2 §5.3).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sv2::bitcoin::{BlockHash, Target};
use sv2::messages::mining::{
    Mining, NewExtendedMiningJob, OpenExtendedMiningChannelSuccess, SetNewPrevHash,
    SubmitSharesError, SubmitSharesExtended, SubmitSharesSuccess, UpdateChannel,
};
use sv2::types::{B0_32, ChannelId, JobId, SequenceNumber, U256};

use super::{ConnectionId, Demand, Fault, Outputs, Violation};
use crate::duplicates::Duplicates;
use crate::event::Event;
use crate::job::{DealtJob, Job, RolledFields, Tip};
use crate::output::Output;
use crate::statistics::UpstreamStatistics;

/// Future jobs kept. Pools deal one or two per template and drop them at the next block.
const MAX_FUTURE_JOBS: usize = 64;

/// Hashes in a merkle path that are taken: miners' firmware holds 32, and no block has as many.
const MAX_MERKLE_PATH: usize = 32;

/// Shares without an answer that are kept for matching; pools answer at least every tenth.
const MAX_UNANSWERED: usize = 1 << 16;

/// Least time between two `UpdateChannel`s: each may be answered by a `SetTarget`.
const UPDATE_INTERVAL: Duration = Duration::from_secs(10);

/// Change of the hashrate that is worth an `UpdateChannel`.
const UPDATE_CHANGE: f64 = 0.1;

/// What a message means for miners.
#[derive(Debug)]
pub(crate) enum News {
    /// Nothing.
    Nothing,
    /// There is a job to work on.
    Job {
        /// The job.
        job: Arc<Job>,
        /// Whether all earlier jobs are void.
        new_block: bool,
    },
}

/// Whom a channel tells of what it learns.
pub(super) struct Told<'a> {
    pub(super) upstream: &'a str,
    pub(super) statistics: &'a mut UpstreamStatistics,
    pub(super) outputs: &'a mut Outputs,
}

impl Told<'_> {
    fn event(&mut self, event: impl FnOnce(String) -> Event) {
        self.outputs
            .push_back(Output::Event(event(self.upstream.to_owned())));
    }
}

/// An open extended channel.
#[derive(Debug)]
pub(crate) struct Channel {
    id: ChannelId,
    group: ChannelId,
    connection: ConnectionId,
    extranonce_prefix: B0_32,
    extranonce_size: u16,
    /// Zero bytes before slot and extranonce2.
    zeros: usize,
    /// Of jobs that become active from now on.
    target: Target,
    future: VecDeque<DealtJob>,
    tip: Option<Tip>,
    pub(crate) duplicates: Duplicates,
    next_sequence: u32,
    unanswered: VecDeque<SequenceNumber>,
    worker_names: bool,
    announced: Demand,
    /// No `UpdateChannel` before.
    update_after: Instant,
    /// A change waits for `update_after`.
    update_waits: bool,
}

/// Gives the channel that a message of the server's is about.
pub(super) fn addressed_channel(message: &Mining) -> Option<ChannelId> {
    match message {
        Mining::NewMiningJob(m) => Some(m.channel_id),
        Mining::UpdateChannelError(m) => Some(m.channel_id),
        Mining::CloseChannel(m) => Some(m.channel_id),
        Mining::SetExtranoncePrefix(m) => Some(m.channel_id),
        Mining::SubmitSharesSuccess(m) => Some(m.channel_id),
        Mining::SubmitSharesError(m) => Some(m.channel_id),
        Mining::NewExtendedMiningJob(m) => Some(m.channel_id),
        Mining::SetNewPrevHash(m) => Some(m.channel_id),
        Mining::SetTarget(m) => Some(m.channel_id),
        _ => None,
    }
}

impl Channel {
    /// Takes an open channel over; `needed` bytes of its extranonce are slot and extranonce2.
    pub(super) fn new(
        now: Instant,
        connection: ConnectionId,
        success: &OpenExtendedMiningChannelSuccess,
        needed: u16,
        worker_names: bool,
        announced: Demand,
    ) -> Result<Self, Fault> {
        let (prefix, size) = (success.extranonce_prefix.len(), success.extranonce_size);
        if prefix + usize::from(size) > B0_32::MAX_LEN {
            return Err(Violation::ExtranonceTooLong { prefix, size }.into());
        }
        Ok(Self {
            id: success.channel_id,
            group: success.group_channel_id,
            connection,
            extranonce_prefix: success.extranonce_prefix,
            extranonce_size: size,
            zeros: usize::from(size.saturating_sub(needed)),
            target: Target::from_le_bytes(success.target.0),
            future: VecDeque::new(),
            tip: None,
            duplicates: Duplicates::default(),
            next_sequence: 0,
            unanswered: VecDeque::new(),
            worker_names,
            announced,
            update_after: now + UPDATE_INTERVAL,
            update_waits: false,
        })
    }

    pub(crate) fn id(&self) -> ChannelId {
        self.id
    }

    pub(crate) fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Tells how many shares have no answer.
    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered.len() as u64
    }

    /// Tells whether a message for `channel` is for this one, by its id or its group's.
    pub(super) fn is_addressed_by(&self, channel: ChannelId) -> bool {
        channel == self.id || channel == self.group
    }

    pub(super) fn handle_message(
        &mut self,
        now: Instant,
        message: Mining,
        told: &mut Told<'_>,
    ) -> Result<News, Fault> {
        match message {
            Mining::NewExtendedMiningJob(job) => return self.take_job(now, job),
            Mining::SetNewPrevHash(message) => return self.take_prev_hash(now, &message),
            Mining::SetTarget(message) => {
                self.take_target(Target::from_le_bytes(message.maximum_target.0), told)
            }
            Mining::SetExtranoncePrefix(message) => {
                let (prefix, size) = (message.extranonce_prefix.len(), self.extranonce_size);
                if prefix + usize::from(size) > B0_32::MAX_LEN {
                    return Err(Violation::ExtranonceTooLong { prefix, size }.into());
                }
                self.extranonce_prefix = message.extranonce_prefix;
            }
            Mining::SubmitSharesSuccess(message) => self.take_success(&message, told),
            Mining::SubmitSharesError(message) => self.take_error(&message, told),
            Mining::SetGroupChannel(message) if message.channel_ids.contains(&self.id) => {
                self.group = message.group_channel_id;
            }
            Mining::CloseChannel(message) => {
                return Err(Fault::ChannelClosed(message.reason_code.to_string()));
            }
            Mining::UpdateChannelError(message) => {
                let remark = format!("refused UpdateChannel: {}", message.error_code);
                told.event(|upstream| Event::UpstreamRemark { upstream, remark });
            }
            // Answers to what we do not ask, and standard jobs, which no extended channel gets.
            _ => {}
        }
        Ok(News::Nothing)
    }

    fn take_job(&mut self, now: Instant, message: NewExtendedMiningJob) -> Result<News, Fault> {
        let (job, length) = (message.job_id, message.merkle_path.len());
        if length > MAX_MERKLE_PATH {
            return Err(Violation::MerklePathTooLong { job, length }.into());
        }
        let min_ntime = message.min_ntime;
        let dealt = DealtJob::new(message, &self.extranonce_prefix, self.zeros);
        let Some(min_ntime) = min_ntime else {
            self.future.retain(|other| other.id != job);
            if self.future.len() >= MAX_FUTURE_JOBS {
                self.future.pop_front();
            }
            self.future.push_back(dealt);
            return Ok(News::Nothing);
        };
        let tip = self.tip.ok_or(Violation::JobWithoutPrevHash(job))?;
        Ok(self.activate(now, dealt, tip, min_ntime, false))
    }

    /// Starts a block: the named future job becomes active, all others are void (SV2 §5.3.17).
    fn take_prev_hash(&mut self, now: Instant, message: &SetNewPrevHash) -> Result<News, Fault> {
        let network_target = Target::from_compact(message.nbits);
        let network_target = network_target.map_err(|_| Violation::InvalidNbits(message.nbits))?;
        let prev_hash = BlockHash(message.prev_hash.0);
        let tip = Tip {
            prev_hash,
            nbits: message.nbits,
            network_target,
        };
        let named = self.take_future_job(message.job_id);
        let dealt = named.ok_or(Violation::PrevHashForUnknownJob(message.job_id))?;
        self.future.clear();
        if self.tip.is_none_or(|before| before.prev_hash != prev_hash) {
            self.duplicates.clear();
        }
        self.tip = Some(tip);
        Ok(self.activate(now, dealt, tip, message.min_ntime, true))
    }

    fn take_future_job(&mut self, id: JobId) -> Option<DealtJob> {
        let position = self.future.iter().position(|job| job.id == id)?;
        self.future.remove(position)
    }

    fn activate(
        &self,
        now: Instant,
        dealt: DealtJob,
        tip: Tip,
        min_ntime: u32,
        new_block: bool,
    ) -> News {
        let job = Job {
            dealt,
            tip,
            min_ntime,
            active_since: now,
            target: self.target,
            connection: self.connection,
        };
        News::Job {
            job: Arc::new(job),
            new_block,
        }
    }

    /// Counts for jobs that become active later; the active one keeps its own (SV2 §5.3.21).
    fn take_target(&mut self, target: Target, told: &mut Told<'_>) {
        self.target = target;
        let difficulty = target.difficulty();
        told.statistics.difficulty = difficulty.to_f64();
        told.event(|upstream| Event::TargetSet {
            upstream,
            difficulty,
        });
    }

    /// Sends a share; the job must be this channel's.
    pub(crate) fn submit(
        &mut self,
        job: &Job,
        fields: RolledFields,
        extranonce: B0_32,
    ) -> SubmitSharesExtended {
        let sequence_number = SequenceNumber(self.next_sequence);
        self.next_sequence = self.next_sequence.wrapping_add(1);
        if self.unanswered.len() >= MAX_UNANSWERED {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back(sequence_number);
        SubmitSharesExtended {
            channel_id: self.id,
            sequence_number,
            job_id: job.dealt.id,
            nonce: fields.nonce,
            ntime: fields.ntime,
            version: fields.version,
            extranonce,
        }
    }

    /// Tells whether shares carry the worker's name (SV2 ext 0x0002).
    pub(crate) fn worker_names(&self) -> bool {
        self.worker_names
    }

    /// A Success covers a batch and is matched by count: the oldest unanswered shares are the ones meant.
    fn take_success(&mut self, message: &SubmitSharesSuccess, told: &mut Told<'_>) {
        let count = message.new_submits_accepted_count;
        let covered = (count as usize).min(self.unanswered.len());
        self.unanswered.drain(..covered);
        told.statistics.shares_accepted += u64::from(count);
        told.statistics.work_accepted = told
            .statistics
            .work_accepted
            .saturating_add(message.new_shares_sum);
        told.statistics.shares_pending = self.unanswered();
    }

    fn take_error(&mut self, message: &SubmitSharesError, told: &mut Told<'_>) {
        let position = self
            .unanswered
            .iter()
            .position(|sequence| *sequence == message.sequence_number);
        position.and_then(|position| self.unanswered.remove(position));
        let error_code = message.error_code.to_string();
        told.statistics.count_rejection(&error_code);
        told.statistics.shares_pending = self.unanswered();
        told.event(|upstream| Event::ShareRefusedUpstream {
            upstream,
            error_code,
        });
    }

    /// Tells when a held back `UpdateChannel` may go out.
    pub(super) fn update_due(&self) -> Option<Instant> {
        self.update_waits.then_some(self.update_after)
    }

    /// Gives the `UpdateChannel` that is due: on a change of a tenth or more and not too often, at once when miners
    /// begin or end to mine.
    pub(super) fn update(&mut self, now: Instant, demand: Demand) -> Option<UpdateChannel> {
        let (before, after) = (self.announced.hashrate.to_f64(), demand.hashrate.to_f64());
        let from_or_to_zero = (before == 0.0) != (after == 0.0);
        let much = (after - before).abs() >= UPDATE_CHANGE * before.max(after) && before != after;
        let other_target = is_twice_apart(self.announced.max_target, demand.max_target);
        if !much && !other_target {
            self.update_waits = false;
            return None;
        }
        if !from_or_to_zero && now < self.update_after {
            self.update_waits = true;
            return None;
        }
        self.update_waits = false;
        self.announced = demand;
        self.update_after = now + UPDATE_INTERVAL;
        Some(UpdateChannel {
            channel_id: self.id,
            nominal_hash_rate: demand.hashrate.to_f32(),
            maximum_target: U256(demand.max_target.to_le_bytes()),
        })
    }
}

/// A wish for a target is renewed when it has changed by a factor of two.
fn is_twice_apart(before: Target, after: Target) -> bool {
    let (before, after) = (before.difficulty().to_f64(), after.difficulty().to_f64());
    before.max(after) >= 2.0 * before.min(after)
}
