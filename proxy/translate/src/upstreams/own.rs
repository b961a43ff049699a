//! Channels of single accounts or miners and further ones of the farm's, each on a connection of its own to the upstream that the farm mines at.
//!
//! A connection of its own, because pools price jobs per connection. They are opened one after the other: miners have
//! the farm's work meanwhile, and a pool that has just come back is not stormed. When the farm moves to another
//! upstream they retire: closed a while later, so that late shares still reach them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::agenda::{Agenda, Entry};
use crate::config::{Config, UpstreamConfig};
use crate::lane::LaneId;
use crate::layout::Page;
use crate::statistics::UpstreamStatistics;
use crate::upstream::{Demand, Fault, Outputs, RETIREMENT, Upstream, UpstreamId};

/// Longest pause before a refused channel is asked for again whose miners have work, so that there is no hurry.
const LONGEST_RETRY: Duration = Duration::from_secs(600);
/// Connections are told apart by number, also after another took their place.
const NUMBERS_EACH: u64 = 1 << 32;

/// What a lane's channel is for.
#[derive(Debug, Clone)]
pub(crate) struct Purpose {
    /// `user_identity` of the channel.
    pub(crate) user: String,
    /// The page of slots, where it is a further channel of the farm's.
    pub(crate) page: Option<Page>,
}

/// One connection with one channel.
#[derive(Debug)]
struct Own {
    upstream: Upstream,
    /// The configured upstream that it goes to.
    configured: UpstreamId,
    lane: LaneId,
    retires: Option<Instant>,
}

impl Own {
    /// Tells what it waits for.
    fn entry(&self) -> Entry {
        let timeout = self.upstream.timeout();
        match self.retires {
            // One that was lost is of no use any more.
            Some(at) if self.upstream.is_waiting() => Entry::Other(at - RETIREMENT),
            Some(at) => Entry::Other(at),
            None if self.upstream.is_waiting() => timeout.map_or(Entry::Nothing, Entry::Dial),
            None if self.upstream.is_opening() => Entry::Opening(timeout),
            None => timeout.map_or(Entry::Nothing, Entry::Other),
        }
    }
}

/// All of them, at places behind those of the upstreams that were configured at the start.
#[derive(Debug)]
pub(super) struct OwnChannels {
    first: usize,
    places: Vec<Option<Own>>,
    free: BTreeSet<usize>,
    /// Places that are numbers of upstreams configured later.
    reserved: usize,
    agenda: Agenda,
    made: u64,
    seed: u64,
    /// What those that have ended did, by configured upstream.
    ended: BTreeMap<UpstreamId, UpstreamStatistics>,
}

impl OwnChannels {
    pub(super) fn new(config: &Config, seed: u64) -> Self {
        Self {
            first: config.upstreams.len(),
            places: Vec::new(),
            free: BTreeSet::new(),
            reserved: 0,
            agenda: Agenda::default(),
            made: 0,
            seed,
            ended: BTreeMap::new(),
        }
    }

    /// Gives a number that no connection had or will have, for an upstream that is configured later.
    pub(super) fn reserve(&mut self) -> UpstreamId {
        let place = self.places.len();
        self.places.push(None);
        self.reserved += 1;
        UpstreamId(self.first + place)
    }

    /// Takes over what another configuration says of connections.
    pub(super) fn reconfigure(&mut self, all: &Config) {
        for own in self.places.iter_mut().flatten() {
            let all = of_own(all, own.upstream.is_further());
            own.upstream.reconfigure(&all);
        }
        (0..self.places.len()).for_each(|place| self.settle_place(place));
    }

    /// Counts what a configured upstream that is gone did for another, or for nobody.
    pub(super) fn pass_on(
        &mut self,
        gone: UpstreamId,
        statistics: &UpstreamStatistics,
        to: Option<UpstreamId>,
    ) {
        let ended = self.ended.remove(&gone);
        let Some(to) = to else { return };
        let sum = self.ended.entry(to).or_default();
        ended.iter().for_each(|ended| sum.add(ended));
        sum.add(statistics);
    }

    fn own(&self, id: UpstreamId) -> Option<&Own> {
        self.places.get(id.0.checked_sub(self.first)?)?.as_ref()
    }

    pub(super) fn get(&self, id: UpstreamId) -> Option<&Upstream> {
        self.own(id).map(|own| &own.upstream)
    }

    pub(super) fn get_mut(&mut self, id: UpstreamId) -> Option<&mut Upstream> {
        let place = self.places.get_mut(id.0.checked_sub(self.first)?)?;
        place.as_mut().map(|own| &mut own.upstream)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.len() == self.free.len() + self.reserved
    }

    /// Gives those at a configured upstream that do not retire, with their lanes.
    pub(super) fn at(
        &mut self,
        configured: UpstreamId,
    ) -> impl Iterator<Item = (&mut Upstream, LaneId)> {
        let all = self.places.iter_mut().flatten();
        let there = all.filter(move |own| own.configured == configured && own.retires.is_none());
        there.map(|own| (&mut own.upstream, own.lane))
    }

    /// Tells whose channel a connection is for.
    pub(super) fn lane(&self, id: UpstreamId) -> Option<LaneId> {
        self.own(id).map(|own| own.lane)
    }

    /// Tells which configured upstream a connection goes to.
    pub(super) fn configured(&self, id: UpstreamId) -> Option<UpstreamId> {
        self.own(id).map(|own| own.configured)
    }

    /// Tells whether a channel is being opened.
    pub(super) fn is_opening(&self) -> bool {
        self.agenda.is_opening()
    }

    /// Notes what a connection waits for, after something happened to it.
    pub(super) fn settle(&mut self, id: UpstreamId) {
        if let Some(place) = id.0.checked_sub(self.first) {
            self.settle_place(place);
        }
    }

    fn settle_place(&mut self, place: usize) {
        let own = self.places.get(place).and_then(Option::as_ref);
        self.agenda
            .enter(place, own.map(Own::entry).unwrap_or_default());
    }

    /// Makes a connection for a lane, to be dialled at the next timeout.
    pub(super) fn add(
        &mut self,
        now: Instant,
        configured: (UpstreamId, &UpstreamConfig),
        (lane, purpose): (LaneId, &Purpose),
        all: &Config,
    ) -> UpstreamId {
        let place = self.free.pop_first().unwrap_or(self.places.len());
        let id = UpstreamId(self.first + place);
        self.made += 1;
        let (configured, place_of) = configured;
        let config = UpstreamConfig {
            name: match purpose.page {
                Some(page) => format!("{}/channel {}", place_of.name, u32::from(page.number()) + 1),
                None => format!("{}/{}", place_of.name, purpose.user),
            },
            user: purpose.user.clone(),
            ..place_of.clone()
        };
        let all = of_own(all, purpose.page.is_some());
        let seed = self.seed.wrapping_mul(self.made | 1);
        let mut upstream = Upstream::new(now, id, &config, &all, seed);
        let page = purpose.page.unwrap_or(Page::FIRST);
        upstream.become_own(configured, self.made * NUMBERS_EACH, page);
        let own = Some(Own {
            upstream,
            configured,
            lane,
            retires: None,
        });
        match self.places.get_mut(place) {
            Some(free) => *free = own,
            None => self.places.push(own),
        }
        self.settle_place(place);
        id
    }

    /// Sends those into retirement that `leave` says so of, by their configured upstream.
    pub(super) fn retire(&mut self, now: Instant, leave: impl Fn(UpstreamId) -> bool) {
        for place in 0..self.places.len() {
            let own = self.places.get(place).and_then(Option::as_ref);
            if own.is_some_and(|own| leave(own.configured)) {
                self.retire_place(now, place);
            }
        }
    }

    /// Sends one into retirement.
    pub(super) fn desert(&mut self, now: Instant, id: UpstreamId) {
        if let Some(place) = id.0.checked_sub(self.first) {
            self.retire_place(now, place);
        }
    }

    fn retire_place(&mut self, now: Instant, place: usize) {
        if let Some(own) = self.places.get_mut(place).and_then(Option::as_mut) {
            own.retires.get_or_insert(now + RETIREMENT);
            self.settle_place(place);
        }
    }

    /// Ends one that retired.
    fn end(&mut self, place: usize, outputs: &mut Outputs) {
        let Some(mut own) = self.places.get_mut(place).and_then(Option::take) else {
            return;
        };
        own.upstream.stop(Fault::NotNeeded, outputs);
        let ended = self.ended.entry(own.configured).or_default();
        ended.add(&own.upstream.statistics);
        self.free.insert(place);
        self.settle_place(place);
    }

    /// Ends all of them: the proxy stops.
    pub(super) fn stop(&mut self, outputs: &mut Outputs) {
        for place in 0..self.places.len() {
            if let Some(own) = self.places.get_mut(place).and_then(Option::as_mut) {
                own.upstream.stop(Fault::Stopping, outputs);
                own.retires = None;
            }
            self.settle_place(place);
        }
    }

    /// Does what is due; gives the lanes whose connections that was about.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        demand: impl Fn(LaneId) -> Option<Demand>,
        outputs: &mut Outputs,
    ) -> Vec<LaneId> {
        let mut lanes = Vec::new();
        for place in self.agenda.due(now) {
            lanes.extend(self.attend_to(now, place, &demand, outputs));
        }
        // Those that wait go last: one that is being opened may have been given up, and then it is another's turn.
        while let Some(place) = self.agenda.next_dial(now) {
            lanes.extend(self.attend_to(now, place, &demand, outputs));
        }
        lanes
    }

    fn attend_to(
        &mut self,
        now: Instant,
        place: usize,
        demand: impl Fn(LaneId) -> Option<Demand>,
        outputs: &mut Outputs,
    ) -> Option<LaneId> {
        let own = self.places.get_mut(place)?.as_mut()?;
        let lane = own.lane;
        match demand(lane).filter(|_| own.retires.is_none()) {
            Some(demand) => {
                own.upstream.handle_timeout(now, demand, outputs);
                own.upstream.announce(now, demand, outputs);
                self.settle_place(place);
            }
            None => self.end(place, outputs),
        }
        Some(lane)
    }

    /// Tells when [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn timeout(&self) -> Option<Instant> {
        self.agenda.first()
    }

    /// Tells each of its miners where that is due.
    pub(super) fn announce(
        &mut self,
        now: Instant,
        demand: impl Fn(LaneId) -> Option<Demand>,
        outputs: &mut Outputs,
    ) {
        for place in 0..self.places.len() {
            let own = self.places.get_mut(place).and_then(Option::as_mut);
            let Some(own) = own.filter(|own| own.retires.is_none()) else {
                continue;
            };
            if let Some(demand) = demand(own.lane) {
                own.upstream.announce(now, demand, outputs);
                self.settle_place(place);
            }
        }
    }

    /// Adds what all of them did at a configured upstream.
    pub(super) fn add_to(&self, configured: UpstreamId, statistics: &mut UpstreamStatistics) {
        if let Some(ended) = self.ended.get(&configured) {
            statistics.add(ended);
        }
        let all = self.places.iter().flatten();
        for own in all.filter(|own| own.configured == configured) {
            statistics.add(&own.upstream.statistics);
            statistics.own_channels += u64::from(own.upstream.channel().is_some());
        }
    }
}

/// What a configuration says of such a connection; `is_further` says that its miners have no work elsewhere.
fn of_own(all: &Config, is_further: bool) -> Config {
    let retry_max = match is_further {
        true => all.retry_max,
        false => all.retry_max.max(LONGEST_RETRY),
    };
    Config {
        retry_max,
        upstreams: Vec::new(),
        listeners: Vec::new(),
        ..all.clone()
    }
}
