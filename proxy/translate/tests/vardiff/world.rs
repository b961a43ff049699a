//! One miner, the translator and a small pool, on a virtual clock: real jobs and real shares, at arrival times that are
//! seeded and random as a real miner's.
//!
//! A machine's shares cannot be found by a CPU. So every difficulty is divided by the same power of two, which brings
//! the ideal one to the thousand hashes; the translator knows nothing of it, because only ratios decide.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sv1_miner::hash::Search;
use sv1_miner::{Roll, Share, Target, Work};
use sv2::message::Received;
use sv2::tlv::Tlvs;
use sv2_pool::{ConnectionId, Output, Pool, PoolConfig, ShareTarget};
use translate::{Config, DifficultyPolicy};

use crate::bench::{AUTHORIZE, Bench, CONFIGURE, SUBSCRIBE, config, difficulty};

/// Shares that the miner should send per minute.
pub const SHARES_PER_MINUTE: f64 = 12.0;
/// Shares per minute for which the pool sets the channel's target: the reference pool's default.
const POOL_SHARES_PER_MINUTE: f64 = 6.0;
/// Time at the pool as the world begins, in s since epoch.
const UNIX_TIME: u32 = 1_800_000_000;
/// Hashes of a share at difficulty 1.
const HASHES: f64 = 4_294_967_296.0;
/// Exponent of the ideal difficulty after scaling: a share takes a thousand hashes or two.
const IDEAL_EXPONENT: i32 = -22;
/// Where a miner that nothing is known of starts.
pub const MEASURING_START: f64 = 16_384.0;

/// Gives the difficulty at which a hashrate, in h/s, sends the wanted shares.
pub fn ideal(hashrate: f64) -> f64 {
    hashrate / HASHES / (SHARES_PER_MINUTE / 60.0)
}

/// How a miner begins.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// At the listener's start.
    At(f64),
    /// At what it asks for by mining.suggest_difficulty, below the listener's lowest.
    Suggested(f64),
}

/// A change of the difficulty that the miner heard of, in the world's seconds and real difficulty.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    pub at: f64,
    pub difficulty: f64,
}

pub struct World {
    bench: Bench,
    pool: Pool,
    connection: ConnectionId,
    random: Random,
    /// What all difficulties are divided by.
    scale: f64,
    /// In h/s.
    pub hashrate: f64,
    searches: u64,
    /// Times of accepted shares, in s.
    pub shares: Vec<f64>,
    pub changes: Vec<Change>,
    /// Hashes that the miner has done.
    pub hashes: f64,
}

impl World {
    /// Makes a world whose miner has a hashrate and will have no greater one than `most`, both in h/s.
    pub fn new(seed: u64, hashrate: f64, most: f64, start: Start) -> Self {
        let scale = 2_f64.powf(ideal(most).log2().floor() - f64::from(IDEAL_EXPONENT));
        let at = match start {
            Start::At(start) => start,
            Start::Suggested(_) => MEASURING_START,
        };
        let usual = DifficultyPolicy {
            shares_per_minute: SHARES_PER_MINUTE,
            start: Some(difficulty(at / scale)),
            min: difficulty(1.0 / scale),
            asked_min: difficulty(1.0 / 65_536.0 / scale),
            vardiff: true,
            ..config().difficulty
        };
        let mut bench = Bench::new(Config {
            difficulty: usual,
            ..config()
        });
        let now = bench.now;
        let pool = PoolConfig {
            share_target: ShareTarget::SharesPerMinute(POOL_SHARES_PER_MINUTE),
            ack_batch: 1,
            seed,
            ..PoolConfig::default()
        };
        let mut pool = Pool::new(pool, now, UNIX_TIME).unwrap();
        let connection = pool.handle_connected(now).unwrap();
        bench.upstream_connected(0);
        let mut world = Self {
            bench,
            pool,
            connection,
            random: Random(seed),
            scale,
            hashrate,
            searches: 0,
            shares: Vec::new(),
            changes: Vec::new(),
            hashes: 0.0,
        };
        world.carry();
        world.connect(start);
        world
    }

    fn connect(&mut self, start: Start) {
        let rig = self.bench.connect();
        self.bench.say(rig, CONFIGURE);
        self.bench.say(rig, SUBSCRIBE);
        if let Start::Suggested(wish) = start {
            let wish = wish / self.scale;
            let suggest =
                format!(r#"{{"id":4,"method":"mining.suggest_difficulty","params":[{wish}]}}"#);
            self.bench.say(rig, &suggest);
        }
        self.bench.say(rig, AUTHORIZE);
        self.carry();
        self.watch();
    }

    /// Time since the beginning, in s.
    pub fn time(&self) -> f64 {
        (self.bench.now - self.bench.start).as_secs_f64()
    }

    /// The difficulty in force.
    pub fn difficulty(&self) -> f64 {
        self.bench.rigs[0].difficulty * self.scale
    }

    /// Hashes that the pool has credited.
    pub fn credited(&self) -> f64 {
        self.pool.stats().hashes_accepted * self.scale
    }

    /// Lets the miner mine until a time, in s since the beginning.
    pub fn mine_until(&mut self, end: f64) {
        let end = self.bench.start + Duration::from_secs_f64(end);
        while self.bench.now < end {
            let brain = self.bench.brain.poll_timeout();
            let pool = self.pool.poll_timeout();
            let timers = [brain, pool].into_iter().flatten();
            let due = timers.fold(end, Instant::min).max(self.bench.now);
            // A Poisson process has no memory: what was drawn before a timer is as good as drawn after it.
            match self.next_share().filter(|share| *share < due) {
                Some(share) => {
                    self.advance(share);
                    self.submit();
                }
                None => self.advance(due),
            }
            self.carry();
            self.watch();
        }
    }

    fn advance(&mut self, to: Instant) {
        let passed = to.saturating_duration_since(self.bench.now).as_secs_f64();
        self.hashes += self.hashrate * passed;
        self.bench.wait(passed);
        if self
            .pool
            .poll_timeout()
            .is_some_and(|due| due <= self.bench.now)
        {
            self.pool.handle_timeout(self.bench.now);
        }
    }

    fn next_share(&mut self) -> Option<Instant> {
        let rate = self.hashrate / (self.difficulty() * HASHES);
        let pause = self.random.exponential() / rate;
        let mines = !self.bench.rigs[0].notified.is_empty() && pause < 1e6;
        mines.then(|| self.bench.now + Duration::from_secs_f64(pause))
    }

    /// Finds a share of the newest work at the present difficulty, and hands it in.
    fn submit(&mut self) {
        let rig = &self.bench.rigs[0];
        let work = Work {
            notify: Arc::new(rig.work().clone()),
            extranonce1: sv1::Extranonce1::new(&rig.extranonce1).unwrap(),
            extranonce2_size: u8::try_from(rig.extranonce2_size).unwrap(),
            version_mask: None,
            difficulty: rig.difficulty,
            target: Target::from_difficulty(rig.difficulty),
        };
        let share = self.find(&work);
        let Share { job_id, nonce, .. } = share;
        let extranonce2: String = share
            .extranonce2
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let ntime = work.notify.ntime;
        let submit = format!(
            r#"{{"id":9,"method":"mining.submit","params":["farm.rig","{job_id}","{extranonce2}","{ntime:08x}","{nonce:08x}"]}}"#
        );
        let reply = self.bench.say(0, &submit).remove(0);
        assert!(reply.contains(r#""result":true"#), "{reply}");
        self.shares.push(self.time());
    }

    fn find(&mut self, work: &Work) -> Share {
        loop {
            self.searches += 1;
            let roll = Roll {
                extranonce2: self.searches,
                version_bits: 0,
                ntime: work.notify.ntime,
            };
            let search = Search::new(&work.header(&roll), work.target);
            if let Some(nonce) = search.first_share(0..1 << 32) {
                return work.share(&roll, nonce);
            }
        }
    }

    /// Carries messages between translator and pool until both have nothing more to say.
    fn carry(&mut self) {
        loop {
            let sent = std::mem::take(&mut self.bench.pools[0].sent);
            let quiet = sent.is_empty();
            for (message, worker) in sent {
                let mut tlvs = Vec::new();
                worker.iter().for_each(|worker| worker.encode(&mut tlvs));
                let tlvs = Tlvs::new(&tlvs).unwrap();
                let received = Received { message, tlvs };
                self.pool
                    .handle_message(self.bench.now, self.connection, received);
            }
            let outputs: Vec<_> = std::iter::from_fn(|| self.pool.poll_output()).collect();
            if quiet && outputs.is_empty() {
                return;
            }
            for output in outputs {
                match output {
                    Output::Send(_, message) => self.bench.tell(0, message),
                    Output::Disconnect(_, reason) => panic!("the pool hangs up: {reason}"),
                    Output::Event(_) => {}
                }
            }
        }
    }

    fn watch(&mut self) {
        let now = self.difficulty();
        let before = self.changes.last().map(|change| change.difficulty);
        if now > 0.0 && before != Some(now) {
            self.changes.push(Change {
                at: self.time(),
                difficulty: now,
            });
        }
    }
}

/// Seeded numbers that look random (splitmix64).
struct Random(u64);

impl Random {
    /// A pause between arrivals of a Poisson process whose rate is 1.
    fn exponential(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        -((mixed as f64 + 1.0) / (u64::MAX as f64 + 1.0)).ln()
    }
}
