//! The Bitcoin arithmetic against vectors made with the reference implementation's crates, and against real blocks.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::PathBuf;

use serde_json::Value;
use serde_json::value::RawValue;
use sv2::bitcoin::{
    BlockHash, CoinbasePrefix, Difficulty, Hashrate, Header, Target, VersionMask, coinbase_txid,
    merkle_root,
};

fn vectors(file: &str) -> Value {
    let folder = std::env::var_os("MILLRACE_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors")),
        PathBuf::from,
    );
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    exact_numbers(&serde_json::from_str::<Box<RawValue>>(&text).unwrap())
}

/// Parses JSON with every number that is not whole as a string of its digits: without its `float_roundtrip` feature
/// serde_json may miss the nearest binary64 by one.
fn exact_numbers(raw: &RawValue) -> Value {
    let text = raw.get();
    match text.as_bytes()[0] {
        b'{' => {
            let object: std::collections::BTreeMap<String, Box<RawValue>> =
                serde_json::from_str(text).unwrap();
            object
                .iter()
                .map(|(key, raw)| (key.clone(), exact_numbers(raw)))
                .collect()
        }
        b'[' => {
            let list: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
            list.iter().map(|raw| exact_numbers(raw)).collect()
        }
        _ => match serde_json::from_str(text).unwrap() {
            Value::Number(number) if !number.is_u64() => text.into(),
            other => other,
        },
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let list = value[key].as_array().unwrap();
    assert!(!list.is_empty(), "{key} is empty");
    list
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} is no text in {value}"))
}

fn float(value: &Value, key: &str) -> f64 {
    match &value[key] {
        Value::String(digits) => digits.parse().unwrap(),
        whole => whole.as_u64().unwrap().to_string().parse().unwrap(),
    }
}

fn integer(value: &Value, key: &str) -> u32 {
    value[key].as_u64().unwrap().try_into().unwrap()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex}");
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn bytes(value: &Value, key: &str) -> Vec<u8> {
    bytes_of(text(value, key))
}

fn array(value: &Value, key: &str) -> [u8; 32] {
    bytes(value, key).try_into().unwrap()
}

fn path(value: &Value) -> Vec<[u8; 32]> {
    let path = value["merkle_path"].as_array().unwrap();
    path.iter()
        .map(|hash| bytes_of(hash.as_str().unwrap()).try_into().unwrap())
        .collect()
}

/// Checks a target in every form that the vectors give of it.
fn check_target(target: Target, vector: &Value) {
    assert_eq!(target.to_string(), text(vector, "target_be"), "{vector}");
    assert_eq!(target.to_be_bytes(), array(vector, "target_be"));
    assert_eq!(target.to_le_bytes(), array(vector, "target_le"));
    assert_eq!(Target::from_be_bytes(array(vector, "target_be")), target);
    assert_eq!(Target::from_le_bytes(array(vector, "target_le")), target);
    let difficulty = float(vector, "difficulty_of_target");
    assert_eq!(target.difficulty().to_f64(), difficulty, "{vector}");
}

fn check_expected_hashes(target: Target, vector: &Value) {
    let expected = text(vector, "expected_hashes");
    assert_eq!(target.expected_hashes().to_string(), expected, "{vector}");
    assert_eq!(
        target.expected_hashes().to_f64(),
        expected.parse::<f64>().unwrap(),
        "{vector}"
    );
}

#[test]
fn difficulties_give_the_exact_target() {
    let file = vectors("targets.json");
    assert_eq!(
        Target::DIFFICULTY_1.to_string(),
        text(&file, "diff1_target_be")
    );
    for vector in list(&file, "difficulties") {
        let difficulty = Difficulty::new(float(vector, "difficulty")).unwrap();
        let target = Target::from_difficulty(difficulty);
        check_target(target, vector);
        check_expected_hashes(target, vector);
        assert_eq!(
            target == Target::MAX,
            vector["clamped"].as_bool().unwrap(),
            "{vector}"
        );
        assert_eq!(target.to_compact(), integer(vector, "nbits"), "{vector}");
        let expanded = Target::from_compact(target.to_compact()).unwrap();
        assert_eq!(expanded.to_string(), text(vector, "nbits_target_be"));
    }
}

#[test]
fn nbits_give_the_target_and_come_back() {
    for vector in list(&vectors("targets.json"), "compact_bits") {
        let nbits = integer(vector, "nbits");
        let target = Target::from_compact(nbits).unwrap();
        check_target(target, vector);
        check_expected_hashes(target, vector);
        assert_eq!(target.to_compact(), nbits, "{vector}");
    }
}

#[test]
fn hashrates_give_the_reference_implementations_target() {
    for vector in list(&vectors("targets.json"), "hash_rates") {
        let hashrate = Hashrate::new(float(vector, "hashrate")).unwrap();
        let shares_per_minute = float(vector, "shares_per_minute");
        let target = Target::from_hashrate(hashrate, shares_per_minute).unwrap();
        check_target(target, vector);
        let back = target.hashrate(shares_per_minute).unwrap().to_f64();
        if !vector["sri_hashrate_of_target"].is_null() {
            // The reference implementation cuts its result to a whole number, after an integer division.
            let theirs = float(vector, "sri_hashrate_of_target");
            assert!(
                (back - theirs).abs() <= 2.0 + theirs * 1e-15,
                "{back} of {vector}"
            );
        }
        // One hash per share is cut off on the way to the target.
        let lost = shares_per_minute / 60.0 + hashrate.to_f64() * 1e-15;
        assert!(
            (back - hashrate.to_f64()).abs() <= lost,
            "{back} of {vector}"
        );
    }
}

/// Checks everything from the coinbase to the judgement, and gives the hash.
fn check_share(vector: &Value) -> BlockHash {
    let (job, prev_hash, share) = (&vector["job"], &vector["prev_hash"], &vector["share"]);
    let prefix = bytes(job, "coinbase_tx_prefix");
    let extranonce_prefix = bytes(vector, "extranonce_prefix");
    let extranonce = bytes(share, "extranonce");
    let suffix = bytes(job, "coinbase_tx_suffix");
    let job_coinbase = CoinbasePrefix::new(&[&prefix, &extranonce_prefix]);
    let txid = job_coinbase.txid(&[&extranonce, &suffix]);
    assert_eq!(
        txid,
        coinbase_txid(&[&prefix, &extranonce_prefix, &extranonce, &suffix])
    );
    assert_eq!(txid, array(vector, "coinbase_txid"), "{vector}");
    let root = merkle_root(txid, &path(job));
    assert_eq!(root, array(vector, "merkle_root"), "{vector}");
    let header = Header {
        version: integer(share, "version"),
        prev_hash: BlockHash(array(prev_hash, "prev_hash")),
        merkle_root: root,
        ntime: integer(share, "ntime"),
        nbits: integer(prev_hash, "nbits"),
        nonce: integer(share, "nonce"),
    };
    assert_eq!(
        header.to_bytes().as_slice(),
        bytes(vector, "header"),
        "{vector}"
    );
    header.hash()
}

#[test]
fn shares_are_hashed_and_judged() {
    for vector in list(&vectors("shares.json"), "shares") {
        let hash = check_share(vector);
        assert_eq!(hash.0, array(vector, "hash"), "{vector}");
        assert_eq!(hash.to_string(), text(vector, "hash_display"));
        assert_eq!(text(vector, "hash_display").parse(), Ok(hash));
        let difficulty = hash.to_target().difficulty().to_f64();
        assert_eq!(difficulty, float(vector, "hash_difficulty"), "{vector}");
        let target = Target::from_le_bytes(array(vector, "target"));
        assert_eq!(
            target.is_met_by(&hash),
            vector["meets_target"].as_bool().unwrap(),
            "{vector}"
        );
        let network = Target::from_compact(integer(&vector["prev_hash"], "nbits")).unwrap();
        assert_eq!(
            network.is_met_by(&hash),
            vector["is_block"].as_bool().unwrap(),
            "{vector}"
        );
    }
}

#[test]
fn version_bits_of_a_submit_make_the_version_of_the_share() {
    for vector in list(&vectors("shares.json"), "shares") {
        let sv1 = &vector["sv1"];
        let job_version = integer(&vector["job"], "version");
        let version = integer(&vector["share"], "version");
        let Some(mask) = sv1["version_mask"].as_str() else {
            if !sv1.is_null() {
                assert!(
                    !VersionMask::NONE.rolled_outside(job_version, version),
                    "{vector}"
                );
            }
            continue;
        };
        let mask_bits = u32::from_str_radix(mask, 16).unwrap();
        let bits = u32::from_str_radix(text(sv1, "version_bits"), 16).unwrap();
        let version_mask = VersionMask::new(mask_bits);
        assert_eq!(version_mask.to_string(), mask);
        assert!(version_mask.allows(bits), "{vector}");
        assert_eq!(version_mask.apply(job_version, bits), version, "{vector}");
        assert!(
            !version_mask.rolled_outside(job_version, version),
            "{vector}"
        );
    }
}

#[test]
fn shares_refused_for_their_version_rolled_outside_the_mask() {
    for vector in list(&vectors("shares.json"), "rejected") {
        let job = &vector["job"];
        let mask = match job["version_rolling_allowed"].as_bool().unwrap() {
            // The reference implementation allows what BIP-0323 sets aside.
            true => VersionMask::new(0x1fff_ffe0),
            false => VersionMask::NONE,
        };
        let version = integer(&vector["share"], "version");
        let for_version = text(vector, "sri_error_code").contains("version");
        assert_eq!(
            mask.rolled_outside(integer(job, "version"), version),
            for_version,
            "{vector}"
        );
    }
}

#[test]
fn real_blocks_are_blocks() {
    let file = vectors("real_blocks.json");
    let blocks = file
        .as_array()
        .cloned()
        .unwrap_or_else(|| list(&file, "blocks").to_vec());
    assert!(!blocks.is_empty());
    for block in &blocks {
        let coinbase = [
            "coinbase_tx_prefix",
            "extranonce_prefix",
            "extranonce",
            "coinbase_tx_suffix",
        ]
        .map(|key| bytes(block, key));
        let txid = coinbase_txid(&coinbase.each_ref().map(Vec::as_slice));
        let header = Header {
            version: integer(block, "version"),
            prev_hash: BlockHash(array(block, "prev_hash")),
            merkle_root: merkle_root(txid, &path(block)),
            ntime: integer(block, "ntime"),
            nbits: integer(block, "nbits"),
            nonce: integer(block, "nonce"),
        };
        assert_eq!(header.merkle_root, array(block, "merkle_root"));
        assert_eq!(header.to_bytes().as_slice(), bytes(block, "header"));
        assert_eq!(header.hash().to_string(), text(block, "block_hash"));
        assert!(
            Target::from_compact(header.nbits)
                .unwrap()
                .is_met_by(&header.hash())
        );
    }
}
