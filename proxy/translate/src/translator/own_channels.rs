//! Channels of single accounts or miners: who gets one, and what its coming and going means for work.
//!
//! Whatever happens to such a channel, its miners always have work: their own channel's, else the farm's. Further
//! channels of the farm's go the same way, but for what `further_channels.rs` says.

use std::sync::Arc;
use std::time::Instant;

use super::Translator;
use super::dealing::{Turn, raise_waiting};
use super::further_channels::{has_room, is_refused};
use super::oversight::demand;
use crate::config::ChannelMode;
use crate::event::Event;
use crate::guard::Limit;
use crate::job::Job;
use crate::lane::{Lane, LaneId, Owner};
use crate::layout::{Layout, Room};
use crate::miner::Miner;
use crate::miners::MinerId;
use crate::upstream::{Demand, News, Upstream, UpstreamId};
use crate::upstreams::Purpose;
use crate::work::Work;

impl Translator {
    /// Gives a miner that is ready the lane that it shares with nobody but its account, where there are such.
    pub(super) fn join_lane(&mut self, now: Instant, id: MinerId) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        let owner = match self.config.channel {
            ChannelMode::Aggregated => return,
            ChannelMode::PerUser => match account(miner.worker_name()) {
                Some(account) => Owner::Account(account.into()),
                None => return,
            },
            ChannelMode::PerMiner => {
                let worker = miner.identity_text();
                // Who resumes its session comes back to its channel, whatever slot that was opened with.
                let before = self.lanes.get(miner.home);
                match before.filter(|lane| lane.is_of_miner(&worker)) {
                    Some(lane) => lane.owner.clone(),
                    None => Owner::Miner(miner.slot(), worker.into()),
                }
            }
        };
        let no_miner = demand(&self.config.difficulty, 0.0, None);
        let Some(lane) = self.lanes.find(now, owner, no_miner) else {
            let address = miner.peer.ip();
            let limit = Limit::TooManyChannels(self.config.max_channels);
            return self.meet(now, address, limit);
        };
        self.lanes.join(lane, id);
        miner.home = lane;
        if self.serves(lane, id)
            && let Some(miner) = self.miners.get_mut(id)
        {
            miner.lane = lane;
        }
    }

    /// Tells whether a lane has work of its own that a miner's layout fits.
    fn serves(&self, lane: LaneId, id: MinerId) -> bool {
        let lane = self.lanes.get(lane).filter(|lane| lane.serves);
        let work = lane.and_then(|lane| lane.works.newest());
        work.is_some_and(|work| self.fits(id, work))
    }

    pub(super) fn fits(&self, id: MinerId, work: &Work) -> bool {
        let layout = self.miners.get(id).and_then(Miner::layout);
        layout.is_some_and(|layout| work.job.padding(layout).is_some())
    }

    /// Opens the next channel that a lane waits for.
    pub(super) fn open_own_channel(&mut self, now: Instant) {
        let room = self.farms_room();
        let needs = |page| room.is_some_and(|room| !has_room(room, page));
        let Some(id) = self.lanes.without_link(needs) else {
            return;
        };
        let Some(purpose) = self.lanes.get(id).and_then(|lane| self.purpose(lane)) else {
            return;
        };
        let link = self.upstreams.open_own(now, (id, &purpose), &self.config);
        let Some(link) = link else {
            return;
        };
        let demand = self.demand_of_lane(id);
        self.lanes.link(id, link);
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.demand = demand;
        }
        self.own_timeout(now);
    }

    /// Tells what a lane's channel at the active upstream is for.
    fn purpose(&self, lane: &Lane) -> Option<Purpose> {
        let active = self.upstreams.active()?;
        let farm = &self.upstreams.get(active)?.config().user;
        let (user, page) = match &lane.owner {
            Owner::Account(account) => (account.to_string(), None),
            Owner::Miner(_, worker) => (format!("{farm}.{worker}"), None),
            Owner::Page(page) => (farm.clone(), Some(*page)),
        };
        Some(Purpose { user, page })
    }

    /// Takes what a message on a lane's connection meant.
    pub(super) fn take_own_news(
        &mut self,
        now: Instant,
        (lane, id): (LaneId, UpstreamId),
        news: News,
    ) {
        match news {
            News::Job(job) => {
                self.take_own_job(now, lane, job);
                // The next one's turn.
                self.open_own_channel(now);
            }
            // What it was asked for with is young enough; the next look at all miners tells of changes.
            News::Opened => {}
            News::Nothing if self.upstreams.get(id).is_some_and(Upstream::works) => {}
            News::Nothing => {
                self.check_own_channel(now, lane);
                self.open_own_channel(now);
            }
        }
    }

    /// Does what is due for the channels of lanes.
    pub(super) fn handle_own_timeout(&mut self, now: Instant) {
        self.own_timeout(now);
        self.open_own_channel(now);
    }

    fn own_timeout(&mut self, now: Instant) {
        let lanes = &self.lanes;
        let demand = |lane| Some(lanes.get(lane)?.demand);
        let lanes = self
            .upstreams
            .handle_own_timeout(now, demand, &mut self.outputs);
        for lane in lanes {
            self.check_own_channel(now, lane);
        }
    }

    /// Tells the upstreams of lanes what their miners do, where that is due.
    pub(super) fn announce_lanes(&mut self, now: Instant) {
        let lanes = &self.lanes;
        let demand = |lane| Some(lanes.get(lane)?.demand);
        self.upstreams.announce_own(now, demand, &mut self.outputs);
        let lanes: Vec<_> = self.lanes.iter().map(|(id, _)| id).collect();
        for lane in lanes {
            self.check_own_channel(now, lane);
        }
    }

    /// Hands a job of a lane's own channel to its miners.
    fn take_own_job(&mut self, now: Instant, id: LaneId, job: Arc<Job>) {
        let Some(lane) = self.lanes.get_mut(id) else {
            return;
        };
        if lane.link() != Some(job.connection.upstream) {
            // It retires; its miners are elsewhere.
            return;
        }
        let own = self.upstreams.get(job.connection.upstream);
        if own.is_some_and(Upstream::is_late) {
            // The farm's jobs are for the newer block.
            return;
        }
        let begins = !std::mem::replace(&mut lane.serves, true);
        let before = lane.works.newest().map(|work| &work.job);
        let clean_jobs = begins
            || before.is_none_or(|before| {
                before.connection != job.connection || !before.stays_beside(&job)
            });
        let upstream = job.connection.upstream;
        let work = lane.works.make(now, job, &mut self.work_ids).clone();
        for member in lane.members() {
            if let Some(miner) = self.miners.get_mut(member) {
                raise_waiting(now, miner, (work.id, work.job.ceiling), &mut self.outputs);
            }
        }
        self.statistics.jobs += 1;
        if clean_jobs {
            self.guard.note_clean_work(now);
        }
        let miners = self.hand_to_lane(now, id, &work, clean_jobs);
        if begins {
            self.tell_of_moves(upstream);
            self.tell_who_stays_out(id, upstream, &work);
            let upstream = self.upstream_name(upstream);
            let cause = None;
            self.event(Event::MinersMoved {
                upstream,
                miners,
                cause,
            });
        }
    }

    /// Says where some miners of a lane do not fit on its channel and stay on the farm's.
    fn tell_who_stays_out(&mut self, id: LaneId, upstream: UpstreamId, work: &Work) {
        let lane = self.lanes.get(id).filter(|lane| lane.page().is_none());
        let members = lane.into_iter().flat_map(Lane::members);
        let out = members.filter(|member| !self.fits(*member, work)).count();
        if out > 0 {
            let (upstream, size) = (self.upstream_name(upstream), work.job.dealt.room.size());
            let remark = format!(
                "gives {size} bytes of extranonce, too few for {out} of its miners: they stay on the farm's channel"
            );
            self.event(Event::UpstreamRemark { upstream, remark });
        }
    }

    /// Hands work of a lane's own to those of its miners that it has room for, those with the most hashrate first. On
    /// a further channel of the farm's they are brought to fit.
    fn hand_to_lane(&mut self, now: Instant, id: LaneId, work: &Work, clean_jobs: bool) -> usize {
        let Some(lane) = self.lanes.get_mut(id) else {
            return 0;
        };
        lane.last_fan_out = now;
        let mut order = std::mem::take(&mut self.fan_out);
        order.clear();
        let room = work.job.dealt.room;
        let (serves, is_page) = (lane.serves, lane.page().is_some());
        let takes = |miner: &&mut Miner| {
            // While there is no channel only those stay that can work nowhere else.
            let is_here = serves || miner.lane == id;
            let fits = |layout| room.padding(layout).is_some();
            let moves = |layout: Layout| is_page && serves && layout.size() > room.layout.size();
            let layout = miner.layout().filter(|_| is_here);
            layout.is_some_and(|layout| fits(layout) || moves(layout))
        };
        for member in lane.members() {
            if let Some(miner) = self.miners.get_mut(member).filter(takes) {
                miner.lane = id;
                order.push(Turn::of(member, miner));
            }
        }
        let count = self.deliver_in_order(now, &mut order, work, clean_jobs);
        self.fan_out = order;
        count
    }

    /// Gives the miners of a lane the farm's work, where their channel is gone or late.
    pub(super) fn check_own_channel(&mut self, now: Instant, id: LaneId) {
        let upstreams = &self.upstreams;
        let works = |link: UpstreamId| {
            let link = upstreams.get(link);
            link.is_some_and(|link| link.works() && !link.is_late())
        };
        let lane = self.lanes.get(id).filter(|lane| lane.serves);
        if lane.is_none_or(|lane| lane.link().is_some_and(works)) {
            return;
        }
        let room = self.farms_room();
        for miner in self.leave_own_work(now, id, room) {
            self.deliver_first(now, miner);
        }
    }

    /// Lets lanes leave the upstream that the farm has left. Their miners get the farm's work with all others, from a
    /// channel with this room.
    pub(super) fn retire_own_channels(&mut self, now: Instant, room: Room) {
        self.upstreams.retire_own(now);
        let upstreams = &self.upstreams;
        let elsewhere = |link: UpstreamId| !upstreams.is_own_at_active(link);
        let mut left = self.lanes.unlink(elsewhere);
        // Who waited for a further channel may not need one any more.
        let waits = |lane: &Lane| lane.page().is_some() && !lane.serves;
        left.extend(
            self.lanes
                .iter()
                .filter(|(_, lane)| waits(lane))
                .map(|(id, _)| id),
        );
        for id in left {
            self.leave_own_work(now, id, Some(room));
        }
    }

    /// Puts a lane's miners on the farm's jobs, without handing any out; gives those that were not on them already. Of
    /// a page, those stay and wait that the farm's channel has no room for.
    fn leave_own_work(&mut self, now: Instant, id: LaneId, room: Option<Room>) -> Vec<MinerId> {
        let Some(lane) = self.lanes.get_mut(id) else {
            return Vec::new();
        };
        let served = std::mem::replace(&mut lane.serves, false);
        lane.last_fan_out = now;
        let mut left = Vec::new();
        for member in lane.members() {
            let miner = self.miners.get_mut(member);
            let Some(miner) = miner.filter(|miner| miner.lane == id) else {
                continue;
            };
            if served {
                miner.served_until = now;
            }
            let fits = |room: Room| room.padding(miner.layout()?);
            if lane.page().is_none() || room.and_then(fits).is_some() {
                miner.lane = LaneId::FARM;
                left.push(member);
            }
        }
        left
    }

    /// Ends what nobody needs any more, and keeps miners of lanes from giving up over a silence.
    pub(super) fn look_over_lanes(&mut self, now: Instant) {
        let kept = |lane: &Lane| is_refused(&self.upstreams, lane);
        let deserted = self.lanes.take_deserted(now, kept);
        if !deserted.is_empty() {
            for link in deserted.into_iter().flatten() {
                self.upstreams.desert(now, link);
            }
            self.join_late(now);
        }
        let lanes: Vec<_> = self.lanes.iter().map(|(id, _)| id).collect();
        for id in lanes {
            let demand = self.demand_of_lane(id);
            if let Some(lane) = self.lanes.get_mut(id) {
                lane.demand = demand;
            }
        }
        let keepalive = self.config.keepalive;
        let due = |last| now.saturating_duration_since(last) >= keepalive;
        let silent = self.lanes.iter();
        // Also while their channel is away, because firmware closes a silent connection.
        let speaks = |lane: &Lane| lane.serves || lane.page().is_some();
        let silent = silent.filter(|(_, lane)| speaks(lane) && due(lane.last_fan_out));
        let silent: Vec<_> = silent.map(|(id, _)| id).collect();
        for id in silent {
            self.statistics.keepalives += u64::from(self.renew_lanes_work(now, id));
        }
    }

    /// Hands the miners of a lane its newest job again under another id and time; tells whether there is one.
    pub(super) fn renew_lanes_work(&mut self, now: Instant, id: LaneId) -> bool {
        let Some(lane) = self.lanes.get_mut(id) else {
            return false;
        };
        let Some(job) = lane.works.newest().map(|work| Arc::clone(&work.job)) else {
            return false;
        };
        let work = lane.works.make(now, job, &mut self.work_ids).clone();
        self.hand_to_lane(now, id, &work, false);
        true
    }

    /// Gives a lane to miners that there was no room for as they came.
    fn join_late(&mut self, now: Instant) {
        let without = |miner: &Miner| miner.is_mining() && miner.home == LaneId::FARM;
        let waiting = self.miners.iter().filter(|(_, miner)| without(miner));
        let waiting: Vec<_> = waiting.map(|(id, _)| id).collect();
        for id in waiting {
            self.join_lane(now, id);
        }
    }

    /// Adds up what a lane's upstream is to be told of its miners.
    pub(super) fn demand_of_lane(&self, id: LaneId) -> Demand {
        let members = self
            .lanes
            .get(id)
            .into_iter()
            .flat_map(|lane| lane.members());
        let miners = members.filter_map(|member| self.miners.get(member));
        // Who does not fit on a channel at work counts as one of the farm's.
        let serves = self.lanes.get(id).is_some_and(|lane| lane.serves);
        let miners = miners.filter(|miner| miner.lane == id || !serves);
        let (hashrate, hardest) = miners.fold((0.0, None), |(hashrate, hardest), miner| {
            (
                hashrate + miner.hashrate,
                hardest.max(Some(miner.fitting())),
            )
        });
        demand(&self.config.difficulty, hashrate, hardest)
    }
}

/// Gives the account of a user name; `None` where there is none.
fn account(user: &str) -> Option<&str> {
    let account = user.split_once('.').map_or(user, |(account, _)| account);
    Some(account).filter(|account| !account.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_what_stands_before_the_first_dot() {
        assert_eq!(account("alice.rig1"), Some("alice"));
        assert_eq!(account("alice.row2.rig1"), Some("alice"));
        assert_eq!(account("alice"), Some("alice"));
        assert_eq!(account(".rig1"), None);
        assert_eq!(account(""), None);
    }
}
