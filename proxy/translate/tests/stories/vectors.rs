//! Recorded shares and a real block: what another implementation computed, we judge alike.
//!
//! A recorded extranonce, with its prefix, is cut as ours is: the last four to eight bytes are extranonce2, the four
//! before them the slot, and what stands before those is the pool's prefix.

use std::fs;

use serde_json::Value;
use sv2::bitcoin::VersionMask;
use sv2::messages::mining::NewExtendedMiningJob;
use sv2::types::{ChannelId, JobId, U256};

use crate::bench::{Bench, config, difficulty, outline, prev_hash};

fn read(file: &str) -> Value {
    let folder = std::env::var("MILLRACE_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors").into());
    let text = fs::read_to_string(format!("{folder}/{file}")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn hash(value: &Value) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}

/// A recorded job on the bench, with one miner whose slot is the recorded one.
struct Replay {
    bench: Bench,
    rig: usize,
    extranonce2: Vec<u8>,
    /// Slot and extranonce2.
    extranonce: Vec<u8>,
}

/// What a recording says of a share, whatever its file calls it.
struct Recorded<'a> {
    job: &'a Value,
    prev_hash: [u8; 32],
    min_ntime: u32,
    nbits: u32,
    extranonce_prefix: Vec<u8>,
    /// The channel's size.
    size: usize,
    extranonce: Vec<u8>,
    target: [u8; 32],
    mask: VersionMask,
}

impl Recorded<'_> {
    /// Deals the job; `None` where the extranonce is too short for a slot and extranonce2.
    fn replay(&self) -> Option<Replay> {
        let ours = self.size.clamp(8, 12);
        let whole = [&*self.extranonce_prefix, &*self.extranonce].concat();
        let fixed = (self.extranonce_prefix.len() + self.size).checked_sub(ours)?;
        let (fixed, rolled) = whole.split_at_checked(fixed)?;
        let (slot, extranonce2) = rolled.split_at_checked(4)?;
        let mut config = config();
        config.first_slot = u32::from_be_bytes(slot.try_into().unwrap());
        config.extranonce2_size = (ours - 4).try_into().unwrap();
        config.version_mask = self.mask;
        config.difficulty.start = Some(difficulty(1e-30));
        config.difficulty.min = difficulty(1e-30);
        let mut bench = Bench::new(config);
        bench.pools[0].extranonce_prefix = fixed.to_vec();
        bench.pools[0].extranonce_size = ours.try_into().unwrap();
        bench.pools[0].target = self.target;
        bench.open(0);
        bench.tell(0, self.future_job());
        let mut block = prev_hash(100, 1, 1);
        block.prev_hash = U256(self.prev_hash);
        (block.min_ntime, block.nbits) = (self.min_ntime, self.nbits);
        bench.tell(0, block);
        let rig = bench.start_miner("farm.rig");
        bench.sent(0);
        Some(Replay {
            bench,
            rig,
            extranonce2: extranonce2.to_vec(),
            extranonce: rolled.to_vec(),
        })
    }

    fn future_job(&self) -> NewExtendedMiningJob {
        let path: Vec<_> = self.job["merkle_path"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| U256(hash(node)))
            .collect();
        let rolling = self
            .job
            .get("version_rolling_allowed")
            .is_none_or(|allowed| allowed.as_bool().unwrap());
        NewExtendedMiningJob {
            channel_id: ChannelId(100),
            job_id: JobId(1),
            min_ntime: None,
            version: number(&self.job["version"]),
            version_rolling_allowed: rolling,
            merkle_path: path.try_into().unwrap(),
            coinbase_tx_prefix: bytes(&self.job["coinbase_tx_prefix"]).try_into().unwrap(),
            coinbase_tx_suffix: bytes(&self.job["coinbase_tx_suffix"]).try_into().unwrap(),
        }
    }
}

impl Replay {
    /// Submits with the given numbers; gives the reply.
    fn submit(&mut self, ntime: u32, nonce: u32, version_bits: Option<u32>) -> String {
        let extranonce2: String = self
            .extranonce2
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let job = &self.bench.rigs[self.rig].work().job_id;
        let bits = version_bits
            .map(|bits| format!(r#","{bits:08x}""#))
            .unwrap_or_default();
        let line = format!(
            r#"{{"id":9,"method":"mining.submit","params":["farm.rig","{job}","{extranonce2}","{ntime:08x}","{nonce:08x}"{bits}]}}"#
        );
        self.bench.say(self.rig, &line).remove(0)
    }
}

fn recorded<'a>(vector: &'a Value, mask: VersionMask) -> Recorded<'a> {
    let (block, extranonce) = (&vector["prev_hash"], bytes(&vector["share"]["extranonce"]));
    let size = vector
        .get("extranonce_size")
        .map_or(extranonce.len(), |size| number(size) as usize);
    Recorded {
        job: &vector["job"],
        prev_hash: hash(&block["prev_hash"]),
        min_ntime: number(&block["min_ntime"]),
        nbits: number(&block["nbits"]),
        extranonce_prefix: bytes(&vector["extranonce_prefix"]),
        size,
        extranonce,
        target: hash(&vector["target"]),
        mask,
    }
}

#[test]
fn every_recorded_share_is_judged_and_sent_as_recorded() {
    let file = read("shares.json");
    let (mut replayed, mut blocks) = (0, 0);
    for vector in file["shares"].as_array().unwrap() {
        if vector["kind"] != "extended" {
            continue;
        }
        let mask = vector["sv1"]["version_mask"]
            .as_str()
            .map_or(0, |mask| u32::from_str_radix(mask, 16).unwrap());
        let mask = VersionMask::new(mask);
        let Some(mut replay) = recorded(vector, mask).replay() else {
            continue;
        };
        replayed += 1;
        let share = &vector["share"];
        let bits = vector["sv1"]["version_bits"]
            .as_str()
            .map(|bits| u32::from_str_radix(bits, 16).unwrap());
        let reply = replay.submit(number(&share["ntime"]), number(&share["nonce"]), bits);
        assert_eq!(outline(&[reply]), "9=", "{}", vector["case"]);
        let sent = replay.bench.shares(0);
        let meets = vector["meets_target"].as_bool().unwrap();
        assert_eq!(sent.len(), usize::from(meets), "{}", vector["case"]);
        for (sent, _) in sent {
            assert_eq!(sent.version, number(&share["version"]));
            assert_eq!(
                (sent.nonce, sent.ntime),
                (number(&share["nonce"]), number(&share["ntime"]))
            );
            assert_eq!(*sent.extranonce, replay.extranonce);
        }
        let is_block = vector["is_block"].as_bool().unwrap();
        assert_eq!(replay.bench.statistics().blocks_found, u64::from(is_block));
        if is_block {
            blocks += 1;
            let hash = vector["hash_display"].as_str().unwrap();
            assert!(
                replay.bench.log().iter().any(|line| line.contains(hash)),
                "{hash}"
            );
        }
    }
    assert!(
        replayed >= 30 && blocks >= 1,
        "{replayed} shares, {blocks} blocks"
    );
}

#[test]
fn every_share_that_was_refused_there_is_refused_here_for_the_same_reason() {
    let file = read("shares.json");
    let mut seen = std::collections::BTreeMap::new();
    for vector in file["rejected"].as_array().unwrap() {
        let case = vector["case"].as_str().unwrap();
        let words = match case {
            "version bit outside the mask" => "are outside the mask",
            "version rolled though not allowed" => "this job does not allow version rolling",
            "extranonce too short" | "extranonce too long" => "extranonce2 has ",
            "ntime below min_ntime" => "is before the job's",
            other => panic!("a case without a story: {other}"),
        };
        let Some(mut replay) = recorded(vector, VersionMask::BIP_0320).replay() else {
            continue;
        };
        let share = &vector["share"];
        let bits = number(&share["version"]) ^ number(&vector["job"]["version"]);
        let reply = replay.submit(
            number(&share["ntime"]),
            number(&share["nonce"]),
            (bits != 0).then_some(bits),
        );
        assert!(reply.contains(words), "{case}: {reply}");
        assert!(replay.bench.shares(0).is_empty());
        *seen.entry(case).or_insert(0) += 1;
    }
    assert_eq!(
        seen.len(),
        5,
        "every case fits an extranonce at least once: {seen:?}"
    );
}

#[test]
fn a_real_block_is_accepted_sent_and_reported() {
    let file = read("real_blocks.json");
    let block = &file[0];
    let recorded = Recorded {
        job: block,
        prev_hash: hash(&block["prev_hash"]),
        min_ntime: number(&block["ntime"]),
        nbits: number(&block["nbits"]),
        extranonce_prefix: bytes(&block["extranonce_prefix"]),
        size: 8,
        extranonce: bytes(&block["extranonce"]),
        // A channel far too hard for shares: the network's target decides.
        target: [0; 32],
        mask: VersionMask::BIP_0320,
    };
    let mut replay = recorded.replay().unwrap();
    assert_eq!(
        replay.bench.rigs[replay.rig].extranonce1,
        [0x78, 0x07, 0, 0]
    );
    assert_eq!(replay.extranonce2, [0; 4]);
    let reply = replay.submit(number(&block["ntime"]), number(&block["nonce"]), None);
    assert_eq!(reply, r#"{"id":9,"result":true,"error":null}"#);
    let (sent, _) = replay.bench.shares(0).remove(0);
    assert_eq!(*sent.extranonce, *bytes(&block["extranonce"]));
    assert_eq!(
        (sent.nonce, sent.ntime, sent.version),
        (
            number(&block["nonce"]),
            number(&block["ntime"]),
            number(&block["version"])
        )
    );
    let hash = block["block_hash"].as_str().unwrap();
    let report = format!(r#"BLOCK FOUND: {hash} by "farm.rig", sent to primary"#);
    assert!(replay.bench.log().contains(&report));
}
