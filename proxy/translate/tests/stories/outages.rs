//! Upstreams that go away and come back: who gets the miners, what becomes of shares, what each upstream is told.

use std::time::Duration;

use sv2::message::Message;
use sv2::messages::mining::Mining;
use translate::{CloseReason, Config};

use crate::bench::{Bench, EASY, config, grind, outline, upstream};

#[test]
fn while_the_upstream_is_away_miners_stay_and_their_shares_are_refused_for_what_it_is() {
    let (mut bench, rig) = Bench::mining();
    bench.mine(rig);
    let found = grind(&bench.rigs[rig]);
    bench.lose(0, "connection closed by the upstream");
    assert!(
        bench
            .log()
            .last()
            .unwrap()
            .starts_with("primary: connection closed by the upstream; 1 shares stay unanswered; ")
    );
    let reply = bench.submit(rig, &found);
    assert!(
        reply.contains("stale: the connection to this job's pool is gone"),
        "{reply}"
    );
    let heard = bench.rigs[rig].heard.len();
    for _ in 0..20 {
        bench.wait(30.0);
        bench.say(rig, r#"{"id":4,"method":"mining.ping","params":[]}"#);
    }
    assert_eq!(bench.closed(rig), None);
    assert_eq!(
        bench.rigs[rig].heard[heard..]
            .iter()
            .filter(|line| line.contains("notify"))
            .count(),
        20,
        "keepalives"
    );
    let newcomer = bench.start_miner("farm.rig");
    assert!(bench.rigs[newcomer].is_settled());
    bench.open(0);
    bench.deal_block(0, 2);
    for rig in [rig, newcomer] {
        assert!(bench.rigs[rig].work().clean_jobs);
        assert_eq!(outline(&[bench.mine(rig)]), "9=");
    }
    let upstream = &bench.statistics().upstreams[0];
    assert_eq!(
        (
            upstream.shares_sent,
            upstream.shares_unanswered,
            upstream.shares_pending
        ),
        (3, 1, 2)
    );
    assert_eq!(bench.statistics().shares_rejected["upstream-gone"], 1);
}

#[test]
fn miners_are_let_go_when_an_outage_lasts_too_long_and_not_before() {
    let mut bench = Bench::with_work(Config {
        release_after: Some(Duration::from_secs(120)),
        ..config()
    });
    let rig = bench.start_miner("farm.rig");
    bench.wait(300.0);
    bench.lose(0, "connection lost");
    bench.wait(60.0);
    let newcomer = bench.start_miner("farm.rig");
    bench.wait(58.0);
    assert_eq!(bench.closed(rig), None);
    bench.wait(3.0);
    assert_eq!(bench.closed(rig), Some(&CloseReason::NoUpstream(120)));
    assert_eq!(
        bench.closed(newcomer),
        None,
        "it has waited for a minute only"
    );
    bench.wait(60.0);
    assert_eq!(bench.closed(newcomer), Some(&CloseReason::NoUpstream(120)));
}

#[test]
fn an_outage_that_ends_in_time_lets_nobody_go() {
    let mut bench = Bench::with_work(Config {
        release_after: Some(Duration::from_secs(120)),
        ..config()
    });
    let rig = bench.start_miner("farm.rig");
    for _ in 0..3 {
        bench.lose(0, "connection lost");
        bench.wait(100.0);
        bench.open(0);
        bench.deal_block(0, 2);
        bench.wait(1.0);
    }
    assert_eq!(bench.closed(rig), None);
}

#[test]
fn work_for_half_a_second_ends_an_outage_too() {
    let mut bench = Bench::with_work(Config {
        release_after: Some(Duration::from_secs(120)),
        ..config()
    });
    let rig = bench.start_miner("farm.rig");
    bench.lose(0, "connection lost");
    bench.wait(100.2);
    bench.open(0);
    bench.deal_block(0, 2);
    bench.wait(0.5);
    bench.lose(0, "connection lost");
    bench.wait(100.0);
    assert_eq!(bench.closed(rig), None);
    bench.wait(25.0);
    assert_eq!(bench.closed(rig), Some(&CloseReason::NoUpstream(120)));
}

#[test]
fn work_of_the_same_block_after_a_new_connection_is_clean_and_the_old_work_is_not_sent_there() {
    let (mut bench, rig) = Bench::mining();
    let old = grind(&bench.rigs[rig]);
    bench.lose(0, "connection lost");
    bench.wait(2.0);
    bench.open(0);
    bench.deal_block(0, 1);
    assert!(bench.rigs[rig].work().clean_jobs);
    bench.sent(0);
    let reply = bench.submit(rig, &old);
    assert!(
        reply.contains("the connection to this job's pool is gone"),
        "{reply}"
    );
    assert!(bench.shares(0).is_empty());
}

#[test]
fn an_outage_does_not_change_any_difficulty() {
    let mut tuned = config();
    tuned.difficulty.vardiff = true;
    let mut bench = Bench::with_work(tuned);
    let rig = bench.start_miner("farm.rig");
    for _ in 0..48 {
        bench.wait(5.0);
        bench.mine(rig);
    }
    let before = bench.rigs[rig].difficulty;
    bench.lose(0, "connection lost");
    for _ in 0..60 {
        bench.wait(20.0);
        bench.mine(rig);
    }
    assert_eq!(bench.rigs[rig].difficulty, before);
    assert!(bench.statistics().hashrate > 0.0);
}

#[test]
fn the_hashrate_is_told_at_once_when_it_goes_from_or_to_zero() {
    let mut bench = Bench::with_work(config());
    bench.wait(5.0);
    bench.sent(0);
    let rig = bench.start_miner("farm.rig");
    let updates = updates(&mut bench, 0);
    assert_eq!(updates.len(), 1);
    let expected = EASY * 4_294_967_296.0 * 12.0 / 60.0;
    assert!(
        (f64::from(updates[0]) - expected).abs() < 1e-6 * expected,
        "{updates:?}, not {expected}"
    );
    bench.wait(5.0);
    bench.leave(rig);
    assert_eq!(self::updates(&mut bench, 0), [0.0]);
}

/// The hashrates that a pool was told since it was last asked.
fn updates(bench: &mut Bench, pool: usize) -> Vec<f32> {
    let update = |message| match message {
        Message::Mining(Mining::UpdateChannel(update)) => Some(update.nominal_hash_rate),
        _ => None,
    };
    bench.sent(pool).into_iter().filter_map(update).collect()
}

#[test]
fn miners_that_come_and_go_are_told_of_once_a_second_at_the_most() {
    let mut bench = Bench::with_work(config());
    bench.wait(5.0);
    for _ in 0..100 {
        let rig = bench.start_miner("farm.rig");
        bench.leave(rig);
        bench.wait(0.03);
    }
    let told = updates(&mut bench, 0).len();
    assert!((1..=5).contains(&told), "{told} in 3 s");
    bench.wait(2.0);
    assert_eq!(
        updates(&mut bench, 0).last().copied().unwrap_or(0.0),
        0.0,
        "and the last word is true"
    );
}

#[test]
fn a_change_of_a_tenth_is_told_after_ten_seconds() {
    let mut bench = Bench::with_work(config());
    for _ in 0..10 {
        bench.start_miner("farm.rig");
    }
    bench.wait(1.0);
    assert_eq!(updates(&mut bench, 0).len(), 1, "from zero");
    bench.start_miner("farm.rig");
    bench.start_miner("farm.rig");
    bench.wait(9.0);
    assert_eq!(updates(&mut bench, 0).len(), 0);
    bench.wait(1.0);
    assert_eq!(updates(&mut bench, 0).len(), 1);
    assert!(
        bench
            .log()
            .iter()
            .any(|line| line.starts_with("primary: told that we have "))
    );
}

#[test]
fn the_wished_target_follows_the_hardest_miner_but_none_that_would_starve_the_others() {
    let wished = |wish: f64| {
        let mut bench = Bench::with_work(config());
        for _ in 0..4 {
            bench.start_miner("farm.rig");
        }
        let odd = bench.start_miner("farm.odd");
        bench.say(
            odd,
            &format!(r#"{{"id":4,"method":"mining.suggest_difficulty","params":[{wish}]}}"#),
        );
        bench.wait(12.0);
        let target = bench
            .sent(0)
            .into_iter()
            .rev()
            .find_map(|message| match message {
                Message::Mining(Mining::UpdateChannel(update)) => Some(update.maximum_target),
                _ => None,
            });
        sv2::bitcoin::Target::from_le_bytes(target.unwrap().0)
            .difficulty()
            .to_f64()
            / EASY
    };
    assert_eq!(wished(EASY * 4.0).round(), 4.0);
    let absurd = wished(1e12);
    assert!(
        absurd < 25.0,
        "five miners believed at a quarter of the rate: {absurd}"
    );
}

#[test]
fn when_the_active_upstream_is_lost_the_next_ones_job_goes_out_at_once() {
    let (mut bench, rig) = Bench::with_backup();
    let late = grind(&bench.rigs[rig]);
    let (slot, heard) = (
        bench.rigs[rig].extranonce1.clone(),
        bench.rigs[rig].heard.len(),
    );
    bench.sent(1);
    bench.lose(0, "connection lost");
    assert_eq!(
        outline(&bench.rigs[rig].heard[heard..]),
        "work:clean",
        "one notify, nothing else"
    );
    assert!(
        bench.rigs[rig].work().coinb1.ends_with(&[0xa1; 6]),
        "the backup's"
    );
    assert_eq!(bench.rigs[rig].extranonce1, slot);
    let told = updates(&mut bench, 1);
    assert!(
        told.len() == 1 && told[0] > 0.0,
        "before the first share: {told:?}"
    );
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
    assert_eq!(bench.shares(1).len(), 1);
    let reply = bench.submit(rig, &late);
    assert!(
        reply.contains("the connection to this job's pool is gone"),
        "{reply}"
    );
    assert!(
        bench
            .log()
            .contains(&"backup: 1 miners work for it from now on: the one before failed".into())
    );
}

#[test]
fn a_preferred_upstream_gets_the_miners_back_after_a_minute_and_late_shares_go_where_they_belong() {
    let (mut bench, rig) = Bench::with_backup();
    bench.lose(0, "connection lost");
    bench.wait(2.0);
    bench.open(0);
    bench.deal_block(0, 2);
    bench.wait(58.0);
    assert!(
        bench.rigs[rig].work().coinb1.ends_with(&[0xa1; 6]),
        "not yet"
    );
    let late = grind(&bench.rigs[rig]);
    bench.wait(4.0);
    assert!(bench.rigs[rig].work().coinb1.ends_with(&[0xa0; 6]));
    bench.sent(0);
    bench.sent(1);
    assert_eq!(
        outline(&[bench.submit(rig, &late)]),
        "9=",
        "its connection lives"
    );
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
    assert_eq!((bench.shares(0).len(), bench.shares(1).len()), (1, 1));
    bench.deal_block(1, 3);
    let reply = bench.submit(rig, &late);
    assert!(
        reply.contains("a new block has come"),
        "the backup's own block makes it stale: {reply}"
    );
}

#[test]
fn a_job_that_miners_left_and_came_back_to_is_still_the_same_job() {
    let (mut bench, rig) = Bench::with_backup();
    bench.lose(0, "connection lost");
    let early = grind(&bench.rigs[rig]);
    bench.wait(2.0);
    bench.open(0);
    bench.deal_block(0, 2);
    bench.wait(62.0);
    assert!(bench.rigs[rig].work().coinb1.ends_with(&[0xa0; 6]));
    bench.lose(0, "connection lost");
    assert!(
        bench.rigs[rig].work().coinb1.ends_with(&[0xa1; 6]),
        "the backup's job, as before"
    );
    bench.sent(1);
    assert_eq!(outline(&[bench.submit(rig, &early)]), "9=");
    assert_eq!(bench.shares(1).len(), 1);
    let again = bench.submit(rig, &early);
    assert!(again.contains("duplicate"), "{again}");
}

#[test]
fn at_the_start_a_preferred_upstream_that_is_slower_gets_the_miners_as_soon_as_it_has_work() {
    let mut bench = Bench::new(Config {
        upstreams: vec![upstream("primary", 0), upstream("backup", 1)],
        ..config()
    });
    bench.open(1);
    bench.deal_block(1, 1);
    let rig = bench.start_miner("farm.rig");
    bench.open(0);
    let heard = bench.rigs[rig].heard.len();
    bench.deal_block(0, 1);
    assert_eq!(outline(&bench.rigs[rig].heard[heard..]), "work:clean");
    bench.mine(rig);
    assert_eq!(bench.shares(0).len(), 1);
}

#[test]
fn a_warm_upstream_is_told_of_no_hashrate_and_its_jobs_reach_nobody() {
    let (mut bench, rig) = Bench::with_backup();
    let heard = bench.rigs[rig].heard.len();
    bench.wait(15.0);
    assert!(
        updates(&mut bench, 0)
            .iter()
            .all(|hashrate| *hashrate > 0.0)
    );
    assert_eq!(updates(&mut bench, 1).last().copied().unwrap_or(0.0), 0.0);
    bench.deal_block(1, 2);
    bench.deal_job(1, 3);
    assert_eq!(bench.rigs[rig].heard.len(), heard);
}

fn dials(bench: &Bench) -> Vec<usize> {
    bench.pools.iter().map(|pool| pool.dials).collect()
}

#[test]
fn while_none_has_work_further_upstreams_are_dialled_every_two_seconds() {
    let upstreams = (0..10).map(|number| upstream("hanging", number));
    let mut bench = Bench::new(Config {
        upstreams: upstreams.collect(),
        ..config()
    });
    // Both take the connection. The first opens a channel too, and deals no job.
    bench.open(0);
    bench.upstream_connected(1);
    bench.wait(1.9);
    assert_eq!(dials(&bench)[1..4], [1, 0, 0]);
    bench.wait(0.2);
    assert_eq!(dials(&bench)[1..4], [1, 1, 0]);
    bench.wait(2.0);
    assert_eq!(dials(&bench)[1..5], [1, 1, 1, 0]);
    bench.open(3);
    bench.deal_block(3, 1);
    let rig = bench.start_miner("farm.rig");
    bench.mine(rig);
    assert_eq!(bench.shares(3).len(), 1);
    bench.wait(60.0);
    assert_eq!(dials(&bench)[4..], [0; 6], "there is work");
}

#[test]
fn beside_eight_connections_to_others_no_further_upstream_is_dialled() {
    let upstreams = (0..10).map(|number| upstream("hanging", number));
    let mut bench = Bench::new(Config {
        upstreams: upstreams.collect(),
        ..config()
    });
    bench.wait(100.0);
    assert_eq!(dials(&bench), [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
    bench.lose(2, "no answer");
    bench.wait(0.0);
    assert_eq!(dials(&bench)[8..], [1, 0]);
}

#[test]
fn a_third_upstream_is_dialled_only_when_one_of_the_first_two_is_away() {
    let upstreams = ["one", "two", "three"]
        .map(|name| upstream(name, 0))
        .to_vec();
    let mut bench = Bench::new(Config {
        upstreams,
        ..config()
    });
    bench.open(0);
    bench.deal_block(0, 1);
    bench.wait(300.0);
    assert_eq!(dials(&bench), [1, 1, 0]);
    bench.lose(1, "cannot connect");
    bench.wait(0.0);
    assert_eq!(dials(&bench), [1, 1, 1]);
}

#[test]
fn with_all_upstreams_away_the_first_that_is_back_gets_the_miners() {
    let (mut bench, rig) = Bench::with_backup();
    bench.lose(0, "connection lost");
    bench.lose(1, "connection lost");
    bench.wait(2.0);
    bench.open(1);
    bench.deal_block(1, 2);
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
}
