//! Properties: nothing that a peer can send panics, and what is written is read as what it was.

#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sv1::fuzz::{fuzz_call, fuzz_from_server, fuzz_lines};
use sv1::request::{MAX_METHOD, MAX_SESSION_ID, MAX_USER_AGENT};
use sv1::{
    Configure, Extranonce2, Id, Incoming, Info, JobId, Request, Submit, Subscribe, VersionRolling,
    parse_call,
};

/// Text of at most `max` bytes, of which some need escapes.
fn text(max: usize) -> impl Strategy<Value = Box<str>> {
    vec(any::<char>(), 1..=max / 4).prop_map(|chars| String::from_iter(chars).into())
}

fn difficulty() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("finite", |number| number.is_finite())
}

fn submit() -> impl Strategy<Value = Submit> {
    let job_id = "[ -!#-\\[\\]-~]{0,32}";
    (
        text(64),
        job_id,
        vec(any::<u8>(), 0..=32),
        any::<[u32; 2]>(),
        any::<Option<u32>>(),
    )
        .prop_map(
            |(worker, job_id, extranonce2, [ntime, nonce], version_bits)| Submit {
                worker,
                job_id: JobId::new(&job_id).unwrap(),
                extranonce2: Extranonce2::new(&extranonce2).unwrap(),
                ntime,
                nonce,
                version_bits,
            },
        )
}

fn configure() -> impl Strategy<Value = Configure> {
    let info = (option::of(text(128)), option::of(text(128))).prop_map(|(hw_id, sw_version)| {
        Box::new(Info {
            hw_id,
            sw_version,
            ..Info::default()
        })
    });
    let rolling = any::<(u32, u32)>().prop_map(|(mask, min_bit_count)| VersionRolling {
        mask,
        min_bit_count,
    });
    let unknown = vec(text(MAX_METHOD), 0..8);
    (
        option::of(rolling),
        option::of(difficulty()),
        any::<bool>(),
        option::of(info),
        unknown,
    )
        .prop_map(
            |(version_rolling, minimum_difficulty, subscribe_extranonce, info, unknown)| {
                Configure {
                    version_rolling,
                    minimum_difficulty,
                    subscribe_extranonce,
                    info,
                    unknown,
                }
            },
        )
}

fn request() -> impl Strategy<Value = Request> {
    let subscribe = (
        option::of(text(MAX_USER_AGENT)),
        option::of(text(MAX_SESSION_ID)),
    )
        .prop_map(|(user_agent, session_id)| Subscribe {
            user_agent,
            session_id,
        });
    let authorize = (text(64), option::of(text(64)))
        .prop_map(|(user, password)| Request::Authorize { user, password });
    prop_oneof![
        submit().prop_map(Request::Submit),
        configure().prop_map(|configure| Request::Configure(Box::new(configure))),
        subscribe.prop_map(Request::Subscribe),
        authorize,
        difficulty().prop_map(Request::SuggestDifficulty),
        any::<[u8; 32]>().prop_map(Request::SuggestTarget),
        any::<Option<u32>>().prop_map(Request::MultiVersion),
        text(MAX_METHOD).prop_map(|method| Request::Unknown { method }),
        Just(Request::ExtranonceSubscribe),
        Just(Request::GetTransactions),
        Just(Request::Ping),
        Just(Request::GetVersion),
    ]
}

/// Any JSON at all, with the words and shapes of Stratum V1 mixed in.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| format!("{value:e}")),
        "\"(0x)?[0-9a-fA-F]{0,10}\"",
        "\"[0-9a-f]{64}\"",
        any::<String>().prop_map(|value| serde_json::to_string(&value).unwrap()),
        Just("\"version-rolling\"".to_owned()),
        Just("\"minimum-difficulty\"".to_owned()),
    ];
    leaf.prop_recursive(3, 20, 6, |inner| {
        let key = prop_oneof![
            Just("version-rolling.mask".to_owned()),
            Just("version-rolling.min-bit-count".to_owned()),
            Just("minimum-difficulty.value".to_owned()),
            "[a-z]{1,4}",
        ];
        prop_oneof![
            vec(inner.clone(), 0..10).prop_map(|list| format!("[{}]", list.join(","))),
            vec((key, inner), 0..4).prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn method() -> impl Strategy<Value = String> {
    prop_oneof![
        "mining\\.(configure|subscribe|authorize|submit|suggest_difficulty|suggest_target)",
        "mining\\.(extranonce\\.subscribe|multi_version|get_transactions|ping)",
        "mining\\.(notify|set_difficulty|set_extranonce|set_version_mask)",
        "client\\.(get_version|reconnect|show_message)",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_parsed_as_what_it_was(request in request(), id in any::<Option<u64>>()) {
        let id = id.map_or(Id::NULL, Id::number);
        let mut line = Vec::new();
        request.encode_into(&id, &mut line);
        prop_assert_eq!(line.pop(), Some(b'\n'));
        prop_assert!(!line.contains(&b'\n'));
        prop_assert_eq!(parse_call(&line), Ok(Incoming::Call { id, request }));
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        fuzz_call(&bytes);
        fuzz_from_server(&bytes);
        fuzz_lines(&bytes);
    }

    #[test]
    fn random_json_never_panics(json in json()) {
        fuzz_call(json.as_bytes());
        fuzz_from_server(json.as_bytes());
    }

    #[test]
    fn known_methods_with_random_parameters_never_panic(
        method in method(),
        params in prop_oneof![json(), vec(json(), 0..10).prop_map(|list| format!("[{}]", list.join(",")))],
        id in json(),
    ) {
        let line = format!(r#"{{"id":{id},"method":"{method}","params":{params}}}"#);
        fuzz_call(line.as_bytes());
        fuzz_from_server(line.as_bytes());
    }

    #[test]
    fn random_results_never_panic(result in json(), error in json()) {
        let line = format!(r#"{{"id":1,"result":{result},"error":{error}}}"#);
        fuzz_call(line.as_bytes());
        fuzz_from_server(line.as_bytes());
    }

    #[test]
    fn every_truncation_of_a_request_is_an_error(request in request()) {
        let mut line = Vec::new();
        request.encode_into(&Id::number(1), &mut line);
        line.pop();
        for end in 0..line.len() {
            prop_assert!(parse_call(&line[..end]).is_err());
        }
    }
}
