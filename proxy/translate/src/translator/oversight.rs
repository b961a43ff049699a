//! The look at all miners once a second: time limits, difficulty, and the hashrate that upstreams are told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sv2::bitcoin::{Difficulty, Hashrate, Target};

use super::Translator;
use crate::config::{Config, DifficultyPolicy};
use crate::lane::LaneId;
use crate::meter::HASHES_PER_DIFFICULTY;
use crate::miner::Miner;
use crate::miners::MinerId;
use crate::output::CloseReason;
use crate::upstream::Demand;
use crate::work::Works;

/// How often miners are looked over: difficulty, time limits, hashrate.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// Most shares per minute that an upstream's target may ask of the whole farm.
const MAX_UPSTREAM_SHARES_PER_MINUTE: f64 = 1_200.0;

impl Translator {
    pub(super) fn look_over_miners(&mut self, now: Instant) {
        let policy = self.config.difficulty;
        // While nobody takes shares, their absence says nothing.
        let measuring = self.upstreams.active().is_some();
        self.outage_since = match measuring {
            true => None,
            false => self.outage_since.or(Some(now)),
        };
        if !measuring {
            // No slot needs rest from a job that nobody takes shares of.
            self.advance_job_serial(now);
        }
        let (mut hashrate, mut hardest) = (0.0, None);
        let mut difficulties = BTreeMap::new();
        let bounded = !self.flow.is_over(now);
        let ceiling = |works: &Works| works.newest().map(|work| work.job.ceiling);
        let farms = ceiling(&self.works);
        let mut wishes = Vec::new();
        let mut changes = Vec::new();
        let mut closing = Vec::new();
        for (id, miner) in self.miners.iter_mut() {
            // A channel of its own may serve while the farm's does not, and the other way round.
            let own = self.lanes.get(miner.lane);
            let served = own.map_or(measuring, |lane| lane.serves);
            let since = match own {
                Some(_) => Some(miner.connected),
                None => self.outage_since,
            };
            let since = since.filter(|_| !served).zip(self.config.release_after);
            let released = since.and_then(|(since, after)| released(miner, now, since, after));
            if let Some(reason) = overdue(miner, now, &self.config).or(released) {
                closing.push((id, reason));
                continue;
            }
            if !miner.is_mining() {
                continue;
            }
            match served {
                true => {
                    let ceiling = own.map_or(farms, |lane| ceiling(&lane.works));
                    let ceiling = ceiling.filter(|_| bounded);
                    let change = miner.measured_change(now, ceiling);
                    changes.extend(change.map(|difficulty| (id, difficulty)));
                }
                false => miner.vardiff.skip(now),
            }
            miner.estimate_hashrate();
            *difficulties.entry(miner.assigned.difficulty()).or_default() += 1;
            if miner.lane == LaneId::FARM {
                hashrate += miner.hashrate;
                hardest = hardest.max(Some(miner.fitting()));
            }
            wishes.extend(miner.take_waiting_wish().map(|wish| (id, wish)));
        }
        self.demand = demand(&policy, hashrate, hardest);
        self.look_over_lanes(now);
        self.note_farm(now, difficulties);
        for (id, difficulty) in changes {
            self.change_difficulty(now, id, difficulty);
        }
        for (id, wish) in wishes {
            self.grant(now, id, wish);
        }
        for (id, reason) in closing {
            self.close_miner(now, id, reason);
        }
        self.close_who_stays(now);
    }

    /// Notes what the farm looks like.
    fn note_farm(&mut self, now: Instant, difficulties: BTreeMap<Difficulty, u64>) {
        let miners = u32::try_from(self.mining).unwrap_or(u32::MAX);
        self.history
            .note(now, |minute| minute.miners = minute.miners.max(miners));
        let difficulties = difficulties.into_iter();
        self.statistics.difficulties = difficulties
            .map(|(difficulty, miners)| (difficulty.to_f64(), miners))
            .collect();
        self.left.forget(now);
    }

    /// Tells upstreams at once of the first miner that begins to mine; the next look at all miners tells of the others.
    pub(super) fn begin_demand(&mut self, now: Instant, id: MinerId) {
        let policy = self.config.difficulty;
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        miner.estimate_hashrate();
        if self.demand.hashrate == Hashrate::ZERO {
            let hardest = Some(miner.fitting());
            self.demand = demand(&policy, miner.hashrate, hardest);
            self.announce(now);
        }
    }

    pub(super) fn announce(&mut self, now: Instant) {
        let demand = self.demand;
        self.upstreams.announce(now, demand, &mut self.outputs);
    }
}

/// What an upstream should know of miners with a hashrate in h/s, the hardest of whom works at `hardest`.
///
/// A pool pays each share at the channel's difficulty. So that is not to be easier than any miner's, or what lies
/// between the two would be lost; nor than a bounded rate of shares allows. But no miner is believed that asks for
/// more than what the whole farm meets a quarter as often as one miner should: it would starve the others.
pub(super) fn demand(
    policy: &DifficultyPolicy,
    hashrate: f64,
    hardest: Option<Difficulty>,
) -> Demand {
    let hashrate = Hashrate::new(hashrate).unwrap_or(Hashrate::ZERO);
    let target_at = |rate| Target::from_hashrate(hashrate, rate).unwrap_or(Target::MAX);
    let bound = target_at(MAX_UPSTREAM_SHARES_PER_MINUTE);
    let believed = match hardest {
        Some(_) => target_at(policy.shares_per_minute / 4.0),
        None => Target::ZERO,
    };
    let asked = Target::from_difficulty(hardest.unwrap_or_else(|| policy.start()));
    Demand {
        hashrate,
        max_target: asked.max(believed).min(bound),
    }
}

fn overdue(miner: &Miner, now: Instant, config: &Config) -> Option<CloseReason> {
    let setup = config.setup_timeout;
    if !miner.is_mining() && now.saturating_duration_since(miner.connected) >= setup {
        return Some(CloseReason::SetupTimeout(setup.as_secs()));
    }
    // A miner without work has nothing to say.
    let idle = config.idle_timeout;
    let idles = miner.last_work.is_some() && now.saturating_duration_since(miner.last_line) >= idle;
    idles.then_some(CloseReason::Idle(idle.as_secs()))
}

/// Lets a miner go that has been without work since the outage began, since it came, or since its own channel ended.
fn released(miner: &Miner, now: Instant, since: Instant, after: Duration) -> Option<CloseReason> {
    let idle_since = since.max(miner.connected).max(miner.served_until);
    let over = now.saturating_duration_since(idle_since) >= after;
    over.then_some(CloseReason::NoUpstream(after.as_secs()))
}

impl Miner {
    /// Gives the difficulty to change to by what was measured. A raise goes no further than `ceiling`, unless the miner
    /// floods; the rest of it waits.
    pub(super) fn measured_change(
        &mut self,
        now: Instant,
        ceiling: Option<Difficulty>,
    ) -> Option<Difficulty> {
        let Some(wish) = self.measured_wish(now) else {
            if self.vardiff.could_raise() {
                self.waiting_raise = None;
            }
            return None;
        };
        self.waiting_raise = None;
        let current = self.assigned.difficulty();
        let ceiling = ceiling.filter(|ceiling| *ceiling < wish && wish > current);
        let Some(ceiling) = ceiling.filter(|_| !self.flow.is_over(now)) else {
            return Some(wish);
        };
        self.waiting_raise = Some(wish);
        let capped = self.clamp(ceiling);
        (capped > current).then_some(capped)
    }

    /// Gives the difficulty that the measured rate asks for, where it is another.
    fn measured_wish(&mut self, now: Instant) -> Option<Difficulty> {
        let wanted = self.listener.difficulty.shares_per_minute;
        let current = self.assigned.difficulty();
        let ideal = self.vardiff.wish(now, current, wanted)?;
        let difficulty = self.clamp(crate::vardiff::nearest(ideal)?);
        (self.follows_measure() && difficulty != current).then_some(difficulty)
    }

    /// Estimates the hashrate. A difficulty that a miner asked for is no evidence of its hashrate.
    fn estimate_hashrate(&mut self) {
        let policy = &self.listener.difficulty;
        let (current, wanted) = (self.assigned.difficulty(), policy.shares_per_minute);
        let believed = match self.vardiff.has_shares() {
            true => current,
            false => self.fitting().min(policy.start()),
        };
        self.hashrate = self.vardiff.work_rate(believed, wanted) * HASHES_PER_DIFFICULTY;
    }
}
