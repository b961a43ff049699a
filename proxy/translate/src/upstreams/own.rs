//! Channels of single accounts or miners and further ones of the farm's, each on a connection of its own to the upstream that the farm mines at.
//!
//! A connection of its own, because pools price jobs per connection. They are opened one after the other: miners have
//! the farm's work meanwhile, and a pool that has just come back is not stormed. When the farm moves to another
//! upstream they retire: closed a while later, so that late shares still reach them.

use std::time::{Duration, Instant};

use crate::config::{Config, UpstreamConfig};
use crate::lane::LaneId;
use crate::layout::Page;
use crate::statistics::UpstreamStatistics;
use crate::upstream::{Demand, Fault, Outputs, Upstream, UpstreamId};

/// How long a channel that the miners left stays open: what was on its way is in by then.
const RETIREMENT: Duration = Duration::from_secs(30);
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

/// All of them, at places behind those of the configured upstreams.
#[derive(Debug)]
pub(super) struct OwnChannels {
    first: usize,
    places: Vec<Option<Own>>,
    made: u64,
    seed: u64,
    /// What those that have ended did, by configured upstream.
    ended: Vec<UpstreamStatistics>,
}

impl OwnChannels {
    pub(super) fn new(config: &Config, seed: u64) -> Self {
        let ended = config.upstreams.iter();
        Self {
            first: config.upstreams.len(),
            places: Vec::new(),
            made: 0,
            seed,
            ended: ended.map(|_| UpstreamStatistics::default()).collect(),
        }
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
        let mut all = self.places.iter().flatten();
        all.any(|own| own.retires.is_none() && own.upstream.is_opening())
    }

    /// Makes a connection for a lane, to be dialled at the next timeout.
    pub(super) fn add(
        &mut self,
        now: Instant,
        configured: (UpstreamId, &UpstreamConfig),
        (lane, purpose): (LaneId, &Purpose),
        all: &Config,
    ) -> UpstreamId {
        let free = self.places.iter().position(Option::is_none);
        let place = free.unwrap_or(self.places.len());
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
        let retry_max = match purpose.page {
            Some(_) => all.retry_max,
            None => all.retry_max.max(LONGEST_RETRY),
        };
        let all = Config {
            retry_max,
            upstreams: Vec::new(),
            listeners: Vec::new(),
            ..all.clone()
        };
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
        id
    }

    /// Sends those into retirement that `leave` says so of, by their configured upstream and lane.
    pub(super) fn retire(&mut self, now: Instant, leave: impl Fn(UpstreamId, LaneId) -> bool) {
        for own in self.places.iter_mut().flatten() {
            if own.retires.is_none() && leave(own.configured, own.lane) {
                own.retires = Some(now + RETIREMENT);
            }
        }
    }

    /// Ends those whose time has come, or all.
    pub(super) fn end(&mut self, due: impl Fn(Instant) -> bool, outputs: &mut Outputs) {
        for place in &mut self.places {
            let is_due = |own: &mut Own| {
                let lost = own.upstream.is_waiting();
                own.retires.is_some_and(|at| lost || due(at))
            };
            let Some(mut own) = place.take_if(is_due) else {
                continue;
            };
            own.upstream.stop(Fault::NotNeeded, outputs);
            if let Some(ended) = self.ended.get_mut(own.configured.0) {
                ended.add(&own.upstream.statistics);
            }
        }
    }

    /// Ends all of them: the proxy stops.
    pub(super) fn stop(&mut self, outputs: &mut Outputs) {
        for own in self.places.iter_mut().flatten() {
            own.upstream.stop(Fault::Stopping, outputs);
        }
    }

    /// Does what is due.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        demand: impl Fn(LaneId) -> Option<Demand>,
        outputs: &mut Outputs,
    ) {
        self.end(|at| at <= now, outputs);
        // Those that wait go last: one that is being opened may give up now, and then it is another's turn.
        for waits in [false, true] {
            let mut opening = self.is_opening();
            let all = self.places.iter_mut().flatten();
            let all = all.filter(|own| own.retires.is_none());
            for own in all.filter(|own| own.upstream.is_waiting() == waits) {
                let Some(demand) = demand(own.lane).filter(|_| !(waits && opening)) else {
                    continue;
                };
                own.upstream.handle_timeout(now, demand, outputs);
                opening |= own.upstream.is_opening();
            }
        }
    }

    /// Tells when [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn timeouts(&self) -> impl Iterator<Item = Instant> {
        let opening = self.is_opening();
        self.places.iter().flatten().filter_map(move |own| {
            let held = own.upstream.is_waiting() && opening;
            let timeout = || own.upstream.timeout().filter(|_| !held);
            own.retires.or_else(timeout)
        })
    }

    /// Tells each of its miners where that is due.
    pub(super) fn announce(
        &mut self,
        now: Instant,
        demand: impl Fn(LaneId) -> Option<Demand>,
        outputs: &mut Outputs,
    ) {
        for own in self.places.iter_mut().flatten() {
            if let Some(demand) = demand(own.lane).filter(|_| own.retires.is_none()) {
                own.upstream.announce(now, demand, outputs);
            }
        }
    }

    /// Adds what all of them did at a configured upstream.
    pub(super) fn add_to(&self, configured: UpstreamId, statistics: &mut UpstreamStatistics) {
        if let Some(ended) = self.ended.get(configured.0) {
            statistics.add(ended);
        }
        let all = self.places.iter().flatten();
        for own in all.filter(|own| own.configured == configured) {
            statistics.add(&own.upstream.statistics);
            statistics.own_channels += u64::from(own.upstream.channel().is_some());
        }
    }
}
