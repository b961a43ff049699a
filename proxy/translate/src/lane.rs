//! Lanes: which miners work on which channel.
//!
//! Aggregated, all miners share the farm's lane, whose jobs come from the active upstream's channel. Where accounts or
//! miners have channels of their own (see [`ChannelMode`](crate::ChannelMode)), each has a lane. Its miners work on the
//! farm's jobs until their own channel has one, and whenever it has none: so a channel that is refused, closed or
//! slow costs nobody a second of work.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::miners::MinerId;
use crate::upstream::{Demand, UpstreamId};
use crate::work::Works;

/// How long a lane without miners keeps its channel: a machine that restarts is back by then.
const LINGER: Duration = Duration::from_secs(60);

/// One lane; never reused for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct LaneId(u32);

impl LaneId {
    /// The lane that all miners share.
    pub(crate) const FARM: Self = Self(0);
}

/// The miners that share a channel of their own.
#[derive(Debug)]
pub(crate) struct Lane {
    key: Arc<str>,
    /// Who its channel is for.
    pub(crate) user: Box<str>,
    pub(crate) works: Works,
    pub(crate) last_fan_out: Instant,
    pub(crate) demand: Demand,
    /// The connection that its channel is on, or is going to be.
    pub(crate) link: Option<UpstreamId>,
    /// Whether its miners work on its own jobs.
    pub(crate) serves: bool,
    members: BTreeSet<MinerId>,
    empty_since: Option<Instant>,
}

impl Lane {
    pub(crate) fn members(&self) -> impl Iterator<Item = MinerId> {
        self.members.iter().copied()
    }
}

/// All lanes but the farm's.
#[derive(Debug)]
pub(crate) struct Lanes {
    by_id: BTreeMap<LaneId, Lane>,
    by_key: HashMap<Arc<str>, LaneId>,
    last: LaneId,
    most: usize,
}

impl Lanes {
    /// Makes room for at most so many lanes.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            by_id: BTreeMap::new(),
            by_key: HashMap::new(),
            last: LaneId::FARM,
            most,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn get(&self, id: LaneId) -> Option<&Lane> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: LaneId) -> Option<&mut Lane> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LaneId, &Lane)> {
        self.by_id.iter().map(|(id, lane)| (*id, lane))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (LaneId, &mut Lane)> {
        self.by_id.iter_mut().map(|(id, lane)| (*id, lane))
    }

    /// Finds the lane with a key, or makes it for a user; `None` where there is no room.
    pub(crate) fn find(
        &mut self,
        now: Instant,
        (key, user): (&str, &str),
        demand: Demand,
    ) -> Option<LaneId> {
        if let Some(known) = self.by_key.get(key) {
            return Some(*known);
        }
        if self.by_id.len() >= self.most {
            return None;
        }
        let id = LaneId(self.last.0.checked_add(1)?);
        self.last = id;
        let key: Arc<str> = key.into();
        let lane = Lane {
            key: Arc::clone(&key),
            user: user.into(),
            works: Works::default(),
            last_fan_out: now,
            demand,
            link: None,
            serves: false,
            members: BTreeSet::new(),
            empty_since: None,
        };
        self.by_id.insert(id, lane);
        self.by_key.insert(key, id);
        Some(id)
    }

    /// Adds a miner to a lane.
    pub(crate) fn join(&mut self, id: LaneId, miner: MinerId) {
        if let Some(lane) = self.by_id.get_mut(&id) {
            lane.members.insert(miner);
            lane.empty_since = None;
        }
    }

    /// Takes a miner from its lane.
    pub(crate) fn leave(&mut self, now: Instant, id: LaneId, miner: MinerId) {
        if let Some(lane) = self.by_id.get_mut(&id)
            && lane.members.remove(&miner)
            && lane.members.is_empty()
        {
            lane.empty_since = Some(now);
        }
    }

    /// Gives the lane that has waited longest for a channel.
    pub(crate) fn without_link(&self) -> Option<LaneId> {
        let mut lanes = self.iter();
        let waits = |lane: &Lane| lane.link.is_none() && !lane.members.is_empty();
        lanes.find(|(_, lane)| waits(lane)).map(|(id, _)| id)
    }

    /// Removes a lane that no miner has come back to; gives its connection.
    pub(crate) fn take_deserted(&mut self, now: Instant) -> Option<Option<UpstreamId>> {
        let deserted = |lane: &Lane| {
            let since = lane.empty_since;
            since.is_some_and(|since| now.saturating_duration_since(since) >= LINGER)
        };
        let (id, _) = self.iter().find(|(_, lane)| deserted(lane))?;
        let lane = self.by_id.remove(&id)?;
        self.by_key.remove(&lane.key);
        Some(lane.link)
    }
}
