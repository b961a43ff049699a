//! Further channels of the farm's, where the one that it has tells too few miners apart.
//!
//! A channel that gives six bytes of extranonce has room for 65,536 miners: two bytes of slot and four of extranonce2.
//! For those that come later another channel is opened, with a page of slots of its own (see `layout.rs`). It tells
//! the same slots apart by its extranonce prefix. With a seventh byte all pages go on one channel, and none of this
//! happens.
//!
//! Such a channel has a lane and goes the way of an account's channel (`own_channels.rs`): on a connection of its own,
//! for the upstream's user, as long as the farm mines at that upstream. Three things differ, because its miners cannot
//! work on the farm's first channel, where others have their slots:
//!
//! - While there is no such channel they wait for it. They get the last jobs again, so that they stay, and are let go
//!   as in an outage.
//! - On a switch to an upstream with room they all get the farm's job, each page with its number before the slot. At
//!   one without room the channel is opened anew, and before those of accounts.
//! - While an upstream refuses to open it, nobody is given a slot of its page, nor of a later one. It is asked again
//!   with growing pauses.
//!
//! Miners with a longer slot, that followed the farm to a channel without room for it, are brought to the first page
//! that has a slot left.

use std::time::Instant;

use super::Translator;
use super::oversight::demand;
use crate::event::Event;
use crate::lane::{Lane, LaneId, Lanes, Owner};
use crate::layout::{Layout, Page, Room};
use crate::miners::MinerId;
use crate::upstream::Upstream;
use crate::upstreams::Upstreams;

impl Translator {
    /// Gives what is ours of the extranonce on the farm's channel, where it had a job.
    pub(super) fn farms_room(&self) -> Option<Room> {
        self.works.newest().map(|work| work.job.dealt.room)
    }

    /// Puts a miner on the channel of a page; tells whether there was work for it.
    pub(super) fn join_page(&mut self, now: Instant, id: MinerId, page: Page) -> bool {
        let is_new = self.lanes.of_page(page).is_none();
        let no_miner = demand(&self.config.difficulty, 0.0, None);
        let Some(lane) = self.lanes.find(now, Owner::Page(page), no_miner) else {
            return false;
        };
        if is_new {
            self.tell_of_page(page);
        }
        self.change_home(now, id, lane);
        let Some(miner) = self.miners.get_mut(id) else {
            return false;
        };
        miner.lane = lane;
        miner.served_until = now;
        let seen = miner.last_work.or_else(|| miner.seen_before());
        let Some(lane) = self.lanes.get_mut(lane) else {
            return false;
        };
        if !lane.serves {
            lane.last_fan_out = now;
            return false;
        }
        let Some(work) = lane.works.newest().cloned() else {
            return false;
        };
        if !self.fits(id, &work) {
            return self.move_miner(now, id, &work);
        }
        match seen {
            Some(seen) => self.deliver_anew(now, id, seen),
            None => self.deliver_first(now, id),
        }
        true
    }

    /// Brings a miner with a long slot, that found no shorter one on a page, to the next page with one; tells whether
    /// it got work there, `None` where no page has a slot.
    pub(super) fn join_later_page(
        &mut self,
        now: Instant,
        id: MinerId,
        full: Layout,
    ) -> Option<bool> {
        let mut later = full.pages().skip(1).take_while(|layout| {
            let lane = self.lanes.of_page(layout.page());
            lane.is_none_or(|(_, lane)| !is_refused(&self.upstreams, lane))
        });
        let free = later.find(|layout| self.sessions.has_slot(now, *layout, self.job_serial))?;
        Some(self.join_page(now, id, free.page()))
    }

    /// Takes a miner from the lane that it belonged to, to another.
    pub(super) fn change_home(&mut self, now: Instant, id: MinerId, home: LaneId) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        let before = std::mem::replace(&mut miner.home, home);
        self.lanes.leave(now, before, id);
        self.lanes.join(home, id);
    }

    fn tell_of_page(&mut self, page: Page) {
        let upstream = self.upstreams.active().map(|id| self.upstream_name(id));
        let number = u32::from(page.number()) + 1;
        let remark = format!(
            "has no slot of two bytes left on its channel: channel {number} is opened for the miners that come now"
        );
        let upstream = upstream.unwrap_or_default();
        self.event(Event::UpstreamRemark { upstream, remark });
    }
}

/// Tells whether miners with slots of a page can work on a channel.
pub(super) fn has_room(room: Room, page: Page) -> bool {
    room.padding(Layout::Narrow { page }).is_some()
}

/// Tells whether the upstream refuses a further channel.
pub(super) fn is_refused(upstreams: &Upstreams, lane: &Lane) -> bool {
    let link = lane.link().filter(|_| lane.page().is_some());
    let upstream = link.and_then(|link| upstreams.get(link));
    upstream.is_some_and(Upstream::refuses_channel)
}

/// Tells whether a new session may have a slot of a layout: the farm's channel has room for it, or a further one is
/// not refused.
pub(super) fn may_have(
    layout: Layout,
    room: Option<Room>,
    (lanes, upstreams): (&Lanes, &Upstreams),
) -> bool {
    let lane = || lanes.of_page(layout.page());
    room.is_none_or(|room| room.padding(layout).is_some())
        || lane().is_none_or(|(_, lane)| !is_refused(upstreams, lane))
}
