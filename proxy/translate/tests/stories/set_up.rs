//! From the connection to the first work, in whatever order a firmware goes about it.

use sv2::bitcoin::VersionMask;
use translate::Config;

use crate::bench::{AUTHORIZE, Bench, CONFIGURE, EASY, SUBSCRIBE, config, outline};

/// What the three requests of a set-up lead to, in an order given by their numbers.
fn set_up_in(order: [usize; 3]) -> (Bench, Vec<String>) {
    let mut bench = Bench::with_work(config());
    let rig = bench.connect();
    let lines = [CONFIGURE, SUBSCRIBE, AUTHORIZE];
    let heard = order
        .iter()
        .flat_map(|request| bench.say(rig, lines[*request]))
        .collect();
    (bench, heard)
}

#[test]
fn every_order_of_set_up_leads_to_mask_difficulty_and_work() {
    for (order, expected) in [
        ([0, 1, 2], "1= 2= 3= mask:1fffe000 difficulty work:clean"),
        ([0, 2, 1], "1= 3= 2= mask:1fffe000 difficulty work:clean"),
        ([1, 0, 2], "2= 1= 3= mask:1fffe000 difficulty work:clean"),
        ([2, 0, 1], "3= 1= 2= mask:1fffe000 difficulty work:clean"),
        // A mask granted after the first work comes with the next; the configure reply has told it.
        ([1, 2, 0], "2= 3= difficulty work:clean 1="),
        ([2, 1, 0], "3= 2= difficulty work:clean 1="),
    ] {
        let (bench, heard) = set_up_in(order);
        assert_eq!(outline(&heard), expected, "{order:?}");
        assert!(bench.rigs[0].is_settled());
        assert_eq!(bench.statistics().miners_mining, 1);
    }
}

#[test]
fn the_lines_of_a_set_up_are_exactly_these() {
    let (_, heard) = set_up_in([0, 1, 2]);
    let session = heard[1].split('"').nth(7).unwrap().to_owned();
    assert_eq!(session.len(), 16, "8 bytes that nobody can guess");
    let notify_start = concat!(
        r#"{"id":null,"method":"mining.notify","params":["0","0000000100000000000000000000000000000000000000000000000000000000","#,
        r#""636f696e6261736520737461727420"#,
        "01000000",
        "a0a0a0a0a0a0",
        r#"","636f696e6261736520656e64",["#,
    );
    assert_eq!(
        heard[..5],
        [
            r#"{"id":1,"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"},"error":null}"#.to_owned(),
            format!(
                r#"{{"id":2,"result":[[["mining.set_difficulty","{session}"],["mining.notify","{session}"]],"00100000",4],"error":null}}"#
            ),
            r#"{"id":3,"result":true,"error":null}"#.to_owned(),
            r#"{"id":null,"method":"mining.set_version_mask","params":["1fffe000"]}"#.to_owned(),
            r#"{"id":null,"method":"mining.set_difficulty","params":[0.00000005960464477539063]}"#.to_owned(),
        ]
    );
    assert!(heard[5].starts_with(notify_start), "{}", heard[5]);
    assert!(
        heard[5].ends_with(r#"],"20000000","17034219","6553f101",true]}"#),
        "{}",
        heard[5]
    );
}

/// cgminer takes a reply without a mask for a failure and dials again for ever.
#[test]
fn rolling_that_the_operator_forbids_is_granted_and_taken_back_with_the_first_job() {
    let mut bench = Bench::with_work(Config {
        version_mask: VersionMask::NONE,
        ..config()
    });
    let rig = bench.start_miner("farm.rig");
    let heard = &bench.rigs[rig].heard;
    assert_eq!(
        heard[0],
        r#"{"id":1,"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"},"error":null}"#
    );
    assert_eq!(
        heard[3],
        r#"{"id":null,"method":"mining.set_version_mask","params":["00000000"]}"#
    );
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
}

#[test]
fn without_configure_there_is_no_mask() {
    let mut bench = Bench::with_work(config());
    let rig = bench.connect();
    assert_eq!(outline(&bench.say(rig, SUBSCRIBE)), "2=");
    assert_eq!(
        outline(&bench.say(rig, AUTHORIZE)),
        "3= difficulty work:clean"
    );
    bench.deal_job(0, 2);
    bench.deal_block(0, 3);
    assert_eq!(bench.rigs[rig].version_mask, None);
}

#[test]
fn a_configure_that_comes_late_tells_the_mask_with_the_next_work() {
    let (mut bench, _) = set_up_in([1, 2, 0]);
    let before = bench.rigs[0].heard.len();
    bench.deal_job(0, 2);
    assert_eq!(
        outline(&bench.rigs[0].heard[before..]),
        "mask:1fffe000 work"
    );
    bench.deal_job(0, 3);
    assert_eq!(outline(&bench.rigs[0].heard[before + 2..]), "work");
}

#[test]
fn a_second_configure_is_answered_like_the_first() {
    let (mut bench, heard) = set_up_in([0, 1, 2]);
    assert_eq!(bench.say(0, CONFIGURE), heard[..1]);
    let narrow = r#"{"id":7,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"00c00000"}]}"#;
    let reply = bench.say(0, narrow);
    assert!(
        reply[0].contains(r#""version-rolling.mask":"00c00000""#),
        "{reply:?}"
    );
    let before = bench.rigs[0].heard.len();
    bench.deal_job(0, 2);
    assert_eq!(
        outline(&bench.rigs[0].heard[before..]),
        "mask:00c00000 work"
    );
}

#[test]
fn a_miner_that_cannot_roll_enough_bits_is_told_no_and_gets_no_mask() {
    let mut bench = Bench::with_work(config());
    let rig = bench.connect();
    let greedy = r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"1fffe000","version-rolling.min-bit-count":17}]}"#;
    let reply = bench.say(rig, greedy);
    assert_eq!(
        reply,
        [
            r#"{"id":1,"result":{"version-rolling":false,"version-rolling.mask":"00000000"},"error":null}"#
        ]
    );
    bench.say(rig, SUBSCRIBE);
    assert_eq!(
        outline(&bench.say(rig, AUTHORIZE)),
        "3= difficulty work:clean"
    );
}

#[test]
fn a_second_subscribe_gets_the_same_session_and_everything_anew() {
    let (mut bench, first) = set_up_in([0, 1, 2]);
    let again = bench.say(0, SUBSCRIBE);
    assert_eq!(outline(&again), "2= mask:1fffe000 difficulty work:clean");
    assert_eq!(again[0], first[1], "the same slot and session id");
}

#[test]
fn work_waits_for_the_first_job_and_goes_out_with_it() {
    let mut bench = Bench::new(config());
    let rig = bench.connect();
    let set_up: Vec<_> = [CONFIGURE, SUBSCRIBE, AUTHORIZE]
        .iter()
        .flat_map(|line| bench.say(rig, line))
        .collect();
    assert_eq!(outline(&set_up), "1= 2= 3=");
    bench.open(0);
    bench.deal_block(0, 1);
    assert_eq!(
        outline(&bench.rigs[rig].heard[3..]),
        "mask:1fffe000 difficulty work:clean"
    );
}

#[test]
fn several_workers_share_a_connection_and_each_is_known() {
    let (mut bench, rig) = Bench::mining();
    let second = r#"{"id":4,"method":"mining.authorize","params":["farm.second",null]}"#;
    assert_eq!(
        outline(&bench.say(rig, second)),
        "4=",
        "no second first work"
    );
    bench.pools[0].sent.clear();
    for worker in ["farm.rig", "farm.second"] {
        let found = crate::bench::grind(&bench.rigs[rig]);
        assert_eq!(outline(&bench.say(rig, &found.line(worker))), "9=");
    }
    let shares = bench.shares(0);
    let names: Vec<_> = shares
        .iter()
        .map(|(_, worker)| worker.unwrap().to_string())
        .collect();
    assert_eq!(names, ["rig", "second"]);
    let found = crate::bench::grind(&bench.rigs[rig]);
    assert_eq!(outline(&bench.say(rig, &found.line("farm.third"))), "9!24");
}

#[test]
fn too_many_workers_and_too_long_names_are_refused_and_the_connection_stays() {
    let (mut bench, rig) = Bench::mining();
    let authorize =
        |user: &str| format!(r#"{{"id":4,"method":"mining.authorize","params":["{user}","x"]}}"#);
    for number in 1..64 {
        assert_eq!(
            outline(&bench.say(rig, &authorize(&format!("w{number}")))),
            "4="
        );
    }
    assert_eq!(outline(&bench.say(rig, &authorize("w64"))), "4!20");
    assert_eq!(
        outline(&bench.say(rig, &authorize("w63"))),
        "4=",
        "a known one again"
    );
    assert_eq!(
        outline(&bench.say(rig, &authorize(&"x".repeat(300)))),
        "4!20"
    );
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
}

#[test]
fn requests_that_change_nothing_are_answered_and_the_connection_stays() {
    let mut bench = Bench::with_work(config());
    let rig = bench.connect();
    for (line, expected) in [
        (
            r#"{"id":1,"method":"mining.extranonce.subscribe","params":[]}"#,
            "1=",
        ),
        (
            r#"{"id":2,"method":"mining.multi_version","params":[4]}"#,
            "2=",
        ),
        (
            r#"{"id":3,"method":"mining.get_transactions","params":["0"]}"#,
            "3=",
        ),
        (r#"{"id":"x","method":"mining.ping","params":[]}"#, "\"x\"="),
        (
            r#"{"id":null,"method":"client.get_version","params":[]}"#,
            "null=",
        ),
        (r#"{"id":4,"method":"pong","params":[]}"#, "4!-3"),
        (
            r#"{"id":5,"method":"mining.submit_hashrate","params":[]}"#,
            "5!-3",
        ),
        (r#"{"id":6,"result":"pong","error":null}"#, ""),
        (r#"{"id":7}"#, "7!-3"),
    ] {
        assert_eq!(outline(&bench.say(rig, line)), expected, "{line}");
    }
    assert_eq!(bench.closed(rig), None);
}

#[test]
fn a_suggestion_before_the_set_up_is_the_first_difficulty() {
    let mut bench = Bench::with_work(config());
    let rig = bench.connect();
    let suggestion = r#"{"id":1,"method":"mining.suggest_difficulty","params":[0.0001]}"#;
    assert_eq!(outline(&bench.say(rig, suggestion)), "1=");
    bench.say(rig, SUBSCRIBE);
    assert_eq!(
        outline(&bench.say(rig, AUTHORIZE)),
        "3= difficulty work:clean"
    );
    assert_eq!(
        bench.rigs[rig].difficulty,
        1.0 / 16_384.0,
        "rounded down to a power of two"
    );
}

#[test]
fn a_suggestion_while_mining_comes_with_fresh_work_and_counts_once() {
    let (mut bench, rig) = Bench::mining();
    let suggestion = r#"{"id":4,"method":"mining.suggest_difficulty","params":[0.0001]}"#;
    assert_eq!(outline(&bench.say(rig, suggestion)), "4= difficulty work");
    assert_eq!(bench.rigs[rig].difficulty, 1.0 / 16_384.0);
    assert_eq!(
        outline(&bench.say(rig, suggestion)),
        "4=",
        "repeated every 30 s by some"
    );
    let target = r#"{"id":5,"method":"mining.suggest_target","params":["00001fff00000000000000000000000000000000000000000000000000000000"]}"#;
    let heard = bench.say(rig, target);
    assert_eq!(outline(&heard), "5=", "another wish so soon waits");
    let before = bench.rigs[rig].heard.len();
    bench.wait(1.0);
    assert_eq!(outline(&bench.rigs[rig].heard[before..]), "difficulty work");
    assert_eq!(bench.rigs[rig].difficulty, 1.0 / 8_192.0);
}

#[test]
fn a_wish_that_is_no_difficulty_is_refused() {
    let (mut bench, rig) = Bench::mining();
    for wish in ["0", "-1", "0.0"] {
        let line = format!(r#"{{"id":4,"method":"mining.suggest_difficulty","params":[{wish}]}}"#);
        assert_eq!(outline(&bench.say(rig, &line)), "4!20", "{wish}");
    }
    assert_eq!(bench.rigs[rig].difficulty, EASY);
}

#[test]
fn a_minimum_difficulty_raises_but_never_lowers() {
    let minimum = |value: f64| {
        format!(
            r#"{{"id":1,"method":"mining.configure","params":[["minimum-difficulty"],{{"minimum-difficulty.value":{value}}}]}}"#
        )
    };
    for (value, expected) in [(EASY / 512.0, EASY), (EASY * 3.0, EASY * 4.0)] {
        let mut bench = Bench::with_work(config());
        let rig = bench.connect();
        let reply = bench.say(rig, &minimum(value));
        assert_eq!(
            reply,
            [r#"{"id":1,"result":{"minimum-difficulty":true},"error":null}"#]
        );
        bench.say(rig, SUBSCRIBE);
        bench.say(rig, AUTHORIZE);
        assert_eq!(
            bench.rigs[rig].difficulty, expected,
            "a floor is rounded up"
        );
    }
}

#[test]
fn broken_json_with_an_id_is_answered_and_the_connection_stays() {
    let (mut bench, rig) = Bench::mining();
    let heard = bench.say(
        rig,
        r#"{"id":7,"method":"mining.submit","params":["farm.rig""#,
    );
    assert_eq!(
        heard,
        [r#"{"id":7,"result":null,"error":[20,"line is not JSON at byte 53",null]}"#]
    );
    assert_eq!(bench.closed(rig), None);
}

#[test]
fn a_line_without_an_id_that_cannot_be_read_ends_the_connection() {
    for line in ["hello", "", "{\"id\":", "[]", "\u{0}\u{1}"] {
        let mut bench = Bench::with_work(config());
        let rig = bench.connect();
        assert_eq!(bench.say(rig, line).len(), 0, "{line:?}");
        let reason = bench
            .closed(rig)
            .expect("the connection is closed")
            .to_string();
        assert!(
            reason.starts_with("sent a line that cannot be answered: "),
            "{reason}"
        );
        assert!(
            bench
                .log()
                .iter()
                .any(|line| line.contains("sent a line that cannot be answered"))
        );
    }
}

#[test]
fn a_miner_that_does_not_set_up_is_closed_after_the_setup_timeout() {
    let mut bench = Bench::with_work(config());
    let (silent, subscribed, mining) = (
        bench.connect(),
        bench.connect(),
        bench.start_miner("farm.rig"),
    );
    bench.say(subscribed, SUBSCRIBE);
    bench.wait(59.0);
    assert_eq!(bench.closed(silent), None);
    bench.wait(2.0);
    for rig in [silent, subscribed] {
        let reason = bench.closed(rig).unwrap().to_string();
        assert_eq!(reason, "did not subscribe and authorize within 60 s");
    }
    assert_eq!(bench.closed(mining), None);
}

#[test]
fn a_miner_that_sends_nothing_is_closed_after_the_idle_timeout() {
    let (mut bench, rig) = Bench::mining();
    bench.wait(590.0);
    bench.say(rig, r#"{"id":4,"method":"mining.ping","params":[]}"#);
    bench.wait(595.0);
    assert_eq!(bench.closed(rig), None);
    bench.wait(6.0);
    assert_eq!(
        bench.closed(rig).unwrap().to_string(),
        "sent nothing for 600 s"
    );
}

#[test]
fn a_miner_that_never_got_work_has_nothing_to_say_and_stays() {
    let mut bench = Bench::new(config());
    let rig = bench.start_miner("farm.rig");
    bench.wait(3_600.0);
    assert_eq!(bench.closed(rig), None);
}

#[test]
fn there_are_no_more_miners_than_max_miners() {
    let mut bench = Bench::with_work(Config {
        max_miners: 2,
        ..config()
    });
    let first = bench.connect();
    bench.connect();
    assert_eq!(bench.try_connect(), None);
    bench.leave(first);
    assert!(bench.try_connect().is_some());
}

#[test]
fn slots_of_live_miners_are_distinct_over_many_connections() {
    let mut bench = Bench::with_work(config());
    let mut live = Vec::new();
    for round in 0_usize..300 {
        let rig = bench.start_miner("farm.rig");
        live.push(rig);
        let slots: std::collections::HashSet<_> = live
            .iter()
            .map(|rig| bench.rigs[*rig].extranonce1.clone())
            .collect();
        assert_eq!(slots.len(), live.len());
        if round % 3 != 0 {
            let leaving = live.remove(round % live.len());
            bench.leave(leaving);
        }
        if round % 20 == 0 {
            bench.wait(100.0);
            live.retain(|rig| bench.closed(*rig).is_none());
            bench.deal_job(0, 2 + u32::try_from(round).unwrap());
        }
    }
    let highest = bench
        .rigs
        .iter()
        .map(|rig| rig.extranonce1.clone())
        .max()
        .unwrap();
    assert!(
        highest < vec![0, 16, 0, 250],
        "slots that rested are used again: {highest:?}"
    );
}

#[test]
fn stopping_closes_every_miner_and_channel_and_takes_nobody_in() {
    let (mut bench, rig) = Bench::mining();
    bench.sent(0);
    bench.stop();
    assert_eq!(bench.closed(rig).unwrap().to_string(), "the proxy stops");
    let names: Vec<_> = bench
        .sent(0)
        .iter()
        .map(sv2::message::Message::name)
        .collect();
    assert_eq!(names, ["CloseChannel"]);
    assert_eq!(bench.faults(0), [translate::Fault::Stopping]);
    assert_eq!(bench.try_connect(), None);
    bench.wait(10_000.0);
    assert_eq!(bench.pools[0].dials, 1, "nothing is dialled again");
    assert!(!bench.statistics().upstreams[0].open);
}
