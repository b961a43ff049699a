//! How hard a miner's work is, from its first minute on.

use std::net::SocketAddr;

use sv2::bitcoin::Difficulty;
use translate::{Config, DifficultyPolicy, ListenerConfig, ListenerId, UserTemplate};

use crate::bench::{
    Bench, CONFIGURE, EASY, SUBSCRIBE, config, difficulty, difficulty_target, outline,
};

fn authorize(password: &str) -> String {
    format!(r#"{{"id":3,"method":"mining.authorize","params":["farm.rig","{password}"]}}"#)
}

fn suggest(wish: f64) -> String {
    format!(r#"{{"id":4,"method":"mining.suggest_difficulty","params":[{wish}]}}"#)
}

/// The configuration of stories with vardiff.
fn tuned() -> Config {
    let mut tuned = config();
    tuned.difficulty.vardiff = true;
    tuned
}

/// A configuration as operators have it: difficulties from 1, and less for who asks.
fn usual() -> Config {
    Config {
        difficulty: DifficultyPolicy {
            start: None,
            min: Difficulty::ONE,
            asked_min: difficulty(1.0 / 65_536.0),
            vardiff: true,
            ..config().difficulty
        },
        ..config()
    }
}

/// A farm with work of a pool that pays shares from a difficulty on.
fn paid_above(config: Config, channel: f64) -> Bench {
    let mut bench = Bench::new(config);
    bench.pools[0].target = difficulty_target(channel);
    bench.open(0);
    bench.deal_block(0, 1);
    bench
}

/// The difficulty that a miner starts with that says these lines.
fn start(config: Config, lines: &[String]) -> f64 {
    let mut bench = paid_above(config, 16_384.0);
    let rig = bench.connect();
    for line in lines {
        bench.say(rig, line);
    }
    assert!(bench.rigs[rig].is_settled());
    bench.rigs[rig].difficulty
}

fn known(value: f64) -> Config {
    Config {
        worker_difficulties: vec![("farm.rig".into(), difficulty(value))],
        ..tuned()
    }
}

#[test]
fn what_the_worker_mined_at_before_goes_before_its_password_and_that_before_its_suggestion() {
    let lines = |password: &str| {
        let suggestion = suggest(EASY * 2.0);
        [SUBSCRIBE.to_owned(), suggestion, authorize(password)]
    };
    let password = format!("x,d={}", EASY * 4.0);
    assert_eq!(start(known(EASY * 8.0), &lines(&password)), EASY * 8.0);
    assert_eq!(start(tuned(), &lines(&password)), EASY * 4.0);
    assert_eq!(start(tuned(), &lines("x")), EASY * 2.0);
    let lines = [SUBSCRIBE.to_owned(), authorize("x")];
    assert_eq!(start(tuned(), &lines), EASY, "the listener's");
    assert_eq!(start(usual(), &lines), 16_384.0, "to be measured");
}

#[test]
fn the_same_order_holds_for_a_suggestion_that_comes_after_the_first_work() {
    let lines = |password: &str| {
        let suggestion = suggest(EASY * 2.0);
        [SUBSCRIBE.to_owned(), authorize(password), suggestion]
    };
    let password = format!("x,d={}", EASY * 4.0);
    assert_eq!(start(known(EASY * 8.0), &lines(&password)), EASY * 8.0);
    assert_eq!(start(tuned(), &lines(&password)), EASY * 4.0);
    assert_eq!(start(tuned(), &lines("x")), EASY * 2.0);
}

#[test]
fn a_second_and_different_suggestion_is_followed_whatever_was_known() {
    let mut bench = paid_above(known(EASY * 8.0), 1.0);
    let rig = bench.start_miner("farm.rig");
    assert_eq!(outline(&bench.say(rig, &suggest(EASY * 2.0))), "4=");
    assert_eq!(
        outline(&bench.say(rig, &suggest(EASY * 4.0))),
        "4=",
        "one wish a second"
    );
    bench.wait(1.0);
    assert_eq!(bench.rigs[rig].difficulty, EASY * 4.0);
}

#[test]
fn a_fixed_difficulty_stays_whatever_is_suggested_known_or_measured() {
    let mut bench = Bench::with_work(known(EASY * 8.0));
    let rig = bench.connect();
    bench.say(rig, SUBSCRIBE);
    bench.say(rig, &authorize(&format!("fd={}", EASY * 2.0)));
    bench.say(rig, &suggest(EASY * 16.0));
    bench.wait(120.0);
    for _ in 0..60 {
        bench.mine(rig);
    }
    bench.wait(2.0);
    assert_eq!(bench.rigs[rig].difficulty, EASY * 2.0);
    let known: Vec<_> = bench.brain.worker_difficulties().collect();
    assert_eq!(known, [("farm.rig", difficulty(EASY * 8.0))]);
}

#[test]
fn a_fraction_is_granted_to_who_asks_and_stays_through_measuring() {
    let lines = |wish: &str| [SUBSCRIBE.to_owned(), authorize(wish)];
    assert_eq!(start(usual(), &lines("d=0.00015")), 1.0 / 8_192.0);
    assert_eq!(start(usual(), &lines("d=0.0000000001")), 1.0 / 65_536.0);
    let mut bench = Bench::with_work(usual());
    let rig = bench.start_miner("farm.rig");
    for _ in 0..4 {
        bench.say(rig, &suggest(0.00015));
        bench.wait(30.0);
    }
    assert!(
        bench.rigs[rig].difficulty < 1.0 / 4_096.0,
        "measuring raises nobody to what others get"
    );
}

#[test]
fn a_configured_minimum_is_a_floor_for_who_asks_too() {
    let mut config = usual();
    config.difficulty.asked_min = config.difficulty.min;
    let lines = [SUBSCRIBE.to_owned(), authorize("d=0.001")];
    assert_eq!(start(config, &lines), 1.0);
}

#[test]
fn firmware_that_reads_whole_numbers_gets_no_fraction_though_it_asks() {
    let subscribe = r#"{"id":2,"method":"mining.subscribe","params":["NerdQAxe+/1.0.36"]}"#;
    let lines = [subscribe.to_owned(), authorize("d=0.001")];
    assert_eq!(start(usual(), &lines), 1.0);
}

#[test]
fn a_worker_that_comes_back_starts_where_it_was() {
    let mut bench = paid_above(tuned(), 1.0);
    let rig = bench.start_miner("farm.rig");
    for _ in 0..60 {
        bench.mine(rig);
        bench.wait(0.5);
    }
    let learnt = bench.rigs[rig].difficulty;
    assert!(learnt > EASY * 2.0);
    bench.leave(rig);
    let again = bench.start_miner("farm.rig");
    assert_eq!(bench.rigs[again].difficulty, learnt);
    let known: Vec<_> = bench.brain.worker_difficulties().collect();
    assert_eq!(known, [("farm.rig", difficulty(learnt))]);
}

#[test]
fn without_vardiff_nothing_is_known_of_workers() {
    let mut bench = Bench::with_work(Config {
        worker_difficulties: vec![("farm.rig".into(), difficulty(EASY * 8.0))],
        ..config()
    });
    let rig = bench.start_miner("farm.rig");
    assert_eq!(bench.rigs[rig].difficulty, EASY);
}

#[test]
fn each_listener_has_its_own_difficulty_and_names() {
    let listener = |start, user| ListenerConfig {
        difficulty: DifficultyPolicy {
            start: Some(difficulty(start)),
            ..config().difficulty
        },
        user: UserTemplate::parse(user).unwrap(),
    };
    let mut bench = Bench::with_work(Config {
        listeners: vec![
            listener(EASY * 2.0, "{worker}"),
            listener(EASY * 4.0, "hall2-{worker}@{ip}"),
        ],
        ..config()
    });
    let mut names = Vec::new();
    for (listener, expected) in [(0, EASY * 2.0), (1, EASY * 4.0)] {
        let peer = SocketAddr::from(([192, 0, 2, 7], 4_000));
        let rig = bench.try_connect_to(ListenerId(listener), peer).unwrap();
        for line in [CONFIGURE, SUBSCRIBE, &authorize("x")] {
            bench.say(rig, line);
        }
        assert_eq!(bench.rigs[rig].difficulty, expected);
        bench.sent(0);
        bench.mine(rig);
        names.push(bench.shares(0)[0].1.unwrap().to_string());
    }
    assert_eq!(names, ["rig", "hall2-rig@192.0.2.7"]);
}
