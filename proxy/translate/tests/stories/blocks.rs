//! Solved blocks whose upstream may not have them.

use sv2::bitcoin::{double_sha256, merkle_root};
use sv2::messages::mining::{SubmitSharesError, SubmitSharesSuccess};
use sv2::types::{ChannelId, JobId, SequenceNumber, Str0_255};
use translate::{Event, Severity};

use crate::bench::{
    Bench, EASY, Found, NTIME, REGTEST, config, difficulty_target, grind_where, job, outline,
    prev_hash,
};

/// A miner on a network whose blocks are easy.
fn on_regtest() -> (Bench, usize) {
    let mut bench = Bench::new(config());
    bench.open(0);
    deal_regtest(&mut bench, 1);
    let rig = bench.start_miner("farm.rig");
    (bench, rig)
}

fn deal_regtest(bench: &mut Bench, id: u32) {
    bench.tell(0, job(100, id, None));
    let mut regtest = prev_hash(100, id, id);
    regtest.nbits = REGTEST;
    bench.tell(0, regtest);
}

/// A share that solves a block of that network, or that does not.
fn find(bench: &Bench, rig: usize, block: bool) -> Found {
    grind_where(&bench.rigs[rig], |hash| (hash.0[31] < 0x7f) == block)
}

fn success(count: u32) -> SubmitSharesSuccess {
    SubmitSharesSuccess {
        channel_id: ChannelId(100),
        last_sequence_number: SequenceNumber(count - 1),
        new_submits_accepted_count: count,
        new_shares_sum: u64::from(count),
    }
}

#[test]
fn a_block_solved_while_its_upstream_is_away_is_kept_with_all_that_rebuilds_it() {
    let (mut bench, rig) = on_regtest();
    bench.wait(3.0);
    let found = find(&bench, rig, true);
    bench.lose(0, "connection lost");
    let reply = bench.submit(rig, &found);
    assert!(
        reply.contains("the connection to this job's pool is gone"),
        "{reply}"
    );
    let [kept] = bench.kept.as_slice() else {
        panic!("{:?}", bench.kept);
    };
    assert_eq!(double_sha256(&kept.header), kept.hash.0);
    assert_eq!(kept.hash, found.hash);
    let root = merkle_root(double_sha256(&kept.coinbase), &kept.merkle_path);
    assert_eq!(kept.header[36..68], root);
    let coinbase = [
        b"coinbase start \x01\0\0\0".as_slice(),
        &[0xa0; 6],
        &kept.extranonce,
        b"coinbase end",
    ];
    assert_eq!(kept.coinbase, coinbase.concat());
    assert_eq!(
        (kept.upstream.as_str(), kept.worker.as_str(), kept.sent),
        ("primary", "farm.rig", false)
    );
    assert_eq!((kept.channel_id, kept.job_id), (ChannelId(100), JobId(1)));
    assert_eq!((kept.min_ntime, kept.ntime), (NTIME + 1, found.ntime));
    assert_eq!(kept.job_age.as_secs(), 3);
}

#[test]
fn a_kept_block_is_an_error_in_the_log_and_counted_for_its_upstream() {
    let (mut bench, rig) = on_regtest();
    let found = find(&bench, rig, true);
    bench.lose(0, "connection lost");
    bench.submit(rig, &found);
    let event = bench
        .events
        .iter()
        .find(|event| matches!(event, Event::BlockKept { .. }));
    let event = event.unwrap();
    assert_eq!(event.severity(), Severity::Error);
    let words = format!(
        r#"BLOCK KEPT: {} by "farm.rig" for primary, which was not connected"#,
        found.hash
    );
    assert_eq!(event.to_string(), words);
    let statistics = bench.statistics();
    assert_eq!(statistics.blocks_found, 1);
    assert_eq!(statistics.upstreams[0].blocks_kept, 1);
}

#[test]
fn the_same_block_submitted_again_is_kept_once() {
    let (mut bench, rig) = on_regtest();
    let found = find(&bench, rig, true);
    bench.lose(0, "connection lost");
    bench.submit(rig, &found);
    bench.submit(rig, &found);
    assert_eq!(bench.kept.len(), 1);
}

#[test]
fn a_share_that_solves_no_block_while_its_upstream_is_away_is_not_kept() {
    let (mut bench, rig) = on_regtest();
    let found = find(&bench, rig, false);
    bench.lose(0, "connection lost");
    bench.submit(rig, &found);
    assert!(bench.kept.is_empty());
}

#[test]
fn a_block_of_the_lost_upstream_is_kept_while_another_has_the_miners() {
    let (mut bench, rig) = Bench::with_backup();
    deal_regtest(&mut bench, 2);
    let found = find(&bench, rig, true);
    bench.lose(0, "connection lost");
    bench.submit(rig, &found);
    assert_eq!(bench.kept[0].upstream, "primary");
    assert!(bench.shares(1).is_empty(), "the backup knows no such job");
}

#[test]
fn a_block_that_was_sent_and_never_answered_is_kept_as_the_connection_ends() {
    let (mut bench, rig) = on_regtest();
    let found = find(&bench, rig, true);
    assert_eq!(outline(&[bench.submit(rig, &found)]), "9=");
    assert!(bench.kept.is_empty());
    bench.lose(0, "connection lost");
    assert_eq!((bench.kept[0].hash, bench.kept[0].sent), (found.hash, true));
    let last = bench.log().join("\n");
    assert!(last.contains("for primary, which was sent it and never answered"));
}

#[test]
fn a_block_that_was_answered_is_not_kept() {
    let (mut bench, rig) = on_regtest();
    for _ in 0..2 {
        let found = find(&bench, rig, true);
        bench.submit(rig, &found);
    }
    bench.tell(0, success(1));
    bench.tell(0, error(1));
    bench.lose(0, "connection lost");
    assert!(bench.kept.is_empty());
}

fn error(number: u32) -> SubmitSharesError {
    SubmitSharesError {
        channel_id: ChannelId(100),
        sequence_number: SequenceNumber(number),
        error_code: Str0_255::truncated("stale-share"),
    }
}

#[test]
fn a_block_that_more_shares_followed_than_are_remembered_is_kept() {
    const MOST: u32 = 1 << 16;
    let mut bench = Bench::new(config());
    bench.pools[0].target = difficulty_target(EASY / 1_024.0);
    bench.open(0);
    deal_regtest(&mut bench, 1);
    let rig = bench.start_miner("farm.rig");
    let mut submit = |block| {
        let meets = |top: u8| if block { top < 0x7f } else { top > 0x7f };
        let found = grind_where(&bench.rigs[rig], |hash| meets(hash.0[31]));
        bench.submit(rig, &found);
        bench.pools[0].sent.clear();
        bench.rigs[rig].heard.clear();
        found.hash
    };
    let first = submit(true);
    (0..MOST).for_each(|_| {
        submit(false);
    });
    let last = submit(true);
    // This is about the first ten, of which two are not remembered.
    bench.tell(0, success(10));
    bench.tell(0, success(MOST));
    bench.lose(0, "connection lost");
    let kept: Vec<_> = bench.kept.iter().map(|kept| kept.hash).collect();
    assert_eq!(kept, [first, last], "no answer was about them");
}

#[test]
fn an_answer_about_a_share_that_was_never_sent_releases_no_block() {
    let (mut bench, rig) = on_regtest();
    let found = find(&bench, rig, true);
    bench.submit(rig, &found);
    bench.tell(0, error(7));
    assert_eq!(bench.statistics().upstreams[0].shares_pending, 1);
    let words = "primary: refused a share that was not sent: stale-share";
    assert!(bench.log().contains(&words.to_owned()));
    bench.lose(0, "connection lost");
    assert_eq!(bench.kept.len(), 1);
}

#[test]
fn a_block_is_released_by_the_success_that_reaches_it() {
    let (mut bench, rig) = on_regtest();
    for block in [true, false, true] {
        let found = find(&bench, rig, block);
        bench.submit(rig, &found);
    }
    bench.tell(0, error(0));
    bench.tell(
        0,
        SubmitSharesSuccess {
            last_sequence_number: SequenceNumber(2),
            ..success(1)
        },
    );
    bench.tell(0, success(3));
    bench.lose(0, "connection lost");
    assert!(bench.kept.is_empty());
}

#[test]
fn a_proxy_that_stops_keeps_the_block_that_was_not_answered() {
    let (mut bench, rig) = on_regtest();
    let found = find(&bench, rig, true);
    bench.submit(rig, &found);
    bench.stop();
    assert_eq!(bench.kept.len(), 1);
}

#[test]
fn of_many_blocks_without_an_answer_the_last_sixteen_are_kept() {
    let (mut bench, rig) = on_regtest();
    let mut last = None;
    for _ in 0..40 {
        let found = find(&bench, rig, true);
        bench.submit(rig, &found);
        last = Some(found.hash);
    }
    bench.lose(0, "connection lost");
    assert_eq!(bench.kept.len(), 16);
    assert_eq!(bench.kept.last().map(|kept| kept.hash), last);
}

#[test]
fn a_block_of_a_paused_miner_is_sent_all_the_same() {
    let (mut bench, rig) = on_regtest();
    let bad =
        r#"{"id":9,"method":"mining.submit","params":["farm.rig","0","00","6553f101","00000000"]}"#;
    for _ in 0..50 {
        bench.say(rig, bad);
    }
    let share = find(&bench, rig, false);
    assert!(bench.submit(rig, &share).contains("paused"));
    bench.sent(0);
    let block = find(&bench, rig, true);
    assert_eq!(outline(&[bench.submit(rig, &block)]), "9=");
    assert_eq!(bench.shares(0).len(), 1);
    assert_eq!(bench.statistics().blocks_found, 1);
}
