//! An extended channel: jobs and their targets, shares and their acknowledgement (SV2 §5.3).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sv2::bitcoin::{BlockHash, Hashrate, Target};
use sv2::messages::mining::{
    Mining, NewExtendedMiningJob, OpenExtendedMiningChannelSuccess, SetNewPrevHash,
    SubmitSharesError, SubmitSharesExtended, SubmitSharesSuccess, UpdateChannel,
};
use sv2::types::{B0_32, ChannelId, JobId, SequenceNumber, U256};

use super::pulse::{Beat, Patience, Pulse};
use super::remarks::Remarks;
use super::{ConnectionId, Demand, Fault, Outputs, UpstreamId, Violation};
use crate::ceiling;
use crate::duplicates::Duplicates;
use crate::event::Event;
use crate::job::{DealtJob, Job, RolledFields, Tip};
use crate::kept_block::KeptBlock;
use crate::layout::Room;
use crate::output::Output;
use crate::statistics::UpstreamStatistics;

/// Future jobs kept. Pools deal one or two per template and drop them at the next block.
const MAX_FUTURE_JOBS: usize = 64;

/// Hashes in a merkle path that are taken: miners' firmware holds 32, and no block has as many.
const MAX_MERKLE_PATH: usize = 32;

/// Bytes of a coinbase without its extranonce. The largest buffers of firmware hold 16 KB of hex.
const MAX_COINBASE: usize = 16_384;

/// Shares without an answer that are kept for matching; pools answer at least every tenth.
const MAX_UNANSWERED: usize = 1 << 16;

/// Solved blocks that are kept until they are answered. One is rare; more are a test network's.
const MAX_UNANSWERED_BLOCKS: usize = 16;

/// Blocks that are remembered, so that an upstream which is stuck on one is known for late also when it comes back: some
/// two hours.
const MAX_BLOCKS_BEFORE: usize = 16;

/// Group channels that this channel left, and channels that we closed, that are remembered, so that messages on their
/// way are no violation.
const MAX_FORMER: usize = 16;

/// How long an open channel may take to its first job. A job declarator client may have to fetch a template first.
const FIRST_JOB_TIMEOUT: Duration = Duration::from_secs(60);

/// Least time between two `UpdateChannel`s: each may be answered by a `SetTarget`.
const UPDATE_INTERVAL: Duration = Duration::from_secs(10);

/// Least time between two of them when the hashrate goes to or from zero: the second that SV2 §5.3.7 allows.
const URGENT_UPDATE_INTERVAL: Duration = Duration::from_secs(1);

/// Change of the hashrate that is worth an `UpdateChannel`.
const UPDATE_CHANGE: f64 = 0.1;

/// What a message means for miners.
#[derive(Debug)]
pub(crate) enum News {
    /// Nothing.
    Nothing,
    /// The channel is open.
    Opened,
    /// There is a job to work on.
    Job(Arc<Job>),
}

/// A channel went on to another block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tidings {
    /// The block that is built on now.
    pub(crate) block: BlockHash,
    /// Who said that it was late, for which block.
    pub(crate) accuser: Option<(UpstreamId, BlockHash)>,
}

/// Whom a channel tells of what it learns.
pub(super) struct Told<'a> {
    pub(super) now: Instant,
    pub(super) upstream: &'a str,
    pub(super) statistics: &'a mut UpstreamStatistics,
    pub(super) remarks: &'a mut Remarks,
    pub(super) outputs: &'a mut Outputs,
}

impl Told<'_> {
    fn event(&mut self, event: impl FnOnce(String) -> Event) {
        self.outputs
            .push_back(Output::Event(event(self.upstream.to_owned())));
    }

    /// Tells of something that a server may say as often as it likes.
    fn warn(&mut self, event: impl FnOnce(String) -> Event) {
        let Some(left_out) = self.remarks.admit(self.now) else {
            return;
        };
        self.event(event);
        if left_out > 0 {
            let remark = format!("{left_out} more remarks were left out here");
            self.event(|upstream| Event::UpstreamRemark { upstream, remark });
        }
    }

    /// Notes how long a share waited for its answer.
    fn note_answer(&mut self, share: &Unanswered) {
        let took = self.now.saturating_duration_since(share.sent);
        self.statistics.answers.note(took);
    }

    fn remark(&mut self, remark: String) {
        self.warn(|upstream| Event::UpstreamRemark { upstream, remark });
    }
}

/// A solved block that the server was sent.
#[derive(Debug)]
struct SentBlock {
    number: SequenceNumber,
    /// Whether an answer was counted for it.
    is_counted: bool,
    block: Box<KeptBlock>,
}

/// A share that was sent and has no answer.
#[derive(Debug, Clone, Copy)]
struct Unanswered {
    number: SequenceNumber,
    sent: Instant,
    /// Difficulty that the upstream owes us for it.
    worth: f64,
}

/// An open extended channel.
#[derive(Debug)]
pub(crate) struct Channel {
    id: ChannelId,
    group: ChannelId,
    /// Groups that it left, and channels that we closed.
    former: VecDeque<ChannelId>,
    connection: ConnectionId,
    extranonce_prefix: B0_32,
    /// What is ours of the extranonce.
    room: Room,
    /// The server takes no change to the version field.
    fixed_version: bool,
    /// Of jobs that become active from now on.
    target: Target,
    future: VecDeque<DealtJob>,
    tip: Option<Tip>,
    tip_since: Instant,
    /// Blocks that were built on before, the newest last.
    blocks_before: VecDeque<BlockHash>,
    /// Who says that the channel misses which block.
    accuser: Option<(UpstreamId, BlockHash)>,
    tidings: Option<Tidings>,
    /// Counts the blocks.
    block: u64,
    /// What is to be worked on, and since when there is something.
    current: Option<Arc<Job>>,
    working_since: Option<Instant>,
    opened: Instant,
    pub(super) pulse: Pulse,
    pub(crate) duplicates: Duplicates,
    next_sequence: u32,
    unanswered: VecDeque<Unanswered>,
    /// Solved blocks that may not have been answered.
    unanswered_blocks: VecDeque<SentBlock>,
    /// What the last Success went up to.
    acknowledged: Option<SequenceNumber>,
    worker_names: bool,
    announced: Demand,
    announced_at: Instant,
    /// When a change that waits may be announced.
    update_due: Option<Instant>,
}

/// How a channel is made, beside what the server says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) connection: ConnectionId,
    /// What is ours of the extranonce.
    pub(super) room: Room,
    /// Whether shares carry the worker's name (SV2 ext 0x0002).
    pub(super) worker_names: bool,
    /// Whether the server takes no change to the version field.
    pub(super) fixed_version: bool,
    /// What the server was told as the channel was asked for.
    pub(super) announced: Demand,
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
    /// Takes an open channel over.
    pub(super) fn new(
        now: Instant,
        success: &OpenExtendedMiningChannelSuccess,
        terms: Terms,
    ) -> Result<Self, Fault> {
        let (prefix, size) = (success.extranonce_prefix.len(), terms.room.size());
        if prefix + usize::from(size) > B0_32::MAX_LEN {
            return Err(Violation::ExtranonceTooLong { prefix, size }.into());
        }
        Ok(Self {
            id: success.channel_id,
            group: success.group_channel_id,
            former: VecDeque::new(),
            connection: terms.connection,
            extranonce_prefix: success.extranonce_prefix,
            room: terms.room,
            fixed_version: terms.fixed_version,
            target: Target::from_le_bytes(success.target.0),
            future: VecDeque::new(),
            tip: None,
            tip_since: now,
            blocks_before: VecDeque::new(),
            accuser: None,
            tidings: None,
            block: 0,
            current: None,
            working_since: None,
            opened: now,
            pulse: Pulse::new(now),
            duplicates: Duplicates::default(),
            next_sequence: 0,
            unanswered: VecDeque::new(),
            unanswered_blocks: VecDeque::new(),
            acknowledged: None,
            worker_names: terms.worker_names,
            announced: terms.announced,
            announced_at: now,
            update_due: None,
        })
    }

    pub(crate) fn id(&self) -> ChannelId {
        self.id
    }

    pub(crate) fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Gives what the upstream was last told of the farm.
    pub(super) fn announced(&self) -> Demand {
        self.announced
    }

    /// Tells how many shares have no answer.
    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered.len() as u64
    }

    /// Gives the job that is to be worked on.
    pub(crate) fn current(&self) -> Option<&Arc<Job>> {
        self.current.as_ref()
    }

    /// Tells since when there is a job to work on.
    pub(crate) fn working_since(&self) -> Option<Instant> {
        self.working_since
    }

    /// Gives the block that is being built on.
    pub(crate) fn tip(&self) -> Option<&Tip> {
        self.tip.as_ref()
    }

    /// Tells since when.
    pub(crate) fn tip_since(&self) -> Instant {
        self.tip_since
    }

    /// Tells whether a block was built on before.
    pub(crate) fn has_left(&self, block: BlockHash) -> bool {
        self.blocks_before.contains(&block)
    }

    /// Tells whether another upstream is ahead.
    pub(super) fn is_late(&self) -> bool {
        self.accuser.is_some()
    }

    /// Notes that another upstream is ahead by a block.
    pub(super) fn mark_late(&mut self, accuser: UpstreamId, block: BlockHash) {
        self.accuser = Some((accuser, block));
    }

    /// Gives what came of the last block that it went on to, once.
    pub(super) fn take_tidings(&mut self) -> Option<Tidings> {
        self.tidings.take()
    }

    /// Tells whether a job is of the present block.
    pub(crate) fn is_of_present_block(&self, job: &Job) -> bool {
        job.block == self.block
    }

    /// Tells whether a message for `channel` was for this one before it changed its group, or for one that we closed.
    pub(super) fn was_addressed_by(&self, channel: ChannelId) -> bool {
        self.former.contains(&channel)
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
                let (prefix, size) = (message.extranonce_prefix.len(), self.room.size());
                if prefix + usize::from(size) > B0_32::MAX_LEN {
                    return Err(Violation::ExtranonceTooLong { prefix, size }.into());
                }
                self.extranonce_prefix = message.extranonce_prefix;
            }
            Mining::SubmitSharesSuccess(message) => self.take_success(&message, told),
            Mining::SubmitSharesError(message) => self.take_error(&message, told),
            Mining::SetGroupChannel(message) if message.channel_ids.contains(&self.id) => {
                self.change_group(message.group_channel_id);
            }
            Mining::CloseChannel(message) => {
                return Err(Fault::ChannelClosed(message.reason_code.to_string()));
            }
            Mining::UpdateChannelError(message) => {
                told.remark(format!("refused UpdateChannel: {}", message.error_code));
            }
            // Answers to what we do not ask, and standard jobs, which no extended channel gets.
            _ => {}
        }
        Ok(News::Nothing)
    }

    fn change_group(&mut self, group: ChannelId) {
        let former = std::mem::replace(&mut self.group, group);
        self.forget(former);
    }

    /// Notes that messages for `channel` mean nothing to us any more.
    pub(super) fn forget(&mut self, channel: ChannelId) {
        if self.former.len() >= MAX_FORMER {
            self.former.pop_front();
        }
        self.former.push_back(channel);
    }

    /// Tells what follows from a silence; it may last longer while nobody mines for this upstream.
    pub(super) fn beat(&mut self, now: Instant, patience: Patience) -> Beat {
        let patience = self.patience(patience);
        self.pulse.beat(now, patience)
    }

    fn patience(&self, patience: Patience) -> Patience {
        match self.announced.hashrate == Hashrate::ZERO {
            true => patience.while_idle(),
            false => patience,
        }
    }

    fn take_job(&mut self, now: Instant, message: NewExtendedMiningJob) -> Result<News, Fault> {
        let (job, length) = (message.job_id, message.merkle_path.len());
        if length > MAX_MERKLE_PATH {
            return Err(Violation::MerklePathTooLong { job, length }.into());
        }
        let length = message.coinbase_tx_prefix.len() + message.coinbase_tx_suffix.len();
        if length > MAX_COINBASE {
            return Err(Violation::CoinbaseTooLong { job, length }.into());
        }
        let min_ntime = message.min_ntime;
        let (prefix, fixed_version) = (&self.extranonce_prefix, self.fixed_version);
        let dealt = DealtJob::new(message, prefix, self.room, fixed_version);
        let Some(min_ntime) = min_ntime else {
            self.future.retain(|other| other.id != job);
            if self.future.len() >= MAX_FUTURE_JOBS {
                self.future.pop_front();
            }
            self.future.push_back(dealt);
            return Ok(News::Nothing);
        };
        let tip = self.tip.ok_or(Violation::JobWithoutPrevHash(job))?;
        Ok(self.activate(now, dealt, tip, min_ntime))
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
        if named.is_none() && self.is_worked_on(message.job_id, prev_hash) {
            // Said to the channel and to its group.
            return Ok(News::Nothing);
        }
        let dealt = named.ok_or(Violation::PrevHashForUnknownJob(message.job_id))?;
        self.future.clear();
        if self.tip.is_none_or(|before| before.prev_hash != prev_hash) {
            self.go_on(now, prev_hash);
        }
        self.tip = Some(tip);
        self.block += 1;
        Ok(self.activate(now, dealt, tip, message.min_ntime))
    }

    /// Leaves all that belongs to the block before.
    fn go_on(&mut self, now: Instant, block: BlockHash) {
        self.duplicates.clear();
        if self.blocks_before.len() >= MAX_BLOCKS_BEFORE {
            self.blocks_before.pop_front();
        }
        self.blocks_before
            .extend(self.tip.map(|before| before.prev_hash));
        self.tip_since = now;
        let accuser = self.accuser.take();
        if accuser.is_some() {
            // Who was late proves anew that it is healthy.
            self.working_since = Some(now);
        }
        self.tidings = Some(Tidings { block, accuser });
    }

    fn is_worked_on(&self, id: JobId, prev_hash: BlockHash) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|job| job.dealt.id == id && job.tip.prev_hash == prev_hash)
    }

    fn take_future_job(&mut self, id: JobId) -> Option<DealtJob> {
        let position = self.future.iter().position(|job| job.id == id)?;
        self.future.remove(position)
    }

    fn activate(&mut self, now: Instant, dealt: DealtJob, tip: Tip, min_ntime: u32) -> News {
        let job = Arc::new(Job {
            dealt,
            tip,
            min_ntime,
            active_since: now,
            target: self.target,
            ceiling: ceiling::of_target(self.target),
            worth: self.target.difficulty().to_f64(),
            connection: self.connection,
            channel_id: self.id,
            block: self.block,
        });
        self.working_since.get_or_insert(now);
        self.current = Some(Arc::clone(&job));
        News::Job(job)
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

    /// Makes the message for a share; the job must be this channel's.
    pub(crate) fn submit(
        &mut self,
        now: Instant,
        job: &Job,
        fields: RolledFields,
        extranonce: B0_32,
        statistics: &mut UpstreamStatistics,
    ) -> SubmitSharesExtended {
        let sequence_number = SequenceNumber(self.next_sequence);
        self.next_sequence = self.next_sequence.wrapping_add(1);
        if self.unanswered.len() >= MAX_UNANSWERED && self.unanswered.pop_front().is_some() {
            statistics.shares_unanswered += 1;
        }
        self.unanswered.push_back(Unanswered {
            number: sequence_number,
            sent: now,
            worth: job.worth,
        });
        statistics.shares_sent += 1;
        statistics.shares_pending = self.unanswered();
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

    /// Holds a solved block, sent with this sequence number, until it is answered.
    pub(crate) fn hold_block(&mut self, number: SequenceNumber, block: Box<KeptBlock>) {
        if self.unanswered_blocks.len() >= MAX_UNANSWERED_BLOCKS {
            self.unanswered_blocks.pop_front();
        }
        self.unanswered_blocks.push_back(SentBlock {
            number,
            is_counted: false,
            block,
        });
    }

    /// Gives the solved blocks without an answer, as the connection ends.
    pub(super) fn take_unanswered_blocks(&mut self) -> impl Iterator<Item = Box<KeptBlock>> {
        let blocks = std::mem::take(&mut self.unanswered_blocks);
        blocks.into_iter().map(|sent| sent.block)
    }

    /// Forgets blocks that were answered: those that `counts` says an answer was counted for, once a Success has gone
    /// as far. Where shares stayed without an answer, a count alone may be about others.
    fn release_blocks(&mut self, counts: impl Fn(SequenceNumber) -> bool) {
        let acknowledged = self.acknowledged;
        self.unanswered_blocks.retain_mut(|sent| {
            sent.is_counted |= counts(sent.number);
            let covered = acknowledged.is_some_and(|last| !is_after(sent.number, last));
            !(sent.is_counted && covered)
        });
    }

    /// Tells whether shares carry the worker's name (SV2 ext 0x0002).
    pub(crate) fn worker_names(&self) -> bool {
        self.worker_names
    }

    /// A Success covers a batch and is matched by count: the oldest unanswered shares are the ones meant. It cannot
    /// cover more than were sent.
    fn take_success(&mut self, message: &SubmitSharesSuccess, told: &mut Told<'_>) {
        let count = message.new_submits_accepted_count;
        let covered = (count as usize).min(self.unanswered.len());
        let answered: Vec<_> = self.unanswered.drain(..covered).collect();
        answered.iter().for_each(|share| told.note_answer(share));
        self.acknowledged = Some(message.last_sequence_number);
        self.release_blocks(|number| answered.iter().any(|share| share.number == number));
        told.statistics.shares_accepted += covered as u64;
        told.statistics.work_accepted = told
            .statistics
            .work_accepted
            .saturating_add(message.new_shares_sum);
        let work = answered.iter().map(|share| share.worth).sum::<f64>();
        let meter = &mut told.statistics.meter;
        meter.accept_many(told.now, covered as u64, work);
        told.statistics.work_acknowledged += work;
        told.statistics.shares_pending = self.unanswered();
        if covered < count as usize {
            told.remark(format!(
                "acknowledged {count} shares where {covered} had no answer"
            ));
        }
    }

    /// An Error names its share. Where a Success that came before was counted against it, the oldest unanswered share
    /// is the one that the Success meant; one that was never sent is nobody's.
    fn take_error(&mut self, message: &SubmitSharesError, told: &mut Told<'_>) {
        let error_code = message.error_code.to_string();
        let Some(first) = self.unanswered.front().map(|share| share.number) else {
            return told.remark(format!(
                "refused a share where none had no answer: {error_code}"
            ));
        };
        let named = message.sequence_number;
        if !is_after(SequenceNumber(self.next_sequence), named) {
            return told.remark(format!("refused a share that was not sent: {error_code}"));
        }
        // The numbers wrap around, but their distances from the first rise.
        let distance = |number: &SequenceNumber| number.0.wrapping_sub(first.0);
        let place = self
            .unanswered
            .binary_search_by_key(&distance(&named), |share| distance(&share.number));
        let answered = self.unanswered.remove(place.unwrap_or(0));
        if let Some(share) = &answered {
            told.note_answer(share);
        }
        let answered = answered.map(|share| share.number);
        self.unanswered_blocks.retain(|sent| sent.number != named);
        self.release_blocks(|number| Some(number) == answered);
        told.statistics.count_rejection(&error_code);
        told.statistics.shares_pending = self.unanswered();
        told.warn(|upstream| Event::ShareRefusedUpstream {
            upstream,
            error_code,
        });
    }

    /// Tells when something is due: an `UpdateChannel` that was held back, the first job, or a sign of life.
    pub(super) fn timeout(&self, patience: Patience) -> Option<Instant> {
        let sign_of_life = self.pulse.due(self.patience(patience));
        let dues = [self.update_due, self.first_job_due(), Some(sign_of_life)];
        dues.into_iter().flatten().min()
    }

    /// Tells when the channel is of no use, if there is no job until then.
    pub(super) fn first_job_due(&self) -> Option<Instant> {
        self.current
            .is_none()
            .then(|| self.opened + FIRST_JOB_TIMEOUT)
    }

    /// Gives the `UpdateChannel` that is due: on a change of a tenth or more and not too often, at once when miners
    /// begin or end to mine.
    pub(super) fn update(&mut self, now: Instant, demand: Demand) -> Option<UpdateChannel> {
        self.update_due = None;
        let (before, after) = (self.announced.hashrate.to_f64(), demand.hashrate.to_f64());
        let much = (after - before).abs() >= UPDATE_CHANGE * before.max(after) && before != after;
        if !much && !is_twice_apart(self.announced.max_target, demand.max_target) {
            return None;
        }
        let from_or_to_zero = (before == 0.0) != (after == 0.0);
        let interval = match from_or_to_zero {
            true => URGENT_UPDATE_INTERVAL,
            false => UPDATE_INTERVAL,
        };
        let earliest = self.announced_at + interval;
        if now < earliest {
            self.update_due = Some(earliest);
            return None;
        }
        self.announced = demand;
        self.announced_at = now;
        Some(UpdateChannel {
            channel_id: self.id,
            nominal_hash_rate: demand.hashrate.to_f32(),
            maximum_target: U256(demand.max_target.to_le_bytes()),
        })
    }
}

/// Tells whether a number comes after another; they wrap around.
fn is_after(number: SequenceNumber, other: SequenceNumber) -> bool {
    let distance = number.0.wrapping_sub(other.0);
    distance != 0 && distance <= u32::MAX / 2
}

/// A wish for a target is renewed when it has changed by a factor of two.
fn is_twice_apart(before: Target, after: Target) -> bool {
    let (before, after) = (before.difficulty().to_f64(), after.difficulty().to_f64());
    before.max(after) >= 2.0 * before.min(after)
}
