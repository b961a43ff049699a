//! A share, as a miner hands it in: SV1 mining.submit, with BIP-0310's sixth parameter.

use crate::error::ParameterError;
use crate::extranonce::Extranonce2;
use crate::job_id::JobId;
use crate::json;
use crate::params::Params;

/// A share (SV1 mining.submit). Only the worker's name takes memory of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Submit {
    /// Name of the worker, as it was authorized.
    pub worker: Box<str>,
    /// The job, as its notify named it.
    pub job_id: JobId,
    /// The miner's part of the extranonce.
    pub extranonce2: Extranonce2,
    /// The header's time, in s since the epoch.
    pub ntime: u32,
    /// The header's nonce.
    pub nonce: u32,
    /// The version bits within the negotiated mask (BIP-0310); `None` from a miner that rolls none.
    pub version_bits: Option<u32>,
}

impl Submit {
    /// Reads `[worker, job_id, extranonce2, ntime, nonce, version_bits]`, all in big-endian hex.
    pub(crate) fn parse(params: &Params<'_>) -> Result<Self, ParameterError> {
        params.need(5)?;
        let version_bits = params.at(6, "version_bits");
        Ok(Self {
            worker: params.at(1, "worker").text()?.into(),
            job_id: params.at(2, "job_id").job_id()?,
            extranonce2: params.at(3, "extranonce2").extranonce2()?,
            ntime: params.at(4, "ntime").hex_u32()?,
            nonce: params.at(5, "nonce").hex_u32()?,
            version_bits: match version_bits.optional_text() {
                // Null and the empty string are what firmware sends that was not asked to roll.
                None if !version_bits.is_present() || version_bits.json() == Ok("\"\"") => None,
                _ => Some(version_bits.hex_u32()?),
            },
        })
    }

    pub(crate) fn encode_params(&self, out: &mut Vec<u8>) {
        json::push_text(out, &self.worker);
        out.extend_from_slice(b",\"");
        out.extend_from_slice(self.job_id.as_str().as_bytes());
        out.extend_from_slice(b"\",");
        json::push_hex(out, self.extranonce2.as_bytes());
        for number in [Some(self.ntime), Some(self.nonce), self.version_bits] {
            let Some(number) = number else { continue };
            out.push(b',');
            json::push_hex_u32(out, number);
        }
    }
}
