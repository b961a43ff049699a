//! The vectors of `shares.json` and `real_blocks.json`, judged here.

use std::path::PathBuf;

use serde_json::Value;
use sv2::types::{B0_64K, ChannelId, JobId, Seq0_255, SequenceNumber, U256};

use super::*;

fn vectors(file: &str) -> Value {
    let folder = std::env::var_os("MILLRACE_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors")),
        PathBuf::from,
    );
    let text = std::fs::read_to_string(folder.join(file)).expect("the vectors are there");
    serde_json::from_str(&text).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}

fn path(value: &Value) -> Seq0_255<U256> {
    let hashes: Vec<U256> = (value.as_array().unwrap().iter())
        .map(|hash| U256(array(hash)))
        .collect();
    hashes.try_into().unwrap()
}

fn job(value: &Value) -> Job {
    Job {
        job_id: JobId(number(&value["job_id"])),
        version: number(&value["version"]),
        version_rolling_allowed: value["version_rolling_allowed"].as_bool().unwrap(),
        merkle_path: path(&value["merkle_path"]),
        coinbase_tx_prefix: B0_64K::try_from(bytes(&value["coinbase_tx_prefix"])).unwrap(),
        coinbase_tx_suffix: B0_64K::try_from(bytes(&value["coinbase_tx_suffix"])).unwrap(),
    }
}

fn share(vector: &Value) -> SubmitSharesExtended {
    let share = &vector["share"];
    // A standard channel's extranonce is all prefix.
    let extranonce = match share["extranonce"].is_string() {
        true => bytes(&share["extranonce"]),
        false => Vec::new(),
    };
    SubmitSharesExtended {
        channel_id: ChannelId(number(&vector["job"]["channel_id"])),
        sequence_number: SequenceNumber(number(&share["sequence_number"])),
        job_id: JobId(number(&vector["job"]["job_id"])),
        nonce: number(&share["nonce"]),
        ntime: number(&share["ntime"]),
        version: number(&share["version"]),
        extranonce: B0_32::new(&extranonce).unwrap(),
    }
}

/// BIP-0323: 24 bits, where BIP-0320 has 16.
fn widest_mask() -> VersionMask {
    VersionMask::new(0x1fff_ffe0)
}

fn judge_vector(vector: &Value, mask: VersionMask) -> Result<Solution, Refusal> {
    let share = share(vector);
    let extranonce_size = match vector["extranonce_size"].as_u64() {
        Some(size) => u16::try_from(size).unwrap(),
        None => u16::try_from(share.extranonce.len()).unwrap(),
    };
    let tip = &vector["prev_hash"];
    let now = Instant::now();
    let rules = Rules {
        job: &job(&vector["job"]),
        tip: Tip {
            prev_hash: BlockHash(array(&tip["prev_hash"])),
            nbits: number(&tip["nbits"]),
            min_ntime: number(&tip["min_ntime"]),
        },
        min_ntime: number(&tip["min_ntime"]),
        active_since: now,
        target: Target::from_le_bytes(array(&vector["target"])),
        extranonce_prefix: &B0_32::new(&bytes(&vector["extranonce_prefix"])).unwrap(),
        extranonce_size,
        version_mask: mask,
        ntime_limit: NtimeLimit::Ahead(7_200),
    };
    judge(now, &rules, &share)
}

#[test]
fn every_share_vector_gets_its_header_hash_and_verdict() {
    let vectors = vectors("shares.json");
    for vector in vectors["shares"].as_array().unwrap() {
        let case = &vector["case"];
        let verdict = judge_vector(vector, widest_mask());
        if !vector["meets_target"].as_bool().unwrap() {
            assert_eq!(verdict, Err(Refusal::DifficultyTooLow), "{case}");
            continue;
        }
        let solution = verdict.unwrap_or_else(|refusal| panic!("{case}: {refusal}"));
        assert_eq!(
            solution.coinbase_tx,
            bytes(&vector["coinbase_tx"]),
            "{case}"
        );
        assert_eq!(solution.header.to_vec(), bytes(&vector["header"]), "{case}");
        assert_eq!(solution.hash.0.to_vec(), bytes(&vector["hash"]), "{case}");
        assert_eq!(solution.is_block, vector["is_block"].as_bool().unwrap());
    }
}

#[test]
fn every_rejected_vector_gets_the_reference_pools_error_code() {
    let vectors = vectors("shares.json");
    for vector in vectors["rejected"].as_array().unwrap() {
        let refusal = judge_vector(vector, widest_mask()).unwrap_err();
        assert_eq!(
            refusal.code(),
            vector["sri_error_code"],
            "{}",
            vector["case"]
        );
    }
}

#[test]
fn the_narrow_mask_refuses_what_only_the_wide_one_allows() {
    let vectors = vectors("shares.json");
    let wide: Vec<&Value> = (vectors["shares"].as_array().unwrap().iter())
        .filter(|vector| vector["case"] == "version rolled within BIP323's mask")
        .collect();
    assert!(!wide.is_empty());
    for vector in wide {
        let verdict = judge_vector(vector, VersionMask::BIP_0320);
        assert!(matches!(verdict, Err(Refusal::NonRollableVersionBit(_))));
    }
}

#[test]
fn a_real_block_is_a_block() {
    for block in vectors("real_blocks.json").as_array().unwrap() {
        let vector = serde_json::json!({
            "job": {
                "channel_id": 1, "job_id": 1, "version": block["version"], "version_rolling_allowed": true,
                "merkle_path": block["merkle_path"], "coinbase_tx_prefix": block["coinbase_tx_prefix"],
                "coinbase_tx_suffix": block["coinbase_tx_suffix"],
            },
            "prev_hash": {"prev_hash": block["prev_hash"], "min_ntime": block["ntime"], "nbits": block["nbits"]},
            "share": {
                "sequence_number": 0, "nonce": block["nonce"], "ntime": block["ntime"],
                "version": block["version"], "extranonce": block["extranonce"],
            },
            "extranonce_prefix": block["extranonce_prefix"],
            "target": "00".repeat(32),
        });
        let solution = judge_vector(&vector, VersionMask::BIP_0320).unwrap();
        assert!(solution.is_block);
        assert_eq!(
            solution.hash.to_string(),
            block["block_hash"].as_str().unwrap()
        );
    }
}
