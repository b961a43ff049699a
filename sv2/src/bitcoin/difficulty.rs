//! [`Difficulty`]: how many times harder than the target of difficulty 1, as Stratum V1 speaks of targets.

use std::cmp::Ordering;
use std::fmt;

use super::Error;

/// A difficulty: a binary64 that is finite and above zero. Fractions below 1 are usual for CPU miners and tests.
///
/// It is the parameter of SV1 `mining.set_difficulty`. Judge shares with a [`Target`](super::Target), which is exact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difficulty(f64);

impl Difficulty {
    /// Difficulty 1, that of the first blocks.
    pub const ONE: Self = Self(1.0);
    /// The largest difficulty, which also stands for the target 0.
    pub const MAX: Self = Self(f64::MAX);
    /// The smallest difficulty, far below that of [`Target::MAX`](super::Target::MAX).
    pub const MIN: Self = Self(f64::from_bits(1));

    /// Takes a number as a difficulty.
    ///
    /// # Errors
    /// [`Error::DifficultyNotPositive`] if it is zero, negative, infinite or not a number.
    pub fn new(difficulty: f64) -> Result<Self, Error> {
        if difficulty.is_finite() && difficulty > 0.0 {
            Ok(Self(difficulty))
        } else {
            Err(Error::DifficultyNotPositive(difficulty))
        }
    }

    /// Gives the number.
    #[must_use]
    pub const fn to_f64(self) -> f64 {
        self.0
    }

    /// Rounds down to a whole power of two, of a negative exponent below 1.
    #[must_use]
    pub fn floor_power_of_two(self) -> Self {
        let bits = self.0.to_bits();
        let exponent = bits & !FRACTION;
        if exponent == 0 {
            // Below the normal numbers the value is the fraction itself, in units of 2^-1074.
            Self(f64::from_bits(1 << (bits | 1).ilog2()))
        } else {
            Self(f64::from_bits(exponent))
        }
    }

    /// Takes the result of a computation whose operands were checked; one that left the range gets its nearest end.
    pub(super) const fn clamped(difficulty: f64) -> Self {
        Self(difficulty.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Takes the number apart exactly: `(m, e)` with difficulty = m · 2^e and m below 2^53, at least 2^52 if e > -1074.
    pub(super) fn mantissa_and_exponent(self) -> (u64, i32) {
        const EXPONENT_OF_FRACTION: i32 = -1_074;
        let bits = self.0.to_bits();
        let fraction = bits & FRACTION;
        match i32::try_from(bits >> 52).unwrap_or(0) {
            0 => (fraction, EXPONENT_OF_FRACTION),
            biased => (fraction | IMPLICIT, EXPONENT_OF_FRACTION + biased - 1),
        }
    }
}

/// The bits of a binary64 below its sign and exponent.
const FRACTION: u64 = IMPLICIT - 1;
/// The leading bit of a normal binary64, which is not stored.
const IMPLICIT: u64 = 1 << 52;

// A difficulty is never NaN, so the order is total.
impl Eq for Difficulty {}

impl PartialOrd for Difficulty {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Difficulty {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl fmt::Display for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floored(difficulty: f64) -> f64 {
        Difficulty::new(difficulty)
            .unwrap()
            .floor_power_of_two()
            .to_f64()
    }

    #[test]
    fn zero_negatives_infinities_and_nan_are_no_difficulty() {
        for number in [0.0, -0.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert!(Difficulty::new(number).is_err(), "{number}");
        }
    }

    #[test]
    fn powers_of_two_stay_and_others_go_down_to_the_next() {
        assert_eq!(floored(1.0), 1.0);
        assert_eq!(floored(16_384.0), 16_384.0);
        assert_eq!(floored(16_383.999), 8_192.0);
        assert_eq!(floored(0.3), 0.25);
        assert_eq!(floored(f64::MAX), 2_f64.powi(1023));
        assert_eq!(floored(f64::MIN_POSITIVE), f64::MIN_POSITIVE);
    }

    #[test]
    fn subnormals_have_a_power_of_two_below_them() {
        assert_eq!(floored(f64::from_bits(1)), f64::from_bits(1));
        assert_eq!(floored(f64::from_bits(7)), f64::from_bits(4));
        assert_eq!(
            floored(f64::MIN_POSITIVE.next_down()),
            f64::MIN_POSITIVE / 2.0
        );
    }

    #[test]
    fn whole_difficulties_are_shown_without_a_fraction() {
        assert_eq!(Difficulty::new(16_384.0).unwrap().to_string(), "16384");
        assert_eq!(Difficulty::new(0.25).unwrap().to_string(), "0.25");
    }
}
