//! A world: the real translator, simulated miners and pools around it, links between them, and one virtual clock.
//!
//! The world does what the proxy's body does, and checks every invariant as it goes. All times are counted from the
//! world's beginning.

mod audit;
mod judge;
mod mining;
mod moving;
mod operator;
mod own;
mod pools;
mod trouble;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use sv1::{FromServer, parse_from_server};
use sv2::bitcoin::{Difficulty, VersionMask};
use sv2::message::Message;
use sv2::messages::mining::SubmitSharesExtended;
use sv2::tlv::UserIdentity;
use translate::{
    ChannelMode, CloseReason, Config, DifficultyPolicy, Event as Told, GuardPolicy, Limit,
    ListenerConfig, MinerId, Notify, Output, Refusal, Translator, UpstreamConfig, UpstreamId,
    UserTemplate,
};

use super::conn::{Conn, Wire};
use super::coverage::Coverage;
use super::invariant::{Checked, Invariant, ensure};
use super::miner::Miner;
use super::queue::Queue;
use super::random::Random;
use super::seam::Seam;
use super::site::{Extranonce, NBITS, Site};
use super::slot::Space;
use super::trail::Trail;
use super::view::Dealt;
use trouble::Recovery;

/// How often the world as a whole is looked over.
const LOOK: Duration = Duration::from_secs(1);

/// Whom miners belong to where channels are not for all; the last of them nobody.
const ACCOUNTS: [&str; 4] = ["alice", "bob", "carol", ""];

/// Outputs of one call: for each miner a difficulty, work, a close and what is said of them, and some more.
const OUTPUTS_PER_MINER: usize = 6;
const OUTPUTS_BESIDE: usize = 64;

/// What happens in a world, apart from what the translator and the pools do by the clock.
#[derive(Debug)]
enum Event {
    Connect(usize),
    ToProxy(usize, Vec<u8>),
    ToMiner(usize, Wire),
    /// The proxy learns that a miner's connection ended.
    MinerGone(usize),
    /// A miner learns it.
    ProxyGone(usize),
    Unstall(usize),
    Find(usize, u64),
    Fidget(usize, usize),
    Dialled(usize, u64),
    Lost(usize, u64, &'static str),
    FromPool(usize, u64, Box<Message>),
    ToPool(usize, u64, Vec<u8>),
    PoolHangUp(usize, u64),
    Block,
    Hears(usize, u32),
    Trouble(usize),
    Recover(usize, Recovery),
    Reconfigure,
    Look,
}

/// A job as miners got it.
#[derive(Debug, Clone)]
struct Given {
    notify: Rc<sv1::Notify>,
    dealt: Rc<Dealt>,
}

/// What one call of the translator led to.
#[derive(Debug, Default)]
struct Step {
    refusals: Vec<Refusal>,
    /// The connection, the share and its worker's name.
    moved: Vec<moving::Moved>,
    sends: Vec<((usize, u64), SubmitSharesExtended, Option<UserIdentity>)>,
}

/// A share on its way to a pool.
#[derive(Debug, Clone, Copy)]
struct Sent {
    /// Blocks that the pool's messages had told of.
    blocks_told: u64,
}

/// What the world itself counted.
#[derive(Debug, Default)]
struct Counted {
    submitted: u64,
    accepted: u64,
    refused: u64,
    sent: Vec<u64>,
    /// Miners that were moved, by the way.
    moved: BTreeMap<&'static str, u64>,
}

/// A world.
pub(super) struct World {
    pub(super) random: Random,
    pub(super) start: Instant,
    pub(super) now: Duration,
    end: Duration,
    queue: Queue<Event>,
    config: Config,
    brain: Translator,
    pub(super) seam: Seam,
    miners: Vec<Miner>,
    conns: Vec<Conn>,
    by_id: HashMap<MinerId, usize>,
    sites: Vec<Site>,
    /// Which of them are configured.
    listed: operator::Listed,
    /// The connection that each upstream has or had last, by site and number.
    dialled: HashMap<usize, (usize, u64)>,
    /// What is known of channels of single accounts and miners.
    own: own::Known,
    /// For how long nothing has been wrong with each site.
    health: Vec<audit::Health>,
    is_stopping: bool,
    /// Blocks of the chain so far.
    height: u32,
    /// When the next one is found by somebody else.
    next_block: Duration,
    trouble_every: f64,
    jobs: Vec<Rc<Dealt>>,
    given: HashMap<u64, Given>,
    lines: HashMap<(usize, bool), (std::sync::Arc<Notify>, Wire)>,
    accepted: HashSet<[u8; 32]>,
    sent: HashMap<(usize, u64, u32), Sent>,
    sent_headers: HashSet<[u8; 32]>,
    /// When each space was freed that was searched.
    freed: BTreeMap<Space, Duration>,
    /// The session that is being asked for.
    claiming: Option<Box<str>>,
    /// The connection that has it.
    ceding: Option<usize>,
    /// Solved blocks that came out to be kept, by hash.
    kept: HashSet<[u8; 32]>,
    /// Blocks that were sent over connections that have just ended, and never answered.
    lost_blocks: Vec<[u8; 32]>,
    /// The upstream that miners work for, and since when there are both.
    active: Option<(usize, Duration)>,
    /// Connections with something to write.
    dirty: Vec<usize>,
    /// Since when no upstream has work, or when that was so last.
    outage_since: Option<Duration>,
    served_since: Duration,
    /// Since when each upstream has been neither connected nor dialled.
    idle_since: Vec<Option<Duration>>,
    counted: Counted,
    pub(super) coverage: Coverage,
    pub(super) trail: Trail,
}

impl World {
    /// Makes the world of a seed.
    pub(super) fn new(seed: u64, minutes: Option<u64>, seam: Seam, trail: Trail) -> Self {
        let mut random = Random::new(seed);
        let start = Instant::now();
        let size = size(&mut random);
        let upstreams = 1 + random.place(4).min(random.place(4));
        let mut config = config(&mut random, size, upstreams);
        let nbits = *random.pick(&NBITS);
        let extranonce = match random.below(10) {
            0 | 1 => Extranonce::Little,
            2 => Extranonce::Paged,
            _ => Extranonce::Ample,
        };
        if extranonce == Extranonce::Paged {
            config.first_narrow_slot = 0xffff - u16::try_from(random.below(8)).unwrap_or(0);
        }
        let sites = (0..upstreams).map(|_| Site::new(start, (nbits, extranonce), &mut random));
        let sites: Vec<Site> = sites.collect();
        let one_address = random.chance(0.2);
        let accounts = 1 + random.place(4);
        let miners = (0..size).map(|number| {
            let account = match config.channel {
                ChannelMode::Aggregated => "farm",
                _ => ACCOUNTS[number % accounts],
            };
            Miner::new((number, account), address(number, one_address), &mut random)
        });
        let miners = miners.collect();
        let listed = operator::Listed::new(&config, &mut random);
        let default = if size > 100 { 3 } else { 3 + random.below(8) };
        let minutes = minutes.unwrap_or(default);
        let mut world = Self {
            brain: Translator::new(start, config.clone()),
            start,
            now: Duration::ZERO,
            end: Duration::from_secs(60 * minutes),
            queue: Queue::new(),
            seam,
            miners,
            conns: Vec::new(),
            by_id: HashMap::new(),
            height: 0,
            next_block: Duration::ZERO,
            trouble_every: *random.pick(&[1e9, 300.0, 100.0, 40.0]),
            jobs: Vec::new(),
            given: HashMap::new(),
            lines: HashMap::new(),
            accepted: HashSet::new(),
            sent: HashMap::new(),
            sent_headers: HashSet::new(),
            freed: BTreeMap::new(),
            claiming: None,
            ceding: None,
            kept: HashSet::new(),
            lost_blocks: Vec::new(),
            active: None,
            dirty: Vec::new(),
            outage_since: Some(Duration::ZERO),
            served_since: Duration::ZERO,
            idle_since: vec![Some(Duration::ZERO); upstreams],
            counted: Counted {
                sent: vec![0; upstreams],
                ..Counted::default()
            },
            coverage: Coverage::default(),
            trail,
            random,
            config,
            sites,
            listed,
            dialled: HashMap::new(),
            own: own::Known::default(),
            health: vec![audit::Health::default(); upstreams],
            is_stopping: false,
        };
        world.plan();
        world
    }

    /// Puts in what happens by itself.
    fn plan(&mut self) {
        let spread = if self.miners.len() > 100 { 20.0 } else { 10.0 };
        for miner in 0..self.miners.len() {
            let at = self.random.seconds(0.0, spread);
            self.queue.put(at, Event::Connect(miner));
        }
        for site in 0..self.sites.len() {
            self.note_habits(site);
            let at = self.random.exponential(self.trouble_every);
            self.queue.put(at, Event::Trouble(site));
        }
        self.next_block = self.random.exponential(100.0);
        self.queue.put(self.next_block, Event::Block);
        self.queue.put(LOOK, Event::Look);
        self.plan_change();
    }

    /// Lets the world run to its end.
    pub(super) fn run(&mut self) -> Checked {
        loop {
            let now = self.now;
            let brain = self.brain_due();
            let sites = self.sites.iter().enumerate();
            let sites =
                sites.filter_map(|(index, site)| Some((self.since_start(site.due()?), index)));
            let site = sites.min();
            let times = [brain, site.map(|(at, _)| at), self.queue.next_at()];
            let Some(next) = times.into_iter().flatten().min().map(|at| at.max(now)) else {
                return Ok(());
            };
            if next > self.end {
                return self.rest();
            }
            self.now = next;
            // Timers go first, as in the body.
            if brain.is_some_and(|due| due <= next) {
                self.time_out()?;
            } else if let Some((_, index)) = site.filter(|(due, _)| *due <= next) {
                self.pool_times_out(index)?;
            } else if let Some(event) = self.queue.take() {
                self.happen(event)?;
            }
        }
    }

    fn happen(&mut self, event: Event) -> Checked {
        match event {
            Event::Connect(miner) => self.miner_connects(miner),
            Event::ToProxy(conn, bytes) => self.proxy_reads(conn, &bytes),
            Event::ToMiner(conn, wire) => {
                self.miner_reads(conn, &wire);
                Ok(())
            }
            Event::MinerGone(conn) => self.proxy_loses_miner(conn),
            Event::ProxyGone(conn) => {
                self.miner_loses_proxy(conn);
                Ok(())
            }
            Event::Unstall(conn) => self.flush(conn),
            Event::Find(miner, plan) => {
                self.miner_finds(miner, plan);
                Ok(())
            }
            Event::Fidget(miner, conn) => {
                self.miner_fidgets(miner, conn);
                Ok(())
            }
            Event::Dialled(site, attempt) => self.upstream_connects(site, attempt),
            Event::Lost(site, attempt, words) => self.upstream_is_lost(site, attempt, words),
            Event::FromPool(site, attempt, message) => self.proxy_hears(site, attempt, *message),
            Event::ToPool(site, attempt, frame) => self.pool_hears(site, attempt, frame),
            Event::PoolHangUp(site, attempt) => {
                self.pool_loses_proxy(site, attempt);
                Ok(())
            }
            Event::Block => {
                self.block();
                Ok(())
            }
            Event::Hears(site, height) => self.pool_hears_of_block(site, height),
            Event::Trouble(site) => self.trouble(site),
            Event::Recover(site, recovery) => self.recover(site, recovery),
            Event::Reconfigure => self.reconfigure(),
            Event::Look => {
                self.queue.put(self.now + LOOK, Event::Look);
                self.look()
            }
        }
    }

    /// The translator's clock.
    fn time_out(&mut self) -> Checked {
        let now = self.instant();
        self.trail
            .note(self.now, b"timeout", || "the translator's timeout".into());
        self.brain.handle_timeout(now);
        self.finish(None)?;
        let next = self.brain_due();
        ensure(
            next.is_none_or(|next| next > self.now),
            Invariant::ClockMovesOn,
            || {
                format!(
                    "after its timeout at {:?} the next one is at {next:?}",
                    self.now
                )
            },
        )
    }

    fn brain_due(&self) -> Option<Duration> {
        let due = self.brain.poll_timeout().map(|due| self.since_start(due));
        self.seam.timeout(self.now, due)
    }

    pub(super) fn instant(&self) -> Instant {
        self.start + self.now
    }

    fn since_start(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.start)
    }

    /// Does what the translator wants done, and judges the share that led to it, if one did.
    fn finish(&mut self, submitted: Option<judge::Submitted>) -> Checked {
        let step = self.act()?;
        step.moved
            .iter()
            .try_for_each(|moved| self.check_moved(moved))?;
        for hash in std::mem::take(&mut self.lost_blocks) {
            ensure(self.kept.contains(&hash), Invariant::BlockKept, || {
                "a block was sent, never answered, and is not kept".to_owned()
            })?;
        }
        if let Some(ceding) = self.ceding.take() {
            ensure(
                !self.conns[ceding].is_live,
                Invariant::SpaceUnshared,
                || format!("miner {} lost its slot and lives", self.conns[ceding].miner),
            )?;
        }
        match submitted {
            Some(submitted) => self.judge(&submitted, &step)?,
            None => ensure(step.sends.is_empty(), Invariant::ShareSentOnce, || {
                format!("a share was sent that nobody submitted: {:?}", step.sends)
            })?,
        }
        self.note_outage();
        let mut dirty = std::mem::take(&mut self.dirty);
        for conn in dirty.drain(..) {
            self.flush(conn)?;
        }
        self.dirty = dirty;
        Ok(())
    }

    fn act(&mut self) -> Checked<Step> {
        let mut step = Step::default();
        let now = self.instant();
        let live = self.by_id.len() + self.own_calls();
        let mut outputs = 0;
        while let Some(output) = self.seam.output(now, &mut self.brain) {
            outputs += 1;
            ensure(
                outputs <= OUTPUTS_PER_MINER * live + OUTPUTS_BESIDE,
                Invariant::Bounded,
                || format!("{outputs} outputs of one call with {live} miners"),
            )?;
            match output {
                Output::Deliver { miner, delivery } => self.deliver(miner, delivery)?,
                Output::CloseMiner { miner, reason } => {
                    step.moved.extend(self.closes_misfit(miner, &reason));
                    self.close(miner, &reason)?;
                }
                Output::Reconnect { miner, names_place } => {
                    step.moved
                        .extend(self.ask_to_reconnect(miner, names_place)?);
                }
                Output::Dial {
                    upstream,
                    configured,
                    redirect,
                } => self.dial((upstream.0, configured.0), redirect.as_ref())?,
                Output::Send {
                    upstream,
                    message,
                    worker,
                } => self.send(upstream.0, message, worker, &mut step)?,
                Output::HangUp { upstream, reason } => self.hang_up(upstream.0, &reason),
                Output::KeepBlock(block) => self.keep(&block)?,
                Output::Event(told) => self.hear_event(told, &mut step)?,
            }
        }
        Ok(step)
    }

    fn hear_event(&mut self, told: Told, step: &mut Step) -> Checked {
        self.trail
            .note(self.now, b"event", || format!("log: {told}"));
        match told {
            Told::ShareRefused { refusal, .. } => {
                self.coverage.count(judge::kind(&refusal));
                step.refusals.push(refusal);
            }
            Told::UpstreamFailed {
                upstream, fault, ..
            } if own::is_own(&upstream) => {
                self.own.failed_at = Some(self.now);
                self.coverage.count(pools::own_kind(&fault));
            }
            Told::UpstreamFailed { fault, .. } => self.coverage.count(pools::kind(&fault)),
            Told::MinersMoved { upstream, .. } if own::is_own(&upstream) => {
                self.coverage.count("own channel: its miners work on it");
            }
            Told::LimitMet {
                limit: Limit::TooManyChannels(_),
                ..
            } => self.coverage.count("own channel: no room for one more"),
            Told::MinersMoved { upstream, .. } => {
                self.coverage.count("work: of another upstream");
                return self.farm_mines_with(&upstream);
            }
            Told::NewBlock { upstream, .. } => {
                self.coverage.count("work: new block");
                return self.farm_mines_with(&upstream);
            }
            Told::NewJob { upstream, .. } => {
                self.coverage.count("work: new job of the same block");
                return self.farm_mines_with(&upstream);
            }
            Told::DifficultyChanged { .. } => self.coverage.count("difficulty changed"),
            Told::BlockFound { .. } => self.coverage.count("share solved a block"),
            Told::MinerReady { .. } => self.coverage.count("miner: mines"),
            Told::UpstreamProbed { .. } => self.coverage.count("upstream asked for a sign of life"),
            Told::UpstreamLate { .. } => self.coverage.count("upstream missed a block"),
            _ => {}
        }
        Ok(())
    }

    /// The farm mines at an upstream, by its name.
    fn farm_mines_with(&mut self, upstream: &str) -> Checked {
        match self.listed.named(upstream) {
            Some(site) => self.farm_mines_at(site),
            None => Ok(()),
        }
    }

    /// Gives a line that goes out, parsed as a miner would.
    fn wire(bytes: &[u8]) -> Checked<Wire> {
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let parsed = parse_from_server(line);
        let line = parsed.map_err(|error| super::invariant::Broken {
            invariant: Invariant::RepliesInOrder,
            words: format!(
                "{:?} is no line of Stratum V1: {error}",
                String::from_utf8_lossy(bytes)
            ),
        })?;
        Ok(Wire {
            line: Rc::new(line),
            bytes: bytes.into(),
            answers_subscribe: false,
        })
    }

    /// Writes what is in line for a miner, unless its connection stalls.
    fn flush(&mut self, index: usize) -> Checked {
        let now = self.now;
        let conn = &mut self.conns[index];
        if conn.to_miner.is_stalled(now) || conn.outbox.is_empty() {
            return Ok(());
        }
        let (before, delivery, after) = conn.outbox.take();
        let mut wires = before;
        if let Some(delivery) = delivery {
            let news = [
                &delivery.extranonce,
                &delivery.version_mask,
                &delivery.difficulty,
            ];
            for line in news.into_iter().flatten() {
                wires.push(Self::wire(line)?);
            }
            wires.push(self.notify_wire(&delivery.notify, delivery.clean_jobs)?);
        }
        wires.extend(after);
        for wire in self.seam.wires(wires) {
            self.write(index, wire)?;
        }
        Ok(())
    }

    fn write(&mut self, index: usize, wire: Wire) -> Checked {
        let dealt = match &*wire.line {
            FromServer::Notification(sv1::Notification::Notify(notify)) => {
                Some(self.check_given(notify)?)
            }
            _ => None,
        };
        let conn = &mut self.conns[index];
        self.trail.note(self.now, &wire.bytes, || {
            format!(
                "miner {} < {}",
                conn.miner,
                String::from_utf8_lossy(&wire.bytes).trim_end()
            )
        });
        conn.write(&wire, dealt.as_ref())?;
        let at = conn.to_miner.arrival(self.now, &mut self.random);
        if conn.is_open {
            self.queue.put(at, Event::ToMiner(index, wire));
        }
        Ok(())
    }

    /// The line of a notify; parsed once for all miners that get the same bytes.
    fn notify_wire(&mut self, notify: &std::sync::Arc<Notify>, clean: bool) -> Checked<Wire> {
        let key = (std::sync::Arc::as_ptr(notify).addr(), clean);
        if let Some((_, wire)) = self.lines.get(&key) {
            return Ok(wire.clone());
        }
        let wire = Self::wire(notify.line(clean))?;
        // The buffer is kept, so that its address stays its own.
        self.lines
            .insert(key, (std::sync::Arc::clone(notify), wire.clone()));
        Ok(wire)
    }

    /// Finds the job of a notify that goes out.
    fn check_given(&mut self, notify: &sv1::Notify) -> Checked<Rc<Dealt>> {
        let number = notify.job_id.as_number().unwrap_or(u64::MAX);
        if let Some(given) = self.given.get(&number) {
            // To miners with another layout it goes out with other zeros.
            let same = given.dealt.is_in(notify);
            ensure(same, Invariant::WorkIsDealt, || {
                format!("job {number} is another than it was: {notify:?}")
            })?;
            return Ok(Rc::clone(&given.dealt));
        }
        let mut newest = self.jobs.iter().rev();
        let dealt = newest.find(|dealt| dealt.is_in(notify) && self.is_alive(dealt));
        // While no upstream is there, the last one's job keeps miners from giving up.
        let kept = || self.jobs.iter().rev().find(|dealt| dealt.is_in(notify));
        let outage = self.outage_since.is_some();
        let dealt = dealt.or_else(|| kept().filter(|_| outage)).cloned();
        ensure(dealt.is_some(), Invariant::WorkIsDealt, || {
            format!("job {number} is of no upstream that lives: {notify:?}")
        })?;
        let Some(dealt) = dealt else {
            unreachable!("it was ensured");
        };
        if !dealt.rolling_allowed {
            self.coverage.count("work: without version rolling");
        }
        self.given.insert(
            number,
            Given {
                notify: Rc::new(notify.clone()),
                dealt: Rc::clone(&dealt),
            },
        );
        Ok(dealt)
    }

    /// Whether the connection that dealt a job is the proxy's present one.
    fn is_alive(&self, dealt: &Dealt) -> bool {
        self.sites[dealt.upstream].view_of(dealt.attempt).is_some()
    }

    /// Whether a job is of its connection's newest block, or was when that ended.
    fn is_fresh(&self, dealt: &Dealt) -> bool {
        let place = usize::try_from(dealt.attempt - 1).unwrap_or(usize::MAX);
        let call = self.sites[dealt.upstream].calls.get(place);
        let view = call.and_then(|call| call.view.as_ref());
        view.is_some_and(|view| view.block() == dealt.block)
    }

    fn note_outage(&mut self) {
        let works = |site: &Site| site.view().is_some_and(|view| view.current().is_some());
        // One that is not configured any more keeps the miners that it has, and gets none.
        let active = self.active.map(|(site, _)| site);
        let may = |site: usize| self.listed.is_listed(site) || active == Some(site);
        let mut sites = self.sites.iter().enumerate();
        match sites.any(|(index, site)| may(index) && works(site)) {
            true if self.outage_since.take().is_some() => self.served_since = self.now,
            true => {}
            false if self.outage_since.is_none() => {
                self.coverage.count("outage: no upstream has work");
                self.outage_since = Some(self.now);
            }
            false => {}
        }
    }
}

/// Most worlds are small, so that many can be seen.
fn size(random: &mut Random) -> usize {
    match random.below(1_000) {
        0..=699 => 1 + random.place(10),
        700..=949 => 10 + random.place(25),
        950..=994 => 40 + random.place(120),
        _ => 500 + random.place(2_500),
    }
}

fn address(number: usize, one: bool) -> IpAddr {
    let number = if one {
        1
    } else {
        u32::try_from(number).unwrap_or(0) + 1
    };
    Ipv4Addr::from(0x0a00_0000 + number).into()
}

fn config(random: &mut Random, size: usize, upstreams: usize) -> Config {
    let difficulty = |value: f64| Difficulty::new(value).unwrap_or(Difficulty::ONE);
    let least = 2_f64.powi(-31);
    let name = |index| UpstreamConfig {
        name: format!("pool{index}"),
        user: "farm".into(),
        host: format!("pool{index}.example.com"),
        port: 34_254,
        authority_key: None,
    };
    let channel = match random.below(10) {
        0..=5 => ChannelMode::Aggregated,
        6 | 7 => ChannelMode::PerUser,
        _ => ChannelMode::PerMiner,
    };
    let max_channels = match size > 40 && channel == ChannelMode::PerMiner {
        true => 20,
        false => *random.pick(&[1, 3, own::ROOMY, own::ROOMY]),
    };
    let usual = DifficultyPolicy {
        shares_per_minute: random.between(6.0, 20.0),
        start: Some(difficulty(2_f64.powf(random.between(-30.0, -26.0)))),
        min: difficulty(least),
        asked_min: difficulty(least),
        max: None,
        vardiff: random.chance(0.8),
    };
    // The second one names workers in full.
    let listeners = match random.chance(0.2) {
        true => vec![listener(usual, "{worker}"), listener(usual, "{user}")],
        false => Vec::new(),
    };
    let mut seed = [0; 32];
    seed.copy_from_slice(&random.bytes(32));
    Config {
        channel,
        max_channels,
        upstreams: (0..upstreams).map(name).collect(),
        difficulty: usual,
        listeners,
        worker_difficulties: Vec::new(),
        sessions: Vec::new(),
        version_mask: VersionMask::BIP_0320,
        extranonce2_size: *random.pick(&[4, 4, 4, 4, 6, 8]),
        keepalive: Duration::from_secs(30),
        worker_names: random.chance(0.9),
        setup_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(600),
        upstream_setup_timeout: Duration::from_secs(10),
        upstream_probe_after: Duration::from_secs(8),
        upstream_probe_timeout: Duration::from_secs(5),
        upstream_block_grace: Duration::from_secs(10),
        retry_min: Duration::from_secs(1),
        retry_max: random.seconds(5.0, 60.0),
        release_after: random.chance(0.3).then(|| random.seconds(30.0, 200.0)),
        max_miners: size * 2 + 2,
        guard: GuardPolicy {
            max_miners_per_address: size * 2 + 2,
            invalid_shares_pause: Some(90),
            pause: Duration::from_secs(10),
            invalid_shares_ban: Some(95),
            ban: Duration::from_secs(60),
        },
        first_slot: 0,
        first_narrow_slot: 0,
        seed,
    }
}

fn listener(difficulty: DifficultyPolicy, names: &str) -> ListenerConfig {
    ListenerConfig {
        difficulty,
        user: UserTemplate::parse(names).unwrap_or_default(),
    }
}

/// The words of a close, for the coverage; `None` for what no world provokes.
fn close_kind(reason: &CloseReason) -> Option<&'static str> {
    Some(match reason {
        CloseReason::SetupTimeout(_) => "miner closed: set-up timeout",
        CloseReason::Idle(_) => "miner closed: idle",
        CloseReason::UnanswerableLine(_) => "miner closed: unanswerable line",
        CloseReason::NoUpstream(_) => "miner closed: no upstream for long",
        CloseReason::Banned(_) => "miner closed: banned",
        CloseReason::ExtranonceTooLong(_) => "miner closed: its extranonce is too long",
        CloseReason::SessionResumed => "miner closed: its session goes on elsewhere",
        _ => return None,
    })
}

fn upstream(site: usize) -> UpstreamId {
    UpstreamId(site)
}
