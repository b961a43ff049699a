//! The driver: one task that owns a [`Translator`] and does what it says.
//!
//! It never waits for an output. Inputs come through bounded queues, so TCP pushes back on whoever floods;
//! upstreams have a queue of their own and go first.

mod showing;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::future;
use sv1::{CallError, Incoming};
use sv2::message::Message;
use translate::{
    CloseReason, KeptSession, ListenerId, MinerId, MinerStatistics, Output, Statistics, Translator,
    UpstreamId,
};

use crate::alarm::Alarm;
use crate::config::Limits;
use crate::downstream::{Connection, Flushed, MinerLink};
use crate::journal::Journal;
use crate::logging;
use crate::runtime;
use crate::snapshot::{Census, CensusTaking, Snapshot, Timings};
use crate::state::blocks::Blocks;
use crate::state::workers::Difficulties;
use crate::upstream::{self, Attempt, Place, Sent, UpstreamLink};

/// Longest time for the last words when the process stops.
const DRAIN: Duration = Duration::from_secs(3);
/// Inputs taken before what they led to is written, so that a batch of lines is one write.
const BATCH: usize = 64;
/// How often blocked sockets are looked at.
const BLOCKED_CHECK: Duration = Duration::from_secs(1);

/// What reaches the driver.
#[derive(Debug)]
pub(crate) enum Input {
    /// A listener accepted a connection.
    MinerConnected(ListenerId, Connection),
    /// A miner sent a request, received then.
    Incoming(MinerId, Incoming, Instant),
    /// A miner sent a line that is no request.
    BadLine(MinerId, Box<CallError>),
    /// A miner sends more requests than are read within a second.
    MinerSlowed(MinerId),
    /// A miner's connection ended; with words where the miner is at fault.
    MinerLeft(MinerId, Option<String>),
    /// A blocked socket has taken what was left over, or broke.
    MinerDrained(MinerId, bool),
    /// An upstream is connected and has proved its key.
    UpstreamConnected(UpstreamId, Attempt, UpstreamLink),
    /// An upstream sent a message, received then.
    UpstreamMessage(UpstreamId, Attempt, Box<Message>, Instant),
    /// An upstream's connection ended, or could not be made.
    UpstreamLost(UpstreamId, Attempt, String),
    /// Somebody wants to know at which difficulties workers mine.
    WorkerDifficulties(Sender<Difficulties>),
    /// Somebody wants to know which session has which slot.
    Sessions(Sender<Vec<KeptSession>>),
    /// Somebody wants to know how things are.
    Report(Sender<Report>),
    /// Somebody wants to see the counters, or whether anybody answers.
    Statistics(Sender<Statistics>),
    /// Somebody wants to see the counters, and what else is bounded.
    Snapshot(Sender<Arc<Snapshot>>),
    /// Somebody wants to see every miner.
    Census(Sender<Arc<Census>>),
    /// The process is to stop.
    Stop,
}

/// How things are with one driver.
#[derive(Debug, Clone)]
pub struct Report {
    /// Counters.
    pub statistics: Statistics,
    /// Each miner.
    pub miners: Vec<MinerStatistics>,
}

/// A configured upstream, or behind those a connection of a single account or miner.
#[derive(Debug)]
struct Upstream {
    place: Place,
    /// Counts connections, so that the last one's words are not taken for the present one's.
    attempts: u64,
    link: Option<UpstreamLink>,
}

/// The two ways into a driver.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// From upstreams and from our own process; first.
    pub(crate) upstream: (Sender<Input>, Receiver<Input>),
    /// From miners.
    pub(crate) miners: (Sender<Input>, Receiver<Input>),
}

impl Inputs {
    pub(crate) fn new(length: usize) -> Self {
        let length = length.max(1);
        Self {
            upstream: async_channel::bounded(length),
            miners: async_channel::bounded(length),
        }
    }
}

/// Owns the translator and the links to the outside.
pub(crate) struct Driver {
    translator: Translator,
    inputs: Inputs,
    limits: Limits,
    blocks: Blocks,
    /// By [`MinerId::index`].
    miners: Vec<Option<(MinerId, MinerLink)>>,
    upstreams: Vec<Upstream>,
    /// Miners with something to write, in the order in which they are to be written to.
    dirty: Vec<MinerId>,
    blocked: HashSet<MinerId>,
    next_blocked_check: Instant,
    alarm: Alarm,
    journal: Journal,
    timings: Timings,
    /// When the shares were received whose replies are to be written.
    submits: Vec<Instant>,
    /// When the job was received that is to be written to miners.
    job_received: Option<Instant>,
    census: Option<CensusTaking>,
    /// Upstream connections that end once their last messages are written.
    hanging_up: HashSet<(UpstreamId, Attempt)>,
    stopping: bool,
}

impl Driver {
    pub(crate) fn new(
        translator: Translator,
        places: Vec<Place>,
        limits: Limits,
        (blocks, journal): (Blocks, Journal),
        inputs: Inputs,
    ) -> Self {
        let upstreams = places.into_iter().map(|place| Upstream {
            place,
            attempts: 0,
            link: None,
        });
        Self {
            translator,
            inputs,
            limits,
            blocks,
            miners: Vec::new(),
            upstreams: upstreams.collect(),
            dirty: Vec::new(),
            blocked: HashSet::new(),
            next_blocked_check: Instant::now(),
            alarm: Alarm::default(),
            journal,
            timings: Timings::default(),
            submits: Vec::new(),
            job_received: None,
            census: None,
            hanging_up: HashSet::new(),
            stopping: false,
        }
    }

    /// Runs until it is told to stop and everything has been said.
    pub(crate) async fn run(mut self) {
        self.translator.handle_timeout(Instant::now());
        self.act();
        while !self.stopping {
            // A queue that is never empty must not starve the timers.
            let now = Instant::now();
            if self.due().is_some_and(|due| due <= now) {
                self.translator.handle_timeout(now);
                self.check_blocked(now);
            } else if let Some(input) = self.next_input().await {
                self.take_batch(input);
            }
            self.act();
            self.go_on_with_census().await;
            if !self.inputs.miners.1.is_empty() {
                // A new block that has come meanwhile goes first.
                future::yield_now().await;
            }
        }
        runtime::within(DRAIN, self.drain()).await;
    }

    /// Waits until the last bytes are on their way: upstreams hear that the channel closes, miners get their replies.
    async fn drain(&mut self) {
        while !self.hanging_up.is_empty() || !self.blocked.is_empty() {
            let next = future::or(self.inputs.upstream.1.recv(), self.inputs.miners.1.recv());
            match next.await {
                // A dial that fails is none of those whose last messages are on their way.
                Ok(Input::UpstreamLost(id, attempt, _)) => {
                    self.hanging_up.remove(&(id, attempt));
                }
                Ok(Input::MinerDrained(miner, written)) => {
                    self.miner_drained(Instant::now(), miner, written);
                    // More may have been in line behind what is written now.
                    self.act();
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let blocked = (!self.blocked.is_empty()).then_some(self.next_blocked_check);
        self.translator
            .poll_timeout()
            .into_iter()
            .chain(blocked)
            .min()
    }

    /// Waits for an input until something is due.
    async fn next_input(&mut self) -> Option<Input> {
        let due = self.due();
        let next = future::or(self.inputs.upstream.1.recv(), self.inputs.miners.1.recv());
        if self.census.is_some() {
            return future::poll_once(next).await?.ok();
        }
        let input = future::or(async { Some(next.await) }, async {
            self.alarm.wait_until(due).await;
            None
        });
        // The driver holds senders itself, so the queues never close.
        input.await?.ok()
    }

    fn take_batch(&mut self, first: Input) {
        self.take(first);
        for _ in 1..BATCH {
            let next = self
                .inputs
                .upstream
                .1
                .try_recv()
                .or_else(|_| self.inputs.miners.1.try_recv());
            let Ok(input) = next else { return };
            self.take(input);
        }
    }

    fn take(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Incoming(miner, incoming, received) => {
                if showing::is_submit(&incoming) {
                    self.submits.push(received);
                }
                let Some(link) = link(&mut self.miners, miner) else {
                    return;
                };
                self.translator
                    .handle_incoming(now, miner, incoming, link.replies());
                self.dirty.push(miner);
            }
            Input::BadLine(miner, error) => {
                let Some(link) = link(&mut self.miners, miner) else {
                    return;
                };
                self.translator
                    .handle_bad_line(now, miner, &error, link.replies());
                self.dirty.push(miner);
            }
            Input::MinerConnected(listener, connection) => {
                self.miner_connected(now, listener, connection)
            }
            Input::MinerLeft(miner, None) => {
                self.translator.handle_miner_left(now, miner);
                // It may have ended only its own direction, and wait for the last replies.
                self.close_when_written(miner);
            }
            Input::MinerLeft(miner, Some(words)) => {
                self.translator
                    .close_miner(now, miner, CloseReason::UnanswerableLine(words));
            }
            Input::MinerSlowed(miner) => self.translator.handle_miner_slowed(now, miner),
            Input::MinerDrained(miner, written) => self.miner_drained(now, miner, written),
            Input::UpstreamConnected(id, attempt, link) => {
                let Some(upstream) = self.upstream(id, attempt) else {
                    return;
                };
                upstream.link = Some(link);
                self.translator.handle_upstream_connected(now, id);
            }
            Input::UpstreamMessage(id, attempt, message, received) => {
                if self.upstream(id, attempt).is_some() {
                    let jobs = self.translator.jobs_dealt();
                    self.translator.handle_message(now, id, *message);
                    if self.translator.jobs_dealt() > jobs {
                        self.job_received.get_or_insert(received);
                    }
                }
            }
            Input::UpstreamLost(id, attempt, words) => {
                self.hanging_up.remove(&(id, attempt));
                let Some(upstream) = self.upstream(id, attempt) else {
                    return;
                };
                upstream.link = None;
                self.translator.handle_upstream_lost(now, id, words);
            }
            Input::WorkerDifficulties(asker) => {
                let known = self.translator.worker_difficulties();
                let known = known.map(|(worker, difficulty)| (worker.into(), difficulty));
                // Who asked may have gone.
                let _ = asker.try_send(known.collect());
            }
            Input::Sessions(asker) => {
                // Who asked may have gone.
                let _ = asker.try_send(self.translator.sessions().collect());
            }
            Input::Report(asker) => self.report(&asker),
            Input::Statistics(asker) => {
                // Who asked may have gone.
                let _ = asker.try_send(self.translator.statistics());
            }
            Input::Snapshot(asker) => {
                // Who asked may have gone.
                let _ = asker.try_send(Arc::new(self.snapshot(now)));
            }
            Input::Census(asker) => {
                let census = self.census.get_or_insert_with(CensusTaking::new);
                census.answer(asker);
            }
            Input::Stop => self.stop(now),
        }
        self.collect_outputs();
    }

    /// Does what became due and writes what is in line.
    fn act(&mut self) {
        self.collect_outputs();
        let now = Instant::now();
        let mut dirty = std::mem::take(&mut self.dirty);
        for miner in dirty.drain(..) {
            self.flush(now, miner);
        }
        self.dirty = dirty;
        self.note_timings();
    }

    fn collect_outputs(&mut self) {
        while let Some(output) = self.translator.poll_output() {
            match output {
                Output::Deliver { miner, delivery } => {
                    let Some(link) = link(&mut self.miners, miner) else {
                        continue;
                    };
                    link.deliver(delivery);
                    self.dirty.push(miner);
                }
                Output::CloseMiner { miner, .. } => self.close_when_written(miner),
                Output::Reconnect { miner, names_place } => {
                    let Some(link) = link(&mut self.miners, miner) else {
                        continue;
                    };
                    link.ask_to_reconnect(names_place);
                    self.dirty.push(miner);
                }
                Output::Dial {
                    upstream,
                    configured,
                    redirect,
                } => self.dial(upstream, configured, redirect),
                Output::Send {
                    upstream,
                    message,
                    worker,
                } => self.send(upstream, message, worker),
                Output::HangUp { upstream, .. } => {
                    if let Some(upstream) = self.upstreams.get_mut(upstream.0) {
                        upstream.attempts += 1;
                        upstream.link = None;
                    }
                }
                Output::KeepBlock(block) => self.blocks.keep(*block),
                Output::Event(event) => {
                    logging::event(&event);
                    self.journal.note(event);
                }
            }
        }
    }
}

/// Miners.
impl Driver {
    fn miner_connected(&mut self, now: Instant, listener: ListenerId, connection: Connection) {
        let peer = connection.peer;
        let Some(miner) = self.translator.handle_miner_connected(now, peer, listener) else {
            // The translator says why.
            return;
        };
        let link = MinerLink::start(miner, connection, &self.limits, &self.inputs.miners.0);
        let index = miner.index();
        if self.miners.len() <= index {
            self.miners.resize_with(index + 1, || None);
        }
        if let Some(place) = self.miners.get_mut(index) {
            *place = Some((miner, link));
        }
    }

    fn close_when_written(&mut self, miner: MinerId) {
        if let Some(link) = link(&mut self.miners, miner) {
            link.close_when_written();
            self.dirty.push(miner);
        }
    }

    fn miner_drained(&mut self, now: Instant, miner: MinerId, written: bool) {
        // Also where another miner has taken its place in the meantime.
        self.blocked.remove(&miner);
        let Some(link) = link(&mut self.miners, miner) else {
            return;
        };
        link.drained();
        if written {
            self.dirty.push(miner);
        } else {
            self.translator.handle_miner_left(now, miner);
            self.drop_link(miner);
        }
    }

    fn flush(&mut self, now: Instant, miner: MinerId) {
        let Some(link) = link(&mut self.miners, miner) else {
            return;
        };
        let flushed = link.flush(miner, now, &self.inputs.miners.0);
        let (blocked, waiting) = (link.blocked_since().is_some(), link.waiting());
        if flushed == Flushed::Broken {
            // Where the translator closed it, it knows already.
            self.translator.handle_miner_left(now, miner);
            self.drop_link(miner);
        } else if waiting > self.limits.pending_bytes {
            self.give_up(now, miner, format!("does not read: {waiting} bytes wait"));
        } else if blocked {
            // One that blocks again and again must not put the next look at the others off.
            if self.blocked.is_empty() {
                self.next_blocked_check = now + BLOCKED_CHECK;
            }
            self.blocked.insert(miner);
        }
    }

    /// Closes miners that have not taken in what was written for too long.
    fn check_blocked(&mut self, now: Instant) {
        if self.blocked.is_empty() || now < self.next_blocked_check {
            return;
        }
        self.next_blocked_check = now + BLOCKED_CHECK;
        let timeout = self.limits.write_timeout;
        let since = |miner: &MinerId| match self.miners.get(miner.index()) {
            Some(Some((id, link))) if id == miner => link.blocked_since(),
            _ => None,
        };
        let overdue = |miner: &&MinerId| {
            since(miner).is_some_and(|since| now.saturating_duration_since(since) >= timeout)
        };
        let overdue: Vec<_> = self.blocked.iter().filter(overdue).copied().collect();
        for miner in overdue {
            self.give_up(
                now,
                miner,
                format!("has read nothing for {} s", timeout.as_secs()),
            );
        }
    }

    fn give_up(&mut self, now: Instant, miner: MinerId, words: String) {
        self.translator
            .close_miner(now, miner, CloseReason::NotReading(words));
        self.collect_outputs();
        self.drop_link(miner);
    }

    fn drop_link(&mut self, miner: MinerId) {
        self.blocked.remove(&miner);
        if let Some(place) = self.miners.get_mut(miner.index()) {
            place.take_if(|(id, _)| *id == miner);
        }
    }
}

/// Upstreams and our own process.
impl Driver {
    /// Gives an upstream, where `attempt` is its present connection.
    fn upstream(&mut self, id: UpstreamId, attempt: Attempt) -> Option<&mut Upstream> {
        self.upstreams
            .get_mut(id.0)
            .filter(|upstream| Attempt(upstream.attempts) == attempt)
    }

    fn dial(&mut self, id: UpstreamId, configured: UpstreamId, redirect: Option<(String, u16)>) {
        let place = self.upstreams.get(configured.0).map(|it| it.place.clone());
        let Some(place) = place else { return };
        while self.upstreams.len() <= id.0 {
            self.upstreams.push(Upstream {
                place: place.clone(),
                attempts: 0,
                link: None,
            });
        }
        let Some(upstream) = self.upstreams.get_mut(id.0) else {
            return;
        };
        upstream.place = place;
        upstream.attempts += 1;
        upstream.link = None;
        let place = Place {
            redirect,
            ..upstream.place.clone()
        };
        let inputs = self.inputs.upstream.0.clone();
        runtime::spawn(upstream::run(id, Attempt(upstream.attempts), place, inputs));
    }

    fn send(&mut self, id: UpstreamId, message: Message, worker: Option<sv2::tlv::UserIdentity>) {
        let Some(upstream) = self.upstreams.get_mut(id.0) else {
            return;
        };
        let Some(link) = &upstream.link else { return };
        if link.send((message, worker)) == Sent::NoRoom {
            upstream.attempts += 1;
            upstream.link = None;
            let words = "does not take in what we send, too much waits".to_owned();
            self.translator
                .handle_upstream_lost(Instant::now(), id, words);
        }
    }

    /// Answers what was accepted, closes channels, then ends.
    fn stop(&mut self, now: Instant) {
        while let Ok(input) = self.inputs.miners.1.try_recv() {
            if matches!(input, Input::Incoming(..) | Input::BadLine(..)) {
                self.take(input);
            }
        }
        let connected = self.upstreams.iter().enumerate();
        let connected = connected.filter(|(_, upstream)| upstream.link.is_some());
        self.hanging_up = connected
            .map(|(id, upstream)| (UpstreamId(id), Attempt(upstream.attempts)))
            .collect();
        self.translator.stop(now);
        self.stopping = true;
    }
}

/// Finds a miner's link; not that of another who took its place.
fn link(miners: &mut [Option<(MinerId, MinerLink)>], miner: MinerId) -> Option<&mut MinerLink> {
    let (id, link) = miners.get_mut(miner.index())?.as_mut()?;
    (*id == miner).then_some(link)
}

/// Makes shared places of the configured upstreams.
pub(crate) fn places<'a>(
    upstreams: impl Iterator<Item = &'a crate::config::Upstream>,
    limits: &Limits,
) -> Vec<Place> {
    let place = |upstream: &crate::config::Upstream| Place {
        url: Arc::new(upstream.url.clone()),
        redirect: None,
        connect_timeout: limits.upstream_connect_timeout,
        setup_timeout: limits.upstream_setup_timeout,
        write_timeout: limits.write_timeout,
    };
    upstreams.map(place).collect()
}
