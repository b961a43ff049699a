//! Limits on miners that are broken or mean harm, and what becomes of the good ones beside them.

use std::net::SocketAddr;
use std::time::Duration;

use translate::{CloseReason, Config, Event, GuardPolicy, Limit, Severity};

use crate::bench::{Bench, config};

/// A submit whose extranonce2 has the wrong length: invalid, and cheap to make.
const INVALID: &str =
    r#"{"id":9,"method":"mining.submit","params":["farm.rig","1","00","6553f101","00000000"]}"#;

fn at(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, last], port))
}

fn start_at(bench: &mut Bench, peer: SocketAddr) -> usize {
    let rig = bench.try_connect_from(peer).expect("it is let in");
    bench.set_up(rig, "farm.rig");
    rig
}

/// Sends this many invalid shares; gives the words of the last reply.
fn invalid(bench: &mut Bench, rig: usize, count: usize) -> String {
    let mut words = String::new();
    for _ in 0..count {
        let job_id = bench.rigs[rig].work().job_id.to_string();
        let line = INVALID.replace("\"1\"", &format!("\"{job_id}\""));
        let reply: serde_json::Value = serde_json::from_str(&bench.say(rig, &line)[0]).unwrap();
        assert_eq!(reply["error"][0], 20);
        words = reply["error"][1].as_str().unwrap().to_owned();
    }
    words
}

fn met(bench: &Bench, label: &str) -> u64 {
    let met = bench.statistics().limits_met;
    met.get(label).copied().unwrap_or_default()
}

fn told(bench: &Bench, label: &str) -> usize {
    let told =
        |event: &&Event| matches!(event, Event::LimitMet { limit, .. } if limit.label() == label);
    bench.events.iter().filter(told).count()
}

#[test]
fn connections_past_each_limit_are_refused_counted_and_told_once() {
    let policy = GuardPolicy {
        max_miners_per_address: 2,
        ..config().guard
    };
    let mut bench = Bench::new(Config {
        max_miners: 3,
        guard: policy,
        ..config()
    });
    let first = bench.try_connect_from(at(1, 1));
    assert!(first.is_some() && bench.try_connect_from(at(1, 2)).is_some());
    for port in 3..20 {
        assert_eq!(bench.try_connect_from(at(1, port)), None);
    }
    assert!(bench.try_connect_from(at(2, 1)).is_some());
    for port in 2..20 {
        assert_eq!(bench.try_connect_from(at(2, port)), None);
    }
    assert_eq!(met(&bench, "too-many-from-address"), 17);
    assert_eq!(met(&bench, "too-many-miners"), 18);
    assert_eq!(told(&bench, "too-many-from-address"), 1);
    assert_eq!(told(&bench, "too-many-miners"), 1);
    bench.leave(first.unwrap());
    assert!(bench.try_connect_from(at(1, 20)).is_some());
    bench.wait(60.0);
    // All three have been silent for the minute: they are gone, and two may come again.
    assert!(
        bench.try_connect_from(at(1, 21)).is_some() && bench.try_connect_from(at(1, 22)).is_some()
    );
    assert_eq!(bench.try_connect_from(at(1, 23)), None);
    let last = bench.log().pop().unwrap();
    assert!(last.ends_with("; 16 more times before"), "{last}");
}

#[test]
fn silent_connections_are_closed_and_told_once() {
    let mut bench = Bench::with_work(config());
    let silent: Vec<_> = (0..50)
        .map(|port| bench.try_connect_from(at(1, port)).unwrap())
        .collect();
    bench.wait(61.0);
    for rig in silent {
        assert_eq!(bench.closed(rig), Some(&CloseReason::SetupTimeout(60)));
    }
    assert_eq!(
        (met(&bench, "setup-timeout"), told(&bench, "setup-timeout")),
        (50, 1)
    );
}

/// Gives what is told at "info" of connections that were closed.
fn told_of_closed(bench: &Bench) -> Vec<String> {
    let closed = bench.events.iter().filter(|event| {
        matches!(event, Event::MinerClosed { .. }) && event.severity() <= Severity::Info
    });
    closed.map(ToString::to_string).collect()
}

#[test]
fn a_machine_that_is_closed_for_a_limit_is_named_and_a_connection_that_nobody_knows_is_not() {
    let mut bench = Bench::with_work(config());
    let named: Vec<_> = (0..2)
        .map(|port| start_at(&mut bench, at(1, port)))
        .collect();
    let unknown = bench.try_connect_from(at(1, 2)).unwrap();
    bench.close(named[0], CloseReason::NotReading("reads nothing".into()));
    bench.say(unknown, "hello");
    bench.wait(601.0);
    assert_eq!(bench.closed(named[1]), Some(&CloseReason::Idle(600)));
    assert!(bench.closed(unknown).is_some());
    assert_eq!(
        told_of_closed(&bench),
        [
            "closed 198.51.100.1:0 (\"farm.rig\"): reads nothing",
            "closed 198.51.100.1:1 (\"farm.rig\"): sent nothing for 600 s",
        ]
    );
}

#[test]
fn a_miner_whose_shares_are_invalid_is_paused_and_then_judged_again() {
    let mut bench = Bench::with_work(config());
    let rig = start_at(&mut bench, at(1, 1));
    assert_eq!(
        invalid(&mut bench, rig, 50),
        "extranonce2 has 1 bytes, not 4"
    );
    assert_eq!(
        (
            met(&bench, "invalid-shares-pause"),
            told(&bench, "invalid-shares-pause")
        ),
        (1, 1)
    );
    assert_eq!(
        invalid(&mut bench, rig, 5),
        "paused for another 10 s: nearly all shares were invalid"
    );
    assert!(bench.mine(rig).contains("paused"), "good ones wait too");
    assert_eq!(bench.statistics().shares_rejected["paused"], 6);
    bench.wait(10.0);
    assert!(bench.mine(rig).contains("true"));
    assert_eq!(bench.closed(rig), None);
}

#[test]
fn a_miner_with_a_fault_that_finds_good_shares_too_is_never_paused() {
    let mut bench = Bench::with_work(config());
    let rig = start_at(&mut bench, at(1, 1));
    for _ in 0..40 {
        assert!(bench.mine(rig).contains("true"));
        invalid(&mut bench, rig, 5);
    }
    assert_eq!(met(&bench, "invalid-shares-pause"), 0);
}

#[test]
fn an_address_that_goes_on_is_banned_for_a_while_and_no_other() {
    let mut bench = Bench::with_work(config());
    let good = start_at(&mut bench, at(1, 1));
    let bad = start_at(&mut bench, at(2, 1));
    let beside = start_at(&mut bench, at(2, 2));
    for round in 0..10 {
        assert_eq!(bench.closed(bad), None, "after {round} pauses");
        invalid(&mut bench, bad, 50);
        bench.wait(10.0);
    }
    assert_eq!(bench.closed(bad), Some(&CloseReason::Banned(600)));
    assert_eq!(bench.closed(beside), Some(&CloseReason::Banned(600)));
    assert_eq!(
        (
            met(&bench, "invalid-shares-pause"),
            met(&bench, "invalid-shares-ban")
        ),
        (10, 1)
    );
    let warnings = bench.events.iter().filter(|event| {
        event.severity() == Severity::Warning && event.to_string().contains("banned for")
    });
    assert_eq!(warnings.count(), 1, "one line for one cause");
    assert!(told_of_closed(&bench).is_empty());
    assert_eq!(bench.try_connect_from(at(2, 3)), None);
    let banned = |event: &Event| {
        matches!(
            event,
            Event::LimitMet {
                limit: Limit::Banned(590),
                ..
            }
        )
    };
    assert!(bench.events.iter().any(banned));
    assert!(bench.mine(good).contains("true"));
    bench.wait(590.0);
    assert!(bench.try_connect_from(at(2, 3)).is_some());
}

#[test]
fn reconnecting_evades_no_ban() {
    let mut bench = Bench::with_work(config());
    for connection in 0..10 {
        let rig = start_at(&mut bench, at(2, connection));
        invalid(&mut bench, rig, 49);
        bench.leave(rig);
    }
    assert_eq!(met(&bench, "invalid-shares-pause"), 0, "never long enough");
    let last = start_at(&mut bench, at(2, 10));
    invalid(&mut bench, last, 10);
    assert_eq!(bench.closed(last), Some(&CloseReason::Banned(600)));
    assert_eq!(bench.try_connect_from(at(2, 11)), None);
}

#[test]
fn good_miners_behind_one_address_outweigh_a_bad_one_however_fast() {
    let mut bench = Bench::with_work(config());
    let good: Vec<_> = (1..4)
        .map(|port| start_at(&mut bench, at(1, port)))
        .collect();
    let bad = start_at(&mut bench, at(1, 9));
    for rig in &good {
        bench.mine(*rig);
    }
    for _ in 0..30 {
        invalid(&mut bench, bad, 200);
        bench.wait(10.0);
    }
    assert_eq!(met(&bench, "invalid-shares-ban"), 0);
    for rig in good {
        assert!(bench.mine(rig).contains("true"));
    }
    assert_eq!(met(&bench, "invalid-shares-pause"), 30);
}

#[test]
fn stale_shares_and_those_of_a_lost_pool_bring_nobody_down() {
    let mut bench = Bench::with_work(config());
    let rig = start_at(&mut bench, at(1, 1));
    let stale = crate::bench::grind(&bench.rigs[rig]);
    bench.deal_block(0, 2);
    for _ in 0..600 {
        assert!(bench.submit(rig, &stale).contains("stale"));
    }
    let orphan = crate::bench::grind(&bench.rigs[rig]);
    bench.lose(0, "connection lost");
    for _ in 0..600 {
        assert!(bench.submit(rig, &orphan).contains("stale"));
    }
    assert_eq!(bench.closed(rig), None);
    assert_eq!(met(&bench, "invalid-shares-pause"), 0);
}

#[test]
fn unknown_jobs_count_only_some_time_after_new_work() {
    let mut bench = Bench::with_work(config());
    let rig = start_at(&mut bench, at(1, 1));
    let unknown = INVALID.replace(r#""1""#, r#""7777""#);
    for _ in 0..60 {
        bench.say(rig, &unknown);
    }
    assert_eq!(met(&bench, "invalid-shares-pause"), 0);
    bench.now += Duration::from_secs(11);
    for _ in 0..60 {
        bench.say(rig, &unknown);
    }
    assert_eq!(met(&bench, "invalid-shares-pause"), 1);
}

#[test]
fn a_slowed_miner_is_counted_and_told_once() {
    let mut bench = Bench::with_work(config());
    let rig = start_at(&mut bench, at(1, 1));
    for _ in 0..5 {
        bench
            .brain
            .handle_miner_slowed(bench.now, bench.rigs[rig].id);
    }
    bench.wait(1.0);
    assert_eq!(
        (
            met(&bench, "requests-per-second"),
            told(&bench, "requests-per-second")
        ),
        (5, 1)
    );
}
