//! The shares of the reference implementation: each notify is written exactly, each submit read.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};
use sv1::{
    Extranonce1, FromServer, Id, Incoming, JobId, Notification, NotifyParts, Request, hex,
    parse_call, parse_from_server,
};

fn shares() -> Vec<Value> {
    let folder = std::env::var("MILLRACE_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors").into());
    let text = std::fs::read_to_string(format!("{folder}/shares.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let shares = file["shares"].as_array().unwrap();
    shares
        .iter()
        .filter(|share| share["sv1"].is_object())
        .cloned()
        .collect()
}

fn bytes(hex: &Value) -> Vec<u8> {
    hex::decode(hex.as_str().unwrap().as_bytes()).unwrap()
}

fn hash(hex: &Value) -> [u8; 32] {
    bytes(hex).try_into().unwrap()
}

fn u32_of(number: &Value) -> u32 {
    number.as_u64().unwrap().try_into().unwrap()
}

#[test]
fn every_job_is_written_as_the_reference_writes_it() {
    let shares = shares();
    assert!(!shares.is_empty());
    for share in shares {
        let (job, prev_hash) = (&share["job"], &share["prev_hash"]);
        let merkle_path = job["merkle_path"].as_array().unwrap();
        let merkle_path: Vec<_> = merkle_path.iter().map(hash).collect();
        let line = NotifyParts {
            job_id: JobId::new(&job["job_id"].to_string()).unwrap(),
            prev_hash: &hash(&prev_hash["prev_hash"]),
            coinb1: &[&bytes(&job["coinbase_tx_prefix"])],
            coinb2: &[&bytes(&job["coinbase_tx_suffix"])],
            merkle_path: &merkle_path,
            version: u32_of(&job["version"]),
            nbits: u32_of(&prev_hash["nbits"]),
            ntime: u32_of(&prev_hash["min_ntime"]),
            clean_jobs: share["sv1"]["notify_params"][8].as_bool().unwrap(),
        }
        .encode();
        let read: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(read["params"], share["sv1"]["notify_params"]);
    }
}

#[test]
fn every_job_is_read_and_written_again() {
    for share in shares() {
        let params = &share["sv1"]["notify_params"];
        let line = json!({"id": null, "method": "mining.notify", "params": params}).to_string();
        let Ok(FromServer::Notification(Notification::Notify(notify))) =
            parse_from_server(line.as_bytes())
        else {
            panic!("{line}");
        };
        assert_eq!(notify.prev_hash, hash(&share["prev_hash"]["prev_hash"]));
        let again: Value = serde_json::from_slice(&notify.encode()).unwrap();
        assert_eq!(&again["params"], params);
    }
}

#[test]
fn every_share_is_read_and_written_again() {
    for share in shares() {
        let sv1 = &share["sv1"];
        let params = &sv1["submit_params"];
        let line = json!({"id": 4, "method": "mining.submit", "params": params}).to_string();
        let Ok(Incoming::Call { id, request }) = parse_call(line.as_bytes()) else {
            panic!("{line}");
        };
        let Request::Submit(submit) = &request else {
            panic!("{request:?}")
        };
        assert_eq!(submit.ntime, u32_of(&share["share"]["ntime"]));
        assert_eq!(submit.nonce, u32_of(&share["share"]["nonce"]));
        assert_eq!(
            submit.extranonce2.to_string(),
            sv1["extranonce2"].as_str().unwrap()
        );
        assert_eq!(submit.extranonce2.as_bytes().len(), sv1["extranonce2_size"]);
        let bits = submit.version_bits.map(|bits| format!("{bits:08x}"));
        assert_eq!(bits.as_deref(), params.get(5).and_then(Value::as_str));

        assert_eq!(id, Id::number(4));
        let mut again = Vec::new();
        request.encode_into(&id, &mut again);
        let again: Value = serde_json::from_slice(&again).unwrap();
        assert_eq!(&again["params"], params);
    }
}

#[test]
fn every_extranonce1_is_read() {
    for share in shares() {
        let digits = share["sv1"]["extranonce1"].as_str().unwrap();
        assert_eq!(Extranonce1::from_hex(digits).unwrap().to_string(), digits);
    }
}
