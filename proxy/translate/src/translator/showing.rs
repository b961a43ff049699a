//! What can be seen from outside: counters, miners, workers that left, jobs, the last 24 hours. Nothing here changes
//! what is decided. What grows with the farm is given in pieces, so that no share waits behind it.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Translator;
use crate::config::ListenerId;
use crate::dealt::JobStatistics;
use crate::history::History;
use crate::left::{LeftCursor, LeftWorker};
use crate::miner::Miner;
use crate::statistics::{MinerStatistics, Statistics};

/// Time after which a worker without any accepted share is remembered: who only knocks is not.
const STAYED: Duration = Duration::from_secs(60);

impl Translator {
    /// Gives the counters as they stand.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let mut statistics = self.statistics.clone();
        statistics.miners = self.miners.len() as u64;
        statistics.miners_mining = self.mining;
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.serves);
        let lanes = lanes.map(|(_, lane)| lane.demand.hashrate.to_f64());
        statistics.hashrate = self.demand.hashrate.to_f64() + lanes.sum::<f64>();
        statistics.outage_since = self.upstreams.idle_since();
        let (switches, outages) = self.upstreams.switches();
        statistics.switches.clone_from(switches);
        statistics.outages = outages;
        statistics.upstreams = self.upstreams.statistics().collect();
        statistics
    }

    /// Gives what is known of each miner.
    pub fn miner_statistics(&self, now: Instant) -> impl Iterator<Item = MinerStatistics> {
        self.miner_statistics_of(now, 0..self.miner_places())
    }

    /// Gives what is known of the miners in some places of the table that [`MinerId::index`](crate::MinerId::index)
    /// counts.
    pub fn miner_statistics_of(
        &self,
        now: Instant,
        places: Range<usize>,
    ) -> impl Iterator<Item = MinerStatistics> {
        let miners = self.miners.of_places(places);
        miners.map(move |(id, miner)| miner.statistics(now, id, self.listener_of(miner)))
    }

    /// Gives the number of places in that table, taken and free.
    #[must_use]
    pub fn miner_places(&self) -> usize {
        self.miners.places()
    }

    /// Gives some of the workers whose connections ended, also of those that have come back: each with the place to go
    /// on from.
    pub fn left_workers(
        &self,
        place: LeftCursor,
    ) -> impl Iterator<Item = (LeftCursor, &LeftWorker)> {
        self.left.after(place)
    }

    /// Gives the last jobs that went out to the farm, the newest first.
    pub fn jobs(&self) -> impl Iterator<Item = &Arc<JobStatistics>> {
        self.dealt.iter()
    }

    /// Gives how many jobs went out to the farm.
    #[must_use]
    pub fn jobs_dealt(&self) -> u64 {
        self.statistics.jobs
    }

    /// Gives what the farm did in each minute of the last 24 hours.
    pub fn history(&mut self, now: Instant) -> &History {
        self.history.go_on(now);
        &self.history
    }

    /// Tells which listener a miner came to.
    pub(super) fn listener_of(&self, miner: &Miner) -> Option<ListenerId> {
        let (_, listeners) = &self.listeners;
        let same = |listener| Arc::ptr_eq(listener, &miner.listener);
        listeners.iter().position(same).map(ListenerId)
    }

    /// Counts a miner that came to a listener.
    pub(super) fn count_arrival(&mut self, listener: ListenerId) {
        self.statistics.miners_connected += 1;
        if let Some(listener) = self.statistics.listeners.get_mut(listener.0) {
            listener.miners_connected += 1;
            listener.miners += 1;
        }
    }

    /// Notes what a miner did whose connection has ended.
    pub(super) fn note_left(&mut self, now: Instant, miner: &Miner, reason: &'static str) {
        if let Some(listener) = self.listener_of(miner)
            && let Some(listener) = self.statistics.listeners.get_mut(listener.0)
        {
            listener.miners = listener.miners.saturating_sub(1);
        }
        let begun = miner.meter.begun();
        let stayed = begun.is_some_and(|begun| now.saturating_duration_since(begun) >= STAYED);
        let name = miner.worker_name();
        if name.is_empty() || !(stayed || miner.meter.accepted() > 0) {
            return;
        }
        self.left.note(LeftWorker {
            name: name.into(),
            meter: miner.meter,
            left: now,
            reason,
            peer: miner.peer,
            user_agent: miner.user_agent().into(),
            difficulty: miner.assigned.difficulty().to_f64(),
            connections: 1,
        });
    }
}
