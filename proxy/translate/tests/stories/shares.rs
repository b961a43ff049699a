//! From the miners' shares to the pool's acknowledgement.

use sv2::messages::mining::{SubmitSharesError, SubmitSharesSuccess};
use sv2::types::{ChannelId, SequenceNumber, Str0_255};
use translate::Refusal;

use crate::bench::{
    AUTHORIZE, Bench, EASY, Found, REGTEST, Rig, SUBSCRIBE, config, difficulty_target, grind,
    grind_where, hash_of, job, outline, prev_hash,
};

/// The reply to a share: code and words.
fn refusal(reply: &str) -> (i64, String) {
    let reply: serde_json::Value = serde_json::from_str(reply).unwrap();
    let error = &reply["error"];
    (
        error[0].as_i64().unwrap(),
        error[1].as_str().unwrap().to_owned(),
    )
}

fn easy(rig: &Rig, range: std::ops::Range<f64>) -> Found {
    grind_where(rig, |hash| {
        range.contains(&hash.to_target().difficulty().to_f64())
    })
}

#[test]
fn a_good_share_is_answered_counted_and_sent_as_the_pool_needs_it() {
    let (mut bench, rig) = Bench::mining();
    bench.sent(0);
    let found = grind(&bench.rigs[rig]);
    let line = bench.submit(rig, &found);
    assert_eq!(line, r#"{"id":9,"result":true,"error":null}"#);
    let (share, worker) = bench.shares(0).remove(0);
    assert_eq!(share.channel_id, ChannelId(100));
    assert_eq!(share.sequence_number, SequenceNumber(0));
    assert_eq!(
        (share.nonce, share.ntime, share.version),
        (found.nonce, found.ntime, 0x2000_0000)
    );
    assert_eq!(*share.extranonce, [0, 16, 0, 0, 0, 0, 0, 0]);
    assert_eq!(worker.unwrap().to_string(), "rig");
    let statistics = bench.statistics();
    assert_eq!(
        (statistics.shares_submitted, statistics.shares_accepted),
        (1, 1)
    );
    assert_eq!(statistics.work_accepted, EASY);
    assert_eq!(
        (
            statistics.upstreams[0].shares_sent,
            statistics.upstreams[0].shares_pending
        ),
        (1, 1)
    );
}

#[test]
fn rolled_version_bits_reach_the_pool_within_the_version() {
    let (mut bench, rig) = Bench::mining();
    bench.sent(0);
    let mut found = grind(&bench.rigs[rig]);
    found.version_bits = Some(0x0020_2000);
    while hash_of(&bench.rigs[rig], &found)
        .to_target()
        .difficulty()
        .to_f64()
        < EASY
    {
        found.nonce += 1;
    }
    assert_eq!(outline(&[bench.submit(rig, &found)]), "9=");
    assert_eq!(bench.shares(0)[0].0.version, 0x2020_2000);
}

#[test]
fn sequence_numbers_count_up_from_zero() {
    let (mut bench, rig) = Bench::mining();
    bench.sent(0);
    for _ in 0..5 {
        bench.mine(rig);
    }
    let numbers: Vec<_> = bench
        .shares(0)
        .iter()
        .map(|(share, _)| share.sequence_number.0)
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
}

#[test]
fn worker_names_go_out_only_where_the_pool_wants_them() {
    let mut bench = Bench::new(translate::Config {
        worker_names: false,
        ..config()
    });
    bench.open(0);
    bench.deal_block(0, 1);
    let rig = bench.start_miner("farm.rig");
    bench.sent(0);
    bench.mine(rig);
    assert_eq!(bench.shares(0)[0].1, None);
}

#[test]
fn each_wrong_share_is_refused_with_its_code_and_its_true_reason() {
    let (mut bench, rig) = Bench::mining();
    let good = grind(&bench.rigs[rig]);
    let (ntime, job_id) = (good.ntime, good.job_id.clone());
    let line = |job: &str, extranonce2: &str, ntime: u32, bits: &str| {
        format!(
            r#"{{"id":9,"method":"mining.submit","params":["farm.rig","{job}","{extranonce2}","{ntime:08x}","00000000"{bits}]}}"#
        )
    };
    for (line, code, words) in [
        (line("77", "00000000", ntime, ""), 21, "job not found"),
        (line("zz", "00000000", ntime, ""), 21, "job not found"),
        (
            line(&job_id, "000000", ntime, ""),
            20,
            "extranonce2 has 3 bytes, not 4",
        ),
        (
            line(&job_id, "0000000000", ntime, ""),
            20,
            "extranonce2 has 5 bytes, not 4",
        ),
        (
            line(&job_id, "00000000", ntime - 1, ""),
            20,
            "ntime 6553f100 is before the job's 6553f101",
        ),
        (
            line(&job_id, "00000000", ntime + 7_201, ""),
            20,
            "ntime 65540d22 is over 7200 s after the job's 6553f101",
        ),
        (
            line(&job_id, "00000000", ntime, r#","00000001""#),
            20,
            "version bits 00000001 are outside the mask 1fffe000",
        ),
    ] {
        let reply = bench.say(rig, &line).remove(0);
        assert_eq!(refusal(&reply), (code, words.to_owned()), "{line}");
    }
    let poor = easy(&bench.rigs[rig], 0.0..EASY / 2.0);
    let (code, words) = refusal(&bench.submit(rig, &poor));
    assert_eq!(code, 23);
    assert!(words.starts_with("low difficulty share: "), "{words}");
    assert_eq!(outline(&[bench.submit(rig, &good)]), "9=");
    let reply = bench.submit(rig, &good);
    assert_eq!(refusal(&reply), (22, "duplicate share".to_owned()));
    let rejected: Vec<_> = bench.statistics().shares_rejected.into_iter().collect();
    assert_eq!(
        rejected,
        [
            ("duplicate", 1),
            ("extranonce2-size", 2),
            ("low-difficulty", 1),
            ("ntime-too-new", 1),
            ("ntime-too-old", 1),
            ("unknown-job", 2),
            ("version-bits-outside-mask", 1),
        ]
    );
    assert_eq!(
        bench.shares(0).len(),
        1,
        "nothing that the pool would refuse is sent"
    );
}

#[test]
fn the_highest_time_that_counts_is_7200_s_after_the_jobs() {
    let (mut bench, rig) = Bench::mining();
    let mut found = grind(&bench.rigs[rig]);
    found.ntime += 7_200;
    while hash_of(&bench.rigs[rig], &found)
        .to_target()
        .difficulty()
        .to_f64()
        < EASY
    {
        found.nonce += 1;
    }
    assert_eq!(outline(&[bench.submit(rig, &found)]), "9=");
}

#[test]
fn a_share_before_the_set_up_says_what_is_missing() {
    let mut bench = Bench::with_work(config());
    let rig = bench.connect();
    let line = r#"{"id":9,"method":"mining.submit","params":["farm.rig","0","00000000","6553f101","00000000"]}"#;
    assert_eq!(
        refusal(&bench.say(rig, line)[0]),
        (25, "not subscribed".into())
    );
    bench.say(rig, SUBSCRIBE);
    assert_eq!(
        refusal(&bench.say(rig, line)[0]),
        (24, "worker is not authorized on this connection".into())
    );
}

#[test]
fn a_malformed_share_is_answered_and_counted() {
    let (mut bench, rig) = Bench::mining();
    for (params, words) in [
        (r#"["farm.rig","0"]"#, "5 parameters are needed, not 2"),
        (
            r#"["farm.rig","0","xx","6553f101","00000000"]"#,
            "parameter 3 (extranonce2) is not hex",
        ),
        (
            r#"["farm.rig","0","00000000","6553f101","1 2"]"#,
            "parameter 5 (nonce) is not hex",
        ),
    ] {
        let line = format!(r#"{{"id":9,"method":"mining.submit","params":{params}}}"#);
        assert_eq!(refusal(&bench.say(rig, &line)[0]), (20, words.into()));
    }
    assert_eq!(bench.statistics().shares_rejected["malformed"], 3);
    assert_eq!(bench.statistics().shares_submitted, 3);
}

#[test]
fn rolling_without_configure_is_refused_but_zero_bits_are_none() {
    let mut bench = Bench::with_work(config());
    let rig = bench.connect();
    bench.say(rig, SUBSCRIBE);
    bench.say(rig, AUTHORIZE);
    let mut found = grind(&bench.rigs[rig]);
    found.version_bits = Some(0x0020_0000);
    let (code, words) = refusal(&bench.submit(rig, &found));
    assert_eq!(
        (code, &*words),
        (
            20,
            "version bits without mining.configure of version-rolling"
        )
    );
    found.version_bits = Some(0);
    assert_eq!(outline(&[bench.submit(rig, &found)]), "9=");
}

#[test]
fn rolling_on_a_job_that_forbids_it_is_refused() {
    let (mut bench, rig) = Bench::mining();
    let mut fixed = job(100, 2, Some(1_700_000_002));
    fixed.version_rolling_allowed = false;
    bench.tell(0, fixed);
    let mut found = grind(&bench.rigs[rig]);
    found.version_bits = Some(0x0020_0000);
    let (code, words) = refusal(&bench.submit(rig, &found));
    assert_eq!(
        (code, &*words),
        (20, "this job does not allow version rolling")
    );
    found.version_bits = None;
    assert_eq!(outline(&[bench.submit(rig, &found)]), "9=");
}

#[test]
fn after_a_new_block_shares_of_the_old_one_are_stale() {
    let (mut bench, rig) = Bench::mining();
    let found = grind(&bench.rigs[rig]);
    bench.deal_block(0, 2);
    let reply = bench.submit(rig, &found);
    assert_eq!(
        refusal(&reply),
        (21, "stale: a new block has come since this job".into())
    );
}

#[test]
fn the_same_header_under_a_keepalives_id_is_a_duplicate() {
    let (mut bench, rig) = Bench::mining();
    let mut found = grind(&bench.rigs[rig]);
    bench.submit(rig, &found);
    bench.wait(30.0);
    let keepalive = bench.rigs[rig].work().job_id.to_string();
    assert_ne!(keepalive, found.job_id);
    found.job_id = keepalive;
    assert_eq!(refusal(&bench.submit(rig, &found)).0, 22);
}

#[test]
fn two_miners_may_send_the_same_numbers() {
    let (mut bench, one) = Bench::mining();
    let two = bench.start_miner("farm.rig");
    let found = grind(&bench.rigs[one]);
    assert_eq!(outline(&[bench.submit(one, &found)]), "9=");
    // With another slot the same numbers make another header.
    let reply = bench.submit(two, &found);
    assert!(reply.contains("true") || refusal(&reply).0 == 23, "{reply}");
}

#[test]
fn a_share_below_the_channels_target_counts_for_the_miner_and_is_not_sent() {
    let mut bench = Bench::new(config());
    bench.pools[0].target = difficulty_target(EASY * 1_024.0);
    bench.open(0);
    bench.deal_block(0, 1);
    let rig = bench.start_miner("farm.rig");
    bench.sent(0);
    let found = easy(&bench.rigs[rig], EASY..EASY * 512.0);
    assert_eq!(outline(&[bench.submit(rig, &found)]), "9=");
    assert_eq!(bench.shares(0).len(), 0);
    assert_eq!(bench.statistics().shares_accepted, 1);
}

#[test]
fn what_the_channel_pays_for_counts_though_the_miners_difficulty_is_higher() {
    let (mut bench, rig) = Bench::mining();
    bench.say(
        rig,
        &format!(
            r#"{{"id":4,"method":"mining.suggest_difficulty","params":[{}]}}"#,
            EASY * 64.0
        ),
    );
    bench.sent(0);
    let found = easy(&bench.rigs[rig], EASY * 2.0..EASY * 32.0);
    assert_eq!(outline(&[bench.submit(rig, &found)]), "9=");
    assert_eq!(bench.shares(0).len(), 1);
    let credit = bench.statistics().work_accepted / EASY;
    assert!(
        (0.999..1.001).contains(&credit),
        "credited at the channel's difficulty: {credit}"
    );
}

#[test]
fn a_block_is_sent_at_once_whatever_the_targets_and_reported() {
    let mut bench = Bench::new(config());
    bench.pools[0].target = difficulty_target(1e9);
    bench.open(0);
    bench.tell(0, job(100, 1, None));
    let mut regtest = prev_hash(100, 1, 1);
    regtest.nbits = REGTEST;
    bench.tell(0, regtest);
    let rig = bench.start_miner("farm.rig");
    bench.sent(0);
    let found = easy(&bench.rigs[rig], 1e-9..EASY);
    assert_eq!(
        outline(&[bench.submit(rig, &found)]),
        "9=",
        "below the miner's own difficulty even"
    );
    assert_eq!(bench.shares(0).len(), 1);
    assert_eq!(bench.statistics().blocks_found, 1);
    let report = format!(
        r#"BLOCK FOUND: {} by "farm.rig", sent to primary"#,
        found.hash
    );
    assert!(bench.log().contains(&report), "{:?}", bench.log());
}

fn success(count: u32, last: u32) -> SubmitSharesSuccess {
    SubmitSharesSuccess {
        channel_id: ChannelId(100),
        last_sequence_number: SequenceNumber(last),
        new_submits_accepted_count: count,
        new_shares_sum: u64::from(count),
    }
}

fn error(number: u32) -> SubmitSharesError {
    SubmitSharesError {
        channel_id: ChannelId(100),
        sequence_number: SequenceNumber(number),
        error_code: Str0_255::new("stale-share").unwrap(),
    }
}

/// Sent, accepted, refused and pending shares of the first upstream.
fn account(bench: &Bench) -> [u64; 4] {
    let upstream = &bench.statistics().upstreams[0];
    let rejected = upstream.shares_rejected.values().sum();
    [
        upstream.shares_sent,
        upstream.shares_accepted,
        rejected,
        upstream.shares_pending,
    ]
}

#[test]
fn a_success_covers_a_batch_and_an_error_one_share() {
    let (mut bench, rig) = Bench::mining();
    for _ in 0..11 {
        bench.mine(rig);
    }
    assert_eq!(account(&bench), [11, 0, 0, 11]);
    bench.tell(0, error(4));
    assert_eq!(account(&bench), [11, 0, 1, 10]);
    bench.tell(0, success(9, 9));
    assert_eq!(account(&bench), [11, 9, 1, 1]);
    bench.tell(0, success(1, 10));
    assert_eq!(account(&bench), [11, 10, 1, 0]);
    assert!(
        bench
            .log()
            .contains(&"primary: refused a share that we found good: stale-share".into())
    );
}

#[test]
fn an_error_that_comes_after_the_success_behind_it_leaves_nothing_unanswered() {
    let (mut bench, rig) = Bench::mining();
    for _ in 0..4 {
        bench.mine(rig);
    }
    bench.tell(0, success(3, 3));
    bench.tell(0, error(1));
    assert_eq!(account(&bench), [4, 3, 1, 0]);
}

#[test]
fn an_upstream_cannot_acknowledge_or_refuse_more_than_was_sent() {
    let (mut bench, rig) = Bench::mining();
    bench.mine(rig);
    bench.tell(0, success(u32::MAX, 7));
    bench.tell(0, error(12));
    assert_eq!(account(&bench), [1, 1, 0, 0]);
    let log = bench.log().join("\n");
    assert!(
        log.contains("acknowledged 4294967295 shares where 1 had no answer"),
        "{log}"
    );
    assert!(
        log.contains("refused a share where none had no answer: stale-share"),
        "{log}"
    );
}

#[test]
fn after_a_change_of_difficulty_work_sent_before_counts_at_the_easier() {
    let (mut bench, rig) = Bench::mining();
    let (one, two) = (
        easy(&bench.rigs[rig], EASY..EASY * 4.0),
        easy(&bench.rigs[rig], EASY * 8.0..1.0),
    );
    bench.say(
        rig,
        &format!(
            r#"{{"id":4,"method":"mining.suggest_difficulty","params":[{}]}}"#,
            EASY * 8.0
        ),
    );
    let work = |bench: &Bench| (bench.statistics().work_accepted / EASY).round();
    assert_eq!(outline(&[bench.submit(rig, &one)]), "9=");
    assert_eq!(work(&bench), 1.0, "credited at what it met");
    assert_eq!(outline(&[bench.submit(rig, &two)]), "9=");
    assert_eq!(work(&bench), 9.0, "and so is this one");
}

#[test]
fn a_share_for_new_work_has_to_meet_the_new_difficulty() {
    let mut bench = Bench::new(config());
    bench.pools[0].target = difficulty_target(1.0);
    bench.open(0);
    bench.deal_block(0, 1);
    let rig = bench.start_miner("farm.rig");
    bench.say(
        rig,
        &format!(
            r#"{{"id":4,"method":"mining.suggest_difficulty","params":[{}]}}"#,
            EASY * 8.0
        ),
    );
    let poor = easy(&bench.rigs[rig], EASY..EASY * 4.0);
    assert_eq!(refusal(&bench.submit(rig, &poor)).0, 23);
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
}

#[test]
fn every_refusal_has_words_a_code_and_a_label_of_its_own() {
    let all = [
        Refusal::NotSubscribed,
        Refusal::UnauthorizedWorker,
        Refusal::Malformed,
        Refusal::UnknownJob,
        Refusal::OtherChannelsJob,
        Refusal::Stale,
        Refusal::UpstreamGone,
        Refusal::VersionRollingNotNegotiated,
        Refusal::VersionRollingNotAllowed,
        Refusal::Duplicate,
    ];
    let distinct = |of: fn(&Refusal) -> String| {
        all.iter()
            .map(of)
            .collect::<std::collections::HashSet<_>>()
            .len()
    };
    assert_eq!(distinct(|refusal| refusal.label().into()), all.len());
    assert_eq!(distinct(ToString::to_string), all.len());
    assert!(
        all.iter()
            .all(|refusal| (20..=25).contains(&refusal.code().code()))
    );
}

#[test]
fn a_miner_that_floods_is_raised_at_once_and_its_surplus_counts() {
    let mut tuned = config();
    tuned.difficulty.vardiff = true;
    let mut bench = Bench::new(tuned);
    bench.pools[0].target = difficulty_target(1.0);
    bench.open(0);
    bench.deal_block(0, 1);
    let rig = bench.start_miner("farm.rig");
    let first: Vec<_> = (0..60).map(|_| grind(&bench.rigs[rig])).collect();
    for found in &first {
        assert_eq!(outline(&[bench.submit(rig, found)]), "9=");
        bench.wait(0.005);
    }
    let raised = bench.rigs[rig].difficulty;
    assert!(
        raised >= EASY * 256.0,
        "after 24 shares in 0.1 s: {}",
        raised / EASY
    );
    assert_eq!(bench.statistics().shares_accepted, 60);
}

#[test]
fn a_silent_miner_is_lowered_with_fresh_work() {
    let mut tuned = config();
    tuned.difficulty.vardiff = true;
    let mut bench = Bench::with_work(tuned);
    let rig = bench.start_miner("farm.rig");
    bench.wait(29.0);
    assert!(bench.rigs[rig].difficulty < EASY / 8.0);
    assert!(bench.rigs[rig].is_settled());
}
