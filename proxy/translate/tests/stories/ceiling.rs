//! Measuring raises nobody above what the pool pays at, and asks the pool for what would fit.

use sv2::bitcoin::{Difficulty, Target};
use sv2::message::Message;
use sv2::messages::mining::{Mining, SetTarget};
use sv2::types::{ChannelId, U256};
use translate::{Config, DifficultyPolicy};

use crate::bench::{
    Bench, EASY, Found, SUBSCRIBE, config, difficulty, difficulty_target, hash_of, job, outline,
    upstream,
};

/// Hashes in the virtual time of a slice, so that a miner fits `EASY * 16`.
const SLICE_HASHES: u32 = 82;
const SLICE: f64 = 0.1;
/// Where the scripted miners start: 1,000 times too easy, four hashes a share.
const START: f64 = EASY / 64.0;
const FITTING: f64 = EASY * 16.0;

fn tuned(start: f64) -> Config {
    Config {
        difficulty: DifficultyPolicy {
            start: Some(difficulty(start)),
            vardiff: true,
            ..config().difficulty
        },
        ..config()
    }
}

fn set_target(target: [u8; 32]) -> SetTarget {
    SetTarget {
        channel_id: ChannelId(100),
        maximum_target: U256(target),
    }
}

/// A miner that hashes in virtual time, and a pool that pays by the target of each job.
struct World {
    bench: Bench,
    rig: usize,
    nonce: u32,
    slices: u32,
    /// Whether the pool does as it is asked.
    obliges: bool,
    /// The channel's target, and that of each job.
    channel: Target,
    jobs: Vec<Target>,
    /// Difficulty that the pool would pay for and that it did pay for.
    payable: f64,
    paid: f64,
    submitted: usize,
}

impl World {
    fn new(config: Config, channel: f64, obliges: bool) -> Self {
        let mut bench = Bench::new(config);
        let target = difficulty_target(channel);
        bench.pools[0].target = target;
        bench.open(0);
        bench.deal_block(0, 1);
        let target = Target::from_le_bytes(target);
        let rig = bench.start_miner("farm.rig");
        Self {
            bench,
            rig,
            nonce: 0,
            slices: 0,
            obliges,
            channel: target,
            jobs: vec![target],
            payable: 0.0,
            paid: 0.0,
            submitted: 0,
        }
    }

    /// Lets time pass; the pool deals a job every 29 s, just ahead of a keepalive.
    fn mine(&mut self, seconds: f64) {
        let end = f64::from(self.slices) + seconds / SLICE - 0.5;
        while f64::from(self.slices) < end {
            self.slices += 1;
            self.bench.wait(SLICE);
            if self.slices.is_multiple_of(290) {
                self.deal();
            }
            for _ in 0..SLICE_HASHES {
                self.hash();
            }
            self.be_the_pool();
        }
    }

    fn deal(&mut self) {
        self.jobs.push(self.channel);
        let number = u32::try_from(self.jobs.len()).unwrap();
        self.bench
            .tell(0, job(100, number, Some(1_700_000_000 + 29 * number)));
    }

    fn hash(&mut self) {
        let rig = &self.bench.rigs[self.rig];
        let mut found = Found {
            job_id: rig.work().job_id.to_string(),
            extranonce2: vec![0; 4],
            ntime: rig.work().ntime,
            nonce: self.nonce,
            version_bits: None,
            hash: sv2::bitcoin::BlockHash([0; 32]),
        };
        self.nonce += 1;
        found.hash = hash_of(rig, &found);
        let target = Target::from_difficulty(Difficulty::new(rig.difficulty).unwrap());
        let job = *self.jobs.last().unwrap();
        if job.is_met_by(&found.hash) {
            self.payable += job.difficulty().to_f64();
        }
        if target.is_met_by(&found.hash) {
            self.submitted += 1;
            assert_eq!(outline(&[self.bench.submit(self.rig, &found)]), "9=");
        }
    }

    fn be_the_pool(&mut self) {
        for message in self.bench.sent(0) {
            match message {
                Message::Mining(Mining::SubmitSharesExtended(share)) => {
                    let job = self.jobs[share.job_id.0 as usize - 1];
                    self.paid += job.difficulty().to_f64();
                }
                Message::Mining(Mining::UpdateChannel(update)) if self.obliges => {
                    self.channel = Target::from_le_bytes(update.maximum_target.0);
                    self.bench.tell(0, set_target(update.maximum_target.0));
                }
                _ => {}
            }
        }
    }

    fn difficulty(&self) -> f64 {
        self.bench.rigs[self.rig].difficulty
    }
}

#[test]
fn of_the_work_of_a_miner_that_starts_1_000_times_too_easy_the_pool_pays_all_but_little() {
    let mut world = World::new(tuned(START), START, true);
    world.mine(600.0);
    let done = f64::from(SLICE_HASHES) * 6_000.0 / 4_294_967_296.0;
    let (paid, of) = (world.paid / world.payable, world.paid / done);
    println!("paid: {paid:.3} of what the pool would pay, {of:.3} of hashrate x time");
    assert!(paid >= 0.95, "{paid} of what it would pay");
    assert!(of >= 0.9, "{of} of hashrate and time, with its luck");
    let fits = world.difficulty() / FITTING;
    assert!((0.5..=2.0).contains(&fits), "{fits}");
    assert!(world.submitted < 10_000, "{}", world.submitted);
}

#[test]
fn a_raise_waits_for_the_job_with_a_harder_target_and_goes_out_with_it() {
    let mut world = World::new(tuned(EASY), EASY, true);
    world.mine(28.9);
    assert_eq!(world.difficulty(), EASY, "the job in hand pays at this");
    let heard = world.bench.rigs[world.rig].heard.len();
    world.mine(0.1);
    let heard = &world.bench.rigs[world.rig].heard[heard..];
    let news: Vec<_> = heard
        .iter()
        .filter(|line| line.contains("method"))
        .cloned()
        .collect();
    assert_eq!(outline(&news), "difficulty work");
    assert!(world.difficulty() >= FITTING / 2.0);
    assert_eq!(world.paid, world.payable, "nothing is lost on the way");
}

#[test]
fn a_pool_that_never_makes_its_target_harder_is_not_flooded_for_ever() {
    let mut world = World::new(tuned(START), START, false);
    world.mine(35.0);
    assert_eq!(world.difficulty(), START, "for some time it is given all");
    world.mine(25.0);
    let fits = world.difficulty() / FITTING;
    assert!((0.5..=2.0).contains(&fits), "{fits}");
    let before = world.submitted;
    world.mine(60.0);
    assert!(world.submitted - before < 60);
}

#[test]
fn a_rate_that_harms_nobody_stays_below_the_target_of_a_pool_that_never_hardens_it() {
    let mut world = World::new(tuned(EASY), EASY, false);
    world.mine(120.0);
    assert_eq!(world.difficulty(), EASY, "three shares a second");
    assert_eq!(world.paid, world.payable);
}

#[test]
fn an_easier_target_lowers_nobody() {
    let mut world = World::new(tuned(FITTING), FITTING, false);
    world.mine(60.0);
    assert_eq!(world.difficulty(), FITTING);
    world.channel = Target::from_le_bytes(difficulty_target(EASY));
    world.bench.tell(0, set_target(difficulty_target(EASY)));
    world.mine(120.0);
    assert_eq!(world.difficulty(), FITTING);
}

#[test]
fn a_known_worker_starts_at_what_the_pool_pays_at_and_is_raised_with_the_first_harder_job() {
    let config = Config {
        worker_difficulties: vec![("farm.rig".into(), difficulty(EASY * 8.0))],
        ..tuned(EASY)
    };
    let mut bench = Bench::with_work(config);
    let rig = bench.start_miner("farm.rig");
    assert_eq!(bench.rigs[rig].difficulty, EASY);
    bench.tell(0, set_target(difficulty_target(EASY * 4.5)));
    bench.deal_job(0, 2);
    assert_eq!(bench.rigs[rig].difficulty, EASY * 4.0, "a power of two");
    bench.tell(0, set_target(difficulty_target(1.0)));
    bench.deal_job(0, 3);
    assert_eq!(bench.rigs[rig].difficulty, EASY * 8.0);
    bench.deal_job(0, 4);
    assert_eq!(bench.rigs[rig].difficulty, EASY * 8.0);
}

#[test]
fn a_start_that_would_flood_at_the_pools_target_is_left_as_it_is() {
    let mut bench = Bench::with_work(Config {
        worker_difficulties: vec![("farm.rig".into(), difficulty(EASY * 256.0))],
        ..tuned(EASY)
    });
    let rig = bench.start_miner("farm.rig");
    assert_eq!(bench.rigs[rig].difficulty, EASY * 256.0);
}

#[test]
fn what_a_miner_asks_for_it_gets_whatever_the_pool_pays_at() {
    let mut bench = Bench::with_work(tuned(EASY));
    let rig = bench.connect();
    bench.say(rig, SUBSCRIBE);
    let authorize = r#"{"id":3,"method":"mining.authorize","params":["farm.rig","d=0.0001"]}"#;
    bench.say(rig, authorize);
    assert_eq!(bench.rigs[rig].difficulty, 1.0 / 16_384.0);
    let fixed = Config {
        difficulty: DifficultyPolicy {
            start: Some(difficulty(EASY * 8.0)),
            ..config().difficulty
        },
        ..config()
    };
    let mut bench = Bench::with_work(fixed);
    let rig = bench.start_miner("farm.rig");
    assert_eq!(bench.rigs[rig].difficulty, EASY * 8.0, "without vardiff");
}

#[test]
fn on_another_upstream_its_jobs_target_counts() {
    let mut bench = Bench::new(Config {
        upstreams: vec![upstream("primary", 0), upstream("backup", 1)],
        worker_difficulties: vec![("farm.rig".into(), difficulty(EASY * 8.0))],
        ..tuned(EASY)
    });
    bench.pools[1].target = difficulty_target(1.0);
    bench.open(0);
    bench.deal_block(0, 1);
    bench.wait(1.0);
    bench.open(1);
    bench.deal_block(1, 1);
    let rig = bench.start_miner("farm.rig");
    assert_eq!(bench.rigs[rig].difficulty, EASY);
    bench.lose(0, "connection lost");
    assert_eq!(bench.rigs[rig].difficulty, EASY * 8.0);
    assert!(bench.rigs[rig].is_settled());
}
