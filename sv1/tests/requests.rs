//! Every method of a miner: the usual form, the forms that real firmware bends it to, and its errors.

#![allow(clippy::unwrap_used)]

use sv1::{
    CallError, Configure, Extranonce2, Id, Incoming, Info, JobId, RejectCode, Request, Submit,
    Subscribe, VersionRolling, parse_call,
};

fn request(line: &str) -> Request {
    match parse_call(line.as_bytes()) {
        Ok(Incoming::Call { request, .. }) => request,
        other => panic!("{line}: {other:?}"),
    }
}

fn error(line: &str) -> CallError {
    parse_call(line.as_bytes()).unwrap_err()
}

/// The words about a call with these parameters.
fn words(method: &str, params: &str) -> String {
    let line = format!(r#"{{"id":7,"method":"{method}","params":{params}}}"#);
    let error = error(&line);
    assert_eq!(error.id, Some(Id::number(7)));
    assert_eq!(error.method.as_deref(), Some(method));
    assert_eq!(error.reject_code(), RejectCode::Other);
    error.to_string()
}

fn share() -> Submit {
    Submit {
        worker: "farm.rig1".into(),
        job_id: JobId::new("1f").unwrap(),
        extranonce2: Extranonce2::new(&[0, 0, 0, 0xab]).unwrap(),
        ntime: 0x65e1_0a65,
        nonce: 0x52a3_41c5,
        version_bits: Some(0x0937_6000),
    }
}

#[test]
fn submit_is_read_in_its_usual_form() {
    let line = r#"{"params": ["farm.rig1", "1f", "000000ab", "65e10a65", "52a341c5", "09376000"], "id": 4, "method": "mining.submit"}"#;
    assert_eq!(request(line), Request::Submit(share()));
}

#[test]
fn submit_is_read_in_its_bent_forms() {
    let submit = |params: &str| {
        request(&format!(
            r#"{{"id":1,"method":"mining.submit","params":[{params}]}}"#
        ))
    };
    // Capitals, `0x`, numbers left unpadded, and a seventh parameter.
    let bent = r#""farm.rig1","1f","0x000000AB","0X65E10A65","52A341C5","9376000","extra""#;
    assert_eq!(submit(bent), Request::Submit(share()));
    // A worker and a job id as numbers, and escapes in text.
    let numbers = submit(r#"12,34,"000000ab","65e10a65","52a341c5""#);
    let expected = Submit {
        worker: "12".into(),
        job_id: JobId::new("34").unwrap(),
        version_bits: None,
        ..share()
    };
    assert_eq!(numbers, Request::Submit(expected.clone()));
    let escaped = submit(r#""\u0031\u0032","34","000000ab","65e10a65","52a341c5",null"#);
    assert_eq!(escaped, Request::Submit(expected.clone()));
    let empty = submit(r#""12","34","000000ab","65e10a65",1386430917,"""#);
    assert_eq!(empty, Request::Submit(expected));
}

#[test]
fn a_bad_submit_says_what_is_wrong_with_it() {
    let long = format!(r#"["w","{}","00","0","0"]"#, "j".repeat(33));
    let longer = format!(r#"["w","1","{}","0","0"]"#, "00".repeat(33));
    for (params, expected) in [
        (r#"["w","1","00"]"#, "5 parameters are needed, not 3"),
        ("[]", "5 parameters are needed, not 0"),
        ("null", "5 parameters are needed, not 0"),
        (r#"{"worker":"w"}"#, "params is not an array"),
        (r#""text""#, "params is not an array"),
        (
            r#"[null,"1","00","0","0"]"#,
            "parameter 1 (worker) is missing",
        ),
        (
            r#"[{},"1","00","0","0"]"#,
            "parameter 1 (worker) is not text",
        ),
        (
            r#"["\ud800","1","00","0","0"]"#,
            "parameter 1 (worker) is not text",
        ),
        (
            r#"["w","a\"b","00","0","0"]"#,
            "parameter 2 (job_id) is not a job id",
        ),
        (
            long.as_str(),
            "parameter 2 (job_id) is longer than 32 bytes",
        ),
        (
            r#"["w","1","0g","0","0"]"#,
            "parameter 3 (extranonce2) is not hex",
        ),
        (
            r#"["w","1","abc","0","0"]"#,
            "parameter 3 (extranonce2) is not hex",
        ),
        (
            longer.as_str(),
            "parameter 3 (extranonce2) is longer than 32 bytes",
        ),
        (r#"["w","1","00","","0"]"#, "parameter 4 (ntime) is not hex"),
        (
            r#"["w","1","00","+1","0"]"#,
            "parameter 4 (ntime) is not hex",
        ),
        (
            r#"["w","1","00","0","123456789"]"#,
            "parameter 5 (nonce) is not hex",
        ),
        (
            r#"["w","1","00","0",4294967296]"#,
            "parameter 5 (nonce) is not hex",
        ),
        (
            r#"["w","1","00","0",true]"#,
            "parameter 5 (nonce) is not hex",
        ),
        (
            r#"["w","1","00","0","0","x"]"#,
            "parameter 6 (version_bits) is not hex",
        ),
        (
            r#"["w","1","00","0","0",[]]"#,
            "parameter 6 (version_bits) is not hex",
        ),
    ] {
        assert_eq!(words("mining.submit", params), expected, "{params}");
    }
}

#[test]
fn subscribe_is_read_whatever_its_parameters_are() {
    let subscribe = |params: &str| match request(&format!(
        r#"{{"id":1,"method":"mining.subscribe"{params}}}"#
    )) {
        Request::Subscribe(Subscribe {
            user_agent,
            session_id,
        }) => (user_agent.map(String::from), session_id.map(String::from)),
        other => panic!("{other:?}"),
    };
    let some = |text: &str| Some(text.to_owned());
    for none in [
        "",
        r#","params":null"#,
        r#","params":[]"#,
        r#","params":{"a":1}"#,
    ] {
        assert_eq!(subscribe(none), (None, None), "{none}");
    }
    assert_eq!(
        subscribe(r#","params":["cgminer/4.11.1"]"#),
        (some("cgminer/4.11.1"), None)
    );
    assert_eq!(
        subscribe(r#","params":["m",null,"host",3333]"#),
        (some("m"), None)
    );
    assert_eq!(
        subscribe(r#","params":["m","5e1"]"#),
        (some("m"), some("5e1"))
    );
    assert_eq!(subscribe(r#","params":[null,"5e1"]"#), (None, some("5e1")));
    assert_eq!(subscribe(r#","params":["",""]"#), (None, None));
    let long = format!(r#","params":["{}","{}"]"#, "ü".repeat(65), "s".repeat(65));
    assert_eq!(subscribe(&long), (some(&"ü".repeat(64)), None));
}

#[test]
fn authorize_is_read_with_and_without_a_password() {
    let authorize = |params: &str| match request(&format!(
        r#"{{"id":1,"method":"mining.authorize","params":{params}}}"#
    )) {
        Request::Authorize { user, password } => (user.into(), password.map(String::from)),
        other => panic!("{other:?}"),
    };
    let user = || String::from("farm.rig1");
    assert_eq!(
        authorize(r#"["farm.rig1","x"]"#),
        (user(), Some("x".into()))
    );
    assert_eq!(
        authorize(r#"["farm.rig1","d=1024",1]"#),
        (user(), Some("d=1024".into()))
    );
    assert_eq!(
        authorize(r#"["farm.rig1",123]"#),
        (user(), Some("123".into()))
    );
    for none in [
        r#"["farm.rig1"]"#,
        r#"["farm.rig1",null]"#,
        r#"["farm.rig1",""]"#,
    ] {
        assert_eq!(authorize(none), (user(), None));
    }
    assert_eq!(authorize(r#"[17]"#), ("17".into(), None));
    assert_eq!(
        words("mining.authorize", "[]"),
        "1 parameters are needed, not 0"
    );
    assert_eq!(
        words("mining.authorize", "[null]"),
        "parameter 1 (user) is missing"
    );
}

#[test]
fn configure_is_read_with_every_extension() {
    let line = r#"{"id":1,"method":"mining.configure","params":[["version-rolling","minimum-difficulty","subscribe-extranonce","info","zap"],{"version-rolling.mask":"1fffe000","version-rolling.min-bit-count":16,"minimum-difficulty.value":150000,"info.sw-version":"xminer-1.2.6","info.hw-id":7}]}"#;
    let expected = Configure {
        version_rolling: Some(VersionRolling {
            mask: 0x1fff_e000,
            min_bit_count: 16,
        }),
        minimum_difficulty: Some(150_000.0),
        subscribe_extranonce: true,
        info: Some(Box::new(Info {
            sw_version: Some("xminer-1.2.6".into()),
            hw_id: Some("7".into()),
            ..Info::default()
        })),
        unknown: vec!["zap".into()],
    };
    assert_eq!(request(line), Request::Configure(Box::new(expected)));
}

#[test]
fn configure_is_read_in_its_bent_forms() {
    let configure = |params: &str| match request(&format!(
        r#"{{"id":1,"method":"mining.configure","params":{params}}}"#
    )) {
        Request::Configure(configure) => *configure,
        other => panic!("{other:?}"),
    };
    let rolling = |mask, min_bit_count| Configure {
        version_rolling: Some(VersionRolling {
            mask,
            min_bit_count,
        }),
        ..Configure::default()
    };
    let names = r#"["version-rolling"]"#;
    // cgminer prints the mask without padding, and no bit count.
    let cgminer = format!(r#"[{names},{{"version-rolling.mask":"ffe000"}}]"#);
    assert_eq!(configure(&cgminer), rolling(0x00ff_e000, 0));
    let text = format!(
        r#"[{names},{{"version-rolling.mask":"0xFFFFFFFF","version-rolling.min-bit-count":"2"}}]"#
    );
    assert_eq!(configure(&text), rolling(u32::MAX, 2));
    for nothing in ["", ",{}", ",null", ",[]", r#","x""#] {
        assert_eq!(
            configure(&format!("[{names}{nothing}]")),
            rolling(u32::MAX, 0)
        );
    }
    // Asked for without the value that it is about: answered with false.
    let refused = configure(r#"[["minimum-difficulty"],{}]"#);
    assert_eq!(refused.unknown, ["minimum-difficulty".into()]);
    assert_eq!(configure("[[],{}]"), Configure::default());
    let many = format!("[[{}]]", vec![r#""x""#; 100].join(","));
    assert_eq!(
        configure(&many).unknown.len(),
        sv1::request::MAX_UNKNOWN_EXTENSIONS
    );
}

#[test]
fn a_bad_configure_says_what_is_wrong_with_it() {
    for (params, expected) in [
        ("[]", "parameter 1 (extensions) is missing"),
        (
            r#"{"version-rolling.mask":"1fffe000"}"#,
            "params is not an array",
        ),
        (
            r#"["version-rolling"]"#,
            "parameter 1 (extensions) is not an array",
        ),
        ("[[{}]]", "parameter 1 (extensions) is not text"),
        (
            r#"[["version-rolling"],{"version-rolling.mask":"xyz"}]"#,
            "parameter 2 (version-rolling.mask) is not hex",
        ),
        (
            r#"[["version-rolling"],{"version-rolling.min-bit-count":-1}]"#,
            "parameter 2 (version-rolling.min-bit-count) is not a number",
        ),
        (
            r#"[["version-rolling"],{"version-rolling.min-bit-count":4294967296}]"#,
            "parameter 2 (version-rolling.min-bit-count) is out of range",
        ),
    ] {
        assert_eq!(words("mining.configure", params), expected, "{params}");
    }
}

#[test]
fn suggestions_are_read_as_numbers_and_as_text() {
    let suggest = |param: &str| {
        request(&format!(
            r#"{{"id":1,"method":"mining.suggest_difficulty","params":[{param}]}}"#
        ))
    };
    for (param, difficulty) in [
        ("1024", 1024.0),
        ("0.00015", 0.00015),
        (r#""512""#, 512.0),
        (r#"" 1e3 ""#, 1000.0),
        ("0", 0.0),
        ("-1", -1.0),
    ] {
        assert_eq!(
            suggest(param),
            Request::SuggestDifficulty(difficulty),
            "{param}"
        );
    }
    for bad in ["1e999", r#""nan""#, r#""inf""#, r#""x""#] {
        let expected = "parameter 1 (difficulty) is not a number";
        assert_eq!(
            words("mining.suggest_difficulty", &format!("[{bad}]")),
            expected
        );
    }
    let missing = "parameter 1 (difficulty) is missing";
    assert_eq!(words("mining.suggest_difficulty", "[]"), missing);
}

#[test]
fn a_suggested_target_is_most_significant_byte_first() {
    let suggest = |param: &str| {
        request(&format!(
            r#"{{"id":1,"method":"mining.suggest_target","params":["{param}"]}}"#
        ))
    };
    let mut target = [0; 32];
    target[4..6].fill(0xff);
    let digits = format!("00000000ffff{}", "0".repeat(52));
    assert_eq!(suggest(&digits), Request::SuggestTarget(target));
    assert_eq!(
        suggest(&format!("0xFFFF{}", "0".repeat(52))),
        Request::SuggestTarget(target)
    );
    let not_hex = "parameter 1 (target) is not hex";
    for bad in ["", "x", &"0".repeat(65)] {
        assert_eq!(
            words("mining.suggest_target", &format!(r#"["{bad}"]"#)),
            not_hex
        );
    }
}

#[test]
fn the_small_methods_are_known_whatever_their_parameters_are() {
    for (method, expected) in [
        ("mining.extranonce.subscribe", Request::ExtranonceSubscribe),
        ("mining.multi_version", Request::MultiVersion(None)),
        ("mining.get_transactions", Request::GetTransactions),
        ("mining.ping", Request::Ping),
        ("client.get_version", Request::GetVersion),
    ] {
        for params in [
            "",
            r#","params":null"#,
            r#","params":{}"#,
            r#","params":["x",{}]"#,
        ] {
            let line = format!(r#"{{"id":1,"method":"{method}"{params}}}"#);
            assert_eq!(request(&line), expected, "{line}");
        }
    }
    let line = r#"{"id":1,"method":"mining.multi_version","params":[4]}"#;
    assert_eq!(request(line), Request::MultiVersion(Some(4)));
}

#[test]
fn an_unknown_method_is_no_error() {
    let unknown = |method: &str| Request::Unknown {
        method: method.into(),
    };
    assert_eq!(
        request(r#"{"id":null,"method":"pong","params":[]}"#),
        unknown("pong")
    );
    assert_eq!(request(r#"{"method":""}"#), unknown(""));
    let long = format!(r#"{{"id":1,"method":"{}"}}"#, "m".repeat(100));
    assert_eq!(request(&long), unknown(&"m".repeat(64)));
    let escaped = r#"{"id":1,"method":"mining\u002eping"}"#;
    assert_eq!(request(escaped), Request::Ping);
}

#[test]
fn stray_responses_are_told_apart_from_requests() {
    for line in [
        r#"{"id":9,"result":"pong","error":null}"#,
        r#"{"id":9,"result":null,"error":[20,"no",null]}"#,
        r#"{"id":9,"error":null}"#,
    ] {
        match parse_call(line.as_bytes()).unwrap() {
            Incoming::Response(response) => assert_eq!(response.id, Id::number(9)),
            other @ Incoming::Call { .. } => panic!("{line}: {other:?}"),
        }
    }
    // Some firmware sends its requests with the members of a response beside them.
    let both = r#"{"id":9,"method":"mining.ping","params":[],"result":null,"error":null}"#;
    assert_eq!(request(both), Request::Ping);
}

#[test]
fn what_is_no_call_says_why_and_with_which_id() {
    let seven = Some(Id::number(7));
    for (line, id, expected) in [
        ("", None, "line is not JSON at byte 0"),
        ("hello", None, "line is not JSON at byte 1"),
        (
            r#"{"id":7,"method":"mining.ping""#,
            seven.clone(),
            "line is not JSON at byte 30",
        ),
        (
            r#"{"id":7} {"id":8}"#,
            seven.clone(),
            "line is not JSON at byte 10",
        ),
        (r#"[{"id":7}]"#, None, "line is not a JSON object"),
        ("17", None, "line is not a JSON object"),
        ("null", None, "line is not a JSON object"),
        (
            r#"{"id":[7],"method":"x"}"#,
            None,
            "id is neither a number nor text nor null",
        ),
        (
            r#"{"id":true}"#,
            None,
            "id is neither a number nor text nor null",
        ),
        (
            "{}",
            Some(Id::NULL),
            "object has neither a method nor a result",
        ),
        (
            r#"{"id":7}"#,
            seven.clone(),
            "object has neither a method nor a result",
        ),
        (
            r#"{"id":7,"method":7}"#,
            seven.clone(),
            "method is not text",
        ),
        (
            r#"{"id":7,"method":null}"#,
            seven.clone(),
            "method is not text",
        ),
        (r#"{"id":7,"method":"\ud800"}"#, seven, "method is not text"),
    ] {
        let error = error(line);
        assert_eq!(
            (error.id.clone(), error.to_string().as_str()),
            (id, expected),
            "{line}"
        );
    }
    assert!(
        error(&format!(r#"{{"id":"{}"}}"#, "x".repeat(200)))
            .to_string()
            .ends_with("128 bytes")
    );
    assert!(parse_call(b"{\"id\":7,\"method\":\"\xff\"}").is_err());
    assert!(parse_call(&b"[".repeat(100_000)).is_err());
}

#[test]
fn of_a_member_that_comes_twice_the_last_counts() {
    let line = r#"{"id":1,"method":"pong","method":"mining.ping","id":2}"#;
    let expected = Incoming::Call {
        id: Id::number(2),
        request: Request::Ping,
    };
    assert_eq!(parse_call(line.as_bytes()), Ok(expected));
}
