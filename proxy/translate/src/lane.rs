//! Lanes: which miners work on which channel.
//!
//! Aggregated, all miners share the farm's lane, whose jobs come from the active upstream's channel. Where accounts or
//! miners have channels of their own (see [`ChannelMode`](crate::ChannelMode)), each has a lane. Its miners work on the
//! farm's jobs until their own channel has one, and whenever it has none: so a channel that is refused, closed or
//! slow costs nobody a second of work. Each page of slots that the farm's channel has no room for has a lane too, see
//! `translator/further_channels.rs`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::layout::Page;
use crate::miners::MinerId;
use crate::slot::Slot;
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

/// Whom a lane is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// The miners of an account.
    Account(Arc<str>),
    /// One miner: its slot and what the pool calls its worker.
    Miner(Option<Slot>, Arc<str>),
    /// Miners of the farm's with slots of a page that its channel has no room for.
    Page(Page),
}

/// The miners that share a channel of their own.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Whom its channel is for.
    pub(crate) owner: Owner,
    pub(crate) works: Works,
    pub(crate) last_fan_out: Instant,
    pub(crate) demand: Demand,
    link: Option<UpstreamId>,
    /// Whether its miners work on its own jobs.
    pub(crate) serves: bool,
    members: BTreeSet<MinerId>,
    empty_since: Option<Instant>,
}

impl Lane {
    pub(crate) fn members(&self) -> impl Iterator<Item = MinerId> {
        self.members.iter().copied()
    }

    /// Gives the connection that its channel is on, or is going to be.
    pub(crate) fn link(&self) -> Option<UpstreamId> {
        self.link
    }

    /// Tells whether it is for one miner with this worker.
    pub(crate) fn is_of_miner(&self, worker: &str) -> bool {
        matches!(&self.owner, Owner::Miner(_, name) if **name == *worker)
    }

    /// Gives the page that it is for, where it is for one.
    pub(crate) fn page(&self) -> Option<Page> {
        match self.owner {
            Owner::Page(page) => Some(page),
            Owner::Account(_) | Owner::Miner(..) => None,
        }
    }
}

/// All lanes but the farm's.
#[derive(Debug)]
pub(crate) struct Lanes {
    by_id: BTreeMap<LaneId, Lane>,
    by_owner: HashMap<Owner, LaneId>,
    /// Those with miners and without a connection.
    waiting: BTreeSet<LaneId>,
    last: LaneId,
    most: usize,
}

impl Lanes {
    /// Makes room for at most so many lanes of accounts or miners.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            by_id: BTreeMap::new(),
            by_owner: HashMap::new(),
            waiting: BTreeSet::new(),
            last: LaneId::FARM,
            most,
        }
    }

    /// Changes how many there may be, from the next one on.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = most;
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

    /// Tells whether a lane is for a page.
    pub(crate) fn is_page(&self, id: LaneId) -> bool {
        self.get(id).is_some_and(|lane| lane.page().is_some())
    }

    /// Gives the lane of a page.
    pub(crate) fn of_page(&self, page: Page) -> Option<(LaneId, &Lane)> {
        let id = *self.by_owner.get(&Owner::Page(page))?;
        Some((id, self.by_id.get(&id)?))
    }

    /// Finds the lane of an owner, or makes it; `None` where there is no room.
    pub(crate) fn find(&mut self, now: Instant, owner: Owner, demand: Demand) -> Option<LaneId> {
        if let Some(known) = self.by_owner.get(&owner) {
            return Some(*known);
        }
        // There are few pages, and their miners have no other place.
        if self.by_id.len() >= self.most && !matches!(owner, Owner::Page(_)) {
            return None;
        }
        let id = LaneId(self.last.0.checked_add(1)?);
        self.last = id;
        let lane = Lane {
            owner: owner.clone(),
            works: Works::default(),
            last_fan_out: now,
            demand,
            link: None,
            serves: false,
            members: BTreeSet::new(),
            empty_since: None,
        };
        self.by_id.insert(id, lane);
        self.by_owner.insert(owner, id);
        Some(id)
    }

    /// Adds a miner to a lane.
    pub(crate) fn join(&mut self, id: LaneId, miner: MinerId) {
        if let Some(lane) = self.by_id.get_mut(&id) {
            lane.members.insert(miner);
            lane.empty_since = None;
            if lane.link.is_none() {
                self.waiting.insert(id);
            }
        }
    }

    /// Takes a miner from its lane.
    pub(crate) fn leave(&mut self, now: Instant, id: LaneId, miner: MinerId) {
        if let Some(lane) = self.by_id.get_mut(&id)
            && lane.members.remove(&miner)
            && lane.members.is_empty()
        {
            lane.empty_since = Some(now);
            self.waiting.remove(&id);
        }
    }

    /// Gives a lane a connection.
    pub(crate) fn link(&mut self, id: LaneId, link: UpstreamId) {
        if let Some(lane) = self.by_id.get_mut(&id) {
            lane.link = Some(link);
            self.waiting.remove(&id);
        }
    }

    /// Takes their connections from the lanes that `elsewhere` says so of; gives those lanes.
    pub(crate) fn unlink(&mut self, elsewhere: impl Fn(UpstreamId) -> bool) -> Vec<LaneId> {
        let unlinked = self.by_id.iter_mut().filter_map(|(id, lane)| {
            lane.link.take_if(|link| elsewhere(*link))?;
            Some((*id, !lane.members.is_empty()))
        });
        let unlinked: Vec<_> = unlinked.collect();
        let waiting = unlinked.iter().filter(|(_, waits)| *waits);
        self.waiting.extend(waiting.map(|(id, _)| *id));
        unlinked.into_iter().map(|(id, _)| id).collect()
    }

    /// Gives the lane to open a channel for: one of a page that `needs` one, whose miners have no work, else the one
    /// that has waited longest.
    pub(crate) fn without_link(&self, needs: impl Fn(Page) -> bool) -> Option<LaneId> {
        let pages = Page::all().filter(|page| needs(*page));
        let mut pages = pages.filter_map(|page| Some(self.of_page(page)?.0));
        let next = pages.find(|id| self.waiting.contains(id));
        next.or_else(|| {
            let mut waiting = self.waiting.iter().copied();
            waiting.find(|id| !self.is_page(*id))
        })
    }

    /// Removes the lanes that no miner has come back to and that are not to be `kept`; gives the connection of each.
    pub(crate) fn take_deserted(
        &mut self,
        now: Instant,
        kept: impl Fn(&Lane) -> bool,
    ) -> Vec<Option<UpstreamId>> {
        let deserted = |lane: &Lane| {
            let since = lane.empty_since;
            since.is_some_and(|since| now.saturating_duration_since(since) >= LINGER)
        };
        let deserted = self
            .by_id
            .extract_if(.., |_, lane| deserted(lane) && !kept(lane));
        let by_owner = &mut self.by_owner;
        let links = deserted.map(|(_, lane)| {
            by_owner.remove(&lane.owner);
            lane.link
        });
        links.collect()
    }
}
