//! A miner whose connection was cut comes back, and what it found meanwhile still counts.

use std::net::SocketAddr;

use translate::{CloseReason, Config};

use crate::bench::{
    AUTHORIZE, Bench, CONFIGURE, EASY, Found, Rig, SUBSCRIBE, config, difficulty_target, grind,
    grind_where, hash_of, outline,
};

/// What a miner subscribes with that had this rig's session.
fn resume(bench: &Bench, rig: usize) -> String {
    let session = &bench.rigs[rig].session_id;
    format!(r#"{{"id":2,"method":"mining.subscribe","params":["bench/1.0","{session}"]}}"#)
}

/// The rig's miner over another connection, set up anew.
fn come_back(bench: &mut Bench, rig: usize) -> usize {
    let subscribe = resume(bench, rig);
    let again = bench.connect();
    for line in [CONFIGURE, &subscribe, AUTHORIZE] {
        bench.say(again, line);
    }
    again
}

/// A share with version bits.
fn rolled(bench: &Bench, rig: usize, bits: u32) -> Found {
    let mut found = grind(&bench.rigs[rig]);
    found.version_bits = Some(bits);
    let reached = |found: &Found| hash_of(&bench.rigs[rig], found).to_target().difficulty();
    while reached(&found).to_f64() < EASY {
        found.nonce += 1;
    }
    found
}

/// A share that meets the rig's first difficulty and little more.
fn poor(rig: &Rig) -> Found {
    grind_where(rig, |hash| {
        (EASY..EASY * 32.0).contains(&hash.to_target().difficulty().to_f64())
    })
}

fn is_accepted(reply: &str) -> bool {
    outline(&[reply.to_owned()]) == "9="
}

#[test]
fn a_miner_that_was_cut_off_gets_its_slot_back_and_its_pending_shares_count() {
    let (mut bench, rig) = Bench::mining();
    let pending = grind(&bench.rigs[rig]);
    bench.leave(rig);
    bench.start_miner("farm.other");
    bench.wait(60.0);
    bench.sent(0);
    let again = come_back(&mut bench, rig);
    let heard = &bench.rigs[again].heard;
    assert_eq!(
        outline(heard),
        "1= 2= 3= mask:1fffe000 difficulty work:clean"
    );
    assert_eq!(heard[1], bench.rigs[rig].heard[1], "slot and session id");
    assert!(is_accepted(&bench.submit(again, &pending)));
    assert!(is_accepted(&bench.mine(again)));
    assert_eq!(bench.shares(0).len(), 2);
    assert_eq!(bench.statistics().sessions_resumed, 1);
}

#[test]
fn a_share_that_was_accepted_before_the_cut_is_not_paid_twice() {
    let (mut bench, rig) = Bench::mining();
    let sent = grind(&bench.rigs[rig]);
    bench.submit(rig, &sent);
    bench.leave(rig);
    bench.sent(0);
    let again = come_back(&mut bench, rig);
    assert!(bench.submit(again, &sent).contains("duplicate"));
    assert_eq!(bench.shares(0).len(), 0);
}

#[test]
fn a_resumed_miner_gets_work_that_it_has_not_searched() {
    let (mut bench, rig) = Bench::mining();
    let before = bench.rigs[rig].work().clone();
    bench.leave(rig);
    bench.wait(5.0);
    let again = come_back(&mut bench, rig);
    let work = bench.rigs[again].work();
    assert_ne!(work.job_id, before.job_id);
    assert!(work.ntime > before.ntime);
}

#[test]
fn pending_shares_count_at_the_difficulty_of_their_work_whatever_the_new_one_is() {
    let mut bench = Bench::new(config());
    bench.pools[0].target = difficulty_target(1.0);
    bench.open(0);
    bench.deal_block(0, 1);
    let rig = bench.start_miner("farm.rig");
    let pending = poor(&bench.rigs[rig]);
    bench.leave(rig);
    let again = bench.connect();
    let subscribe = resume(&bench, rig);
    bench.say(again, &subscribe);
    let wish = EASY * 64.0;
    let authorize =
        format!(r#"{{"id":3,"method":"mining.authorize","params":["farm.rig","fd={wish}"]}}"#);
    bench.say(again, &authorize);
    assert_eq!(bench.rigs[again].difficulty, wish);
    assert!(is_accepted(&bench.submit(again, &pending)));
    assert_eq!(bench.statistics().work_accepted, EASY);
    let later = poor(&bench.rigs[again]);
    assert!(bench.submit(again, &later).contains("low difficulty"));
}

#[test]
fn a_pending_share_may_come_before_configure_and_authorize() {
    let (mut bench, rig) = Bench::mining();
    let pending = rolled(&bench, rig, 0x0020_2000);
    bench.leave(rig);
    let again = bench.connect();
    let subscribe = resume(&bench, rig);
    assert_eq!(outline(&bench.say(again, &subscribe)), "2=");
    assert!(is_accepted(&bench.submit(again, &pending)));
    assert_eq!(
        outline(&bench.say(again, AUTHORIZE)),
        "3= difficulty work:clean",
        "no mask to who did not configure"
    );
}

#[test]
fn the_mask_that_a_resumed_miner_configures_counts_from_then_on() {
    let (mut bench, rig) = Bench::mining();
    let pending = rolled(&bench, rig, 0x0020_2000);
    bench.leave(rig);
    let again = bench.connect();
    let subscribe = resume(&bench, rig);
    bench.say(again, &subscribe);
    let narrow = r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"00c00000"}]}"#;
    bench.say(again, narrow);
    let reply = bench.submit(again, &pending);
    assert!(reply.contains("outside the mask 00c00000"), "{reply}");
}

#[test]
fn a_connection_that_still_stands_is_closed_when_its_own_address_resumes_its_session() {
    let (mut bench, rig) = Bench::mining();
    let pending = grind(&bench.rigs[rig]);
    let again = come_back(&mut bench, rig);
    assert_eq!(bench.closed(rig), Some(&CloseReason::SessionResumed));
    assert_eq!(bench.rigs[again].extranonce1, bench.rigs[rig].extranonce1);
    assert!(is_accepted(&bench.submit(again, &pending)));
    assert_eq!(bench.statistics().miners_mining, 1);
    let words = "the miner resumed its session over another connection";
    assert!(bench.log().iter().any(|line| line.ends_with(words)));
    assert!(bench.statistics().limits_met.is_empty(), "nobody's fault");
}

#[test]
fn another_address_takes_no_session_from_a_miner_that_has_it() {
    let (mut bench, rig) = Bench::mining();
    let elsewhere = SocketAddr::from(([192, 0, 2, 99], 4_000));
    let thief = bench.try_connect_from(elsewhere).unwrap();
    let subscribe = resume(&bench, rig);
    bench.say(thief, &subscribe);
    assert_eq!(bench.closed(rig), None);
    assert_ne!(bench.rigs[thief].session_id, bench.rigs[rig].session_id);
    assert_ne!(bench.rigs[thief].extranonce1, bench.rigs[rig].extranonce1);
    assert!(is_accepted(&bench.mine(rig)));
}

#[test]
fn a_miner_that_was_given_a_new_address_gets_its_session_once_the_old_connection_is_gone() {
    let (mut bench, rig) = Bench::mining();
    bench.leave(rig);
    let elsewhere = SocketAddr::from(([192, 0, 2, 99], 4_000));
    let again = bench.try_connect_from(elsewhere).unwrap();
    let subscribe = resume(&bench, rig);
    bench.say(again, &subscribe);
    assert_eq!(bench.rigs[again].extranonce1, bench.rigs[rig].extranonce1);
}

#[test]
fn a_slot_that_another_miner_has_is_not_given_back() {
    let (mut bench, rig) = Bench::mining();
    bench.leave(rig);
    bench.deal_job(0, 2);
    bench.wait(121.0);
    let other = bench.start_miner("farm.other");
    assert_eq!(bench.rigs[other].extranonce1, bench.rigs[rig].extranonce1);
    let again = come_back(&mut bench, rig);
    assert_ne!(bench.rigs[again].extranonce1, bench.rigs[rig].extranonce1);
    assert_eq!(bench.closed(other), None);
}

#[test]
fn a_session_that_nobody_had_is_a_new_one() {
    let mut bench = Bench::with_work(config());
    for session in ["", "0000000000000000", "é", "deadbeef"] {
        let rig = bench.connect();
        let line = format!(r#"{{"id":2,"method":"mining.subscribe","params":["x","{session}"]}}"#);
        assert_eq!(outline(&bench.say(rig, &line)), "2=");
        assert_ne!(bench.rigs[rig].session_id, session);
    }
}

#[test]
fn a_cut_between_subscribe_and_the_first_work_costs_nothing() {
    let (mut bench, rig) = Bench::mining();
    let pending = grind(&bench.rigs[rig]);
    bench.leave(rig);
    let cut = bench.connect();
    let subscribe = resume(&bench, rig);
    bench.say(cut, &subscribe);
    bench.leave(cut);
    let other = bench.start_miner("farm.other");
    assert_ne!(bench.rigs[other].extranonce1, bench.rigs[rig].extranonce1);
    let again = come_back(&mut bench, rig);
    assert_eq!(bench.rigs[again].extranonce1, bench.rigs[rig].extranonce1);
    assert!(is_accepted(&bench.submit(again, &pending)));
}

#[test]
fn what_was_measured_of_a_miner_is_not_forgotten_over_a_cut() {
    let mut tuned = config();
    tuned.difficulty.vardiff = true;
    let mut bench = Bench::with_work(tuned);
    let rig = bench.start_miner("farm.rig");
    for _ in 0..60 {
        bench.mine(rig);
        bench.wait(0.5);
    }
    let hashrate = |bench: &Bench| {
        bench
            .brain
            .miner_statistics(bench.now)
            .next()
            .unwrap()
            .hashrate
    };
    let (before, difficulty) = (hashrate(&bench), bench.rigs[rig].difficulty);
    bench.leave(rig);
    bench.wait(30.0);
    let again = come_back(&mut bench, rig);
    assert_eq!(bench.rigs[again].difficulty, difficulty);
    let after = hashrate(&bench);
    assert!((after / before - 1.0).abs() < 0.1, "{before} {after}");
}

#[test]
fn after_a_restart_of_the_proxy_the_session_is_a_new_one() {
    let (bench, rig) = Bench::mining();
    let subscribe = resume(&bench, rig);
    let mut restarted = Bench::with_work(Config {
        seed: [8; 32],
        ..config()
    });
    let again = restarted.connect();
    assert_eq!(outline(&restarted.say(again, &subscribe)), "2=");
    assert_ne!(restarted.rigs[again].session_id, bench.rigs[rig].session_id);
    assert_ne!(subscribe, SUBSCRIBE);
}
