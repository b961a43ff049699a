//! nbits, the compact form of a target in a block header, with the rules of Bitcoin Core's `SetCompact`.
//!
//! It comes as `nbits` in SV2 §5.3.17 `SetNewPrevHash` and in SV1 `mining.notify`. The highest byte is the length of
//! the number in bytes, the other three are its leading bytes, and their top bit is a sign.

use super::wide::Wide;
use super::{Error, Target};

const SIGN: u32 = 0x0080_0000;
const MANTISSA: u32 = 0x007f_ffff;

impl Target {
    /// Expands `nbits`. A mantissa of zero gives [`Target::ZERO`], which no block meets.
    ///
    /// # Errors
    /// [`Error::NegativeTarget`] and [`Error::TargetOverflow`] where Bitcoin Core reports negative and overflow.
    pub fn from_compact(nbits: u32) -> Result<Self, Error> {
        let length = nbits >> 24;
        // A number shorter than its mantissa loses the mantissa's lowest bytes.
        let mantissa = (nbits & MANTISSA) >> (8 * 3_u32.saturating_sub(length));
        let shift = 8 * length.saturating_sub(3);
        if mantissa == 0 {
            return Ok(Self::ZERO);
        }
        if nbits & SIGN != 0 {
            return Err(Error::NegativeTarget(nbits));
        }
        if mantissa.ilog2() + 1 + shift > 256 {
            return Err(Error::TargetOverflow(nbits));
        }
        let target = Wide::from_u64(mantissa.into()).shl(shift);
        Ok(Self::from_limbs(target.saturating_limbs()))
    }

    /// Gives the nbits of the nearest target that has a compact form and is not above this one.
    #[must_use]
    pub fn to_compact(self) -> u32 {
        let bytes = self.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let digits = bytes.into_iter().skip(zeros).chain([0; 3]);
        let mantissa = digits
            .take(3)
            .fold(0, |sum, byte| (sum << 8) | u32::from(byte));
        let length = u32::try_from(bytes.len() - zeros).unwrap_or(0);
        if mantissa & SIGN == 0 {
            (length << 24) | mantissa
        } else {
            // The leading bit would be read as the sign: move it down by a byte.
            ((length + 1) << 24) | (mantissa >> 8)
        }
    }
}
