//! A test bench around one [`Translator`]: a virtual clock, scripted pools and scripted miners.
//!
//! Miners speak lines of bytes, pools speak messages; what the translator wants done is done as the body would do
//! it. At every step the bench checks what must hold in each story: one reply per request and in order, nothing but
//! replies before the subscribe reply, a difficulty and a version mask only ahead of work and at most once.

#![allow(dead_code, unused_imports, reason = "no test uses all of the bench")]

pub mod fuzz;
mod hashing;
mod pool;
mod rig;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sv1::notification::{self, Reconnect};
use sv1::parse_call;
use sv2::bitcoin::{Difficulty, VersionMask};
use sv2::message::Message;
use sv2::tlv::UserIdentity;
use translate::{
    ChannelMode, CloseReason, Config, DifficultyPolicy, Event, Fault, GuardPolicy, KeptBlock,
    ListenerId, MinerId, Output, Statistics, Translator, UpstreamConfig, UpstreamId,
};

pub use hashing::{Found, grind, grind_where, hash_of};
pub use pool::{
    HARD, NTIME, Pool, REGTEST, difficulty_target, extensions_success, job, prev_hash,
    setup_success,
};
pub use rig::Rig;

/// Difficulty at which a share takes 256 hashes.
pub const EASY: f64 = 1.0 / 16_777_216.0;

/// A configuration for stories: tiny difficulties, one upstream, fixed difficulty.
pub fn config() -> Config {
    Config {
        upstreams: vec![upstream("primary", 0)],
        difficulty: DifficultyPolicy {
            shares_per_minute: 12.0,
            start: Some(difficulty(EASY)),
            min: difficulty(EASY / 1_024.0),
            asked_min: difficulty(EASY / 1_024.0),
            max: None,
            vardiff: false,
        },
        listeners: Vec::new(),
        worker_difficulties: Vec::new(),
        sessions: Vec::new(),
        version_mask: VersionMask::BIP_0320,
        extranonce2_size: 4,
        channel: ChannelMode::Aggregated,
        max_channels: 100,
        keepalive: Duration::from_secs(30),
        worker_names: true,
        setup_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(600),
        upstream_setup_timeout: Duration::from_secs(10),
        upstream_probe_after: Duration::from_secs(8),
        upstream_probe_timeout: Duration::from_secs(5),
        upstream_block_grace: Duration::from_secs(10),
        retry_min: Duration::from_secs(1),
        retry_max: Duration::from_secs(60),
        release_after: None,
        max_miners: 100,
        guard: GuardPolicy {
            max_miners_per_address: 100,
            invalid_shares_pause: Some(90),
            pause: Duration::from_secs(10),
            invalid_shares_ban: Some(95),
            ban: Duration::from_secs(600),
        },
        first_slot: 0,
        first_narrow_slot: 0,
        seed: [7; 32],
    }
}

pub fn upstream(name: &str, number: u16) -> UpstreamConfig {
    UpstreamConfig {
        name: name.into(),
        user: "farm".into(),
        host: format!("{name}.example.com"),
        port: 34_254 + number,
        authority_key: None,
    }
}

pub fn difficulty(difficulty: f64) -> Difficulty {
    Difficulty::new(difficulty).unwrap()
}

/// A translator, its miners and its pools.
pub struct Bench {
    pub start: Instant,
    pub now: Instant,
    pub brain: Translator,
    pub rigs: Vec<Rig>,
    pub pools: Vec<Pool>,
    pub events: Vec<Event>,
    pub kept: Vec<KeptBlock>,
    /// The rigs that were given work, in order.
    pub order: Vec<usize>,
    config: Config,
}

impl Bench {
    /// A farm whose upstreams are dialled and not yet there.
    pub fn new(config: Config) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an origin for the virtual clock")]
        let now = Instant::now();
        let pools = config.upstreams.iter().enumerate();
        let mut bench = Self {
            start: now,
            now,
            brain: Translator::new(now, config.clone()),
            rigs: Vec::new(),
            pools: pools.map(|(index, _)| Pool::new(index)).collect(),
            events: Vec::new(),
            kept: Vec::new(),
            order: Vec::new(),
            config,
        };
        bench.brain.handle_timeout(now);
        bench.act();
        bench
    }

    /// A farm whose first upstream has an open channel and dealt job 1.
    pub fn with_work(config: Config) -> Self {
        let mut bench = Self::new(config);
        bench.open(0);
        bench.deal_block(0, 1);
        bench
    }

    /// A usual farm with one usual miner that has its first work.
    pub fn mining() -> (Self, usize) {
        let mut bench = Self::with_work(config());
        let rig = bench.start_miner("farm.rig");
        (bench, rig)
    }

    /// A farm with two upstreams, both open and at work, the first one with a usual miner.
    pub fn with_backup() -> (Self, usize) {
        let mut bench = Self::new(Config {
            upstreams: vec![upstream("primary", 0), upstream("backup", 1)],
            ..config()
        });
        for pool in [0, 1] {
            bench.open(pool);
            bench.deal_block(pool, 1);
        }
        let rig = bench.start_miner("farm.rig");
        bench.wait(1.0);
        (bench, rig)
    }

    // Miners.

    pub fn connect(&mut self) -> usize {
        self.try_connect().expect("there is room")
    }

    pub fn try_connect(&mut self) -> Option<usize> {
        let number = u16::try_from(self.rigs.len()).unwrap();
        self.try_connect_from(SocketAddr::from(([192, 0, 2, 1], 1_024 + number)))
    }

    pub fn try_connect_from(&mut self, peer: SocketAddr) -> Option<usize> {
        self.try_connect_to(ListenerId(0), peer)
    }

    pub fn try_connect_to(&mut self, listener: ListenerId, peer: SocketAddr) -> Option<usize> {
        let id = self.brain.handle_miner_connected(self.now, peer, listener);
        self.rigs.extend(id.map(Rig::new));
        self.act();
        id.map(|_| self.rigs.len() - 1)
    }

    /// A miner that configured, subscribed and authorized.
    pub fn start_miner(&mut self, worker: &str) -> usize {
        let rig = self.connect();
        self.set_up(rig, worker);
        rig
    }

    /// The usual set-up of a connection.
    pub fn set_up(&mut self, rig: usize, worker: &str) {
        self.say(rig, CONFIGURE);
        self.say(rig, SUBSCRIBE);
        let authorize =
            format!(r#"{{"id":3,"method":"mining.authorize","params":["{worker}","x"]}}"#);
        self.say(rig, &authorize);
    }

    /// Sends a line; gives what came back, reply and work alike.
    pub fn say(&mut self, rig: usize, line: &str) -> Vec<String> {
        self.say_bytes(rig, line.as_bytes())
    }

    pub fn say_bytes(&mut self, rig: usize, line: &[u8]) -> Vec<String> {
        let heard = self.rigs[rig].heard.len();
        let (id, mut replies) = (self.rigs[rig].id, Vec::new());
        let parsed = parse_call(line);
        self.rigs[rig].asks(&parsed);
        match parsed {
            Ok(incoming) => self
                .brain
                .handle_incoming(self.now, id, incoming, &mut replies),
            Err(error) => self
                .brain
                .handle_bad_line(self.now, id, &error, &mut replies),
        }
        self.rigs[rig].hear(&replies);
        self.act();
        self.rigs[rig].heard[heard..].to_vec()
    }

    /// Submits what was found; gives the reply.
    pub fn submit(&mut self, rig: usize, found: &Found) -> String {
        self.say(rig, &found.line("farm.rig")).remove(0)
    }

    /// Finds a share of the rig's present work at its present difficulty and submits it.
    pub fn mine(&mut self, rig: usize) -> String {
        let found = grind(&self.rigs[rig]);
        self.submit(rig, &found)
    }

    pub fn leave(&mut self, rig: usize) {
        self.brain
            .handle_miner_left(self.now, self.rigs[rig].id, None);
        self.act();
    }

    /// Closes a miner as the body does, for a reason of its own.
    pub fn close(&mut self, rig: usize, reason: CloseReason) {
        self.brain.close_miner(self.now, self.rigs[rig].id, reason);
        self.act();
    }

    // Pools.

    /// The upstream's connection stands and the Noise handshake is done.
    pub fn upstream_connected(&mut self, pool: usize) {
        self.brain
            .handle_upstream_connected(self.now, UpstreamId(pool));
        self.act();
    }

    /// From the dial to the open channel, as a usual pool answers.
    pub fn open(&mut self, pool: usize) {
        assert!(self.pools[pool].dialled, "pool {pool} is dialled");
        self.upstream_connected(pool);
        self.tell(pool, setup_success());
        if self.config.worker_names {
            self.tell(pool, extensions_success());
        }
        let success = self.pools[pool].open_success();
        self.tell(pool, success);
    }

    /// A message from the pool.
    pub fn tell(&mut self, pool: usize, message: impl Into<Message>) {
        let message = message.into();
        self.brain
            .handle_message(self.now, UpstreamId(pool), message);
        self.act();
    }

    /// A future job and the block that makes it active.
    pub fn deal_block(&mut self, pool: usize, id: u32) {
        let (channel, block) = (self.pools[pool].channel, id);
        self.tell(pool, job(channel, id, None));
        self.tell(pool, prev_hash(channel, id, block));
    }

    /// A job of the present block.
    pub fn deal_job(&mut self, pool: usize, id: u32) {
        let channel = self.pools[pool].channel;
        self.tell(pool, job(channel, id, Some(NTIME + id)));
    }

    pub fn lose(&mut self, pool: usize, words: &str) {
        self.pools[pool].dialled = false;
        self.brain
            .handle_upstream_lost(self.now, UpstreamId(pool), words.into());
        self.act();
    }

    /// What was sent to the pool since it was last asked.
    pub fn sent(&mut self, pool: usize) -> Vec<Message> {
        let sent = std::mem::take(&mut self.pools[pool].sent);
        sent.into_iter().map(|(message, _)| message).collect()
    }

    /// The shares sent to the pool since it was last asked, with the worker's name.
    pub fn shares(
        &mut self,
        pool: usize,
    ) -> Vec<(
        sv2::messages::mining::SubmitSharesExtended,
        Option<UserIdentity>,
    )> {
        use sv2::messages::mining::Mining::SubmitSharesExtended;
        let sent = std::mem::take(&mut self.pools[pool].sent);
        let share = |(message, worker)| match message {
            Message::Mining(SubmitSharesExtended(share)) => Some((share, worker)),
            _ => None,
        };
        sent.into_iter().filter_map(share).collect()
    }

    /// Why the translator hung up on the pool, each time.
    pub fn faults(&self, pool: usize) -> &[Fault] {
        &self.pools[pool].hung_up
    }

    // Time.

    /// Lets time pass, doing what is due when it is due.
    pub fn wait(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        while let Some(due) = self.brain.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.brain.handle_timeout(self.now);
            self.act();
            let next = self.brain.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now),
                "what was due is done"
            );
        }
        self.now = end;
    }

    // Both.

    /// Takes another configuration over; gives the numbers of its upstreams.
    pub fn reconfigure(&mut self, config: Config) -> Vec<usize> {
        let ids = self.brain.reconfigure(self.now, config.clone());
        self.config = config;
        self.act();
        ids.into_iter().map(|id| id.0).collect()
    }

    pub fn stop(&mut self) {
        self.brain.stop(self.now);
        self.act();
    }

    pub fn statistics(&self) -> Statistics {
        self.brain.statistics()
    }

    /// Events so far in the words of the log.
    pub fn log(&self) -> Vec<String> {
        self.events.iter().map(ToString::to_string).collect()
    }

    fn act(&mut self) {
        while let Some(output) = self.brain.poll_output() {
            match output {
                Output::Deliver { miner, delivery } => {
                    let place = self.rigs.iter().rposition(|rig| rig.id == miner).unwrap();
                    self.order.push(place);
                    delivery
                        .lines()
                        .for_each(|line| self.rigs[place].hear(line));
                }
                Output::CloseMiner { miner, reason } => self.rig(miner).closed = Some(reason),
                Output::Reconnect { miner, names_place } => {
                    let place = names_place.then(|| Reconnect {
                        host: "192.0.2.100".into(),
                        port: 3_333,
                        wait: 0,
                    });
                    let mut line = Vec::new();
                    notification::reconnect(&mut line, place.as_ref());
                    self.rig(miner).hear(&line);
                }
                Output::Dial {
                    upstream, redirect, ..
                } => {
                    // Those behind the configured ones are of single accounts or miners.
                    for index in self.pools.len()..=upstream.0 {
                        self.pools.push(Pool::new(index));
                    }
                    self.pools[upstream.0].dial(redirect);
                }
                Output::Send {
                    upstream,
                    message,
                    worker,
                } => {
                    if let Some(answer) = self.pools[upstream.0].receive(message, worker) {
                        self.brain.handle_message(self.now, upstream, answer);
                    }
                }
                Output::HangUp { upstream, reason } => self.pools[upstream.0].hang_up(reason),
                Output::KeepBlock(block) => self.kept.push(*block),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn rig(&mut self, miner: MinerId) -> &mut Rig {
        let rig = self.rigs.iter_mut().rev().find(|rig| rig.id == miner);
        rig.expect("outputs name miners that connected")
    }

    pub fn closed(&self, rig: usize) -> Option<&CloseReason> {
        self.rigs[rig].closed.as_ref()
    }
}

/// The lines of a usual set-up.
pub const CONFIGURE: &str = r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff","version-rolling.min-bit-count":2}]}"#;
pub const SUBSCRIBE: &str = r#"{"id":2,"method":"mining.subscribe","params":["bench/1.0"]}"#;
pub const AUTHORIZE: &str = r#"{"id":3,"method":"mining.authorize","params":["farm.rig","x"]}"#;

/// The methods of lines, replies as `=id` and error replies as `!code`.
pub fn outline(lines: &[String]) -> String {
    let outlines: VecDeque<String> = lines.iter().map(|line| rig::outline(line)).collect();
    Vec::from(outlines).join(" ")
}
