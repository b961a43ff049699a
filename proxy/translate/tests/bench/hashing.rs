//! What a miner does between notify and submit, written from the miner's side of Stratum V1 alone.

use sv2::bitcoin::{BlockHash, Difficulty, Header, Target, double_sha256, merkle_root};

use super::Rig;

/// What is in a submit, with the hash that it stands for.
#[derive(Debug, Clone)]
pub struct Found {
    pub job_id: String,
    pub extranonce2: Vec<u8>,
    pub ntime: u32,
    pub nonce: u32,
    /// The sixth parameter.
    pub version_bits: Option<u32>,
    pub hash: BlockHash,
}

impl Found {
    /// The line that submits it.
    pub fn line(&self, worker: &str) -> String {
        let extranonce2: String = self
            .extranonce2
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let bits = self
            .version_bits
            .map(|bits| format!(r#","{bits:08x}""#))
            .unwrap_or_default();
        let Self {
            job_id,
            ntime,
            nonce,
            ..
        } = self;
        format!(
            r#"{{"id":9,"method":"mining.submit","params":["{worker}","{job_id}","{extranonce2}","{ntime:08x}","{nonce:08x}"{bits}]}}"#
        )
    }

    /// The difficulty that the hash reaches.
    pub fn reached(&self) -> f64 {
        self.hash.to_target().difficulty().to_f64()
    }
}

/// Finds a share of the rig's present work at its present difficulty.
pub fn grind(rig: &Rig) -> Found {
    let target = Target::from_difficulty(Difficulty::new(rig.difficulty).unwrap());
    grind_where(rig, |hash| target.is_met_by(hash))
}

/// Finds a share of the rig's present work whose hash is as wanted.
pub fn grind_where(rig: &Rig, wanted: impl Fn(&BlockHash) -> bool) -> Found {
    let start = Found {
        job_id: rig.work().job_id.to_string(),
        extranonce2: vec![0; rig.extranonce2_size],
        ntime: rig.work().ntime,
        nonce: 0,
        version_bits: None,
        hash: BlockHash([0; 32]),
    };
    // No two shares of a story start alike.
    thread_local!(static NONCE: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
    let share = |nonce| {
        let mut share = Found {
            nonce,
            ..start.clone()
        };
        share.hash = hash_of(rig, &share);
        share
    };
    let first = NONCE.get();
    let found = (first..)
        .map(share)
        .find(|share| wanted(&share.hash))
        .unwrap();
    NONCE.set(found.nonce + 1);
    found
}

/// The header hash of a share of the rig's present work.
pub fn hash_of(rig: &Rig, share: &Found) -> BlockHash {
    let work = rig.work();
    let coinbase = [
        &*work.coinb1,
        &rig.extranonce1,
        &share.extranonce2,
        &*work.coinb2,
    ]
    .concat();
    let mask = rig.version_mask.unwrap_or_default();
    let version = match share.version_bits {
        Some(bits) => (work.version & !mask) | (bits & mask),
        None => work.version,
    };
    let header = Header {
        version,
        prev_hash: BlockHash(work.prev_hash),
        merkle_root: merkle_root(double_sha256(&coinbase), &work.merkle_path),
        ntime: share.ntime,
        nbits: work.nbits,
        nonce: share.nonce,
    };
    BlockHash(double_sha256(&header.to_bytes()))
}
