//! The router between miners and upstreams; what is decided, is decided in the files beside it.
//!
//! | what | where |
//! |---|---|
//! | requests of miners other than shares | `translator/requests.rs` |
//! | shares: judged, counted, sent on | `translator/shares.rs` |
//! | limits on miners: refused, paused, banned | `translator/guarding.rs` |
//! | jobs and difficulties on their way to miners | `translator/dealing.rs` |
//! | miners whose extranonce is too long for the channel | `translator/moving.rs` |
//! | channels of single accounts or miners | `translator/own_channels.rs` |
//! | more miners than one narrow channel tells apart | `translator/further_channels.rs` |
//! | the look at all miners once a second | `translator/oversight.rs` |
//! | what can be seen from outside | `translator/showing.rs` |
//! | another configuration | `translator/reconfiguring.rs` |

mod dealing;
mod further_channels;
mod guarding;
mod moving;
mod oversight;
mod own_channels;
mod reconfiguring;
mod requests;
mod shares;
mod showing;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use sv1::{CallError, Incoming, Request, reply};
use sv2::bitcoin::Difficulty;
use sv2::message::Message;

use crate::ceiling::Flow;
use crate::config::{Config, ListenerConfig, ListenerId};
use crate::dealt::DealtJobs;
use crate::duplicates::Duplicates;
use crate::event::Event;
use crate::guard::{Guard, Limit};
use crate::history::History;
use crate::known::KnownDifficulties;
use crate::lane::Lanes;
use crate::layout::Layout;
use crate::left::LeftWorkers;
use crate::miner::{Miner, Reply};
use crate::miners::{MinerId, Miners};
use crate::output::{CloseReason, Output};
use crate::refusal::Refusal;
use crate::session::{KeptSession, Sessions};
use crate::slot::Slots;
use crate::statistics::{ListenerStatistics, Statistics};
use crate::upstream::{Demand, News, Outputs, UpstreamId};
use crate::upstreams::Upstreams;
use crate::work::{WorkIds, Works};

use self::moving::Moves;

/// Translates between Sv1 miners and Sv2 upstreams; see the crate's description.
#[derive(Debug)]
pub struct Translator {
    config: Config,
    /// The usual listener, and each that is configured.
    listeners: (Arc<ListenerConfig>, Vec<Arc<ListenerConfig>>),
    known: KnownDifficulties,
    miners: Miners,
    guard: Guard,
    sessions: Sessions,
    /// What new sessions get: what the last job of the farm had room for.
    layout: Layout,
    /// Miners moved to another layout that the log does not tell of yet.
    moves: Moves,
    upstreams: Upstreams,
    /// What the farm's miners work on.
    works: Works,
    /// Shares that go upstream.
    flow: Flow,
    work_ids: WorkIds,
    /// Accounts or miners with channels of their own.
    lanes: Lanes,
    /// Counts jobs, so that slots rest until theirs is gone.
    job_serial: u64,
    /// When it last counted.
    job_serial_since: Instant,
    /// Solved blocks that were kept because their upstream was gone.
    kept_blocks: Duplicates,
    /// Lines of SV1 mining.set_difficulty, one per power of two in use.
    difficulty_lines: HashMap<u64, Arc<[u8]>>,
    next_tick: Instant,
    /// Since when no upstream has work.
    outage_since: Option<Instant>,
    /// When every miner last got work.
    last_fan_out: Instant,
    /// What upstreams are to be told of all miners.
    demand: Demand,
    /// Miners that subscribed and authorized.
    mining: u64,
    statistics: Statistics,
    history: History,
    left: LeftWorkers,
    dealt: DealtJobs,
    outputs: Outputs,
    /// Order of a fan-out, kept for its memory.
    fan_out: Vec<dealing::Turn>,
    stopping: bool,
}

impl Translator {
    /// Makes a translator that dials its upstreams at the first timeout.
    #[must_use]
    pub fn new(now: Instant, mut config: Config) -> Self {
        let [s0, s1, s2, s3, s4, s5, s6, s7, ..] = config.seed;
        let seed = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let extranonce2_size = config.extranonce2_size;
        let slots = Slots::new(
            (config.first_slot, config.first_narrow_slot),
            extranonce2_size,
        );
        let mut known = KnownDifficulties::default();
        for (worker, difficulty) in std::mem::take(&mut config.worker_difficulties) {
            known.note(&worker, difficulty);
        }
        let mut sessions = Sessions::new(slots, config.seed, config.max_miners);
        let kept = std::mem::take(&mut config.sessions);
        sessions.restore(now, kept, extranonce2_size);
        Self {
            upstreams: Upstreams::new(now, &config, seed),
            listeners: config.shared_listeners(),
            known,
            miners: Miners::default(),
            guard: Guard::new(now, config.guard, config.max_miners),
            sessions,
            layout: Layout::Usual { extranonce2_size },
            moves: Moves::default(),
            works: Works::default(),
            flow: Flow::of_farm(now),
            work_ids: WorkIds::default(),
            lanes: Lanes::new(config.max_channels),
            job_serial: 0,
            job_serial_since: now,
            kept_blocks: Duplicates::default(),
            difficulty_lines: HashMap::new(),
            next_tick: now + oversight::TICK,
            outage_since: Some(now),
            last_fan_out: now,
            demand: oversight::demand(&config.difficulty, 0.0, None),
            mining: 0,
            statistics: Statistics {
                listeners: vec![ListenerStatistics::default(); config.listeners.len()],
                ..Statistics::default()
            },
            history: History::new(now),
            left: LeftWorkers::default(),
            dealt: DealtJobs::default(),
            outputs: Outputs::new(),
            fan_out: Vec::new(),
            stopping: false,
            config,
        }
    }

    /// Takes a new connection on a listener; `None` where it is refused, which [`Event::LimitMet`] tells.
    pub fn handle_miner_connected(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        listener: ListenerId,
    ) -> Option<MinerId> {
        if self.stopping {
            return None;
        }
        if let Err(limit) = self.guard.admit(now, peer.ip(), self.miners.len()) {
            self.meet(now, peer.ip(), limit);
            return None;
        }
        let (usual, listeners) = &self.listeners;
        let its = listeners.get(listener.0).unwrap_or(usual);
        let miner = Miner::new(now, peer, Arc::clone(its));
        let id = self.miners.insert(miner)?;
        self.guard.opened(now, peer.ip());
        self.count_arrival(listener);
        Some(id)
    }

    /// Takes the end of a connection that the miner closed or, in these words, the network lost.
    pub fn handle_miner_left(&mut self, now: Instant, miner: MinerId, lost: Option<String>) {
        let Some(miner) = self.remove_miner(now, miner, "left") else {
            return;
        };
        let worker = miner.worker_name().to_owned();
        self.event(Event::MinerLeft {
            peer: miner.peer,
            worker,
            lost,
        });
    }

    /// Takes what a miner sent. The reply is appended to `replies`, to be written before anything that
    /// [`poll_output`](Self::poll_output) gives afterwards.
    pub fn handle_incoming(
        &mut self,
        now: Instant,
        id: MinerId,
        incoming: Incoming,
        replies: &mut Vec<u8>,
    ) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        miner.last_line = now;
        match incoming {
            Incoming::Call {
                id: call,
                request: Request::Submit(submit),
            } => {
                self.handle_submit(now, id, &call, &submit, replies);
            }
            Incoming::Call { id: call, request } => {
                self.handle_setup(
                    now,
                    id,
                    request,
                    Reply {
                        id: &call,
                        out: replies,
                    },
                );
            }
            // We ask nothing that needs an answer; firmware answers all the same.
            Incoming::Response(_) => {}
        }
    }

    /// Takes a line that is no request. It is answered where it has an id, and ends the connection where not.
    pub fn handle_bad_line(
        &mut self,
        now: Instant,
        id: MinerId,
        error: &CallError,
        replies: &mut Vec<u8>,
    ) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        miner.last_line = now;
        let Some(call) = &error.id else {
            return self.close_miner(now, id, CloseReason::UnanswerableLine(error.to_string()));
        };
        reply::error(replies, call, error.reject_code(), &error.to_string());
        if error.method.as_deref() == Some("mining.submit") {
            self.statistics.shares_submitted += 1;
            self.count_refusal(now, id, Refusal::Malformed);
        }
    }

    /// Closes a miner for a reason that the body found.
    pub fn close_miner(&mut self, now: Instant, id: MinerId, reason: CloseReason) {
        let Some(miner) = self.remove_miner(now, id, reason.short()) else {
            return;
        };
        if let Some(label) = reason.label() {
            self.meet(
                now,
                miner.peer.ip(),
                Limit::Closed(label, reason.to_string()),
            );
        }
        let worker = miner.worker_name().to_owned();
        self.outputs.push_back(Output::CloseMiner {
            miner: id,
            reason: reason.clone(),
        });
        self.event(Event::MinerClosed {
            peer: miner.peer,
            worker,
            reason,
        });
    }

    /// Takes the body's word that an upstream is connected and has proved its authority key.
    pub fn handle_upstream_connected(&mut self, now: Instant, id: UpstreamId) {
        if let Some(upstream) = self.upstreams.get_mut(id) {
            upstream.handle_connected(now, &mut self.outputs);
        }
        self.upstreams.settle(id);
    }

    /// Takes the body's word that an upstream's connection ended or could not be made; `words` say why. A connection
    /// that we hung up on has ended already.
    pub fn handle_upstream_lost(&mut self, now: Instant, id: UpstreamId, words: String) {
        if let Some(upstream) = self.upstreams.get_mut(id) {
            upstream.handle_lost(now, words, &mut self.outputs);
        }
        self.upstreams.settle(id);
        match self.upstreams.lane(id) {
            Some(lane) => {
                self.check_own_channel(now, lane);
                self.handle_own_timeout(now);
            }
            None => self.choose_upstream(now),
        }
    }

    /// Takes a message of an upstream.
    pub fn handle_message(&mut self, now: Instant, id: UpstreamId, message: Message) {
        let lane = self.upstreams.lane(id);
        let demand = match lane.and_then(|lane| self.lanes.get(lane)) {
            Some(lane) => lane.demand,
            None => self.upstreams.demand_of(id, self.demand),
        };
        let Some(upstream) = self.upstreams.get_mut(id) else {
            return;
        };
        let news = upstream.handle_message(now, message, demand, &mut self.outputs);
        self.upstreams.settle(id);
        if let Some(lane) = lane {
            return self.take_own_news(now, (lane, id), news);
        }
        match news {
            News::Job(job) if self.upstreams.active() == Some(id) => self.take_job(now, job),
            News::Job(_) | News::Nothing => self.choose_upstream(now),
            News::Opened => self.announce(now),
        }
    }

    /// Does what is due; to be called at [`poll_timeout`](Self::poll_timeout), earlier does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        let demand = self.demand;
        self.upstreams
            .handle_timeout(now, demand, &mut self.outputs);
        // First of all, so that nobody gets a job of an upstream that has just been left.
        self.choose_upstream(now);
        self.keep_alive(now);
        let looks = now >= self.next_tick;
        if looks {
            self.next_tick = now + oversight::TICK;
            self.look_over_miners(now);
        }
        // After the look, which lets channels retire: then it is another's turn to be opened.
        self.handle_own_timeout(now);
        self.announce(now);
        if looks {
            self.announce_lanes(now);
        }
    }

    /// Gives the next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Tells when [`handle_timeout`](Self::handle_timeout) must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let upstreams = self.upstreams.timeout();
        let busy = self.miners.len() > 0 || !(self.lanes.is_empty() || self.stopping);
        let tick = busy.then_some(self.next_tick);
        let keepalive = self.keepalive_due();
        [upstreams, tick, keepalive].into_iter().flatten().min()
    }

    /// Ends all channels and connections: the proxy stops.
    pub fn stop(&mut self, now: Instant) {
        self.end(now, &CloseReason::Stopping);
    }

    /// Ends all channels and connections: the operator closed the ports that the miners came to.
    pub fn let_go(&mut self, now: Instant) {
        self.end(now, &CloseReason::PortClosed);
    }

    fn end(&mut self, now: Instant, reason: &CloseReason) {
        self.stopping = true;
        self.upstreams.stop(&mut self.outputs);
        let miners: Vec<_> = self.miners.iter().map(|(id, _)| id).collect();
        for miner in miners {
            self.close_miner(now, miner, reason.clone());
        }
    }

    /// Gives the difficulties that workers mine at or last mined at, those noted last at the end: what
    /// [`Config::worker_difficulties`] takes at the next start.
    pub fn worker_difficulties(&self) -> impl Iterator<Item = (&str, Difficulty)> {
        let miners = self.miners.iter();
        let now = miners.filter_map(|(_, miner)| Some((miner.worker_name(), miner.learnt()?)));
        self.known.iter().chain(now)
    }

    /// Gives the sessions that miners have or may ask for: what [`Config::sessions`] takes at the next start.
    pub fn sessions(&self) -> impl Iterator<Item = KeptSession> {
        let live = self.miners.iter();
        let live = live.filter_map(|(_, miner)| miner.kept_session());
        self.sessions.left().chain(live)
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn remove_miner(&mut self, now: Instant, id: MinerId, reason: &'static str) -> Option<Miner> {
        let mut miner = self.miners.remove(id)?;
        self.note_left(now, &miner, reason);
        self.guard.closed(now, miner.peer.ip());
        self.mining -= u64::from(miner.is_mining());
        if let Some(difficulty) = miner.learnt() {
            self.known.note(miner.worker_name(), difficulty);
        }
        self.lanes.leave(now, miner.home, id);
        if let Some((session, past)) = miner.end_session() {
            self.sessions.leave(now, session, past, self.job_serial);
        }
        // A tick may be the last one: without miners nothing is looked over.
        if self.miners.len() == 0 {
            self.look_over_miners(now);
            self.announce(now);
            self.announce_lanes(now);
        }
        Some(miner)
    }
}
