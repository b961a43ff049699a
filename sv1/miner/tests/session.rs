//! The session against a scripted server: order of set-up, terms of work, verdicts, refusals.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use serde_json::{Value, json};
use sv1_miner::{
    DifficultyCounts, Event, MAX_UNANSWERED, Roll, Session, SessionError, SessionOptions, Work,
};

/// A session with what it has sent.
struct Script {
    session: Session,
    out: Vec<u8>,
}

fn options() -> SessionOptions {
    SessionOptions {
        user: "farm.rig1".into(),
        password: "x".into(),
        user_agent: "test/1".into(),
        version_rolling: Some(0x1fff_e000),
        suggest_difficulty: None,
        extranonce_subscribe: false,
        difficulty_counts: DifficultyCounts::FromNextJob,
        session_id: None,
    }
}

impl Script {
    fn new(options: SessionOptions) -> Self {
        let mut out = Vec::new();
        Self {
            session: Session::new(options, &mut out),
            out,
        }
    }

    /// A session that is set up, with a mask of `1fffe000`.
    fn mining(options: SessionOptions) -> Self {
        let mut script = Self::new(options);
        let mask = json!({"version-rolling": true, "version-rolling.mask": "1fffe000"});
        script.reply(1, mask);
        script.reply(2, json!([[["mining.notify", "5e55"]], "78070000", 4]));
        assert_eq!(script.reply(3, json!(true)), Some(Event::Authorized));
        script.sent();
        script
    }

    /// The methods and parameters sent since the last look.
    fn sent(&mut self) -> Vec<(String, Value)> {
        let lines = String::from_utf8(std::mem::take(&mut self.out)).unwrap();
        let line = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            (
                line["method"].as_str().unwrap_or_default().into(),
                line["params"].clone(),
            )
        };
        lines.lines().map(line).collect()
    }

    fn line(&mut self, line: &Value) -> Result<Option<Event>, SessionError> {
        self.session
            .handle_line(line.to_string().as_bytes(), &mut self.out)
    }

    fn reply(&mut self, id: u64, result: Value) -> Option<Event> {
        self.line(&json!({"id": id, "result": result, "error": null}))
            .unwrap()
    }

    fn news(&mut self, method: &str, params: Value) -> Option<Event> {
        self.line(&json!({"id": null, "method": method, "params": params}))
            .unwrap()
    }

    fn notify(&mut self, job_id: &str, clean: bool) -> Arc<Work> {
        let hash = "0".repeat(64);
        let params = json!([
            job_id,
            hash,
            "01",
            "02",
            [],
            "20000000",
            "1d00ffff",
            "65e1088a",
            clean
        ]);
        match self.news("mining.notify", params) {
            Some(Event::Work {
                work,
                clean: told,
                new_job: true,
            }) if told == clean => work,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn set_up_goes_configure_subscribe_authorize_each_after_the_reply() {
    let mut script = Script::new(SessionOptions {
        suggest_difficulty: Some(0.5),
        extranonce_subscribe: true,
        session_id: Some("01d".into()),
        ..options()
    });
    let offer = json!([
        ["version-rolling"],
        {"version-rolling.mask": "1fffe000", "version-rolling.min-bit-count": 2}
    ]);
    assert_eq!(script.sent(), [("mining.configure".into(), offer)]);
    script.reply(
        1,
        json!({"version-rolling": true, "version-rolling.mask": "1fffe000"}),
    );
    let subscribe = ("mining.subscribe".into(), json!(["test/1", "01d"]));
    assert_eq!(script.sent(), [subscribe]);
    script.reply(2, json!([[["mining.notify", "5e55"]], "78070000", 4]));
    assert_eq!(script.session.session_id(), Some("5e55"));
    let authorize = ("mining.authorize".into(), json!(["farm.rig1", "x"]));
    assert_eq!(script.sent(), [authorize]);
    assert_eq!(script.reply(3, json!(true)), Some(Event::Authorized));
    let wishes = [
        ("mining.suggest_difficulty".into(), json!([0.5])),
        ("mining.extranonce.subscribe".into(), json!([])),
    ];
    assert_eq!(script.sent(), wishes);
}

#[test]
fn without_version_rolling_there_is_no_configure_and_no_sixth_parameter() {
    let mut script = Script::new(SessionOptions {
        version_rolling: None,
        ..options()
    });
    assert_eq!(script.sent()[0].0, "mining.subscribe");
    script.reply(1, json!([[], "78070000", 4]));
    script.reply(2, json!(true));
    let work = script.notify("1", true);
    script.sent();
    assert!(
        script
            .session
            .submit(&work.share(&Roll::default(), 7), &mut script.out)
    );
    let params = json!(["farm.rig1", "1", "00000000", "00000000", "00000007"]);
    assert_eq!(script.sent(), [("mining.submit".into(), params)]);
}

#[test]
fn a_refused_configure_leaves_the_sixth_parameter_out() {
    for reply in [json!({"version-rolling": false}), json!({}), json!(null)] {
        let mut script = Script::new(options());
        script.reply(1, reply);
        script.reply(2, json!([[], "78070000", 4]));
        assert_eq!(script.notify("1", true).version_mask, None);
    }
}

#[test]
fn difficulty_counts_from_the_next_job_or_at_once() {
    let mut script = Script::mining(options());
    assert_eq!(script.news("mining.set_difficulty", json!([8])), None);
    assert_eq!(script.notify("1", true).difficulty, 8.0);
    assert_eq!(script.news("mining.set_difficulty", json!([16])), None);
    assert_eq!(script.notify("2", false).difficulty, 16.0);

    let at_once = DifficultyCounts::AtOnce;
    let mut script = Script::mining(SessionOptions {
        difficulty_counts: at_once,
        ..options()
    });
    script.notify("1", true);
    match script.news("mining.set_difficulty", json!([16])) {
        Some(Event::Work {
            work,
            clean: false,
            new_job: false,
        }) => {
            assert_eq!((work.difficulty, work.notify.job_id.as_str()), (16.0, "1"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_extranonce_counts_from_the_next_job() {
    let mut script = Script::mining(options());
    let first = script.notify("1", true);
    assert_eq!(
        (first.extranonce1.as_bytes(), first.extranonce2_size),
        (&[0x78, 7, 0, 0][..], 4)
    );
    assert_eq!(
        script.news("mining.set_extranonce", json!(["abcd", 6])),
        None
    );
    let second = script.notify("2", true);
    assert_eq!(
        (second.extranonce1.as_bytes(), second.extranonce2_size),
        (&[0xab, 0xcd][..], 6)
    );
}

#[test]
fn a_new_version_mask_counts_at_once_and_zero_forbids() {
    let mut script = Script::mining(options());
    assert_eq!(script.notify("1", true).version_mask, Some(0x1fff_e000));
    match script.news("mining.set_version_mask", json!(["00000000"])) {
        Some(Event::Work {
            work,
            new_job: false,
            ..
        }) => {
            let roll = Roll {
                version_bits: u32::MAX,
                ..Roll::default()
            };
            assert_eq!(work.share(&roll, 0).version_bits, Some(0));
            assert_eq!(work.header(&roll)[..4], 0x2000_0000_u32.to_le_bytes());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn verdicts_are_matched_by_id_whatever_their_order() {
    let mut script = Script::mining(options());
    let work = script.notify("1", true);
    for nonce in 0..3 {
        assert!(
            script
                .session
                .submit(&work.share(&Roll::default(), nonce), &mut script.out)
        );
    }
    assert_eq!(script.session.unanswered(), 3);
    assert_eq!(script.reply(6, json!(true)), Some(Event::Accepted));
    let stale = json!({"id": 4, "result": null, "error": [21, "job not found", null]});
    match script.line(&stale).unwrap() {
        Some(Event::Rejected(error)) => assert_eq!(error.code, 21),
        other => panic!("{other:?}"),
    }
    match script.reply(5, json!(false)) {
        Some(Event::Rejected(error)) => assert_eq!(&*error.message, "refused without an error"),
        other => panic!("{other:?}"),
    }
    assert_eq!(script.session.unanswered(), 0);
    // Answered before, or never asked.
    assert_eq!(script.reply(5, json!(true)), None);
    assert_eq!(script.reply(999, json!(true)), None);
}

#[test]
fn unanswered_shares_are_bounded() {
    let mut script = Script::mining(options());
    let share = script.notify("1", true).share(&Roll::default(), 0);
    for _ in 0..MAX_UNANSWERED {
        assert!(script.session.submit(&share, &mut script.out));
    }
    assert!(!script.session.submit(&share, &mut script.out));
    script.reply(4, json!(true));
    assert!(script.session.submit(&share, &mut script.out));
}

#[test]
fn refusals_of_the_set_up_end_the_session_with_their_words() {
    let refused = |id: u64| json!({"id": id, "result": null, "error": [24, "who are you", null]});
    let mut script = Script::new(options());
    script.reply(1, json!({}));
    let error = script.line(&refused(2)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "server refused the subscription: who are you"
    );

    let mut script = Script::new(options());
    script.reply(1, json!({}));
    script.reply(2, json!([[], "78070000", 4]));
    let error = script.line(&refused(3)).unwrap_err();
    assert_eq!(error.to_string(), "server refused the worker: who are you");

    let mut script = Script::new(options());
    script.reply(1, json!({}));
    let size = json!({"id": 2, "result": [[], "78070000", 33], "error": null});
    let expected = SessionError::ExtranonceSizeOutOfRange(33);
    assert_eq!(script.line(&size), Err(expected));

    let mut script = Script::mining(options());
    let error = script
        .session
        .handle_line(b"hello", &mut Vec::new())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "server sent what is no message: line is not JSON at byte 1"
    );
}

#[test]
fn what_the_server_asks_is_answered() {
    let mut script = Script::mining(options());
    script
        .line(&json!({"id": "v", "method": "client.get_version", "params": []}))
        .unwrap();
    script
        .line(&json!({"id": 9, "method": "mining.ping", "params": []}))
        .unwrap();
    script
        .line(&json!({"id": 10, "method": "mining.dance", "params": []}))
        .unwrap();
    let answers = String::from_utf8(script.out).unwrap();
    let expected = concat!(
        r#"{"id":"v","result":"test/1","error":null}"#,
        "\n",
        r#"{"id":9,"result":"pong","error":null}"#,
        "\n",
        r#"{"id":10,"result":null,"error":[-3,"method not found",null]}"#,
        "\n"
    );
    assert_eq!(answers, expected);
}

#[test]
fn reconnect_and_messages_are_passed_on() {
    let mut script = Script::mining(options());
    assert_eq!(
        script.news("client.reconnect", json!([])),
        Some(Event::Reconnect(None))
    );
    let message = script.news("client.show_message", json!(["hello"]));
    assert_eq!(message, Some(Event::Message("hello".into())));
    assert_eq!(script.news("mining.unheard_of", json!([1])), None);
}

#[test]
fn jobs_before_the_subscription_wait_for_nothing() {
    let mut script = Script::new(options());
    let hash = "0".repeat(64);
    let params = json!([
        "1",
        hash,
        "01",
        "02",
        [],
        "20000000",
        "1d00ffff",
        "65e1088a",
        true
    ]);
    assert_eq!(script.news("mining.notify", params), None);
}
