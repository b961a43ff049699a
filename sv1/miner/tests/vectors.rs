//! The shares of the reference implementation, hashed by this miner's own rules.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use serde_json::{Value, json};
use sv1::{Extranonce1, FromServer, Notification, Notify, hex, parse_from_server};
use sv1_miner::hash::{Search, double_sha256};
use sv1_miner::{Roll, Share, Target, Work};

fn vectors(file: &str) -> Value {
    let folder = std::env::var("MILLRACE_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors").into());
    let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes<const N: usize>(hex: &Value) -> [u8; N] {
    hex::decode(text(hex).as_bytes())
        .unwrap()
        .try_into()
        .unwrap()
}

fn number(hex: &Value) -> u32 {
    u32::from_str_radix(text(hex), 16).unwrap()
}

fn notify(params: &Value) -> Notify {
    let line = json!({"id": null, "method": "mining.notify", "params": params}).to_string();
    match parse_from_server(line.as_bytes()) {
        Ok(FromServer::Notification(Notification::Notify(notify))) => *notify,
        other => panic!("{other:?}"),
    }
}

/// The work and the roll of a share, if its extranonce2 is one that a counter makes.
fn work(share: &Value) -> Option<(Work, Roll)> {
    let sv1 = &share["sv1"];
    let extranonce2 = hex::decode(text(&sv1["extranonce2"]).as_bytes()).unwrap();
    let mut target: [u8; 32] = bytes(&share["target"]);
    target.reverse();
    let mut counter = [0; 8];
    for (place, byte) in counter.iter_mut().zip(&extranonce2) {
        *place = *byte;
    }
    let work = Work {
        notify: Arc::new(notify(&sv1["notify_params"])),
        extranonce1: Extranonce1::from_hex(text(&sv1["extranonce1"])).unwrap(),
        extranonce2_size: extranonce2.len().try_into().unwrap(),
        version_mask: sv1["version_mask"]
            .as_str()
            .map(|_| number(&sv1["version_mask"])),
        difficulty: 0.0,
        target: Target::from_be_bytes(target),
    };
    let roll = Roll {
        extranonce2: u64::from_le_bytes(counter),
        version_bits: sv1["version_bits"]
            .as_str()
            .map_or(0, |_| number(&sv1["version_bits"])),
        ntime: number(&sv1["ntime"]),
    };
    (extranonce2.len() <= 8).then_some((work, roll))
}

#[test]
fn every_share_is_found_again_with_the_same_header_and_submit() {
    let file = vectors("shares.json");
    let shares = file["shares"].as_array().unwrap();
    let mut checked = 0;
    for share in shares.iter().filter(|share| share["sv1"].is_object()) {
        let Some((work, roll)) = work(share) else {
            continue;
        };
        let nonce = number(&share["sv1"]["nonce"]);
        let mut header = work.header(&roll);
        assert!(header.ends_with(&[0; 4]));
        header[76..].copy_from_slice(&nonce.to_le_bytes());
        assert_eq!(header, bytes(&share["header"]));
        assert_eq!(double_sha256(&header), bytes(&share["hash"]));

        let nonces = u64::from(nonce)..u64::from(nonce) + 1;
        let found = Search::new(&header, work.target).first_share(nonces);
        assert_eq!(found.is_some(), share["meets_target"].as_bool().unwrap());
        let Share {
            job_id,
            extranonce2,
            ntime,
            nonce,
            version_bits,
        } = work.share(&roll, nonce);
        let mut params = vec![
            "user.worker".to_owned(),
            job_id.to_string(),
            extranonce2.to_string(),
            format!("{ntime:08x}"),
            format!("{nonce:08x}"),
        ];
        params.extend(version_bits.map(|bits| format!("{bits:08x}")));
        assert_eq!(json!(params), share["sv1"]["submit_params"]);
        checked += 1;
    }
    assert!(checked > 10, "{checked}");
}

#[test]
fn no_target_is_above_the_exact_one_and_none_is_far_below() {
    let file = vectors("targets.json");
    let mut checked = 0;
    for case in file["difficulties"].as_array().unwrap() {
        let exact: [u8; 32] = bytes(&case["target_be"]);
        let ours = Target::from_difficulty(case["difficulty"].as_f64().unwrap()).to_be_bytes();
        assert!(ours <= exact, "{case}");
        // The first 48 bits from the first that is set.
        let first = exact.iter().position(|byte| *byte != 0).unwrap_or(32);
        let end = (first + 6).min(32);
        let top = |target: &[u8; 32]| {
            target[first..end]
                .iter()
                .fold(0_u64, |top, byte| top << 8 | u64::from(*byte))
        };
        assert!(top(&exact) - top(&ours) <= 1, "{case}");
        checked += 1;
    }
    assert!(checked > 10, "{checked}");
}
