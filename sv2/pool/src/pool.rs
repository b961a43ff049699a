//! The pool without I/O: a router from what comes in to the connections and the dealer.
//!
//! `handle_*` takes what came in, [`poll_output`](Pool::poll_output) says what to do,
//! [`poll_timeout`](Pool::poll_timeout) says when to call [`handle_timeout`](Pool::handle_timeout).

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use sv2::bitcoin::{BlockHash, Target};
use sv2::message::{Message, Received};
use sv2::types::B0_32;

use crate::command::Channels;
use crate::config::{ConfigError, PoolConfig};
use crate::connection::Connection;
use crate::dealer::{Dealer, Due};
use crate::event::PoolEvent;
use crate::faults::Faults;
use crate::job::{GivenJob, Template};
use crate::outbox::{ConnectionId, Outbox, Output};
use crate::prefixes::Prefixes;
use crate::statistics::PoolStats;

/// A pool.
#[derive(Debug)]
pub struct Pool {
    connections: BTreeMap<ConnectionId, Connection>,
    /// Connections in the order of their arrival, with the time by which they must be set up.
    awaiting_setup: VecDeque<(Instant, ConnectionId)>,
    next_connection: u64,
    shared: Shared,
}

/// What all connections work with.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: PoolConfig,
    pub(crate) dealer: Dealer,
    pub(crate) prefixes: Prefixes,
    pub(crate) outbox: Outbox,
    pub(crate) stats: PoolStats,
    /// Set by a share that solves a block, until the next block is dealt.
    pub(crate) found_block: Option<BlockHash>,
    /// When shares that wait are acknowledged at the latest.
    acknowledge_at: Option<Instant>,
}

impl Shared {
    /// Makes a job on the present block, and counts it.
    pub(crate) fn make_present_job(&mut self) -> Template {
        self.stats.jobs += 1;
        self.dealer.present_job(&self.config)
    }

    /// Remembers that a share waits to be acknowledged.
    pub(crate) fn arm_acknowledgement(&mut self, now: Instant) {
        let at = self
            .config
            .ack_interval
            .and_then(|interval| now.checked_add(interval));
        self.acknowledge_at = self.acknowledge_at.or(at);
    }
}

impl Pool {
    /// Makes a pool whose time starts at `now`, which is `unix_time` in s since epoch.
    ///
    /// # Errors
    /// Where the configuration is one that no pool could have.
    pub fn new(config: PoolConfig, now: Instant, unix_time: u32) -> Result<Self, ConfigError> {
        config.check()?;
        let mut outbox = Outbox::default();
        outbox.silent = config.faults.silent;
        Ok(Self {
            connections: BTreeMap::new(),
            awaiting_setup: VecDeque::new(),
            next_connection: 1,
            shared: Shared {
                dealer: Dealer::new(&config, now, unix_time),
                prefixes: Prefixes::new(config.extranonce_prefix),
                outbox,
                stats: PoolStats::default(),
                found_block: None,
                acknowledge_at: None,
                config,
            },
        })
    }

    /// Takes a new connection; `None` where there are too many, and it is to be closed.
    pub fn handle_connected(&mut self, now: Instant) -> Option<ConnectionId> {
        let limits = self.shared.config.limits;
        if self.connections.len() >= limits.max_connections {
            return None;
        }
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        self.connections.insert(id, Connection::new(id));
        let deadline = now.checked_add(limits.setup_timeout);
        self.awaiting_setup
            .extend(deadline.map(|deadline| (deadline, id)));
        self.shared.stats.connections_total += 1;
        Some(id)
    }

    /// Takes a message. One from a connection that is gone is ignored.
    pub fn handle_message(&mut self, now: Instant, id: ConnectionId, received: Received) {
        if self.shared.config.faults.silent {
            return;
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.handle_message(&mut self.shared, now, received);
        }
        if let Some(hash) = self.shared.found_block.take()
            && self.shared.config.advance_on_block
        {
            self.start_block(now, Some(hash));
        }
    }

    /// Forgets a connection: it ended, or was closed as [`Output::Disconnect`] asked.
    pub fn handle_disconnected(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.remove(&id) {
            for channel in connection.channels() {
                self.shared.prefixes.give_back(&channel.extranonce_prefix);
            }
            let connection = id;
            let outbox = &mut self.shared.outbox;
            outbox.event(|| PoolEvent::Disconnected { connection });
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.shared.config.faults.silent {
            return;
        }
        while let Some(due) = self.shared.dealer.take_due(&self.shared.config, now) {
            match due {
                Due::NewBlock => self.new_block(now),
                Due::FutureJob => self.deal_future_job(),
                Due::NewJob => self.new_job(now),
            }
        }
        if self.shared.acknowledge_at.is_some_and(|at| at <= now) {
            self.shared.acknowledge_at = None;
            self.each(|connection, shared| connection.flush_acknowledgements(shared));
        }
        self.close_idle(now);
    }

    /// Tells when [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        // What was due while the pool hangs is done when it no longer does.
        if self.shared.config.faults.silent {
            return None;
        }
        let setup = self.awaiting_setup.front().map(|(deadline, _)| *deadline);
        let dealer = self.shared.dealer.next_due(&self.shared.config);
        let times = [setup, dealer, self.shared.acknowledge_at];
        times.into_iter().flatten().min()
    }

    /// Gives the next thing to do. After [`Output::Disconnect`], [`handle_disconnected`](Self::handle_disconnected)
    /// is to be called.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.shared.outbox.pop()
    }

    /// Chooses whether events are made; they are not by default.
    pub fn set_events_wanted(&mut self, wanted: bool) {
        self.shared.outbox.events_wanted = wanted;
    }

    /// Takes a snapshot of the statistics.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let channels = || self.connections.values().flat_map(Connection::channels);
        PoolStats {
            connections: self.connections.len(),
            channels: channels().count(),
            nominal_hash_rate: channels().map(|channel| channel.hashrate.to_f64()).sum(),
            ..self.shared.stats.clone()
        }
    }

    /// Starts a new block at once.
    pub fn new_block(&mut self, now: Instant) {
        self.start_block(now, None);
    }

    /// Deals a new job on the present block.
    pub fn new_job(&mut self, now: Instant) {
        if self.shared.config.faults.silent {
            return;
        }
        let template = self.shared.make_present_job();
        let job_id = template.job_id;
        self.each(|connection, shared| connection.deal_active(shared, now, &template));
        let event = PoolEvent::JobDealt {
            job_id,
            future: false,
        };
        self.shared.outbox.event(|| event);
    }

    /// Starts a block with exactly this job, which is dealt to later channels too until the next block.
    pub fn deal(&mut self, now: Instant, given: GivenJob) {
        if self.shared.config.faults.silent {
            return;
        }
        let Shared {
            dealer,
            config,
            stats,
            ..
        } = &mut self.shared;
        let template = dealer.start_given(config, now, given);
        stats.jobs += 1;
        self.each(|connection, shared| connection.deal_future(shared, &template));
        self.announce_block(now, template.job_id);
    }

    /// Sets the target of channels, as far as their `max_target` allows, for jobs that become active later.
    pub fn set_target(&mut self, which: Channels, target: Target) {
        self.each(|connection, shared| connection.set_target(shared, which, target));
    }

    /// Sets the extranonce prefix of channels, for jobs dealt later. No two channels get the same: of
    /// [`Channels::All`], only the first does.
    pub fn set_extranonce_prefix(&mut self, which: Channels, prefix: B0_32) {
        self.each(|connection, shared| connection.set_extranonce_prefix(shared, which, prefix));
    }

    /// Closes channels with a reason.
    pub fn close_channels(&mut self, which: Channels, reason: &str) {
        self.each(|connection, shared| connection.close_channels(shared, which, reason));
    }

    /// Sends any message, right or wrong, to every connection that is set up.
    pub fn send(&mut self, message: &Message) {
        let set_up = self.connections.iter().filter(|(_, c)| c.is_set_up());
        for (id, _) in set_up {
            self.shared.outbox.send(*id, message.clone());
        }
    }

    /// Changes what the pool does wrong.
    pub fn set_faults(&mut self, faults: Faults) {
        self.shared.outbox.silent = faults.silent;
        self.shared.config.faults = faults;
    }

    /// Closes every connection.
    pub fn disconnect_all(&mut self, reason: &str) {
        for id in self.connections.keys() {
            self.shared.outbox.disconnect(*id, reason);
        }
    }

    fn each(&mut self, mut action: impl FnMut(&mut Connection, &mut Shared)) {
        for connection in self.connections.values_mut() {
            action(connection, &mut self.shared);
        }
    }

    fn deal_future_job(&mut self) {
        let Shared { dealer, config, .. } = &mut self.shared;
        let Some(template) = dealer.future_job(config).cloned() else {
            return;
        };
        self.shared.stats.jobs += 1;
        self.each(|connection, shared| connection.deal_future(shared, &template));
        let event = PoolEvent::JobDealt {
            job_id: template.job_id,
            future: true,
        };
        self.shared.outbox.event(|| event);
    }

    fn start_block(&mut self, now: Instant, prev_hash: Option<BlockHash>) {
        if self.shared.config.faults.silent {
            return;
        }
        self.deal_future_job();
        let Shared { dealer, config, .. } = &mut self.shared;
        if let Some(job_id) = dealer.start_block(config, now, prev_hash) {
            self.announce_block(now, job_id);
        }
    }

    fn announce_block(&mut self, now: Instant, job_id: sv2::types::JobId) {
        let tip = self.shared.dealer.tip();
        self.shared.stats.new_blocks += 1;
        self.each(|connection, shared| connection.start_block(shared, now, job_id, tip));
        let event = PoolEvent::NewBlock { job_id, tip };
        self.shared.outbox.event(|| event);
    }

    fn close_idle(&mut self, now: Instant) {
        while let Some((deadline, id)) = self.awaiting_setup.front().copied() {
            if deadline > now {
                return;
            }
            self.awaiting_setup.pop_front();
            let connection = self.connections.get(&id);
            if connection.is_some_and(|connection| !connection.is_set_up()) {
                let reason = "no SetupConnection came in time";
                self.shared.outbox.disconnect(id, reason);
            }
        }
    }
}
