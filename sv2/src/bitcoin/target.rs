//! [`Target`]: the 256-bit number that a hash must not exceed, on both sides of the proxy.
//!
//! It is the `target` and `max_target` of SV2 §5.3 and what SV1 `mining.set_difficulty` stands for.

use std::fmt;

use super::wide::Wide;
use super::{BlockHash, Difficulty, Error, Hashrate, Work};

/// The largest hash that is accepted, as a 256-bit number. A larger target is easier to meet.
///
/// The order is the numeric one. `Display` is big-endian hex of 64 digits, the form in which people compare it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target([u64; 4]);

impl Target {
    /// The target that only a hash of zero meets.
    pub const ZERO: Self = Self([0; 4]);
    /// The target that every hash meets.
    pub const MAX: Self = Self([u64::MAX; 4]);
    /// The target of difficulty 1, `0xffff · 2^208`.
    pub const DIFFICULTY_1: Self = Self([0xffff_0000, 0, 0, 0]);

    /// Reads the wire order of Stratum V2: least significant byte first.
    #[must_use]
    pub fn from_le_bytes(mut bytes: [u8; 32]) -> Self {
        bytes.reverse();
        Self::from_be_bytes(bytes)
    }

    /// Gives the wire order of Stratum V2: least significant byte first.
    #[must_use]
    pub fn to_le_bytes(self) -> [u8; 32] {
        let mut bytes = self.to_be_bytes();
        bytes.reverse();
        bytes
    }

    /// Reads the order in which numbers are written: most significant byte first.
    #[must_use]
    pub fn from_be_bytes(bytes: [u8; 32]) -> Self {
        let mut limbs = [0; 4];
        for (limb, eight) in limbs.iter_mut().zip(bytes.as_chunks().0) {
            *limb = u64::from_be_bytes(*eight);
        }
        Self(limbs)
    }

    /// Gives the order in which numbers are written: most significant byte first.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (eight, limb) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *eight = limb.to_be_bytes();
        }
        bytes
    }

    /// Computes `floor(DIFFICULTY_1 / difficulty)` from exactly the binary64 given, at most [`Target::MAX`].
    ///
    /// A difficulty above that of target 1 gives [`Target::ZERO`].
    #[must_use]
    pub fn from_difficulty(difficulty: Difficulty) -> Self {
        // With difficulty = m · 2^e, the target is 0xffff · 2^(208 - e) / m, and m is below 2^53: from a shift of
        // 294 on the quotient is above 2^(15 + 294 - 53), so the numerator never needs more than 16 + 293 bits.
        const SHIFT_OF_OVERFLOW: u32 = 294;
        let (mantissa, exponent) = difficulty.mantissa_and_exponent();
        let Ok(shift) = u32::try_from(208 - exponent) else {
            // A positive exponent comes with a mantissa of 53 bits: the fraction is below 1.
            return Self::ZERO;
        };
        if shift >= SHIFT_OF_OVERFLOW {
            return Self::MAX;
        }
        let numerator = Wide::from_u64(0xffff).shl(shift);
        Self(
            numerator
                .div_rem(Wide::from_u64(mantissa))
                .0
                .saturating_limbs(),
        )
    }

    /// Gives the binary64 nearest to `DIFFICULTY_1 / target`.
    ///
    /// No finite difficulty describes [`Target::ZERO`]; it reports [`Difficulty::MAX`], whose target is zero too.
    #[must_use]
    pub fn difficulty(self) -> Difficulty {
        if self == Self::ZERO {
            return Difficulty::MAX;
        }
        Difficulty::clamped(Self::DIFFICULTY_1.wide().ratio(self.wide()))
    }

    /// Computes the target that a miner of this hashrate meets `shares_per_minute` times a minute on average.
    ///
    /// With `w = trunc(hashrate · (60 / shares_per_minute))` hashes per share, at most 2^128 - 1, it is
    /// `floor((2^256 - 1 - w) / (w + 1))`: the reference implementation's formula, so that both agree on every bit.
    /// A hashrate of zero gives [`Target::MAX`].
    ///
    /// # Errors
    /// [`Error::ShareRateNotPositive`] unless `shares_per_minute` is finite and above zero.
    pub fn from_hashrate(hashrate: Hashrate, shares_per_minute: f64) -> Result<Self, Error> {
        let seconds_per_share = 60.0 / checked_share_rate(shares_per_minute)?;
        let hashes_per_share = trunc_to_u128(hashrate.to_f64() * seconds_per_share);
        let above = Self::MAX.wide().sub(Wide::from_u128(hashes_per_share));
        // At the top the reference implementation divides by w instead of w + 1, and so do we.
        let below = Wide::from_u128(hashes_per_share.saturating_add(1));
        Ok(Self(above.div_rem(below).0.saturating_limbs()))
    }

    /// Computes the hashrate of a miner that meets this target `shares_per_minute` times a minute on average.
    ///
    /// It is `(2^256 - target) / (target + 1) · shares_per_minute / 60`, the inverse of [`Target::from_hashrate`]
    /// up to the fraction of a hash that is cut off there.
    ///
    /// # Errors
    /// [`Error::ShareRateNotPositive`] unless `shares_per_minute` is finite and above zero.
    pub fn hashrate(self, shares_per_minute: f64) -> Result<Hashrate, Error> {
        let shares_per_second = checked_share_rate(shares_per_minute)? / 60.0;
        let hashes_per_share = Wide::HASHES
            .sub(self.wide())
            .ratio(self.wide().add(Wide::ONE));
        Ok(Hashrate::clamped(hashes_per_share * shares_per_second))
    }

    /// Computes the number of hashes tried on average to meet this target: `floor(2^256 / (target + 1))`.
    ///
    /// The 2^256 hashes of [`Target::ZERO`] do not fit and count as one less.
    #[must_use]
    pub fn expected_hashes(self) -> Work {
        let hashes = Wide::HASHES.div_rem(self.wide().add(Wide::ONE)).0;
        Work::from_limbs(hashes.saturating_limbs())
    }

    /// Gives the binary64 nearest to `2^256 / (target + 1)`, the number of hashes tried on average.
    #[must_use]
    pub fn expected_hashes_f64(self) -> f64 {
        Wide::HASHES.ratio(self.wide().add(Wide::ONE))
    }

    /// Tells whether a hash is accepted: a hash equal to the target is (SV2 §5.3.21).
    #[must_use]
    pub fn is_met_by(self, hash: &BlockHash) -> bool {
        hash.to_target() <= self
    }

    pub(super) const fn from_limbs(limbs: [u64; 4]) -> Self {
        Self(limbs)
    }

    fn wide(self) -> Wide {
        Wide::from_limbs(self.0)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|limb| write!(f, "{limb:016x}"))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

fn checked_share_rate(shares_per_minute: f64) -> Result<f64, Error> {
    if shares_per_minute.is_finite() && shares_per_minute > 0.0 {
        Ok(shares_per_minute)
    } else {
        Err(Error::ShareRateNotPositive(shares_per_minute))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "cutting off the fraction and saturating is what the formula asks for"
)]
const fn trunc_to_u128(value: f64) -> u128 {
    value as u128
}
