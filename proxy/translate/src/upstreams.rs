//! All upstreams, in the order of preference: which are connected, and whose jobs the miners work on.
//!
//! One is *active*. Every upstream that is preferred to it is tried for ever, and the next one is held *warm*:
//! connected, with an open channel and jobs arriving, so that a switch is one notify. A warm channel announces no
//! hashrate. Further upstreams are dialled only while fewer than two of those before them are connected, or one after
//! the other as long as none has work: two that accept a connection and say nothing keep no third one waiting.
//!
//! When the active upstream is lost, the most preferred one that has a job takes its place at once. A preferred
//! upstream that comes back gets the miners back once it has been healthy for a while; one that never failed, at once.
//! One whose extranonce is too short for some miner (SV2 §5.3.5) takes the others' place only where none of them works.
//! One that misses a block loses them to an upstream that does not, see `upstreams/lateness.rs`. What a change of the
//! configuration means for them is in `upstreams/change.rs`.

mod agenda;
mod change;
mod lateness;
mod own;
mod switch;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sv2::bitcoin::Hashrate;

use crate::config::Config;
use crate::job::Job;
use crate::lane::LaneId;
use crate::statistics::UpstreamStatistics;
use crate::upstream::{Demand, Fault, Outputs, Upstream, UpstreamId};

use self::lateness::Votes;
use self::own::OwnChannels;
pub(crate) use self::own::Purpose;
pub use self::switch::Switch;

/// Connections held: the active upstream's and a warm one.
const CONNECTIONS: usize = 2;

/// Connections to preferred upstreams beside which no further one is made.
const MAX_CONNECTIONS: usize = 8;

/// How long no upstream must have had work for each connection beyond the usual ones. The set-up takes half a dozen
/// round trips, a second and a half from the other side of the world.
const STAGGER: Duration = Duration::from_secs(2);

/// The configured upstreams.
#[derive(Debug)]
pub(crate) struct Upstreams {
    /// In the order of preference, behind them those that are no longer configured.
    all: Vec<Upstream>,
    /// How many of them are configured.
    listed: usize,
    /// Names of the last ones that are gone.
    gone: VecDeque<(UpstreamId, String)>,
    active: Option<UpstreamId>,
    /// Since when none is.
    idle_since: Option<Instant>,
    switches: BTreeMap<&'static str, u64>,
    last_switch: Switch,
    outages: u64,
    votes: Votes,
    /// Connections of single accounts or miners.
    own: OwnChannels,
}

impl Upstreams {
    pub(crate) fn new(now: Instant, config: &Config, seed: u64) -> Self {
        let configured = config.upstreams.iter().enumerate();
        let all = configured.map(|(index, upstream)| {
            let noise = seed.wrapping_mul(2 * index as u64 + 1);
            Upstream::new(now, UpstreamId(index), upstream, config, noise)
        });
        Self {
            all: all.collect(),
            listed: config.upstreams.len(),
            gone: VecDeque::new(),
            active: None,
            idle_since: Some(now),
            switches: BTreeMap::new(),
            last_switch: Switch::Start,
            outages: 0,
            votes: Votes::new(config.upstream_block_grace),
            own: OwnChannels::new(config, seed),
        }
    }

    pub(crate) fn get(&self, id: UpstreamId) -> Option<&Upstream> {
        match self.place(id) {
            Some(place) => self.all.get(place),
            None => self.own.get(id),
        }
    }

    pub(crate) fn get_mut(&mut self, id: UpstreamId) -> Option<&mut Upstream> {
        match self.place(id) {
            Some(place) => self.all.get_mut(place),
            None => self.own.get_mut(id),
        }
    }

    /// Finds an upstream's place in the order; where the configuration never changed, that is its number.
    fn place(&self, id: UpstreamId) -> Option<usize> {
        let is_it = |upstream: &Upstream| upstream.id() == id;
        match self.all.get(id.0).is_some_and(is_it) {
            true => Some(id.0),
            false => self.all.iter().position(is_it),
        }
    }

    /// Tells whose jobs the miners work on; `None` while nobody would take a share.
    pub(crate) fn active(&self) -> Option<UpstreamId> {
        self.active
    }

    /// Decides whose jobs the miners work on; gives the job to work on where that is another upstream from now on.
    /// Miners have layouts of up to `longest` bytes: an upstream without room for those is the last resort, because it
    /// costs some of them their connection.
    pub(crate) fn choose(
        &mut self,
        now: Instant,
        longest: u16,
        outputs: &mut Outputs,
    ) -> Option<Arc<Job>> {
        self.judge_lateness(now, outputs);
        let before = self.active;
        let active = before.and_then(|id| self.get(id));
        let chosen = match active.filter(|active| active.works() && !active.is_late()) {
            Some(active) if active.leaves() => {
                let active = active.id();
                Some(self.successor(now, longest, outputs).unwrap_or(active))
            }
            Some(active) => {
                let active = active.id();
                let place = self.place(active).unwrap_or_default();
                let mut preferred = self.all.iter_mut().take(place);
                let back = preferred
                    .find(|upstream| upstream.works_for(longest) && upstream.takes_miners(now));
                let back = back.and_then(|it| it.is_awake(now, outputs).then(|| it.id()));
                Some(back.unwrap_or(active))
            }
            None => {
                // Work on an old block is better than none, but no reason to move.
                let listed = || self.all.iter().take(self.listed);
                let working = || listed().filter(|upstream| upstream.works());
                let roomy = || working().filter(|upstream| upstream.works_for(longest));
                let mut current = roomy().chain(working());
                let current = current.find(|upstream| !upstream.is_late());
                let stays = active.filter(|active| active.works());
                let chosen = current
                    .or(stays)
                    .or_else(|| roomy().chain(working()).next());
                chosen.map(Upstream::id)
            }
        };
        if chosen != before {
            self.count_switch(chosen);
            self.active = chosen;
            self.idle_since = chosen.is_none().then_some(now);
        }
        self.part_with_leaving(now, outputs);
        let chosen = chosen.filter(|_| chosen != before)?;
        self.get(chosen)?.current_job().map(Arc::clone)
    }

    /// Counts a change of the active upstream by its cause.
    fn count_switch(&mut self, chosen: Option<UpstreamId>) {
        let before = self.active.and_then(|id| self.get(id));
        let cause = match (before, chosen) {
            (_, None) => {
                self.outages += 1;
                return;
            }
            (None, _) if self.switches.is_empty() => Switch::Start,
            (Some(before), _) if before.is_late() => Switch::Late,
            (Some(before), _) if before.leaves() && before.works() => Switch::Config,
            (Some(before), _) if before.works() => Switch::Preferred,
            (_, _) => Switch::Failed,
        };
        self.last_switch = cause;
        *self.switches.entry(cause.label()).or_default() += 1;
    }

    /// Tells since when nobody would take a share; `None` while somebody does.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        self.idle_since
    }

    /// Tells why the active upstream changed the last time.
    pub(crate) fn last_switch(&self) -> Switch {
        self.last_switch
    }

    /// Gives how often the active upstream changed, by cause, and how often none had work any more.
    pub(crate) fn switches(&self) -> (&BTreeMap<&'static str, u64>, u64) {
        (&self.switches, self.outages)
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, demand: Demand, outputs: &mut Outputs) {
        let (active, idle_since) = (self.active, self.idle_since);
        let mut connections = 0;
        for upstream in &mut self.all {
            if upstream.leaves() && upstream.is_waiting() {
                continue;
            }
            let dial_at = |until| dial_at(until, idle_since, connections);
            let is_due = |at: Instant| at <= now;
            if upstream.is_waiting() && !upstream.timeout().and_then(dial_at).is_some_and(is_due) {
                continue;
            }
            let demand = demand_of(active, upstream.id(), demand);
            upstream.handle_timeout(now, demand, outputs);
            connections += usize::from(!upstream.is_waiting());
        }
    }

    /// Does what is due on the connections of lanes; gives the lanes that it was about.
    pub(crate) fn handle_own_timeout(
        &mut self,
        now: Instant,
        demand: impl Fn(LaneId) -> Option<Demand>,
        outputs: &mut Outputs,
    ) -> Vec<LaneId> {
        let mut lanes = self.own.handle_timeout(now, demand, outputs);
        lanes.extend(self.judge_own_lateness(now, outputs));
        lanes
    }

    /// Notes what an upstream waits for, to be called after something happened to it.
    pub(crate) fn settle(&mut self, id: UpstreamId) {
        self.own.settle(id);
    }

    /// Tells whose channel a connection is for; `None` where it is the farm's.
    pub(crate) fn lane(&self, id: UpstreamId) -> Option<LaneId> {
        self.own.lane(id)
    }

    /// Opens a channel for a lane at the active upstream, where it has work and no other is being opened.
    pub(crate) fn open_own(
        &mut self,
        now: Instant,
        lane: (LaneId, &Purpose),
        config: &Config,
    ) -> Option<UpstreamId> {
        let active = self.active?;
        let works = self.get(active).is_some_and(Upstream::works);
        let place = self.place(active).filter(|_| works)?;
        let configured = self.all.get(place)?.config();
        (!self.own.is_opening()).then(|| self.own.add(now, (active, configured), lane, config))
    }

    /// Lets the channels of lanes retire that are not at the active upstream.
    pub(crate) fn retire_own(&mut self, now: Instant) {
        if let Some(active) = self.active {
            self.own.retire(now, |configured| configured != active);
        }
    }

    /// Tells whether a connection of a lane's goes to the upstream that the farm mines at.
    pub(crate) fn is_own_at_active(&self, id: UpstreamId) -> bool {
        self.active.is_none() || self.own.configured(id) == self.active
    }

    /// Lets the channel of a lane that nobody needs retire.
    pub(crate) fn desert(&mut self, now: Instant, id: UpstreamId) {
        self.own.desert(now, id);
    }

    /// Tells every upstream of its lane's miners where that is due.
    pub(crate) fn announce_own(
        &mut self,
        now: Instant,
        demand: impl Fn(LaneId) -> Option<Demand>,
        outputs: &mut Outputs,
    ) {
        self.own.announce(now, demand, outputs);
    }

    /// Tells when [`handle_timeout`](Self::handle_timeout) or [`announce`](Self::announce) has something to do.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        let mut connections = 0;
        let timeouts = self.all.iter().filter_map(|upstream| {
            let timeout = upstream.timeout();
            if upstream.leaves() {
                return upstream.retires().into_iter().chain(timeout).min();
            }
            if upstream.is_waiting() {
                return dial_at(timeout?, self.idle_since, connections);
            }
            connections += 1;
            timeout
        });
        let others = [
            self.lateness_due(),
            self.own_lateness_due(),
            self.own.timeout(),
        ];
        timeouts.chain(others.into_iter().flatten()).min()
    }

    /// Tells every upstream of the farm where that is due.
    pub(crate) fn announce(&mut self, now: Instant, demand: Demand, outputs: &mut Outputs) {
        let active = self.active;
        for upstream in &mut self.all {
            let demand = demand_of(active, upstream.id(), demand);
            upstream.announce(now, demand, outputs);
        }
    }

    /// What an upstream is to be told.
    pub(crate) fn demand_of(&self, id: UpstreamId, demand: Demand) -> Demand {
        demand_of(self.active, id, demand)
    }

    pub(crate) fn stop(&mut self, outputs: &mut Outputs) {
        self.active = None;
        for upstream in &mut self.all {
            upstream.stop(Fault::Stopping, outputs);
        }
        self.own.stop(outputs);
    }

    pub(crate) fn statistics(&self) -> impl Iterator<Item = UpstreamStatistics> {
        self.all.iter().map(|upstream| {
            let active = self.active == Some(upstream.id());
            let mut statistics = upstream.statistics(active);
            self.own.add_to(upstream.id(), &mut statistics);
            statistics
        })
    }
}

/// Tells when an upstream whose pause ends at `until` is dialled beside so many connections of preferred ones; `None`
/// while that waits for the end of one of them.
fn dial_at(until: Instant, idle_since: Option<Instant>, connections: usize) -> Option<Instant> {
    if connections < CONNECTIONS {
        return Some(until);
    }
    let beyond = u32::try_from(connections + 1 - CONNECTIONS).ok()?;
    let idle_since = idle_since.filter(|_| connections < MAX_CONNECTIONS)?;
    Some(until.max(idle_since + STAGGER * beyond))
}

/// A warm channel has no miners (SV2 §5.3.2), but the target that they will need.
fn demand_of(active: Option<UpstreamId>, id: UpstreamId, demand: Demand) -> Demand {
    match active.is_none_or(|active| active == id) {
        true => demand,
        false => Demand {
            hashrate: Hashrate::ZERO,
            ..demand
        },
    }
}
