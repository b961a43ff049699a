//! Jobs and difficulties on their way to miners.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sv1::notification;
use sv2::bitcoin::Difficulty;

use super::Translator;
use crate::dealt::JobStatistics;
use crate::event::Event;
use crate::job::Job;
use crate::lane::LaneId;
use crate::miner::Miner;
use crate::miners::MinerId;
use crate::output::{Delivery, Output};
use crate::upstream::{Outputs, Upstream, UpstreamId};
use crate::work::{Notify, Work, WorkId};

/// Work for single miners (a new difficulty) is shared with all that need some within this time.
const SHARED_WORK: Duration = Duration::from_secs(1);

/// A miner's place in a fan-out.
#[derive(Debug)]
pub(crate) struct Turn {
    difficulty: Difficulty,
    since: Instant,
    miner: MinerId,
}

impl Turn {
    pub(super) fn of(id: MinerId, miner: &Miner) -> Self {
        Self {
            difficulty: miner.assigned.difficulty(),
            since: miner.connected,
            miner: id,
        }
    }
}

impl Translator {
    /// Hands a job of the active upstream to all miners.
    pub(super) fn take_job(&mut self, now: Instant, job: Arc<Job>) {
        let before = self.works.newest().map(|work| Arc::clone(&work.job));
        let before = before.as_deref();
        // Another connection's job, another block's, or one under the same id: what miners work on is worth nothing.
        let clean_jobs = before
            .is_none_or(|before| before.connection != job.connection || !before.stays_beside(&job));
        let moved =
            before.is_some_and(|before| before.connection.upstream != job.connection.upstream);
        let new_block = before.is_none_or(|before| before.tip.prev_hash != job.tip.prev_hash);
        let (tip, id) = (job.tip, job.connection.upstream);
        self.layout = job.dealt.room.layout;
        // However short it may be: the look at all miners would miss what lasts less than a second.
        self.outage_since = None;
        self.advance_job_serial(now);
        self.statistics.jobs += 1;
        let told = Arc::clone(&job);
        let (work, ceiling) = {
            let work = self.works.make(now, job, &mut self.work_ids);
            (work.id, work.job.ceiling)
        };
        let miners = self.miners.iter_mut().map(|(_, miner)| miner);
        for miner in miners.filter(|miner| miner.lane == LaneId::FARM) {
            raise_waiting(now, miner, (work, ceiling), &mut self.outputs);
        }
        if clean_jobs {
            self.guard.note_clean_work(now);
        }
        let miners = self.fan_out(now, clean_jobs);
        self.tell_of_moves(id);
        if moved {
            let upstream = self.upstream_name(id);
            let cause = Some(self.upstreams.last_switch());
            self.event(Event::MinersMoved {
                upstream,
                miners,
                cause,
            });
        }
        let upstream = self.upstream_name(id);
        self.dealt.note(JobStatistics {
            at: now,
            upstream: upstream.clone(),
            job_id: told.dealt.id,
            height: told.height(),
            prev_hash: tip.prev_hash,
            network_difficulty: tip.network_target.difficulty(),
            difficulty: told.target.difficulty(),
            new_block,
            clean: clean_jobs,
            miners,
        });
        if !new_block {
            return self.event(Event::NewJob { upstream, miners });
        }
        self.statistics.new_blocks += 1;
        self.event(Event::NewBlock {
            upstream,
            prev_hash: tip.prev_hash,
            network_difficulty: tip.network_target.difficulty(),
            miners,
        });
    }

    /// Gives the hardest difficulty that measuring may lead to for a miner now; `None` where there is no such bound.
    pub(super) fn ceiling_at(&self, now: Instant, id: MinerId) -> Option<Difficulty> {
        let newest = self.newest_for(id).filter(|_| !self.flow.is_over(now));
        newest.map(|work| work.job.ceiling)
    }

    /// Lets slots rest until the farm and every lane have had another job since their miner left.
    pub(super) fn advance_job_serial(&mut self, now: Instant) {
        let since = self.job_serial_since;
        let renewed = |work: &Work| work.job.active_since >= since;
        let mut lanes = self.lanes.iter().filter(|(_, lane)| lane.serves);
        if lanes.all(|(_, lane)| lane.works.newest().is_some_and(renewed)) {
            self.job_serial += 1;
            self.job_serial_since = now;
        }
    }

    pub(super) fn upstream_name(&self, id: UpstreamId) -> String {
        let upstream = self.upstreams.get(id);
        upstream.map_or("", Upstream::name).to_owned()
    }

    /// Moves the miners to another upstream where theirs is gone or a preferred one is back.
    pub(super) fn choose_upstream(&mut self, now: Instant) {
        let longest = self.sessions.longest_layout();
        if let Some(job) = self.upstreams.choose(now, longest, &mut self.outputs) {
            self.retire_own_channels(now, job.dealt.room);
            self.take_job(now, job);
            self.announce(now);
            self.open_own_channel(now);
        }
    }

    /// Hands the newest work to every miner, those with the most hashrate first.
    fn fan_out(&mut self, now: Instant, clean_jobs: bool) -> usize {
        self.last_fan_out = now;
        let Some(work) = self.works.newest().cloned() else {
            return 0;
        };
        let mut order = std::mem::take(&mut self.fan_out);
        order.clear();
        let ours = |miner: &Miner| miner.is_mining() && miner.lane == LaneId::FARM;
        let mining = self.miners.iter().filter(|(_, miner)| ours(miner));
        order.extend(mining.map(|(id, miner)| Turn::of(id, miner)));
        let count = self.deliver_in_order(now, &mut order, &work, clean_jobs);
        self.fan_out = order;
        count
    }

    /// Hands work to miners, those with the most hashrate first, and of equals those that have been here longest: who
    /// mines does not wait for a storm of newcomers. Gives how many got it.
    pub(super) fn deliver_in_order(
        &mut self,
        now: Instant,
        order: &mut [Turn],
        work: &Work,
        clean_jobs: bool,
    ) -> usize {
        order.sort_unstable_by_key(|turn| (Reverse(turn.difficulty), turn.since));
        let order = order.iter();
        let got = order.filter(|turn| self.deliver(now, turn.miner, work, clean_jobs));
        got.count()
    }

    /// Gives the newest work of the channel that a miner works on.
    fn newest_for(&self, id: MinerId) -> Option<&Work> {
        let miner = self.miners.get(id)?;
        match self.lanes.get(miner.lane) {
            Some(lane) => lane.works.newest(),
            None => self.works.newest(),
        }
    }

    /// Hands a miner its first work: whatever it knew before is void.
    pub(super) fn deliver_first(&mut self, now: Instant, id: MinerId) {
        if let Some(work) = self.newest_for(id).cloned() {
            self.deliver(now, id, &work, true);
        }
    }

    /// Hands a miner that resumes its session work under an id that it has not seen, and with a later time: firmware
    /// that begins its search anew would only find again what it found before.
    pub(super) fn deliver_anew(&mut self, now: Instant, id: MinerId, seen: WorkId) {
        if let Some(work) = self.fresh_work(now, id, seen) {
            self.deliver(now, id, &work, true);
        }
    }

    /// Hands a miner work, with another extranonce where its own is too long, and of a further channel where its slot
    /// is of another page; tells whether it got any.
    fn deliver(&mut self, now: Instant, id: MinerId, work: &Work, clean_jobs: bool) -> bool {
        let Some(layout) = self.miners.get(id).and_then(Miner::layout) else {
            return false;
        };
        match work.notify(layout) {
            Some(notify) => self.hand_over(now, id, work, (None, notify), clean_jobs),
            None if layout.size() <= work.job.dealt.room.layout.size() => {
                self.join_page(now, id, layout.page())
            }
            None => self.move_miner(now, id, work),
        }
    }

    /// Hands a miner a notify of `work`, behind the extranonce that it is for where that is news; tells whether the
    /// miner is there.
    pub(super) fn hand_over(
        &mut self,
        now: Instant,
        id: MinerId,
        work: &Work,
        (extranonce, notify): (Option<Arc<[u8]>>, Arc<Notify>),
        clean_jobs: bool,
    ) -> bool {
        let Some(miner) = self.miners.get_mut(id) else {
            return false;
        };
        miner.asked_to_reconnect = None;
        if miner.last_work.is_none() {
            miner.begins_to_mine(now);
        }
        miner.last_work = Some(work.id);
        let mask = miner.mask_to_announce(work.job.dealt.version_rolling_allowed);
        let version_mask = mask.map(|mask| {
            let mut line = Vec::new();
            notification::set_version_mask(&mut line, mask.bits());
            line.into()
        });
        let difficulty = (!miner.assigned.is_announced()).then(|| {
            miner.assigned.announce();
            let difficulty = miner.assigned.difficulty().to_f64();
            let line = self
                .difficulty_lines
                .entry(difficulty.to_bits())
                .or_insert_with(|| {
                    let mut line = Vec::new();
                    notification::set_difficulty(&mut line, difficulty);
                    line.into()
                });
            Arc::clone(line)
        });
        let delivery = Delivery {
            extranonce,
            version_mask,
            difficulty,
            notify,
            clean_jobs,
        };
        self.outputs.push_back(Output::Deliver {
            miner: id,
            delivery,
        });
        true
    }

    /// Changes a miner's difficulty together with fresh work, because that is when firmware applies it.
    pub(super) fn change_difficulty(&mut self, now: Instant, id: MinerId, difficulty: Difficulty) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        let from = miner.assigned.difficulty();
        if from == difficulty {
            return;
        }
        let Some(seen) = miner.last_work else {
            return miner.assigned.start_at(difficulty);
        };
        let worker = miner.worker_name().to_owned();
        miner.vardiff.pass(now, from);
        let Some(work) = self.fresh_work(now, id, seen) else {
            return;
        };
        if let Some(miner) = self.miners.get_mut(id) {
            miner.assigned.change(difficulty, work.id);
        }
        self.deliver(now, id, &work, false);
        self.event(Event::DifficultyChanged {
            worker,
            from,
            to: difficulty,
        });
    }

    /// Gives work that the miner has not seen; made anew where the newest is too old to share or known to it.
    fn fresh_work(&mut self, now: Instant, id: MinerId, seen: WorkId) -> Option<Work> {
        let lane = self.lanes.get_mut(self.miners.get(id)?.lane);
        let works = lane.map_or(&mut self.works, |lane| &mut lane.works);
        let newest = works.newest()?;
        if seen < newest.id && now.saturating_duration_since(newest.made) < SHARED_WORK {
            return Some(newest.clone());
        }
        let job = Arc::clone(&newest.job);
        Some(works.make(now, job, &mut self.work_ids).clone())
    }

    pub(super) fn keepalive_due(&self) -> Option<Instant> {
        self.works.newest().filter(|_| self.miners.len() > 0)?;
        Some(self.last_fan_out + self.config.keepalive)
    }

    /// Ends a silence towards the miners: the newest job again under a new id and time. Also while no upstream is
    /// there, because firmware closes a silent connection.
    pub(super) fn keep_alive(&mut self, now: Instant) {
        if self.keepalive_due().is_none_or(|due| now < due) {
            return;
        }
        self.statistics.keepalives += 1;
        self.renew_farms_work(now);
    }

    /// Hands the farm's miners their newest job again under another id and time.
    pub(super) fn renew_farms_work(&mut self, now: Instant) {
        let Some(newest) = self.works.newest() else {
            return;
        };
        let job = Arc::clone(&newest.job);
        self.works.make(now, job, &mut self.work_ids);
        self.fan_out(now, false);
    }
}

/// Raises a miner that waited for a job with a harder target, from the work on that is about to go out.
pub(super) fn raise_waiting(
    now: Instant,
    miner: &mut Miner,
    (work, ceiling): (WorkId, Difficulty),
    outputs: &mut Outputs,
) {
    let Some(raise) = miner.waiting_raise.filter(|_| miner.last_work.is_some()) else {
        return;
    };
    let from = miner.assigned.difficulty();
    let to = miner.clamp(raise.min(ceiling));
    if to <= from {
        return;
    }
    miner.vardiff.pass(now, from);
    miner.assigned.change(to, work);
    miner.waiting_raise = Some(raise).filter(|raise| *raise > to);
    let worker = miner.worker_name().to_owned();
    outputs.push_back(Output::Event(Event::DifficultyChanged { worker, from, to }));
}
