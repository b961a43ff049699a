//! Another configuration while miners are connected: nobody is parted with, and no share is lost.

use std::net::SocketAddr;
use std::time::Duration;

use sv2::bitcoin::VersionMask;
use sv2::message::Message;
use sv2::messages::mining::{Mining, SubmitSharesSuccess};
use sv2::types::{ChannelId, SequenceNumber};
use translate::{
    ChannelMode, Config, Fault, ListenerConfig, ListenerId, UpstreamConfig, UserTemplate,
};

use crate::bench::{
    Bench, EASY, Found, REGTEST, config, difficulty, grind, grind_where, hash_of, job, outline,
    prev_hash, upstream,
};

/// The usual configuration with these upstreams.
fn with(upstreams: &[UpstreamConfig]) -> Config {
    Config {
        upstreams: upstreams.to_vec(),
        ..config()
    }
}

fn primary() -> UpstreamConfig {
    upstream("primary", 0)
}

fn backup() -> UpstreamConfig {
    upstream("backup", 1)
}

fn third() -> UpstreamConfig {
    upstream("third", 2)
}

/// The same upstream for another account.
fn for_account(upstream: UpstreamConfig, user: &str) -> UpstreamConfig {
    UpstreamConfig {
        user: user.into(),
        ..upstream
    }
}

/// Whose job a rig works on, by the extranonce prefix in its coinbase.
fn works_for(bench: &Bench, rig: usize) -> usize {
    usize::from(bench.rigs[rig].work().coinb1.last().unwrap() - 0xa0)
}

fn serve(bench: &mut Bench, pool: usize) {
    bench.open(pool);
    bench.deal_block(pool, 1);
}

fn names(messages: &[Message]) -> Vec<&'static str> {
    messages.iter().map(Message::name).collect()
}

fn has_logged(bench: &Bench, words: &str) -> bool {
    bench.log().iter().any(|line| line.contains(words))
}

/// What a rig heard since it had heard so many lines.
fn heard_since(bench: &Bench, rig: usize, before: usize) -> String {
    outline(&bench.rigs[rig].heard[before..])
}

#[test]
fn an_unchanged_configuration_changes_nothing() {
    let (mut bench, rig) = Bench::with_backup();
    let (heard, events) = (bench.rigs[rig].heard.len(), bench.events.len());
    bench.sent(0);
    bench.sent(1);
    assert_eq!(bench.reconfigure(with(&[primary(), backup()])), [0, 1]);
    assert_eq!(bench.rigs[rig].heard.len(), heard);
    assert_eq!(bench.events.len(), events);
    assert!(bench.sent(0).is_empty() && bench.sent(1).is_empty());
    assert_eq!((bench.pools[0].dials, bench.pools[1].dials), (1, 1));
}

#[test]
fn an_upstream_that_is_added_behind_is_held_warm() {
    let (mut bench, rig) = Bench::mining();
    let heard = bench.rigs[rig].heard.len();
    assert_eq!(bench.reconfigure(with(&[primary(), backup()])), [0, 1]);
    serve(&mut bench, 1);
    assert_eq!(
        bench.rigs[rig].heard.len(),
        heard,
        "miners hear nothing of it"
    );
    bench.lose(0, "connection lost");
    assert_eq!(works_for(&bench, rig), 1);
    assert_eq!(heard_since(&bench, rig, heard), "work:clean");
}

#[test]
fn an_upstream_that_is_added_before_gets_the_miners_once_it_has_work() {
    let (mut bench, rig) = Bench::mining();
    assert_eq!(bench.reconfigure(with(&[backup(), primary()])), [1, 0]);
    let heard = bench.rigs[rig].heard.len();
    bench.open(1);
    bench.mine(rig);
    assert_eq!(
        bench.shares(0).len(),
        1,
        "there is no work of the new one yet"
    );
    let late = grind(&bench.rigs[rig]);
    bench.deal_block(1, 1);
    assert_eq!(heard_since(&bench, rig, heard), "9= work:clean");
    bench.mine(rig);
    assert_eq!(outline(&[bench.submit(rig, &late)]), "9=");
    assert_eq!((bench.shares(1).len(), bench.shares(0).len()), (1, 1));
    bench.wait(120.0);
    assert!(bench.faults(0).is_empty(), "it is the backup now");
}

#[test]
fn another_order_is_followed_by_the_rules_of_preference() {
    let (mut bench, rig) = Bench::with_backup();
    assert_eq!(bench.reconfigure(with(&[backup(), primary()])), [1, 0]);
    assert_eq!(works_for(&bench, rig), 1, "it never failed");
    assert_eq!(bench.reconfigure(with(&[primary(), backup()])), [0, 1]);
    assert_eq!(works_for(&bench, rig), 0);
    bench.lose(0, "connection lost");
    assert_eq!(works_for(&bench, rig), 1);
    assert_eq!(bench.reconfigure(with(&[backup(), primary()])), [1, 0]);
    bench.wait(2.0);
    serve(&mut bench, 0);
    bench.reconfigure(with(&[primary(), backup()]));
    assert_eq!(works_for(&bench, rig), 1, "it has failed lately");
    for _ in 0..7 {
        bench.wait(9.0);
        bench.deal_job(0, 2);
        bench.deal_job(1, 2);
    }
    assert_eq!(works_for(&bench, rig), 0);
    assert_eq!((bench.pools[0].dials, bench.pools[1].dials), (2, 1));
}

#[test]
fn the_miners_of_a_removed_upstream_get_the_work_of_the_next_at_once() {
    let (mut bench, rig) = Bench::with_backup();
    let heard = bench.rigs[rig].heard.len();
    let late = grind(&bench.rigs[rig]);
    bench.sent(0);
    assert_eq!(bench.reconfigure(with(&[backup()])), [1]);
    assert_eq!(heard_since(&bench, rig, heard), "work:clean");
    assert_eq!(works_for(&bench, rig), 1);
    assert_eq!(bench.statistics().switches.get("config"), Some(&1));
    bench.wait(29.0);
    assert_eq!(outline(&[bench.submit(rig, &late)]), "9=");
    assert_eq!(bench.shares(0).len(), 1, "a late share still reaches it");
    bench.wait(1.0);
    assert_eq!(names(&bench.sent(0)), ["CloseChannel"]);
    assert_eq!(bench.faults(0), [Fault::Removed]);
    bench.wait(600.0);
    assert_eq!(bench.pools[0].dials, 1, "it is not dialled again");
    assert_eq!(bench.statistics().upstreams.len(), 1);
}

#[test]
fn an_upstream_is_replaced_only_once_the_new_one_has_work() {
    let (mut bench, rig) = Bench::mining();
    let heard = bench.rigs[rig].heard.len();
    let other = for_account(primary(), "other");
    assert_eq!(bench.reconfigure(with(&[other])), [1]);
    assert!(has_logged(
        &bench,
        "primary: is no longer in the config as it was"
    ));
    bench.wait(5.0);
    bench.mine(rig);
    assert_eq!(
        bench.shares(0).len(),
        1,
        "its miners have work all the time"
    );
    bench.open(1);
    let sent = bench.sent(1);
    let asked = sent.iter().find_map(|message| match message {
        Message::Mining(Mining::OpenExtendedMiningChannel(open)) => Some(open),
        _ => None,
    });
    assert_eq!(asked.unwrap().user_identity.to_string(), "other");
    assert!(bench.faults(0).is_empty());
    bench.deal_block(1, 1);
    assert_eq!(heard_since(&bench, rig, heard), "9= work:clean");
    bench.mine(rig);
    assert_eq!(bench.shares(1).len(), 1);
    bench.wait(30.0);
    assert_eq!(bench.faults(0), [Fault::Removed]);
}

#[test]
fn a_replaced_upstream_that_fails_first_is_not_dialled_again() {
    let (mut bench, rig) = Bench::mining();
    bench.reconfigure(with(&[backup()]));
    bench.lose(0, "connection lost");
    assert!(has_logged(
        &bench,
        "primary: connection lost; the config has it no longer"
    ));
    assert!(bench.statistics().outage_since.is_some());
    bench.wait(60.0);
    assert_eq!(bench.pools[0].dials, 1);
    serve(&mut bench, 1);
    assert_eq!(works_for(&bench, rig), 1);
    assert!(bench.closed(rig).is_none());
}

#[test]
fn a_preferred_successor_that_is_on_its_way_is_waited_for() {
    let (mut bench, rig) = Bench::with_backup();
    let heard = bench.rigs[rig].heard.len();
    assert_eq!(bench.reconfigure(with(&[third(), backup()])), [2, 1]);
    assert_eq!(works_for(&bench, rig), 0, "it still has work");
    serve(&mut bench, 2);
    assert_eq!(works_for(&bench, rig), 2);
    assert_eq!(
        heard_since(&bench, rig, heard),
        "work:clean",
        "one move, not two"
    );
}

#[test]
fn a_successor_that_cannot_be_had_is_not_waited_for() {
    let (mut bench, rig) = Bench::with_backup();
    bench.reconfigure(with(&[third(), backup()]));
    bench.lose(2, "connection refused");
    assert_eq!(works_for(&bench, rig), 1);
    assert!(bench.statistics().outage_since.is_none());
}

#[test]
fn an_upstream_that_was_removed_by_mistake_comes_back_as_it_was() {
    let (mut bench, rig) = Bench::with_backup();
    bench.reconfigure(with(&[backup()]));
    bench.wait(20.0);
    bench.deal_job(0, 2);
    assert_eq!(bench.reconfigure(with(&[primary(), backup()])), [0, 1]);
    assert_eq!(works_for(&bench, rig), 0);
    bench.wait(60.0);
    assert!(bench.faults(0).is_empty());
    assert_eq!(bench.pools[0].dials, 1);
}

#[test]
fn an_upstream_on_its_way_that_is_removed_is_given_up_at_once() {
    let (mut bench, _) = Bench::mining();
    bench.reconfigure(with(&[primary(), backup()]));
    bench.upstream_connected(1);
    bench.reconfigure(with(&[primary()]));
    assert_eq!(bench.faults(1), [Fault::Removed]);
}

#[test]
fn a_new_name_is_a_new_name_and_nothing_else() {
    let (mut bench, rig) = Bench::with_backup();
    let heard = bench.rigs[rig].heard.len();
    let renamed = UpstreamConfig {
        name: "pool.example".into(),
        ..primary()
    };
    assert_eq!(bench.reconfigure(with(&[renamed, backup()])), [0, 1]);
    assert_eq!(bench.rigs[rig].heard.len(), heard);
    assert_eq!(bench.statistics().upstreams[0].name, "pool.example");
    assert!(bench.faults(0).is_empty());
}

#[test]
fn another_key_or_another_way_to_set_up_is_another_upstream() {
    let (mut bench, _) = Bench::mining();
    let key = UpstreamConfig {
        authority_key: Some([1; 32]),
        ..primary()
    };
    assert_eq!(bench.reconfigure(with(std::slice::from_ref(&key))), [1]);
    let mut nameless = with(&[key]);
    nameless.worker_names = false;
    assert_eq!(bench.reconfigure(nameless), [2]);
    bench.sent(2);
    bench.upstream_connected(2);
    bench.tell(2, crate::bench::setup_success());
    assert_eq!(
        names(&bench.sent(2)),
        ["SetupConnection", "OpenExtendedMiningChannel"]
    );
}

#[test]
fn numbers_are_never_used_again() {
    let (mut bench, _) = Bench::mining();
    for number in 1..10 {
        let other = for_account(primary(), &format!("account{number}"));
        assert_eq!(bench.reconfigure(with(&[other])), [number]);
        serve(&mut bench, number);
        bench.wait(31.0);
        assert_eq!(bench.statistics().upstreams.len(), 1);
    }
}

#[test]
fn counters_go_on_under_a_name_that_stays() {
    let (mut bench, rig) = Bench::mining();
    bench.mine(rig);
    bench.tell(
        0,
        SubmitSharesSuccess {
            channel_id: ChannelId(100),
            last_sequence_number: SequenceNumber(0),
            new_submits_accepted_count: 1,
            new_shares_sum: 1,
        },
    );
    bench.reconfigure(with(&[for_account(primary(), "other")]));
    serve(&mut bench, 1);
    bench.mine(rig);
    bench.wait(31.0);
    let statistics = bench.statistics();
    let [upstream] = statistics.upstreams.as_slice() else {
        panic!("{:?}", statistics.upstreams);
    };
    assert_eq!((upstream.shares_sent, upstream.shares_accepted), (2, 1));
    assert_eq!(upstream.shares_pending, 1);
}

#[test]
fn a_block_for_an_upstream_that_is_gone_is_kept_under_its_name() {
    let mut bench = Bench::new(config());
    bench.open(0);
    bench.tell(0, job(100, 1, None));
    let mut regtest = prev_hash(100, 1, 1);
    regtest.nbits = REGTEST;
    bench.tell(0, regtest);
    let rig = bench.start_miner("farm.rig");
    let block = grind_where(&bench.rigs[rig], |hash| hash.0[31] < 0x7f);
    bench.reconfigure(with(&[backup()]));
    serve(&mut bench, 1);
    bench.wait(31.0);
    assert_eq!(bench.faults(0), [Fault::Removed]);
    let reply = bench.submit(rig, &block);
    assert!(
        reply.contains("the connection to this job's pool is gone"),
        "{reply}"
    );
    let [kept] = bench.kept.as_slice() else {
        panic!("{:?}", bench.kept);
    };
    assert_eq!(kept.upstream, "primary");
}

#[test]
fn a_start_is_for_all_where_the_difficulty_is_fixed() {
    let (mut bench, rig) = Bench::mining();
    let easy = grind_where(&bench.rigs[rig], |hash| {
        let reached = hash.to_target().difficulty().to_f64();
        (EASY..16.0 * EASY).contains(&reached)
    });
    let heard = bench.rigs[rig].heard.len();
    let mut harder = config();
    harder.difficulty.start = Some(difficulty(EASY * 16.0));
    bench.reconfigure(harder);
    assert_eq!(heard_since(&bench, rig, heard), "difficulty work");
    assert_eq!(bench.rigs[rig].difficulty, EASY * 16.0);
    assert_eq!(
        outline(&[bench.submit(rig, &easy)]),
        "9=",
        "it was easy work"
    );
    bench.mine(rig);
    let newcomer = bench.start_miner("farm.other");
    assert_eq!(bench.rigs[newcomer].difficulty, EASY * 16.0);
}

#[test]
fn who_asked_for_a_difficulty_keeps_it_within_the_new_bounds() {
    let (mut bench, rig) = Bench::mining();
    let suggest = |value: f64| {
        format!(r#"{{"id":4,"method":"mining.suggest_difficulty","params":[{value}]}}"#)
    };
    bench.say(rig, &suggest(EASY * 4.0));
    let mut changed = config();
    changed.difficulty.start = Some(difficulty(EASY * 16.0));
    bench.reconfigure(changed.clone());
    assert_eq!(bench.rigs[rig].difficulty, EASY * 4.0);
    changed.difficulty.max = Some(difficulty(EASY * 2.0));
    changed.difficulty.start = Some(difficulty(EASY));
    bench.reconfigure(changed);
    assert_eq!(bench.rigs[rig].difficulty, EASY * 2.0);
    assert!(bench.rigs[rig].is_settled());
}

#[test]
fn what_was_measured_is_only_brought_within_the_new_bounds() {
    let mut tuned = config();
    tuned.difficulty.vardiff = true;
    let mut bench = Bench::with_work(tuned.clone());
    let rig = bench.start_miner("farm.rig");
    let heard = bench.rigs[rig].heard.len();
    tuned.difficulty.start = Some(difficulty(EASY * 4.0));
    bench.reconfigure(tuned.clone());
    assert_eq!(
        bench.rigs[rig].heard.len(),
        heard,
        "a start is for newcomers"
    );
    tuned.difficulty.min = difficulty(EASY * 2.0);
    bench.reconfigure(tuned);
    assert_eq!(heard_since(&bench, rig, heard), "difficulty work");
    assert_eq!(bench.rigs[rig].difficulty, EASY * 2.0);
}

#[test]
fn many_miners_share_the_work_that_comes_with_their_new_difficulty() {
    let mut bench = Bench::with_work(config());
    for number in 0..20 {
        bench.start_miner(&format!("farm.rig{number}"));
    }
    bench.wait(2.0);
    let mut harder = config();
    harder.difficulty.start = Some(difficulty(EASY * 16.0));
    bench.reconfigure(harder);
    let works = bench.rigs.iter().map(|rig| rig.work().job_id.to_string());
    let works: std::collections::HashSet<_> = works.collect();
    assert_eq!(works.len(), 1);
    assert!(bench.rigs.iter().all(|rig| rig.difficulty == EASY * 16.0));
}

/// A configuration with two listeners.
fn two_listeners() -> Config {
    let listener = ListenerConfig {
        difficulty: config().difficulty,
        user: UserTemplate::default(),
    };
    Config {
        listeners: vec![listener.clone(), listener],
        ..config()
    }
}

#[test]
fn a_listeners_difficulty_and_names_are_for_its_own_miners() {
    let mut bench = Bench::with_work(two_listeners());
    let peer = |port| SocketAddr::from(([192, 0, 2, 9], port));
    let rigs = [0, 1].map(|listener| {
        let rig = bench.try_connect_to(ListenerId(listener), peer(1_000));
        bench.set_up(rig.unwrap(), "farm.rig");
        rig.unwrap()
    });
    let heard = bench.rigs[rigs[0]].heard.len();
    let mut changed = two_listeners();
    changed.listeners[1].difficulty.start = Some(difficulty(EASY * 4.0));
    changed.listeners[1].user = UserTemplate::parse("second.{worker}").unwrap();
    bench.reconfigure(changed.clone());
    assert_eq!(bench.rigs[rigs[0]].heard.len(), heard);
    assert_eq!(bench.rigs[rigs[1]].difficulty, EASY * 4.0);
    bench.mine(rigs[1]);
    let name = bench.shares(0)[0].1.map(|name| name.to_string());
    assert_eq!(name.as_deref(), Some("second.rig"));
    let third = ListenerConfig {
        difficulty: config().difficulty,
        user: UserTemplate::default(),
    };
    changed.listeners.push(third);
    bench.reconfigure(changed);
    let rig = bench.try_connect_to(ListenerId(2), peer(1_001)).unwrap();
    bench.set_up(rig, "farm.rig");
    assert_eq!(bench.rigs[rig].difficulty, EASY);
    let counters = bench.statistics().listeners;
    let miners: Vec<_> = counters.iter().map(|listener| listener.miners).collect();
    assert_eq!(miners, [1, 1, 1]);
}

/// A share whose version rolls some bits.
fn rolling(bench: &Bench, rig: usize, bits: u32) -> Found {
    let mut found = Found {
        version_bits: Some(bits),
        ..grind_where(&bench.rigs[rig], |_| true)
    };
    found.hash = hash_of(&bench.rigs[rig], &found);
    while found.reached() < EASY {
        found.nonce += 1;
        found.hash = hash_of(&bench.rigs[rig], &found);
    }
    found
}

#[test]
fn a_mask_is_told_with_work_and_earlier_work_counts_as_it_was_rolled() {
    let (mut bench, rig) = Bench::mining();
    let wide = rolling(&bench, rig, 0x1000_0000);
    let heard = bench.rigs[rig].heard.len();
    let narrow = Config {
        version_mask: VersionMask::new(0x0fff_e000),
        ..config()
    };
    bench.reconfigure(narrow);
    assert_eq!(heard_since(&bench, rig, heard), "mask:0fffe000 work");
    assert_eq!(outline(&[bench.submit(rig, &wide)]), "9=");
    let outside = Found {
        version_bits: Some(0x1000_0000),
        ..grind(&bench.rigs[rig])
    };
    let reply = bench.submit(rig, &outside);
    assert!(reply.contains("version"), "{reply}");
    bench.mine(rig);
    let heard = bench.rigs[rig].heard.len();
    bench.reconfigure(config());
    assert_eq!(heard_since(&bench, rig, heard), "mask:1fffe000 work");
    let wide = rolling(&bench, rig, 0x1000_0000);
    assert_eq!(outline(&[bench.submit(rig, &wide)]), "9=");
}

#[test]
fn limits_count_for_those_who_come_from_now_on() {
    let mut bench = Bench::with_work(config());
    let rigs = [(); 3].map(|()| bench.start_miner("farm.rig"));
    bench.reconfigure(Config {
        max_miners: 2,
        ..config()
    });
    assert!(rigs.iter().all(|rig| bench.closed(*rig).is_none()));
    assert!(bench.try_connect().is_none());
    assert!(has_logged(&bench, "limits.max_miners"));
    bench.reconfigure(Config {
        max_miners: 4,
        ..config()
    });
    assert!(bench.try_connect().is_some());
}

#[test]
fn time_limits_count_from_the_next_look_on() {
    let (mut bench, rig) = Bench::mining();
    bench.wait(20.0);
    let heard = bench.rigs[rig].heard.len();
    bench.reconfigure(Config {
        keepalive: Duration::from_secs(10),
        release_after: Some(Duration::from_secs(5)),
        retry_min: Duration::from_secs(30),
        ..config()
    });
    bench.wait(0.1);
    assert_eq!(heard_since(&bench, rig, heard), "work");
    bench.lose(0, "connection lost");
    bench.wait(8.0);
    assert!(bench.closed(rig).is_some());
    assert_eq!(bench.pools[0].dials, 1, "the next attempt takes longer");
}

#[test]
fn own_channels_follow_the_farm_to_another_upstream() {
    let per_user = |upstreams: &[UpstreamConfig]| Config {
        channel: ChannelMode::PerUser,
        ..with(upstreams)
    };
    let mut bench = Bench::with_work(per_user(&[primary()]));
    let rig = bench.start_miner("alice.rig");
    serve(&mut bench, 1);
    assert_eq!(works_for(&bench, rig), 1);
    assert_eq!(bench.reconfigure(per_user(&[backup()])), [2]);
    assert_eq!(works_for(&bench, rig), 1, "all have work");
    serve(&mut bench, 2);
    assert_eq!(works_for(&bench, rig), 2);
    serve(&mut bench, 3);
    assert_eq!(works_for(&bench, rig), 3);
    bench.mine(rig);
    bench.say(rig, &grind(&bench.rigs[rig]).line("alice.rig"));
    assert_eq!(bench.shares(3).len(), 1);
    bench.wait(31.0);
    assert_eq!(bench.faults(1), [Fault::NotNeeded]);
    assert_eq!(bench.faults(0), [Fault::Removed]);
    assert!(bench.faults(2).is_empty() && bench.faults(3).is_empty());
}

#[test]
fn who_stops_takes_no_other_configuration() {
    let (mut bench, _) = Bench::mining();
    bench.stop();
    bench.reconfigure(with(&[backup()]));
    bench.wait(60.0);
    assert_eq!(bench.pools.len(), 1);
}
