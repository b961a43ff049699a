//! All upstreams, in the order of preference: which are connected, and whose jobs the miners work on.
//!
//! One is *active*. Every upstream that is preferred to it is tried for ever, and the next one is held *warm*:
//! connected, with an open channel and jobs arriving, so that a switch is one notify. A warm channel announces no
//! hashrate. Further upstreams are dialled only while fewer than two of those before them are connected.
//!
//! When the active upstream is lost, the most preferred one that has a job takes its place at once. A preferred
//! upstream that comes back gets the miners back once it has been healthy for a while. One that misses a block loses them
//! to an upstream that does not, see `upstreams/lateness.rs`.

mod lateness;

use std::sync::Arc;
use std::time::Instant;

use sv2::bitcoin::Hashrate;

use crate::config::Config;
use crate::job::Job;
use crate::statistics::UpstreamStatistics;
use crate::upstream::{Demand, Outputs, Upstream, UpstreamId};

use self::lateness::Votes;

/// Connections held: the active upstream's and a warm one.
const CONNECTIONS: usize = 2;

/// The configured upstreams.
#[derive(Debug)]
pub(crate) struct Upstreams {
    all: Vec<Upstream>,
    active: Option<UpstreamId>,
    votes: Votes,
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
            active: None,
            votes: Votes::new(config.upstream_block_grace, config.upstreams.len()),
        }
    }

    pub(crate) fn get(&self, id: UpstreamId) -> Option<&Upstream> {
        self.all.get(id.0)
    }

    pub(crate) fn get_mut(&mut self, id: UpstreamId) -> Option<&mut Upstream> {
        self.all.get_mut(id.0)
    }

    /// Tells whose jobs the miners work on; `None` while nobody would take a share.
    pub(crate) fn active(&self) -> Option<UpstreamId> {
        self.active
    }

    /// Decides whose jobs the miners work on; gives the job to work on where that is another upstream from now on.
    pub(crate) fn choose(&mut self, now: Instant, outputs: &mut Outputs) -> Option<Arc<Job>> {
        self.judge_lateness(now, outputs);
        let active = self.active.and_then(|id| self.get(id));
        let chosen = match active.filter(|active| active.works() && !active.is_late()) {
            Some(active) => {
                let active = active.id();
                let mut preferred = self.all.iter_mut().take(active.0);
                let back = preferred.find(|upstream| upstream.is_healthy(now));
                let back = back.and_then(|it| it.is_awake(now, outputs).then(|| it.id()));
                Some(back.unwrap_or(active))
            }
            None => {
                // Work on an old block is better than none, but no reason to move.
                let working = || self.all.iter().filter(|upstream| upstream.works());
                let current = working().find(|upstream| !upstream.is_late());
                let stays = active.filter(|active| active.works());
                let chosen = current.or(stays).or_else(|| working().next());
                chosen.map(Upstream::id)
            }
        };
        if chosen == self.active {
            return None;
        }
        self.active = chosen;
        self.get(chosen?)?.current_job().map(Arc::clone)
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, demand: Demand, outputs: &mut Outputs) {
        let active = self.active;
        let mut connections = 0;
        for upstream in &mut self.all {
            if upstream.is_waiting() && connections >= CONNECTIONS {
                continue;
            }
            let demand = demand_of(active, upstream.id(), demand);
            upstream.handle_timeout(now, demand, outputs);
            connections += usize::from(!upstream.is_waiting());
        }
    }

    /// Tells when [`handle_timeout`](Self::handle_timeout) or [`announce`](Self::announce) has something to do.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        let mut connections = 0;
        let timeouts = self.all.iter().filter_map(|upstream| {
            let spare = upstream.is_waiting() && connections >= CONNECTIONS;
            connections += usize::from(!upstream.is_waiting());
            upstream.timeout().filter(|_| !spare)
        });
        timeouts.chain(self.lateness_due()).min()
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
            upstream.stop(outputs);
        }
    }

    pub(crate) fn statistics(&self) -> impl Iterator<Item = &UpstreamStatistics> {
        self.all.iter().map(|upstream| &upstream.statistics)
    }
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
