//! From the pool's jobs to the miners' notifies.

use sv2::messages::mining::{SetExtranoncePrefix, SetGroupChannel, SetTarget};
use sv2::types::{B0_32, ChannelId, JobId, U256};

use crate::bench::{
    Bench, EASY, config, difficulty_target, grind, grind_where, job, outline, prev_hash,
};

#[test]
fn a_future_job_waits_for_its_block_and_then_goes_out_clean() {
    let (mut bench, rig) = Bench::mining();
    let heard = bench.rigs[rig].heard.len();
    bench.tell(0, job(100, 2, None));
    bench.tell(0, job(100, 3, None));
    assert_eq!(
        bench.rigs[rig].heard.len(),
        heard,
        "a future job is not for miners yet"
    );
    bench.tell(0, prev_hash(100, 3, 77));
    assert_eq!(outline(&bench.rigs[rig].heard[heard..]), "work:clean");
    let work = bench.rigs[rig].work();
    assert_eq!(work.prev_hash[..4], 77_u32.to_le_bytes());
    assert!(
        work.coinb1.starts_with(b"coinbase start \x03"),
        "job 3, not 2"
    );
    assert_eq!(bench.statistics().new_blocks, 2);
}

#[test]
fn a_job_of_the_same_block_goes_out_without_voiding_the_last() {
    let (mut bench, rig) = Bench::mining();
    let earlier = grind(&bench.rigs[rig]);
    let heard = bench.rigs[rig].heard.len();
    bench.deal_job(0, 2);
    assert_eq!(outline(&bench.rigs[rig].heard[heard..]), "work");
    assert_eq!(
        outline(&[bench.submit(rig, &earlier)]),
        "9=",
        "the previous job of the block is good"
    );
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
    let jobs: Vec<_> = bench
        .shares(0)
        .iter()
        .map(|(share, _)| share.job_id)
        .collect();
    assert_eq!(jobs, [JobId(1), JobId(2)]);
}

#[test]
fn every_notify_has_an_id_of_its_own() {
    let (mut bench, rig) = Bench::mining();
    for id in 2..40 {
        bench.deal_job(0, id);
        bench.wait(31.0);
    }
    let ids: Vec<_> = bench.rigs[rig]
        .notified
        .iter()
        .map(|work| work.job_id)
        .collect();
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
    assert!(
        ids.iter().all(|id| id.as_str().len() <= 8),
        "short, because submits are cut at 1,024 bytes"
    );
}

#[test]
fn a_job_for_the_group_is_for_the_channel() {
    let (mut bench, rig) = Bench::mining();
    let heard = bench.rigs[rig].heard.len();
    bench.tell(0, job(1, 2, None));
    bench.tell(0, prev_hash(1, 2, 2));
    assert_eq!(outline(&bench.rigs[rig].heard[heard..]), "work:clean");
    bench.sent(0);
    bench.mine(rig);
    let (share, _) = bench.shares(0).remove(0);
    assert_eq!(
        share.channel_id,
        ChannelId(100),
        "shares go to the channel, not the group"
    );
}

#[test]
fn the_same_block_told_to_channel_and_group_is_one_block() {
    let (mut bench, rig) = Bench::mining();
    bench.tell(0, job(100, 2, None));
    bench.tell(0, prev_hash(100, 2, 2));
    let heard = bench.rigs[rig].heard.len();
    bench.tell(0, prev_hash(1, 2, 2));
    assert_eq!(bench.rigs[rig].heard.len(), heard);
    assert!(bench.faults(0).is_empty());
}

#[test]
fn after_set_group_channel_the_new_group_counts_and_the_old_one_is_ignored() {
    let (mut bench, rig) = Bench::mining();
    let regroup = |channel| SetGroupChannel {
        group_channel_id: ChannelId(2),
        channel_ids: vec![ChannelId(channel)].try_into().unwrap(),
    };
    bench.tell(0, regroup(999));
    bench.tell(0, job(1, 2, Some(1_700_000_002)));
    bench.tell(0, regroup(100));
    let heard = bench.rigs[rig].heard.len();
    bench.tell(0, job(1, 3, Some(1_700_000_003)));
    assert_eq!(
        bench.rigs[rig].heard.len(),
        heard,
        "on its way to the group that we left"
    );
    bench.tell(0, job(2, 4, Some(1_700_000_004)));
    assert_eq!(outline(&bench.rigs[rig].heard[heard..]), "work");
    assert!(bench.faults(0).is_empty());
}

#[test]
fn a_new_target_counts_for_later_and_future_jobs_and_not_for_the_active_one() {
    let (mut bench, rig) = Bench::mining();
    bench.tell(0, job(100, 2, None));
    let harder = SetTarget {
        channel_id: ChannelId(100),
        maximum_target: U256(difficulty_target(EASY * 64.0)),
    };
    bench.tell(0, harder);
    bench.sent(0);
    let modest = |rig: &crate::bench::Rig| {
        grind_where(rig, |hash| {
            (EASY..EASY * 64.0).contains(&hash.to_target().difficulty().to_f64())
        })
    };
    let share = modest(&bench.rigs[rig]);
    bench.submit(rig, &share);
    assert_eq!(bench.shares(0).len(), 1, "the active job keeps its target");
    bench.deal_job(0, 3);
    let share = modest(&bench.rigs[rig]);
    assert_eq!(
        outline(&[bench.submit(rig, &share)]),
        "9=",
        "good for the miner"
    );
    assert_eq!(bench.shares(0).len(), 0, "a later job has the new target");
    bench.tell(0, prev_hash(100, 2, 2));
    let share = modest(&bench.rigs[rig]);
    bench.submit(rig, &share);
    assert_eq!(
        bench.shares(0).len(),
        0,
        "a job that was future has the new target"
    );
    let share = grind_where(&bench.rigs[rig], |hash| {
        hash.to_target().difficulty().to_f64() >= EASY * 64.0
    });
    bench.submit(rig, &share);
    assert_eq!(bench.shares(0).len(), 1);
}

#[test]
fn a_target_for_the_group_is_for_the_channel() {
    let (mut bench, _) = Bench::mining();
    bench.tell(
        0,
        SetTarget {
            channel_id: ChannelId(1),
            maximum_target: U256(difficulty_target(8.0)),
        },
    );
    assert_eq!(bench.statistics().upstreams[0].difficulty, 8.0);
}

#[test]
fn an_extranonce_prefix_counts_for_jobs_that_come_after_it() {
    let (mut bench, rig) = Bench::mining();
    let old = grind(&bench.rigs[rig]);
    bench.tell(0, job(100, 2, None));
    bench.tell(
        0,
        SetExtranoncePrefix {
            channel_id: ChannelId(100),
            extranonce_prefix: B0_32::new(&[0xbb; 8]).unwrap(),
        },
    );
    bench.sent(0);
    assert_eq!(
        outline(&[bench.submit(rig, &old)]),
        "9=",
        "the old job keeps the old prefix"
    );
    bench.deal_job(0, 3);
    assert!(
        bench.rigs[rig].work().coinb1.ends_with(&[0xbb; 8]),
        "later jobs have the new one"
    );
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
    bench.tell(0, prev_hash(100, 2, 2));
    assert!(
        bench.rigs[rig].work().coinb1.ends_with(&[0xa0; 6]),
        "a future job keeps the one it came with"
    );
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
    let extranonces: Vec<_> = bench
        .shares(0)
        .iter()
        .map(|(share, _)| share.extranonce.to_vec())
        .collect();
    assert_eq!(
        extranonces,
        vec![[0, 16, 0, 0, 0, 0, 0, 0]; 3],
        "slot and extranonce2; the prefix is the pool's"
    );
}

#[test]
fn zeros_fill_what_the_channel_gives_beyond_slot_and_extranonce2() {
    let mut bench = Bench::new(config());
    bench.pools[0].extranonce_size = 16;
    bench.open(0);
    bench.deal_block(0, 1);
    bench.start_miner("farm.other");
    let rig = bench.start_miner("farm.rig");
    bench.sent(0);
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
    let (share, _) = bench.shares(0).remove(0);
    assert_eq!(
        *share.extranonce,
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 1, 0, 0, 0, 0]
    );
}

#[test]
fn a_job_that_forbids_version_rolling_comes_with_mask_zero() {
    let (mut bench, rig) = Bench::mining();
    let plain = bench.connect();
    bench.say(plain, crate::bench::SUBSCRIBE);
    bench.say(plain, crate::bench::AUTHORIZE);
    let heard = [bench.rigs[rig].heard.len(), bench.rigs[plain].heard.len()];
    let mut fixed = job(100, 2, Some(1_700_000_002));
    fixed.version_rolling_allowed = false;
    bench.tell(0, fixed);
    bench.deal_job(0, 3);
    assert_eq!(
        outline(&bench.rigs[rig].heard[heard[0]..]),
        "mask:00000000 work mask:1fffe000 work"
    );
    assert_eq!(outline(&bench.rigs[plain].heard[heard[1]..]), "work work");
}

#[test]
fn a_server_that_fixes_the_version_is_taken_at_its_word() {
    let mut bench = Bench::new(config());
    bench.upstream_connected(0);
    bench.tell(
        0,
        sv2::messages::common::SetupConnectionSuccess {
            used_version: 2,
            flags: 1,
        },
    );
    bench.tell(0, crate::bench::extensions_success());
    let success = bench.pools[0].open_success();
    bench.tell(0, success);
    bench.deal_block(0, 1);
    let rig = bench.start_miner("farm.rig");
    assert_eq!(
        bench.rigs[rig].version_mask,
        Some(0),
        "whatever the job says"
    );
}

#[test]
fn keepalives_have_fresh_ids_and_a_rising_time_that_stops_short_of_two_hours() {
    let (mut bench, rig) = Bench::mining();
    let start = bench.rigs[rig].work().ntime;
    // 10 s of work, then silence for three hours; a sign of life now and then.
    for _ in 0..36 {
        bench.wait(300.0);
        bench.say(rig, r#"{"id":4,"method":"mining.ping","params":[]}"#);
    }
    let notified = &bench.rigs[rig].notified;
    assert_eq!(notified.len(), 1 + 360, "one in 30 s");
    let times: Vec<_> = notified.iter().map(|work| work.ntime - start).collect();
    assert_eq!(times[..3], [0, 30, 60]);
    assert!(
        times
            .windows(2)
            .all(|pair| pair[0] < pair[1] || pair[1] == 7_199)
    );
    assert_eq!(times.last(), Some(&7_199));
    assert!(notified[1..].iter().all(|work| !work.clean_jobs));
    assert_eq!(
        outline(&[bench.mine(rig)]),
        "9=",
        "the last one can still be mined on"
    );
    assert_eq!(bench.statistics().keepalives, 360);
}

#[test]
fn a_job_resets_the_keepalive() {
    let (mut bench, rig) = Bench::mining();
    bench.wait(20.0);
    bench.deal_job(0, 2);
    let heard = bench.rigs[rig].heard.len();
    bench.wait(29.0);
    assert_eq!(bench.rigs[rig].heard.len(), heard);
    bench.wait(1.0);
    assert_eq!(outline(&bench.rigs[rig].heard[heard..]), "work");
}

#[test]
fn at_the_end_of_time_nothing_overflows() {
    let (mut bench, rig) = Bench::mining();
    bench.tell(0, job(100, 2, None));
    let mut last = prev_hash(100, 2, 2);
    last.min_ntime = u32::MAX;
    bench.tell(0, last);
    bench.wait(100.0);
    assert_eq!(bench.rigs[rig].work().ntime, u32::MAX);
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
}

#[test]
fn the_hardest_miners_hear_of_a_block_first() {
    let mut bench = Bench::with_work(config());
    let rigs: Vec<_> = (0..5).map(|_| bench.start_miner("farm.rig")).collect();
    for (rig, power) in rigs.iter().zip([1, 3, 0, 4, 2]) {
        let wish = EASY * f64::from(1 << power);
        bench.say(
            *rig,
            &format!(r#"{{"id":4,"method":"mining.suggest_difficulty","params":[{wish}]}}"#),
        );
    }
    bench.order.clear();
    bench.deal_block(0, 2);
    assert_eq!(bench.order, [3, 1, 4, 0, 2].map(|index| rigs[index]));
}

#[test]
fn one_miner_that_asks_for_ever_new_difficulties_does_not_void_the_others_work() {
    let (mut bench, rig) = Bench::mining();
    let share = grind(&bench.rigs[rig]);
    let restless = bench.start_miner("farm.restless");
    let heard = bench.rigs[restless].heard.len();
    for round in 0..6_000 {
        let wish = EASY * f64::from(1 << (round % 3));
        bench.say(
            restless,
            &format!(r#"{{"id":4,"method":"mining.suggest_difficulty","params":[{wish}]}}"#),
        );
        bench.wait(0.01);
    }
    let work = bench.rigs[restless].heard[heard..]
        .iter()
        .filter(|line| line.contains("mining.notify"));
    assert!(work.count() < 130, "two a second at the most");
    assert_eq!(outline(&[bench.submit(rig, &share)]), "9=");
}

#[test]
fn of_equals_those_here_longest_get_a_job_first() {
    let mut bench = Bench::with_work(config());
    let mut rigs = Vec::new();
    for number in 0..4 {
        bench.wait(0.1);
        rigs.push(bench.start_miner(&format!("farm.{number}")));
    }
    // Whoever comes next may take the place of one that left.
    bench.leave(rigs[0]);
    bench.wait(0.1);
    rigs.push(bench.start_miner("farm.4"));
    bench.order.clear();
    bench.deal_block(0, 2);
    assert_eq!(bench.order, rigs[1..]);
}
