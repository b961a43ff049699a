//! What there is to hash: a job as the session understands it, and headers built from it by the
//! rules of SV1 mining.notify.

use std::sync::Arc;

use sv1::{Extranonce1, Extranonce2, JobId, Notify};

use crate::hash::double_sha256;
use crate::target::Target;

/// A job with everything that was in force when it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// The job.
    pub notify: Arc<Notify>,
    /// The connection's part of the extranonce.
    pub extranonce1: Extranonce1,
    /// Length of the miner's part, in bytes.
    pub extranonce2_size: u8,
    /// The version bits that may be rolled; `None` if that was not negotiated, and then the sixth
    /// parameter of SV1 mining.submit is left out.
    pub version_mask: Option<u32>,
    /// The difficulty of its shares.
    pub difficulty: f64,
    /// The target of its shares.
    pub target: Target,
}

/// The parts of a header that a miner chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roll {
    /// The miner's part of the extranonce; the lowest bytes count.
    pub extranonce2: u64,
    /// The version's bits; those within the mask count.
    pub version_bits: u32,
    /// The header's time, in s since the epoch.
    pub ntime: u32,
}

/// A share that was found, but for the worker's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The job.
    pub job_id: JobId,
    /// The miner's part of the extranonce.
    pub extranonce2: Extranonce2,
    /// The header's time, in s since the epoch.
    pub ntime: u32,
    /// The header's nonce.
    pub nonce: u32,
    /// The version's bits within the mask, if version rolling was negotiated.
    pub version_bits: Option<u32>,
}

impl Work {
    /// Returns the 80 bytes of the header, with nonce 0.
    #[must_use]
    pub fn header(&self, roll: &Roll) -> [u8; 80] {
        let notify = &*self.notify;
        let mask = self.version_mask.unwrap_or_default();
        let version = notify.version & !mask | roll.version_bits & mask;
        let mut header = [0; 80];
        let fields: [&[u8]; 5] = [
            &version.to_le_bytes(),
            &notify.prev_hash,
            &self.merkle_root(&self.extranonce2(roll)),
            &roll.ntime.to_le_bytes(),
            &notify.nbits.to_le_bytes(),
        ];
        for (place, byte) in header.iter_mut().zip(fields.into_iter().flatten()) {
            *place = *byte;
        }
        header
    }

    /// Returns the share that a nonce makes of the header.
    #[must_use]
    pub fn share(&self, roll: &Roll, nonce: u32) -> Share {
        Share {
            job_id: self.notify.job_id,
            extranonce2: self.extranonce2(roll),
            ntime: roll.ntime,
            nonce,
            version_bits: self.version_mask.map(|mask| roll.version_bits & mask),
        }
    }

    /// The extranonce2 of the right length: the counter little-endian, then zeros.
    fn extranonce2(&self, roll: &Roll) -> Extranonce2 {
        let mut bytes = [0; sv1::MAX_EXTRANONCE];
        for (place, byte) in bytes.iter_mut().zip(roll.extranonce2.to_le_bytes()) {
            *place = byte;
        }
        let size = usize::from(self.extranonce2_size).min(bytes.len());
        Extranonce2::new(bytes.get(..size).unwrap_or_default()).unwrap_or_default()
    }

    fn merkle_root(&self, extranonce2: &Extranonce2) -> [u8; 32] {
        let coinbase = [
            &self.notify.coinb1,
            self.extranonce1.as_bytes(),
            extranonce2.as_bytes(),
            &self.notify.coinb2,
        ]
        .concat();
        let path = &self.notify.merkle_path;
        path.iter().fold(double_sha256(&coinbase), |root, branch| {
            double_sha256([root, *branch].as_flattened())
        })
    }
}
