//! Miners whose extranonce is too long for the channel: each is brought to a layout that fits, by the gentlest way that
//! its firmware knows.
//!
//! SV1 mining.set_extranonce costs nothing but the work that is replaced anyway. Who does not take it is asked to
//! connect anew (SV1 client.reconnect) and gets a fitting slot at its next SV1 mining.subscribe. Who knows neither, or
//! stays in spite of it, is closed with the reason: it would find shares for nobody.

use std::time::{Duration, Instant};

use sv1::{Extranonce1, notification};

use super::Translator;
use crate::event::Event;
use crate::firmware::{Firmware, ReconnectForm};
use crate::lane::LaneId;
use crate::miner::Miner;
use crate::miners::MinerId;
use crate::output::{CloseReason, Output};
use crate::upstream::UpstreamId;
use crate::work::Work;

/// How long a miner may stay that was asked to connect anew: firmware that knows the request hangs up at once.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Miners that were moved and not told of yet, by the way.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Moves {
    told: u64,
    asked_to_reconnect: u64,
    closed: u64,
}

impl Translator {
    /// Brings a miner to a layout that `work` has room for; tells whether it got the work.
    pub(super) fn move_miner(&mut self, now: Instant, id: MinerId, work: &Work) -> bool {
        let Some(miner) = self.miners.get_mut(id) else {
            return false;
        };
        if miner.asked_to_reconnect.is_some() {
            return false;
        }
        if miner.takes_set_extranonce() {
            if self.tell_extranonce(now, id, work) {
                return true;
            }
            let full = work.job.dealt.room.layout;
            if let Some(got_work) = self.join_later_page(now, id, full) {
                return got_work;
            }
        }
        self.let_miner_reconnect(now, id, work);
        false
    }

    /// Hands out work together with the extranonce to use from there on; `false` where no slot is left.
    fn tell_extranonce(&mut self, now: Instant, id: MinerId, work: &Work) -> bool {
        let Some(miner) = self.miners.get_mut(id) else {
            return false;
        };
        let room = work.job.dealt.room;
        // With a byte to spare, of any page.
        let pages = room.layout.pages();
        let fitting = pages.filter(|layout| room.padding(*layout).is_some());
        let Some(slot) = miner.slot() else {
            return false;
        };
        let shorter = self
            .sessions
            .change_slot(now, slot, fitting, self.job_serial);
        let Some((shorter, notify)) = shorter.and_then(|it| Some((it, work.notify(it.layout())?)))
        else {
            return false;
        };
        miner.change_slot(shorter, work.id);
        let on_farms = miner.lane == LaneId::FARM;
        if on_farms && self.lanes.is_page(miner.home) {
            // It waited for another page once.
            self.change_home(now, id, LaneId::FARM);
        }
        let extranonce1 = Extranonce1::new(shorter.as_bytes()).unwrap_or_default();
        let mut line = Vec::new();
        notification::set_extranonce(&mut line, &extranonce1, shorter.layout().extranonce2_size());
        self.moves.told += 1;
        self.count_move("set-extranonce");
        self.hand_over(now, id, work, (Some(line.into()), notify), true);
        true
    }

    fn let_miner_reconnect(&mut self, now: Instant, id: MinerId, work: &Work) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        let form = miner
            .firmware()
            .map_or(ReconnectForm::Empty, |firmware| firmware.reconnect);
        if form == ReconnectForm::Ignored {
            return self.close_misfit(now, id, work.job.dealt.room.size());
        }
        miner.asked_to_reconnect = Some(now);
        self.moves.asked_to_reconnect += 1;
        self.count_move("reconnect");
        self.outputs.push_back(Output::Reconnect {
            miner: id,
            names_place: form == ReconnectForm::HostAndPort,
        });
    }

    /// Closes a miner that no work can be given to.
    fn close_misfit(&mut self, now: Instant, id: MinerId, size: u16) {
        self.moves.closed += 1;
        self.count_move("closed");
        self.close_miner(now, id, CloseReason::ExtranonceTooLong(size));
    }

    fn count_move(&mut self, way: &'static str) {
        *self.statistics.miners_moved.entry(way).or_default() += 1;
    }

    /// Closes who was asked to connect anew and has not gone. While nobody has work there is no reason to.
    pub(super) fn close_who_stays(&mut self, now: Instant) {
        let Some((active, work)) = self.upstreams.active().zip(self.works.newest()) else {
            return;
        };
        let size = work.job.dealt.room.size();
        let stays = |miner: &Miner| {
            let since = miner.asked_to_reconnect;
            since.is_some_and(|since| now.saturating_duration_since(since) >= RECONNECT_TIMEOUT)
        };
        let staying = self.miners.iter().filter(|(_, miner)| stays(miner));
        let staying: Vec<_> = staying.map(|(id, _)| id).collect();
        for id in staying {
            self.close_misfit(now, id, size);
        }
        self.tell_of_moves(active);
    }

    /// Says what was done with how many miners, where any were moved.
    pub(super) fn tell_of_moves(&mut self, upstream: UpstreamId) {
        let Moves {
            told,
            asked_to_reconnect,
            closed,
        } = std::mem::take(&mut self.moves);
        if told + asked_to_reconnect + closed == 0 {
            return;
        }
        let upstream = self.upstream_name(upstream);
        let newest = self.works.newest();
        let extranonce_size = newest.map_or(0, |work| work.job.dealt.room.size());
        self.event(Event::MinersNarrowed {
            upstream,
            extranonce_size,
            told,
            asked_to_reconnect,
            closed,
        });
    }
}

impl Miner {
    /// Tells whether the miner follows SV1 mining.set_extranonce: because it asked for it, or by what its firmware is
    /// known for.
    fn takes_set_extranonce(&self) -> bool {
        let known = |firmware: &Firmware| firmware.set_extranonce;
        self.asked_for_extranonce || self.firmware().is_some_and(known)
    }
}
