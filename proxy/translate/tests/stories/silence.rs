//! Silent upstreams: asked for a sign of life, and left when none comes.

use std::time::Duration;

use sv2::messages::common::ChannelEndpointChanged;
use sv2::messages::mining::{CloseChannel, SetGroupChannel};
use sv2::types::{ChannelId, RequestId, Str0_255};
use translate::{Config, Fault};

use crate::bench::{Bench, config, outline, upstream};

#[test]
fn an_upstream_that_hangs_is_left_for_the_other_within_15_s_by_one_notify() {
    let (mut bench, rig) = Bench::with_backup();
    bench.deal_job(0, 2);
    bench.pools[0].hangs = true;
    let heard = bench.rigs[rig].heard.len();
    bench.wait(12.9);
    assert!(bench.faults(0).is_empty());
    bench.wait(0.2);
    assert_eq!(bench.faults(0), [Fault::Silent(13)]);
    assert_eq!(outline(&bench.rigs[rig].heard[heard..]), "work:clean");
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
    assert_eq!(bench.shares(1).len(), 1);
    assert!(bench.log().iter().any(|line| {
        line.starts_with(
            "primary: silent for 13 s, also when asked for a sign of life; next attempt in ",
        )
    }));
}

#[test]
fn as_an_upstream_is_left_its_job_is_not_handed_out_once_more() {
    let mut bench = Bench::new(Config {
        upstreams: vec![upstream("primary", 0), upstream("backup", 1)],
        // What a silent upstream is given.
        keepalive: Duration::from_secs(13),
        ..config()
    });
    for pool in [0, 1] {
        bench.open(pool);
        bench.deal_block(pool, 1);
    }
    let rig = bench.start_miner("farm.rig");
    bench.pools[0].hangs = true;
    let heard = bench.rigs[rig].heard.len();
    bench.wait(13.0);
    assert_eq!(bench.faults(0), [Fault::Silent(13)]);
    assert_eq!(outline(&bench.rigs[rig].heard[heard..]), "work:clean");
}

#[test]
fn a_quiet_upstream_that_answers_is_kept_and_asked_six_times_a_minute_at_most() {
    let (mut bench, rig) = Bench::mining();
    bench.wait(1.0);
    for _ in 0..16 {
        bench.deal_job(0, 2);
        bench.wait(30.0);
    }
    assert!(bench.faults(0).is_empty());
    let probes = bench.pools[0].probes.len();
    assert!((16..=48).contains(&probes), "{probes} in eight minutes");
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
}

#[test]
fn an_upstream_that_speaks_often_is_never_asked() {
    let (mut bench, _) = Bench::mining();
    for id in 2..60 {
        bench.wait(7.9);
        bench.deal_job(0, id);
    }
    assert!(bench.pools[0].probes.is_empty());
}

#[test]
fn any_message_is_a_sign_of_life() {
    let (mut bench, _) = Bench::mining();
    bench.wait(1.0);
    bench.pools[0].hangs = true;
    for _ in 0..10 {
        let channel_id = ChannelId(100);
        bench.tell(0, ChannelEndpointChanged { channel_id });
        bench.wait(12.0);
    }
    assert_eq!(bench.pools[0].probes.len(), 10);
    assert!(bench.faults(0).is_empty());
}

#[test]
fn the_request_bears_the_channels_own_identity_and_cannot_be_met() {
    let (mut bench, _) = Bench::mining();
    bench.wait(10.0);
    let probe = &bench.pools[0].probes[0];
    assert_eq!(probe.user_identity.to_string(), "farm");
    assert_eq!(probe.min_extranonce_size, 33);
    assert!(
        probe.request_id > RequestId(1),
        "the channel's was the first"
    );
}

#[test]
fn a_channel_that_is_opened_all_the_same_is_closed_and_what_it_says_is_ignored() {
    let (mut bench, rig) = Bench::mining();
    bench.wait(1.0);
    bench.pools[0].hangs = true;
    bench.wait(9.0);
    bench.sent(0);
    let mut opened = bench.pools[0].open_success();
    opened.request_id = bench.pools[0].probes[0].request_id;
    opened.channel_id = ChannelId(555);
    opened.extranonce_size = 33;
    bench.tell(0, opened);
    let closes = [CloseChannel {
        channel_id: ChannelId(555),
        reason_code: Str0_255::truncated("not-needed"),
    }
    .into()];
    assert_eq!(bench.sent(0), closes);
    let heard = bench.rigs[rig].heard.len();
    bench.tell(0, crate::bench::job(555, 9, None));
    bench.tell(0, crate::bench::prev_hash(555, 9, 9));
    assert_eq!(bench.rigs[rig].heard.len(), heard);
    assert!(bench.faults(0).is_empty());
    assert_eq!(outline(&[bench.mine(rig)]), "9=", "the channel works on");
}

#[test]
fn the_answer_for_our_own_channel_said_twice_closes_nothing() {
    let (mut bench, _) = Bench::mining();
    bench.sent(0);
    let success = bench.pools[0].open_success();
    bench.tell(0, success);
    assert!(bench.sent(0).is_empty() && bench.faults(0).is_empty());
}

#[test]
fn many_closed_channels_and_former_groups_take_up_bounded_room() {
    let (mut bench, _) = Bench::mining();
    for id in 1_000..1_100 {
        let mut opened = bench.pools[0].open_success();
        opened.channel_id = ChannelId(id);
        bench.tell(0, opened);
    }
    bench.tell(0, crate::bench::job(1_099, 9, None));
    assert!(bench.faults(0).is_empty(), "the last ones are known");
    bench.tell(
        0,
        SetGroupChannel {
            group_channel_id: ChannelId(2),
            channel_ids: vec![ChannelId(100)].try_into().unwrap(),
        },
    );
    bench.tell(0, crate::bench::job(1_000, 9, None));
    assert_eq!(bench.faults(0).len(), 1, "the first ones are forgotten");
}

#[test]
fn a_warm_upstream_that_hangs_is_known_for_dead_before_it_is_needed() {
    let (mut bench, rig) = Bench::with_backup();
    bench.pools[1].hangs = true;
    bench.wait(30.0);
    assert_eq!(bench.faults(1), [Fault::Silent(29)]);
    assert_eq!(bench.faults(0), []);
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
}

#[test]
fn a_preferred_upstream_that_hangs_before_it_gets_the_miners_back_does_not_get_them() {
    let (mut bench, rig) = Bench::with_backup();
    bench.lose(0, "connection lost");
    bench.wait(2.0);
    bench.open(0);
    bench.deal_block(0, 1);
    bench.wait(50.0);
    bench.pools[0].hangs = true;
    let heard = bench.rigs[rig].heard.len();
    bench.wait(20.0);
    assert_eq!(bench.faults(0).len(), 1);
    assert!(matches!(bench.faults(0), [Fault::Silent(_)]));
    let new = &bench.rigs[rig].heard[heard..];
    assert!(!outline(new).contains("clean"), "{new:?}");
}

#[test]
fn a_warm_upstream_that_hangs_as_it_is_needed_is_asked_at_once() {
    let (mut bench, _) = Bench::with_backup();
    bench.pools[1].hangs = true;
    bench.wait(15.0);
    bench.lose(0, "connection lost");
    bench.wait(0.0);
    assert_eq!(bench.pools[1].probes.len(), 1);
    bench.wait(5.0);
    assert_eq!(bench.faults(1).len(), 1);
}
