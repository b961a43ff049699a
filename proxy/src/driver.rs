//! The driver: one thread that owns a [`Translator`] and all its sockets, and does what the translator says.
//!
//! It never waits for an output, and for an input only in its [`Poller`]. Nothing is read before its turn comes, so TCP
//! pushes back on whoever floods. In each round upstreams go first, both in reading and in writing.

mod miners;
mod parting;
mod reconfiguring;
mod showing;
mod upstreams;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use translate::{
    Event, KeptSession, ListenerId, MinerId, MinerStatistics, Output, Statistics, Translator,
    UpstreamId,
};

use crate::config::Limits;
use crate::dealer::Dealer;
use crate::downstream::MinerLink;
use crate::journal::Journal;
use crate::listener::{Connection, Listener};
use crate::logging;
use crate::poller::{EVENTS, Poller, Ready, Source, Told};
use crate::snapshot::{Census, CensusTaking, Snapshot, Timings};
use crate::state::blocks::Blocks;
use crate::state::workers::Difficulties;
use crate::upstream::{Attempt, Place, UpstreamLink};

use parting::Parting;
pub(crate) use reconfiguring::{Doors, Reconfiguration};
use upstreams::Upstream;
pub(crate) use upstreams::places;

/// Longest time for the last words when the process stops.
const DRAIN: Duration = Duration::from_secs(3);
/// How often each miner is read once more when the process stops: 16 kB of requests.
const LAST_TURNS: usize = 8;
/// How often blocked sockets are looked at.
const BLOCKED_CHECK: Duration = Duration::from_secs(1);
/// Bytes read at a time: a job of usual size in one piece.
const READ_BUFFER: usize = 16_384;
/// Buffers of replies that are kept for the next miners.
const SPARE_BUFFERS: usize = 64;
/// How long requests may gather from when some were read: one wake-up of this thread, and of whoever waits for the replies,
/// then serves them all. Twice as long would save little more.
const GATHERING: Duration = Duration::from_millis(1);
/// Miners written to before upstreams are looked at: some 3 ms.
const WRITES: usize = 256;
/// What others tell that is taken at a time.
const INPUTS: usize = 64;
/// What may wait in the queue to a driver before senders do.
const TOLD: usize = 1_024;

/// What others tell the driver.
#[derive(Debug)]
pub(crate) enum Input {
    /// The shard that lets miners in hands one over.
    MinerConnected(ListenerId, Connection),
    /// An upstream is connected and has proved its key.
    UpstreamConnected(UpstreamId, Attempt, Box<UpstreamLink>),
    /// A connection to an upstream could not be made.
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
    /// Another config is to be followed; who asked is told when it is.
    Reconfigure(Box<Reconfiguration>, Sender<()>),
    /// Something happened beside the translator that is to be remembered.
    Note(Event),
    /// The miners are to be let go, because their ports are closed for good; the driver ends. Who asked is told once
    /// others may have the ports.
    LetGo(Sender<()>),
    /// The process is to stop. Who asked is told how things are once what had arrived is answered.
    Stop(Sender<Report>),
}

/// How things are with one driver.
#[derive(Debug, Clone)]
pub struct Report {
    /// Counters.
    pub statistics: Statistics,
    /// Each miner.
    pub miners: Vec<MinerStatistics>,
}

/// What a driver keeps its words in.
#[derive(Debug)]
pub(crate) struct Records {
    /// Solved blocks that an upstream may not have.
    pub(crate) blocks: Blocks,
    /// What happened.
    pub(crate) journal: Journal,
}

/// Owns the translator and the links to the outside.
pub(crate) struct Driver {
    translator: Translator,
    poller: Poller,
    /// Where what happens is put.
    events: Vec<Ready>,
    told: Told<Input>,
    /// For those whom the driver starts: dials.
    inputs: Sender<Input>,
    limits: Limits,
    records: Records,
    /// None where another shard lets miners in.
    listeners: Vec<Listener>,
    /// Who gets those that are let in.
    dealer: Dealer,
    /// By [`MinerId::index`].
    miners: Vec<Option<(MinerId, MinerLink)>>,
    upstreams: Vec<Upstream>,
    /// Upstreams that have sent something.
    upstreams_in_line: Vec<UpstreamId>,
    /// Upstreams with something to write.
    unwritten: Vec<UpstreamId>,
    /// Where miners were read a moment ago: until when nobody looks at them.
    gathers_until: Option<Instant>,
    /// Miners that may have sent something, in the order in which they are to be read.
    in_line: VecDeque<MinerId>,
    /// Miners that sent too much within a second, and when they are read again.
    paused: VecDeque<(Instant, MinerId)>,
    /// Miners with something to write, in the order in which they are to be written to, each once.
    dirty: VecDeque<MinerId>,
    /// Whether writing did not come to an end: work comes faster than it can be written.
    falls_behind: bool,
    /// Connections to upstreams that were parted with, in that order.
    parting: Vec<Parting>,
    /// Whether something has happened at one of them.
    has_parting_rung: bool,
    blocked: HashSet<MinerId>,
    next_blocked_check: Instant,
    /// Where everything is read into.
    buffer: Vec<u8>,
    /// Empty buffers for replies.
    spare: Vec<Vec<u8>>,
    timings: Timings,
    /// When the shares were received whose replies are to be written.
    submits: Vec<Instant>,
    /// When the job was received that is to be written to miners.
    job_received: Option<Instant>,
    census: Option<CensusTaking>,
    /// Once it is to stop: until when the last words may take.
    stopping: Option<Instant>,
}

/// The way into a driver: its two ends.
pub(crate) fn inputs() -> (Sender<Input>, Receiver<Input>) {
    async_channel::bounded(TOLD)
}

impl Driver {
    /// Makes one that lets miners in at listeners, deals them out, and dials `places`.
    ///
    /// # Errors
    /// Where the system has no file descriptor left for it.
    pub(crate) fn new(
        translator: Translator,
        (listeners, dealer): (Vec<Listener>, Dealer),
        places: Vec<Place>,
        limits: Limits,
        records: Records,
        (inputs, told): (Sender<Input>, Receiver<Input>),
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        for listener in &listeners {
            poller.add(listener.socket(), Source::Listener(listener.id.0))?;
        }
        Ok(Self {
            translator,
            told: Told::new(told, &poller),
            poller,
            events: Vec::with_capacity(2 * EVENTS),
            inputs,
            limits,
            records,
            listeners,
            dealer,
            miners: Vec::new(),
            upstreams: places.into_iter().map(Upstream::new).collect(),
            upstreams_in_line: Vec::new(),
            unwritten: Vec::new(),
            gathers_until: None,
            in_line: VecDeque::new(),
            paused: VecDeque::new(),
            dirty: VecDeque::new(),
            falls_behind: false,
            parting: Vec::new(),
            has_parting_rung: false,
            blocked: HashSet::new(),
            next_blocked_check: Instant::now(),
            buffer: vec![0; READ_BUFFER],
            spare: Vec::with_capacity(SPARE_BUFFERS),
            timings: Timings::default(),
            submits: Vec::new(),
            job_received: None,
            census: None,
            stopping: None,
        })
    }

    /// Runs until it is told to stop and everything has been said.
    ///
    /// # Errors
    /// Where the system does not let it wait for its sockets.
    pub(crate) fn run(mut self) -> io::Result<()> {
        self.translator.handle_timeout(Instant::now());
        self.act()?;
        while self.stopping.is_none() {
            if !self.gather()? {
                let wait = self.patience(Instant::now());
                self.look(wait)?;
            }
            self.round()?;
        }
        self.drain()
    }

    /// Does what is to be done now: upstreams, then what is due, then a batch of miners.
    fn round(&mut self) -> io::Result<()> {
        // Before what is due: no upstream is to be given up as silent whose answer is there.
        self.read_upstreams();
        let now = Instant::now();
        // Miners that never rest must not starve the timers.
        if self.due(now).is_some_and(|due| due <= now) {
            self.translator.handle_timeout(now);
            self.collect_outputs();
            self.check_blocked(now);
            self.put_paused_in_line(now);
        }
        self.take_inputs();
        self.go_on_parting(now);
        self.read_miners();
        self.accept();
        self.act()?;
        self.go_on_with_census();
        Ok(())
    }

    /// Waits until the last bytes are on their way: upstreams hear that the channel closes, miners get their replies.
    fn drain(&mut self) -> io::Result<()> {
        while let Some(end) = self.stopping {
            let left = end.saturating_duration_since(Instant::now());
            let is_writing = !self.dirty.is_empty();
            let is_waiting =
                !self.blocked.is_empty() || !self.unwritten.is_empty() || !self.parting.is_empty();
            if left.is_zero() || !(is_writing || is_waiting) {
                break;
            }
            // Who rang while miners were written to does not ring again.
            let wait = match is_writing || self.has_parting_rung {
                true => Duration::ZERO,
                false => left,
            };
            self.look(Some(wait))?;
            self.go_on_parting(Instant::now());
            self.act()?;
        }
        Ok(())
    }

    /// Tells when something is due that nobody outside tells of.
    fn due(&self, now: Instant) -> Option<Instant> {
        let blocked = (!self.blocked.is_empty() || !self.unwritten.is_empty())
            .then_some(self.next_blocked_check);
        let listeners = self.listeners.iter().filter_map(|it| it.due(now));
        self.translator
            .poll_timeout()
            .into_iter()
            .chain(blocked)
            .chain(self.paused.front().map(|(until, _)| *until))
            .chain(listeners)
            .chain(self.parting_due())
            .min()
    }

    /// Tells how long to wait for something to happen; `None` is for ever.
    fn patience(&self, now: Instant) -> Option<Duration> {
        let is_busy = (!self.in_line.is_empty() && !self.is_pushed_back())
            || !self.upstreams_in_line.is_empty()
            || !self.dirty.is_empty()
            || self.census.is_some()
            || self.has_parting_rung
            || self.told.may_have_more();
        if is_busy {
            return Some(Duration::ZERO);
        }
        let due = self.due(now)?;
        Some(due.saturating_duration_since(now))
    }

    /// Where miners have just been read and nothing is left to do, lets what they send next gather. Upstreams are not made
    /// to wait: tells whether one of them, or the bell, has something to be seen to meanwhile.
    fn gather(&mut self) -> io::Result<bool> {
        let Some(until) = self.gathers_until else {
            return Ok(false);
        };
        let now = Instant::now();
        let left = until.saturating_duration_since(now);
        let left = self.patience(now).map_or(left, |wait| wait.min(left));
        if left.is_zero() {
            self.gathers_until = None;
            return Ok(false);
        }
        let mut events = std::mem::take(&mut self.events);
        self.poller.wait_for_urgent(left, &mut events)?;
        let has_come = !events.is_empty();
        self.note(events);
        if !has_come {
            self.gathers_until = None;
        }
        Ok(has_come)
    }

    /// Waits, and notes where something has happened: everywhere, because an upstream may stand behind thousands of miners.
    fn look(&mut self, mut wait: Option<Duration>) -> io::Result<()> {
        for _ in 0..=self.miners.len() / EVENTS {
            let mut events = std::mem::take(&mut self.events);
            self.poller.wait(wait, &mut events)?;
            let was_all = events.len() < EVENTS;
            self.note(events);
            if was_all {
                break;
            }
            wait = Some(Duration::ZERO);
        }
        Ok(())
    }

    /// Notes where something has happened.
    fn note(&mut self, mut events: Vec<Ready>) {
        for event in events.drain(..) {
            match event.source {
                Source::Bell => {}
                Source::Parting => self.has_parting_rung = true,
                Source::Listener(id) => {
                    // One that is closed may have rung before.
                    let listener = self.listeners.iter_mut().find(|it| it.id.0 == id);
                    if let Some(listener) = listener {
                        listener.note_waiting();
                    }
                }
                Source::Upstream(place) => self.note_upstream(event, place),
                Source::Miner(place) => self.note_miner(event, place),
            }
        }
        // The next ones are noted in the same place.
        self.events = events;
    }

    fn take_inputs(&mut self) {
        for _ in 0..INPUTS {
            let Some(input) = self.told.next() else { break };
            self.take(input);
        }
    }

    fn take(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::MinerConnected(listener, connection) => {
                self.miner_connected(now, listener, connection);
            }
            Input::UpstreamConnected(id, attempt, link) => {
                self.upstream_connected(now, id, attempt, *link);
            }
            Input::UpstreamLost(id, attempt, words) => {
                if self.is_present(id, attempt) {
                    self.upstream_lost(now, id, words);
                }
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
            Input::Reconfigure(other, done) => self.reconfigure(now, *other, &done),
            Input::Note(event) => self.records.journal.note(event),
            Input::LetGo(closed) => {
                self.listeners.clear();
                // Who asked may have gone.
                let _ = closed.try_send(());
                self.answer_what_has_come();
                self.end(Translator::let_go);
            }
            Input::Stop(asker) => {
                self.listeners.clear();
                self.answer_what_has_come();
                self.report(&asker);
                self.end(Translator::stop);
            }
        }
        self.collect_outputs();
    }

    /// Writes what is in line: to upstreams first, which are read again and again meanwhile. New work takes the place of
    /// what has not been written; those who have had older work already get it behind those who have not.
    ///
    /// What is left after as many writes as there are miners waits for the next round: where an upstream sends work faster
    /// than it can be written, nobody else is to starve.
    fn act(&mut self) -> io::Result<()> {
        self.collect_outputs();
        for _ in 0..=self.miners.len() / WRITES {
            let now = Instant::now();
            self.flush_upstreams(now);
            for _ in 0..WRITES {
                let Some(miner) = self.dirty.pop_front() else {
                    break;
                };
                self.flush(now, miner);
            }
            if self.dirty.is_empty() {
                break;
            }
            self.look(Some(Duration::ZERO))?;
            self.read_upstreams();
            // Whoever wants to see something need not wait for the last miner.
            if self.stopping.is_none() {
                self.take_inputs();
            }
        }
        self.falls_behind = !self.dirty.is_empty();
        self.note_timings();
        Ok(())
    }

    fn collect_outputs(&mut self) {
        while let Some(output) = self.translator.poll_output() {
            match output {
                Output::Deliver { miner, delivery } => {
                    let Some(link) = miners::link(&mut self.miners, miner) else {
                        continue;
                    };
                    link.deliver(delivery);
                    miners::put_in_line_to_write(&mut self.dirty, miner, link);
                }
                Output::CloseMiner { miner, .. } => self.close_when_written(miner),
                Output::Reconnect { miner, names_place } => {
                    let Some(link) = miners::link(&mut self.miners, miner) else {
                        continue;
                    };
                    link.ask_to_reconnect(names_place);
                    miners::put_in_line_to_write(&mut self.dirty, miner, link);
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
                } => self.send(upstream, &message, worker.as_ref()),
                Output::HangUp { upstream, .. } => self.hang_up(upstream),
                Output::KeepBlock(block) => self.records.blocks.keep(*block),
                Output::Event(event) => {
                    logging::event(&event);
                    self.records.journal.note(event);
                }
            }
        }
    }

    /// Answers what has arrived: it was submitted in good faith. Nobody pauses any more.
    fn answer_what_has_come(&mut self) {
        self.stopping = Some(Instant::now() + DRAIN);
        // An error ends the run soon enough.
        let _ = self.look(Some(Duration::ZERO));
        for _ in 0..LAST_TURNS {
            self.flush_upstreams(Instant::now());
            let paused = self.paused.drain(..).map(|(_, miner)| miner);
            self.in_line.extend(paused);
            self.read_miners_in_line(self.in_line.len());
        }
    }

    /// Closes channels, then ends.
    fn end(&mut self, end: fn(&mut Translator, Instant)) {
        let now = Instant::now();
        end(&mut self.translator, now);
        self.stopping = Some(now + DRAIN);
    }
}
