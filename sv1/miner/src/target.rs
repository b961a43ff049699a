//! The target that a difficulty means, as a miner reckons it.
//!
//! Written for this crate alone, apart from the proxy's arithmetic, so that a wrong byte order on
//! one side shows on the other.

use std::fmt;

/// A number that a share's hash must not exceed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target([u8; 32]);

/// The first 16 bits of difficulty 1's target that are not zero; 208 zero bits follow them.
const DIFFICULTY_1: f64 = 0xffff as f64;
const DIFFICULTY_1_SHIFT: i32 = 208;

/// Bits of a binary64's significand.
const SIGNIFICAND: i32 = 53;

impl Target {
    /// The target that every hash meets.
    pub const MAX: Self = Self([0xff; 32]);

    /// Takes the target from its bytes, most significant first.
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, most significant first.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Returns the target of a difficulty: exact for powers of two, and otherwise never above the
    /// exact one, by less than one part in 2^52, so that no share falls short of what the server reckons.
    ///
    /// A difficulty that is not above zero is taken for one that every hash meets.
    #[must_use]
    pub fn from_difficulty(difficulty: f64) -> Self {
        if difficulty.is_nan() || difficulty <= 0.0 {
            return Self::MAX;
        }
        let quotient = DIFFICULTY_1 / difficulty;
        // The sign of what division rounded away, computed with one rounding.
        let rounded_up = quotient.mul_add(difficulty, -DIFFICULTY_1) > 0.0;
        let quotient = if rounded_up {
            quotient.next_down()
        } else {
            quotient
        };
        if quotient >= 2_f64.powi(256 - DIFFICULTY_1_SHIFT) {
            return Self::MAX;
        }
        // quotient = significand * 2^exponent, and the target is that times 2^208.
        let exponent = exponent_of(quotient) - (SIGNIFICAND - 1);
        let significand = significand_of(quotient);
        Self(shifted(significand, exponent + DIFFICULTY_1_SHIFT))
    }

    /// Returns whether a hash, in the byte order in which SHA-256 gives it, is not above the target.
    #[must_use]
    pub fn is_met_by(&self, hash: &[u8; 32]) -> bool {
        hash.iter().rev().le(&self.0)
    }

    /// Returns the 32 most significant bits.
    #[must_use]
    pub const fn top(&self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&sv1::hex::encode(&self.0))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

/// The power of two of a binary64's most significant bit; of a subnormal or zero one that is too
/// small to matter.
fn exponent_of(number: f64) -> i32 {
    let biased = (number.to_bits() >> (SIGNIFICAND - 1)) & 0x7ff;
    i32::try_from(biased).unwrap_or_default() - 1023
}

/// The 53 bits of a binary64's significand, the implicit one among them.
const fn significand_of(number: f64) -> u64 {
    let implicit = 1 << (SIGNIFICAND - 1);
    number.to_bits() & (implicit - 1) | implicit
}

/// `number * 2^shift` as 256 bits, most significant byte first; bits below the point are cut off.
fn shifted(number: u64, shift: i32) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().rev().enumerate() {
        // The byte's lowest bit is bit `low` of `number`.
        let low = i32::try_from(8 * place).unwrap_or_default() - shift;
        let bits = match low {
            0..64 => number >> low,
            -7..0 => number << -low,
            _ => 0,
        };
        [*byte, ..] = bits.to_le_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_exact() {
        let target = |difficulty| Target::from_difficulty(difficulty).to_string();
        assert_eq!(target(1.0), format!("00000000ffff{}", "0".repeat(52)));
        assert_eq!(target(2.0), format!("000000007fff8{}", "0".repeat(51)));
        assert_eq!(target(0.5), format!("00000001fffe{}", "0".repeat(52)));
        assert_eq!(
            target(65536.0),
            format!("000000000000ffff{}", "0".repeat(48))
        );
        assert_eq!(target(2_f64.powi(-32)), format!("ffff{}", "0".repeat(60)));
    }

    #[test]
    fn the_ends_of_the_range_are_reached() {
        assert_eq!(Target::from_difficulty(0.0), Target::MAX);
        assert_eq!(Target::from_difficulty(-1.0), Target::MAX);
        assert_eq!(Target::from_difficulty(f64::NAN), Target::MAX);
        assert_eq!(Target::from_difficulty(1e-300), Target::MAX);
        assert_eq!(Target::from_difficulty(2_f64.powi(-33)), Target::MAX);
        assert_eq!(Target::from_difficulty(1e300), Target([0; 32]));
        assert_eq!(Target::from_difficulty(f64::INFINITY), Target([0; 32]));
    }

    #[test]
    fn a_hash_is_read_from_its_last_byte() {
        let mut hash = [0xff; 32];
        hash[28..].fill(0);
        assert!(!Target::from_difficulty(1.0).is_met_by(&hash));
        hash[27] = 0;
        assert!(Target::from_difficulty(1.0).is_met_by(&hash));
    }
}
