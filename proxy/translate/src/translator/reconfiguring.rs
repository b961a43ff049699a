//! Another configuration while miners are connected: none of them is parted with.
//!
//! What is only asked now and then (time limits, keepalive, the outage) counts from the next time on. Upstreams come and
//! go as `upstreams/change.rs` says. Each miner gets what follows for it together with work, by the rules of any other
//! change: `miner/reconfiguring.rs`.

use std::sync::Arc;
use std::time::Instant;

use sv2::bitcoin::Difficulty;

use super::Translator;
use crate::config::{Config, ListenerConfig, ListenerId};
use crate::miners::MinerId;
use crate::statistics::ListenerStatistics;
use crate::upstream::UpstreamId;

impl Translator {
    /// Takes another configuration over. Gives the number of each upstream in its order: those whose account, server and
    /// key are as before keep theirs and their connection. A [`ListenerId`] means the same listener as before, so the
    /// new ones are behind all that ever were. Who stops takes nothing over, and gives nothing.
    ///
    /// These stay as they were at the start: `extranonce2_size`, of which miners were told; `channel`;
    /// `worker_difficulties`, `sessions` and the first slots.
    pub fn reconfigure(&mut self, now: Instant, config: Config) -> Vec<UpstreamId> {
        if self.stopping {
            return Vec::new();
        }
        let [s0, s1, s2, s3, s4, s5, s6, s7, ..] = config.seed;
        let seed = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let config = Config {
            extranonce2_size: self.config.extranonce2_size,
            channel: self.config.channel,
            worker_difficulties: Vec::new(),
            sessions: Vec::new(),
            ..config
        };
        let ids = self
            .upstreams
            .reconfigure(now, (&config, seed), &mut self.outputs);
        self.guard.reconfigure(config.guard, config.max_miners);
        self.sessions.set_most_left(config.max_miners);
        self.lanes.set_most(config.max_channels);
        let new_mask = config.version_mask != self.config.version_mask;
        self.config = config;
        let difficulties = self.follow_listeners();
        // Whoever is new is dialled, and whoever has work gets the miners of one that leaves.
        self.upstreams
            .handle_timeout(now, self.demand, &mut self.outputs);
        self.choose_upstream(now);
        if new_mask {
            self.change_masks(now);
        }
        for (id, difficulty) in difficulties {
            self.change_difficulty(now, id, difficulty);
        }
        ids
    }

    /// Gives every miner its listener's configuration; gives the difficulties that follow.
    fn follow_listeners(&mut self) -> Vec<(MinerId, Difficulty)> {
        let listeners = self.config.shared_listeners();
        let all = self.miners.iter();
        let came_to: Vec<_> = all
            .map(|(id, miner)| (id, self.listener_of(miner)))
            .collect();
        self.listeners = listeners;
        let counters = &mut self.statistics.listeners;
        let count = counters.len().max(self.config.listeners.len());
        counters.resize(count, ListenerStatistics::default());
        let mut difficulties = Vec::new();
        for (id, listener) in came_to {
            let listener = self.listener(listener);
            let miner = self.miners.get_mut(id);
            let difficulty = miner.and_then(|miner| miner.follow(listener));
            difficulties.extend(difficulty.map(|difficulty| (id, difficulty)));
        }
        difficulties
    }

    fn listener(&self, id: Option<ListenerId>) -> Arc<ListenerConfig> {
        let (usual, listeners) = &self.listeners;
        let its = id.and_then(|id| listeners.get(id.0));
        Arc::clone(its.unwrap_or(usual))
    }

    /// Tells miners what they may roll now, together with the newest job under another id.
    fn change_masks(&mut self, now: Instant) {
        let (allowed, work) = (self.config.version_mask, self.work_ids.upcoming());
        let mut is_news = false;
        for (_, miner) in self.miners.iter_mut() {
            is_news |= miner.change_mask(allowed, work);
        }
        if !is_news {
            return;
        }
        self.renew_farms_work(now);
        let at_work = self.lanes.iter().filter(|(_, lane)| lane.serves);
        let lanes: Vec<_> = at_work.map(|(id, _)| id).collect();
        for lane in lanes {
            self.renew_lanes_work(now, lane);
        }
    }
}
