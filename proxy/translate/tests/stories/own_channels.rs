//! Channels of single accounts or miners: each on a connection of its own, none of them between a miner and its work.

use std::time::Duration;

use sv2::message::Message;
use sv2::messages::mining::{CloseChannel, Mining, OpenMiningChannelError};
use sv2::types::{ChannelId, RequestId, Str0_255};
use translate::{ChannelMode, Config};

use crate::bench::{
    AUTHORIZE, Bench, REGTEST, config, extensions_success, grind, grind_where, job, outline,
    prev_hash, setup_success, upstream,
};

/// One upstream, whose first own channel is pool 1.
fn per_user() -> Bench {
    Bench::with_work(Config {
        channel: ChannelMode::PerUser,
        ..config()
    })
}

/// Two upstreams at work, whose first own channel is pool 2.
fn per_user_with_backup() -> Bench {
    let mut bench = Bench::new(Config {
        channel: ChannelMode::PerUser,
        upstreams: vec![upstream("primary", 0), upstream("backup", 1)],
        ..config()
    });
    for pool in [0, 1] {
        bench.open(pool);
        bench.deal_block(pool, 1);
    }
    bench
}

/// Opens a connection's channel and deals its first job.
fn serve(bench: &mut Bench, pool: usize) {
    bench.open(pool);
    bench.deal_block(pool, 1);
}

/// Who the last channel of a connection was asked for.
fn user(bench: &mut Bench, pool: usize) -> String {
    let sent = bench.sent(pool);
    let open = sent.into_iter().find_map(|message| match message {
        Message::Mining(Mining::OpenExtendedMiningChannel(open)) => Some(open),
        _ => None,
    });
    open.expect("a channel was asked for")
        .user_identity
        .to_string()
}

/// Whose job a rig works on, by the extranonce prefix in its coinbase.
fn works_for(bench: &Bench, rig: usize) -> usize {
    let coinbase = &bench.rigs[rig].notified.last().unwrap().coinb1;
    let number = *coinbase.last().unwrap();
    usize::from(number - 0xa0)
}

fn shares(bench: &mut Bench, pool: usize) -> usize {
    bench.shares(pool).len()
}

/// A miner whose connection was cut, subscribed again with its session id.
fn resume(bench: &mut Bench, rig: usize) -> usize {
    let session = bench.rigs[rig].session_id.clone();
    bench.leave(rig);
    let again = bench.connect();
    let subscribe =
        format!(r#"{{"id":2,"method":"mining.subscribe","params":["bench/1.0","{session}"]}}"#);
    bench.say(again, &subscribe);
    again
}

fn submit_as(bench: &mut Bench, rig: usize, worker: &str) -> String {
    let found = grind(&bench.rigs[rig]);
    bench.say(rig, &found.line(worker)).remove(0)
}

#[test]
fn each_account_gets_a_channel_in_its_name_one_after_the_other() {
    let mut bench = per_user();
    let alice = bench.start_miner("alice.rig1");
    let bob = bench.start_miner("bob.rig1");
    let alices_second = bench.start_miner("alice.rig2");
    assert_eq!(
        bench.pools.len(),
        2,
        "the second channel waits for the first"
    );
    for rig in [alice, bob, alices_second] {
        assert_eq!(works_for(&bench, rig), 0, "there is work meanwhile");
    }
    serve(&mut bench, 1);
    assert_eq!(user(&mut bench, 1), "alice");
    assert_eq!(works_for(&bench, alice), 1);
    assert_eq!(works_for(&bench, alices_second), 1);
    assert_eq!(works_for(&bench, bob), 0);
    serve(&mut bench, 2);
    assert_eq!(user(&mut bench, 2), "bob");
    assert_eq!(works_for(&bench, bob), 2);
    let newcomer = bench.start_miner("bob.rig2");
    assert_eq!(works_for(&bench, newcomer), 2, "from its first work on");
}

#[test]
fn the_move_to_an_own_channel_is_one_clean_job() {
    let mut bench = per_user();
    let rig = bench.start_miner("alice.rig");
    let heard = bench.rigs[rig].heard.len();
    serve(&mut bench, 1);
    assert_eq!(outline(&bench.rigs[rig].heard[heard..]), "work:clean");
    assert!(bench.rigs[rig].notified.last().unwrap().clean_jobs);
    bench.deal_job(1, 2);
    assert!(!bench.rigs[rig].notified.last().unwrap().clean_jobs);
}

#[test]
fn shares_go_where_their_job_came_from() {
    let mut bench = per_user();
    let rig = bench.start_miner("alice.rig");
    let late = grind(&bench.rigs[rig]);
    serve(&mut bench, 1);
    assert!(submit_as(&mut bench, rig, "alice.rig").contains("true"));
    assert_eq!((shares(&mut bench, 0), shares(&mut bench, 1)), (0, 1));
    let line = late.line("alice.rig");
    assert!(bench.say(rig, &line).remove(0).contains("true"));
    assert_eq!((shares(&mut bench, 0), shares(&mut bench, 1)), (1, 0));
    let statistics = bench.statistics();
    let primary = &statistics.upstreams[0];
    assert_eq!((primary.shares_sent, primary.own_channels), (2, 1));
}

#[test]
fn the_job_of_another_account_is_not_ours() {
    let mut bench = per_user();
    let alice = bench.start_miner("alice.rig");
    let bob = bench.start_miner("bob.rig");
    serve(&mut bench, 1);
    let alices = bench.rigs[alice].notified.last().unwrap().clone();
    let mut found = grind(&bench.rigs[bob]);
    found.job_id = alices.job_id.to_string();
    let reply = bench.say(bob, &found.line("bob.rig")).remove(0);
    assert!(reply.contains("21"), "{reply}");
    assert!(reply.contains("job of another channel"), "{reply}");
    assert_eq!(shares(&mut bench, 1), 0);
}

#[test]
fn a_refused_channel_concerns_only_the_miners_it_was_for() {
    let mut bench = per_user();
    let alice = bench.start_miner("alice.rig");
    let bob = bench.start_miner("bob.rig");
    bench.upstream_connected(1);
    bench.tell(1, setup_success());
    bench.tell(1, extensions_success());
    let refusal = OpenMiningChannelError {
        request_id: RequestId(1),
        error_code: Str0_255::truncated("unknown-user"),
    };
    bench.tell(1, refusal);
    assert_eq!(works_for(&bench, alice), 0);
    assert!(submit_as(&mut bench, alice, "alice.rig").contains("true"));
    assert_eq!(shares(&mut bench, 0), 1);
    bench.wait(0.1);
    serve(&mut bench, 2);
    assert_eq!(user(&mut bench, 2), "bob");
    assert_eq!(works_for(&bench, bob), 2, "the next one's turn has come");
    let log = bench.log();
    let told =
        |line: &String| line.starts_with("primary/alice: refused to open a channel: unknown-user");
    assert!(log.iter().any(told), "{log:?}");
    bench.wait(5.0);
    serve(&mut bench, 1);
    assert_eq!(works_for(&bench, alice), 1, "it is asked for again");
}

#[test]
fn a_lost_or_closed_own_channel_leaves_nobody_without_work() {
    let mut bench = per_user();
    let rig = bench.start_miner("alice.rig");
    serve(&mut bench, 1);
    let close = CloseChannel {
        channel_id: ChannelId(bench.pools[1].channel),
        reason_code: Str0_255::truncated("maintenance"),
    };
    bench.tell(1, close);
    assert_eq!(works_for(&bench, rig), 0);
    assert!(bench.rigs[rig].notified.last().unwrap().clean_jobs);
    bench.wait(2.0);
    serve(&mut bench, 1);
    assert_eq!(works_for(&bench, rig), 1);
    bench.lose(1, "reset");
    assert_eq!(works_for(&bench, rig), 0);
    assert!(bench.closed(rig).is_none());
}

#[test]
fn miners_with_an_own_channel_mine_on_while_the_farms_is_away() {
    let mut bench = per_user();
    let rig = bench.start_miner("alice.rig");
    serve(&mut bench, 1);
    bench.lose(0, "reset");
    let heard = bench.rigs[rig].heard.len();
    assert!(submit_as(&mut bench, rig, "alice.rig").contains("true"));
    assert_eq!(
        bench.rigs[rig].heard.len(),
        heard + 1,
        "a reply and nothing else"
    );
    assert_eq!(shares(&mut bench, 1), 1);
}

#[test]
fn on_a_switch_all_get_one_clean_job_and_then_their_channels_at_the_other_upstream() {
    let mut bench = per_user_with_backup();
    let alice = bench.start_miner("alice.rig");
    let carol = bench.start_miner("carol.rig");
    serve(&mut bench, 2);
    serve(&mut bench, 3);
    let late = grind(&bench.rigs[alice]);
    let heard = [alice, carol].map(|rig| bench.rigs[rig].heard.len());
    bench.lose(0, "reset");
    for (rig, heard) in [alice, carol].into_iter().zip(heard) {
        assert_eq!(outline(&bench.rigs[rig].heard[heard..]), "work:clean");
        assert_eq!(works_for(&bench, rig), 1);
        assert!(bench.rigs[rig].notified.last().unwrap().clean_jobs);
    }
    bench.shares(2);
    let line = late.line("alice.rig");
    assert!(bench.say(alice, &line).remove(0).contains("true"));
    assert_eq!(
        shares(&mut bench, 2),
        1,
        "late, to the connection that lives"
    );
    serve(&mut bench, 4);
    assert_eq!(works_for(&bench, alice), 4);
    serve(&mut bench, 5);
    assert_eq!(works_for(&bench, carol), 5);
    assert!(
        bench.pools[2].dialled,
        "late shares are welcome for a while"
    );
    bench.wait(31.0);
    for old in [2, 3] {
        let sent = bench.sent(old);
        let closed =
            |message: &Message| matches!(message, Message::Mining(Mining::CloseChannel(_)));
        assert!(sent.iter().any(closed), "{sent:?}");
        assert!(!bench.pools[old].dialled);
    }
    assert_eq!((works_for(&bench, alice), works_for(&bench, carol)), (4, 5));
    let statistics = bench.statistics();
    assert_eq!(statistics.upstreams[0].shares_sent, 1);
    assert_eq!(statistics.upstreams[1].own_channels, 2);
}

#[test]
fn a_channel_that_its_miners_left_is_closed_unless_one_comes_back() {
    let mut bench = per_user();
    let rig = bench.start_miner("alice.rig");
    serve(&mut bench, 1);
    bench.leave(rig);
    bench.wait(50.0);
    let again = bench.start_miner("alice.rig");
    assert_eq!(works_for(&bench, again), 1, "the channel was kept");
    bench.wait(50.0);
    assert!(bench.pools[1].dialled);
    bench.leave(again);
    bench.wait(100.0);
    assert!(!bench.pools[1].dialled);
    bench.start_miner("alice.rig");
    assert!(bench.pools[1].dialled, "opened anew");
}

#[test]
fn each_upstream_is_told_of_the_miners_that_work_for_it() {
    let mut bench = per_user();
    bench.start_miner("alice.rig");
    bench.wait(15.0);
    serve(&mut bench, 1);
    bench.wait(15.0);
    let hashrate = |bench: &mut Bench, pool| {
        let sent = bench.sent(pool);
        let updates = sent.into_iter().filter_map(|message| match message {
            Message::Mining(Mining::UpdateChannel(update)) => Some(update.nominal_hash_rate),
            Message::Mining(Mining::OpenExtendedMiningChannel(open)) => {
                Some(open.nominal_hash_rate)
            }
            _ => None,
        });
        updates.reduce(|_, newest| newest)
    };
    assert_eq!(hashrate(&mut bench, 0), Some(0.0), "nobody is left");
    assert!(hashrate(&mut bench, 1) > Some(0.0));
}

#[test]
fn past_the_limit_miners_share_the_farms_channel() {
    let mut bench = Bench::with_work(Config {
        channel: ChannelMode::PerUser,
        max_channels: 1,
        ..config()
    });
    bench.start_miner("alice.rig");
    let bob = bench.start_miner("bob.rig");
    serve(&mut bench, 1);
    assert_eq!((bench.pools.len(), works_for(&bench, bob)), (2, 0));
    assert_eq!(bench.statistics().limits_met["too-many-channels"], 1);
    assert!(submit_as(&mut bench, bob, "bob.rig").contains("true"));
}

#[test]
fn a_user_without_an_account_works_on_the_farms_channel() {
    let mut bench = per_user();
    let rig = bench.start_miner(".rig");
    bench.wait(5.0);
    assert_eq!((bench.pools.len(), works_for(&bench, rig)), (1, 0));
}

#[test]
fn each_miner_can_have_a_channel_in_its_workers_name() {
    let mut bench = Bench::with_work(Config {
        channel: ChannelMode::PerMiner,
        ..config()
    });
    let rigs = ["farm.rig1", "farm.rig2"].map(|name| bench.start_miner(name));
    serve(&mut bench, 1);
    serve(&mut bench, 2);
    let users = [1, 2].map(|pool| user(&mut bench, pool));
    assert_eq!(users, ["farm.rig1", "farm.rig2"]);
    assert_eq!(rigs.map(|rig| works_for(&bench, rig)), [1, 2]);
}

#[test]
fn a_new_difficulty_comes_with_work_of_the_own_channel() {
    let mut bench = per_user();
    let rig = bench.start_miner("alice.rig");
    serve(&mut bench, 1);
    let wish = 2.0 * bench.rigs[rig].difficulty;
    let line = format!(r#"{{"id":9,"method":"mining.suggest_difficulty","params":[{wish:?}]}}"#);
    let heard = bench.say(rig, &line);
    assert_eq!(outline(&heard), "9= difficulty work");
    assert_eq!(works_for(&bench, rig), 1);
    assert!(submit_as(&mut bench, rig, "alice.rig").contains("true"));
    assert_eq!(shares(&mut bench, 1), 1);
}

#[test]
fn a_quiet_own_channel_is_kept_alive_towards_its_miners() {
    let mut bench = per_user();
    let rig = bench.start_miner("alice.rig");
    serve(&mut bench, 1);
    let notified = bench.rigs[rig].notified.len();
    bench.wait(65.0);
    let new = &bench.rigs[rig].notified[notified..];
    assert_eq!(new.len(), 2, "one in 30 s");
    assert!(new.iter().all(|notify| !notify.clean_jobs));
    assert_eq!(works_for(&bench, rig), 1);
}

#[test]
fn at_the_end_every_channel_is_closed() {
    let mut bench = per_user();
    bench.start_miner("alice.rig");
    serve(&mut bench, 1);
    bench.stop();
    assert!(!bench.pools[0].dialled && !bench.pools[1].dialled);
    assert!(bench.brain.poll_timeout().is_none());
}

#[test]
fn a_resumed_session_comes_back_to_its_own_channel_with_its_pending_shares() {
    let mut bench = Bench::with_work(Config {
        channel: ChannelMode::PerMiner,
        ..config()
    });
    let rig = bench.start_miner("farm.rig");
    serve(&mut bench, 1);
    let pending = grind(&bench.rigs[rig]);
    let again = resume(&mut bench, rig);
    bench.say(again, AUTHORIZE);
    assert_eq!(works_for(&bench, again), 1);
    let reply = bench.say(again, &pending.line("farm.rig")).remove(0);
    assert!(reply.contains("true"), "{reply}");
    assert_eq!((shares(&mut bench, 1), bench.pools.len()), (1, 2));
}

#[test]
fn a_session_that_was_told_another_extranonce_comes_back_to_its_own_channel_too() {
    let mut bench = Bench::new(Config {
        channel: ChannelMode::PerMiner,
        upstreams: vec![upstream("primary", 0), upstream("backup", 1)],
        ..config()
    });
    bench.pools[1].extranonce_size = 6;
    serve(&mut bench, 0);
    serve(&mut bench, 1);
    let rig = bench.start_miner("farm.rig");
    let subscribe = r#"{"id":4,"method":"mining.extranonce.subscribe","params":[]}"#;
    bench.say(rig, subscribe);
    serve(&mut bench, 2);
    bench.lose(0, "reset");
    bench.lose(2, "reset");
    assert_eq!(bench.rigs[rig].extranonce1, [0, 0]);
    let own = bench.pools.len() - 1;
    bench.pools[own].extranonce_size = 6;
    serve(&mut bench, own);
    let pending = grind(&bench.rigs[rig]);
    let again = resume(&mut bench, rig);
    bench.say(again, AUTHORIZE);
    assert_eq!(works_for(&bench, again), own);
    let reply = bench.say(again, &pending.line("farm.rig")).remove(0);
    assert!(reply.contains("true"), "{reply}");
    assert_eq!((shares(&mut bench, own), bench.pools.len()), (1, own + 1));
}

#[test]
fn an_outage_of_the_farms_channel_lets_nobody_go_that_has_an_own_one() {
    let mut bench = Bench::with_work(Config {
        channel: ChannelMode::PerUser,
        release_after: Some(Duration::from_secs(60)),
        ..config()
    });
    let alice = bench.start_miner("alice.rig");
    serve(&mut bench, 1);
    let nobody = bench.start_miner(".rig");
    bench.lose(0, "reset");
    for _ in 0..10 {
        bench.wait(10.0);
        bench.deal_job(
            1,
            1_000 + u32::try_from(bench.rigs[alice].notified.len()).unwrap(),
        );
        bench.say(alice, r#"{"id":9,"method":"mining.ping","params":[]}"#);
    }
    assert!(
        bench.closed(nobody).is_some(),
        "it has had no work for a minute"
    );
    assert!(bench.closed(alice).is_none());
    bench.lose(1, "reset");
    bench.wait(50.0);
    assert!(bench.closed(alice).is_none(), "its minute begins now");
    bench.wait(20.0);
    assert!(bench.closed(alice).is_some());
}

#[test]
fn an_own_channel_without_room_for_its_miners_is_left_to_those_that_fit() {
    let mut bench = per_user();
    let usual = bench.start_miner("alice.rig1");
    bench.pools[1].extranonce_size = 6;
    serve(&mut bench, 1);
    assert_eq!(works_for(&bench, usual), 0, "it stays on the farm's");
    assert!(submit_as(&mut bench, usual, "alice.rig1").contains("true"));
    assert_eq!((shares(&mut bench, 0), shares(&mut bench, 1)), (1, 0));
    let words = "primary/alice: gives 6 bytes of extranonce, too few for 1 of its miners: they stay on the farm's \
                 channel";
    assert!(bench.log().contains(&words.to_owned()), "{:?}", bench.log());
    assert!(bench.statistics().miners_moved.is_empty());
    let heard = bench.rigs[usual].heard.len();
    bench.deal_job(1, 2);
    bench.lose(1, "connection lost");
    assert_eq!(bench.rigs[usual].heard.len(), heard, "it is nobody's loss");
}

#[test]
fn miners_of_a_channel_that_misses_a_block_work_on_the_farms_until_it_has_it() {
    let mut bench = per_user();
    let alice = bench.start_miner("alice.rig");
    let bob = bench.start_miner("bob.rig");
    serve(&mut bench, 1);
    serve(&mut bench, 2);
    bench.wait(20.0);
    bench.deal_block(0, 2);
    bench.deal_block(2, 2);
    bench.wait(9.9);
    assert_eq!(works_for(&bench, alice), 1, "a moment of grace");
    bench.wait(0.2);
    assert_eq!((works_for(&bench, alice), works_for(&bench, bob)), (0, 2));
    let words = "primary/alice: is late with block ";
    let log = bench.log();
    assert!(log.iter().any(|line| line.starts_with(words)), "{log:?}");
    bench.deal_job(1, 3);
    assert_eq!(works_for(&bench, alice), 0, "a job for the old block");
    assert!(submit_as(&mut bench, alice, "alice.rig").contains("true"));
    assert_eq!(shares(&mut bench, 0), 1);
    bench.deal_block(1, 4);
    assert_eq!(works_for(&bench, alice), 1);
    bench.wait(60.0);
    assert_eq!(works_for(&bench, alice), 1);
}

#[test]
fn who_found_no_room_gets_a_channel_as_soon_as_there_is_some() {
    let mut bench = Bench::with_work(Config {
        channel: ChannelMode::PerUser,
        max_channels: 1,
        ..config()
    });
    let alice = bench.start_miner("alice.rig");
    serve(&mut bench, 1);
    let bob = bench.start_miner("bob.rig");
    bench.leave(alice);
    bench.wait(65.0);
    // The first connection retires for a while.
    serve(&mut bench, 2);
    assert_eq!(user(&mut bench, 2), "bob");
    assert_eq!(works_for(&bench, bob), 2);
}

#[test]
fn a_pending_share_of_an_own_channel_counts_before_the_miner_is_authorized_again() {
    let mut bench = per_user();
    let rig = bench.start_miner("alice.rig");
    serve(&mut bench, 1);
    let pending = grind(&bench.rigs[rig]);
    let again = resume(&mut bench, rig);
    let reply = bench.say(again, &pending.line("alice.rig")).remove(0);
    assert!(reply.contains("true"), "{reply}");
    assert_eq!(shares(&mut bench, 1), 1);
}

#[test]
fn a_block_on_an_own_channel_that_is_gone_is_kept() {
    let mut bench = per_user_with_backup();
    let rig = bench.start_miner("alice.rig");
    bench.open(2);
    let channel = bench.pools[2].channel;
    bench.tell(2, job(channel, 1, None));
    let mut regtest = prev_hash(channel, 1, 1);
    regtest.nbits = REGTEST;
    bench.tell(2, regtest);
    let found = grind_where(&bench.rigs[rig], |hash| hash.0[31] < 0x7f);
    bench.lose(0, "reset");
    bench.lose(2, "reset");
    bench.wait(2.0);
    bench.say(rig, &found.line("alice.rig"));
    assert_eq!(bench.kept.len(), 1);
    assert_eq!(bench.kept[0].upstream, "primary");
}

#[test]
fn a_channel_that_nobody_waits_for_any_more_makes_room_for_the_next() {
    let mut bench = per_user();
    bench.start_miner("alice.rig");
    bench.upstream_connected(1);
    bench.lose(1, "reset");
    let bob = bench.start_miner("bob.rig");
    assert!(bench.pools[2].dialled, "and nothing answers");
    bench.leave(bob);
    bench.wait(50.0);
    assert!(!bench.pools[1].dialled, "one at a time");
    bench.wait(15.0);
    serve(&mut bench, 1);
    assert_eq!(works_for(&bench, 0), 1, "once nobody wants the other");
}
