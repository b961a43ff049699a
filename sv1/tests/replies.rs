//! What a server sends, byte for byte, and what a client reads of it and of other servers' forms.

#![allow(clippy::unwrap_used)]

use serde_json::json;
use sv1::{
    Configure, ConfigureReply, ErrorReply, Extranonce1, FromServer, Id, JobId, Notification,
    Notify, Reconnect, RejectCode, Request, Response, SubscribeReply, VersionRolling, notification,
    parse_call, parse_from_server, reply,
};

fn line(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    assert_eq!(out.pop(), Some(b'\n'));
    String::from_utf8(out).unwrap()
}

fn response(line: &str) -> Response {
    match parse_from_server(line.as_bytes()) {
        Ok(FromServer::Response(response)) => response,
        other => panic!("{line}: {other:?}"),
    }
}

fn news(line: &str) -> Notification {
    match parse_from_server(line.as_bytes()) {
        Ok(FromServer::Notification(notification)) => notification,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn plain_results_are_written_with_a_null_error() {
    let id = Id::number(3);
    let expected = r#"{"id":3,"result":true,"error":null}"#;
    assert_eq!(line(|out| reply::result_true(out, &id)), expected);
    let expected = r#"{"id":3,"result":false,"error":null}"#;
    assert_eq!(line(|out| reply::result_false(out, &id)), expected);
    let expected = r#"{"id":3,"result":"pong","error":null}"#;
    assert_eq!(line(|out| reply::result_pong(out, &id)), expected);
    let expected = r#"{"id":3,"result":[],"error":null}"#;
    assert_eq!(line(|out| reply::result_empty(out, &id)), expected);
    let expected = r#"{"id":3,"result":"millrace \"1\"","error":null}"#;
    assert_eq!(
        line(|out| reply::result_text(out, &id, "millrace \"1\"")),
        expected
    );
}

#[test]
fn errors_are_written_with_their_code_and_words() {
    for (code, number) in [
        (RejectCode::Other, 20),
        (RejectCode::JobNotFound, 21),
        (RejectCode::Duplicate, 22),
        (RejectCode::LowDifficulty, 23),
        (RejectCode::Unauthorized, 24),
        (RejectCode::NotSubscribed, 25),
        (RejectCode::MethodNotFound, -3),
    ] {
        let text = line(|out| reply::error(out, &Id::number(4), code, "no \"way\"\n"));
        let expected =
            format!(r#"{{"id":4,"result":null,"error":[{number},"no \"way\"\n",null]}}"#);
        assert_eq!(text, expected);
        let error = response(&text).error.unwrap();
        assert_eq!((error.code, &*error.message), (number, "no \"way\"\n"));
        assert_eq!(RejectCode::from_code(number), Some(code));
    }
    assert_eq!(RejectCode::from_code(0), None);
}

#[test]
fn every_form_of_id_comes_back_verbatim() {
    for id in ["0", "18446744073709551616", "-1.50", r#""a\u0041""#, "null"] {
        let call = format!(r#"{{"id": {id} ,"method":"mining.ping"}}"#);
        let Ok(sv1::Incoming::Call { id: taken, .. }) = parse_call(call.as_bytes()) else {
            panic!("{call}");
        };
        let expected = format!(r#"{{"id":{id},"result":true,"error":null}}"#);
        assert_eq!(line(|out| reply::result_true(out, &taken)), expected);
    }
}

#[test]
fn the_subscribe_reply_is_written_and_read() {
    let reply = SubscribeReply {
        session_id: "5e55".into(),
        extranonce1: Extranonce1::from_hex("78070000").unwrap(),
        extranonce2_size: 4,
    };
    let text = line(|out| reply.encode_into(&Id::number(1), out));
    let expected = r#"{"id":1,"result":[[["mining.set_difficulty","5e55"],["mining.notify","5e55"]],"78070000",4],"error":null}"#;
    assert_eq!(text, expected);
    assert_eq!(
        SubscribeReply::parse(&response(&text).result),
        Some(reply.clone())
    );

    let flat = json!([["mining.notify", "5e55"], "78070000", 4]);
    assert_eq!(SubscribeReply::parse(&flat), Some(reply.clone()));
    let without = SubscribeReply {
        session_id: "".into(),
        ..reply
    };
    for none in [
        json!([]),
        json!(null),
        json!([[]]),
        json!([["mining.notify"]]),
    ] {
        let result = json!([none, "78070000", 4]);
        assert_eq!(
            SubscribeReply::parse(&result),
            Some(without.clone()),
            "{result}"
        );
    }
    for bad in [
        json!(true),
        json!([[], "7", 4]),
        json!([[], "78", 256]),
        json!([[], "78"]),
    ] {
        assert_eq!(SubscribeReply::parse(&bad), None, "{bad}");
    }
}

#[test]
fn the_configure_reply_answers_what_was_asked_and_no_more() {
    let rolling = |mask, min_bit_count| Configure {
        version_rolling: Some(VersionRolling {
            mask,
            min_bit_count,
        }),
        ..Configure::default()
    };
    let text = |configure: &Configure| {
        let reply = ConfigureReply::granting(configure, 0x1fff_e000);
        let text = line(|out| reply.encode_into(&Id::number(1), out));
        let back = ConfigureReply::parse(&response(&text).result);
        assert_eq!(back, Some(reply));
        text.strip_prefix(r#"{"id":1,"result":"#)
            .unwrap()
            .to_owned()
    };
    let end = r#","error":null}"#;
    assert_eq!(text(&Configure::default()), format!("{{}}{end}"));
    let granted = r#"{"version-rolling":true,"version-rolling.mask":"1fffe000"}"#;
    assert_eq!(text(&rolling(u32::MAX, 16)), format!("{granted}{end}"));
    let narrow = r#"{"version-rolling":true,"version-rolling.mask":"00ffe000"}"#;
    assert_eq!(text(&rolling(0x00ff_ffff, 0)), format!("{narrow}{end}"));
    // More bits than there are: refused, and the mask is there all the same.
    let refused = r#"{"version-rolling":false,"version-rolling.mask":"00000000"}"#;
    assert_eq!(text(&rolling(u32::MAX, 17)), format!("{refused}{end}"));
    let all = Configure {
        minimum_difficulty: Some(1.0),
        subscribe_extranonce: true,
        info: Some(Box::default()),
        unknown: vec!["zap\"".into()],
        ..Configure::default()
    };
    let expected =
        r#"{"minimum-difficulty":true,"subscribe-extranonce":true,"info":true,"zap\"":false}"#;
    assert_eq!(text(&all), format!("{expected}{end}"));
    // BIP-0310 lets a server say why not.
    let words = json!({"version-rolling": "not today", "version-rolling.mask": "ffffffff"});
    assert_eq!(
        ConfigureReply::parse(&words).unwrap().version_rolling,
        Some(0)
    );
}

#[test]
fn difficulty_is_written_as_a_plain_decimal() {
    for (difficulty, text) in [
        (1.0, "1"),
        (8192.0, "8192"),
        (0.007_812_5, "0.0078125"),
        (0.000_15, "0.00015"),
        (1e-10, "0.0000000001"),
        (1e21, "1000000000000000000000"),
        (281_474_976_710_656.0, "281474976710656"),
    ] {
        let expected =
            format!(r#"{{"id":null,"method":"mining.set_difficulty","params":[{text}]}}"#);
        let text = line(|out| notification::set_difficulty(out, difficulty));
        assert_eq!(text, expected);
        assert_eq!(news(&text), Notification::SetDifficulty(difficulty));
    }
}

#[test]
fn the_small_notifications_are_written_and_read() {
    let extranonce1 = Extranonce1::from_hex("0a0b0c0d").unwrap();
    let place = Reconnect {
        host: "pool.example.com".into(),
        port: 3333,
        wait: 10,
    };
    for (written, params, read) in [
        (
            line(|out| notification::set_extranonce(out, &extranonce1, 8)),
            r#""mining.set_extranonce","params":["0a0b0c0d",8]"#,
            Notification::SetExtranonce {
                extranonce1,
                extranonce2_size: 8,
            },
        ),
        (
            line(|out| notification::set_version_mask(out, 0x00ff_e000)),
            r#""mining.set_version_mask","params":["00ffe000"]"#,
            Notification::SetVersionMask(0x00ff_e000),
        ),
        (
            line(|out| notification::reconnect(out, None)),
            r#""client.reconnect","params":[]"#,
            Notification::Reconnect(None),
        ),
        (
            line(|out| notification::reconnect(out, Some(&place))),
            r#""client.reconnect","params":["pool.example.com",3333,10]"#,
            Notification::Reconnect(Some(place)),
        ),
        (
            line(|out| notification::show_message(out, "say \"hi\"")),
            r#""client.show_message","params":["say \"hi\""]"#,
            Notification::ShowMessage("say \"hi\"".into()),
        ),
    ] {
        assert_eq!(written, format!(r#"{{"id":null,"method":{params}}}"#));
        assert_eq!(news(&written), read);
    }
}

#[test]
fn other_servers_forms_are_read() {
    let text_port = r#"{"id":5,"method":"client.reconnect","params":["h","3333"]}"#;
    let place = Reconnect {
        host: "h".into(),
        port: 3333,
        wait: 0,
    };
    assert_eq!(news(text_port), Notification::Reconnect(Some(place)));
    let null = r#"{"id":null,"method":"client.reconnect","params":null}"#;
    assert_eq!(news(null), Notification::Reconnect(None));
    let counted = r#"{"id":12,"method":"mining.set_difficulty","params":["16"]}"#;
    assert_eq!(news(counted), Notification::SetDifficulty(16.0));
    let unknown = r#"{"id":null,"method":"mining.set_goal","params":["x"]}"#;
    assert_eq!(
        news(unknown),
        Notification::Unknown {
            method: "mining.set_goal".into()
        }
    );
}

#[test]
fn what_a_server_asks_keeps_its_id() {
    let call = parse_from_server(br#"{"id":"a","method":"client.get_version","params":[]}"#);
    let Ok(FromServer::Call {
        id,
        request: Request::GetVersion,
    }) = call
    else {
        panic!("{call:?}");
    };
    let expected = r#"{"id":"a","result":"m","error":null}"#;
    assert_eq!(line(|out| reply::result_text(out, &id, "m")), expected);
}

#[test]
fn errors_are_read_in_every_form() {
    let error = |json: &str| {
        response(&format!(r#"{{"id":1,"result":null,"error":{json}}}"#))
            .error
            .map(|ErrorReply { code, message }| (code, String::from(message)))
    };
    let some = |code, words: &str| Some((code, words.to_owned()));
    assert_eq!(error("null"), None);
    assert_eq!(error(r#"[21,"Stale",null]"#), some(21, "Stale"));
    assert_eq!(
        error(r#"{"code":-32601,"message":"no"}"#),
        some(-32601, "no")
    );
    assert_eq!(error(r#""low difficulty""#), some(20, "low difficulty"));
    assert_eq!(error("[]"), some(20, "[]"));
    let refused = response(r#"{"id":1,"result":false,"error":null}"#);
    assert!(!refused.is_accepted());
    assert!(response(r#"{"id":1,"result":true,"error":null}"#).is_accepted());
}

#[test]
fn a_job_is_written_into_a_buffer_of_its_size_and_read_again() {
    for (branches, clean_jobs) in [(0, true), (1, false), (2, true), (12, false), (32, true)] {
        let notify = Notify {
            job_id: JobId::from_number(branches),
            prev_hash: std::array::from_fn(|index| u8::try_from(index).unwrap()),
            coinb1: vec![1; 100].into(),
            coinb2: vec![2; 80].into(),
            merkle_path: (0..branches)
                .map(|index| [u8::try_from(index).unwrap(); 32])
                .collect(),
            version: 0x2000_0000,
            nbits: 0x1779_8b5d,
            ntime: 0x65e1_088a,
            clean_jobs,
        };
        let bytes = notify.encode();
        assert_eq!(bytes.capacity(), bytes.len());
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.contains(r#""0302010007060504"#),
            "words are swapped: {text}"
        );
        assert_eq!(
            news(text.trim_end()),
            Notification::Notify(Box::new(notify))
        );
    }
}

#[test]
fn a_bad_job_says_what_is_wrong_with_it() {
    let words = |params: &str| {
        let line = format!(r#"{{"id":null,"method":"mining.notify","params":{params}}}"#);
        parse_from_server(line.as_bytes()).unwrap_err().to_string()
    };
    let hash = "0".repeat(64);
    let job = |branches: &str| format!(r#"["1","{hash}","","",{branches},"2","3","4"]"#);
    assert_eq!(words("[1,2]"), "8 parameters are needed, not 2");
    let short = words(r#"["1","00","","",[],"2","3","4"]"#);
    assert_eq!(short, "parameter 2 (prevhash) is not 32 bytes long");
    let expected = "parameter 5 (merkle_branches) is not an array";
    assert_eq!(words(&job("7")), expected);
    let expected = "parameter 5 (merkle_branches) is not 32 bytes long";
    assert_eq!(words(&job(r#"["00"]"#)), expected);
    let many = vec![format!(r#""{hash}""#); 33].join(",");
    let expected = "parameter 5 (merkle_branches) is out of range";
    assert_eq!(words(&job(&format!("[{many}]"))), expected);
}
