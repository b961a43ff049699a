//! [`Hashrate`]: hashes per second, as reported to the pool and shown to people.

use std::cmp::Ordering;
use std::fmt;

use super::Error;

/// A hashrate in h/s: a binary64 that is finite and not negative.
///
/// It is `nominal_hash_rate` of SV2 §5.3.2, a binary32 there. `Display` gives it as in `1.23 TH/s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hashrate(f64);

impl Hashrate {
    /// No hashing at all: a channel without miners.
    pub const ZERO: Self = Self(0.0);

    /// Takes a number of hashes per second.
    ///
    /// # Errors
    /// [`Error::HashrateNotAnAmount`] if it is negative, infinite or not a number.
    pub fn new(hashes_per_second: f64) -> Result<Self, Error> {
        if hashes_per_second.is_finite() && hashes_per_second >= 0.0 {
            // Adding zero makes a negative zero positive, which the total order would tell apart.
            Ok(Self(hashes_per_second + 0.0))
        } else {
            Err(Error::HashrateNotAnAmount(hashes_per_second))
        }
    }

    /// Takes the wire's binary32, in h/s.
    ///
    /// # Errors
    /// [`Error::HashrateNotAnAmount`] if it is negative, infinite or not a number.
    pub fn from_f32(hashes_per_second: f32) -> Result<Self, Error> {
        Self::new(hashes_per_second.into())
    }

    /// Gives the number of hashes per second.
    #[must_use]
    pub const fn to_f64(self) -> f64 {
        self.0
    }

    /// Gives the wire's binary32 in h/s: the nearest one, never infinite.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the wire has no more than a binary32"
    )]
    pub const fn to_f32(self) -> f32 {
        (self.0 as f32).min(f32::MAX)
    }

    /// Takes the result of a computation whose operands were checked; one above the range gets the largest number.
    pub(super) const fn clamped(hashes_per_second: f64) -> Self {
        Self(hashes_per_second.clamp(0.0, f64::MAX))
    }
}

// A hashrate is never NaN, so the order is total.
impl Eq for Hashrate {}

impl PartialOrd for Hashrate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Hashrate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl fmt::Display for Hashrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PREFIXES: [&str; 10] = ["k", "M", "G", "T", "P", "E", "Z", "Y", "R", "Q"];
        // What two decimals would round up to 1000.00 is shown in the next unit.
        const CARRIES: f64 = 999.995;
        let mut amount = self.0;
        let mut unit = "";
        for prefix in PREFIXES {
            if amount < CARRIES {
                break;
            }
            amount /= 1_000.0;
            unit = prefix;
        }
        write!(f, "{amount:.2} {unit}H/s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(hashes_per_second: f64) -> String {
        Hashrate::new(hashes_per_second).unwrap().to_string()
    }

    #[test]
    fn negatives_infinities_and_nan_are_no_hashrate() {
        for number in [-1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert!(Hashrate::new(number).is_err(), "{number}");
        }
        assert!(Hashrate::from_f32(f32::NAN).is_err());
    }

    #[test]
    fn negative_zero_is_zero() {
        let zero = Hashrate::new(-0.0).unwrap();
        assert_eq!(zero.cmp(&Hashrate::ZERO), Ordering::Equal);
        assert_eq!(zero.to_string(), "0.00 H/s");
    }

    #[test]
    fn the_unit_keeps_the_number_below_a_thousand() {
        assert_eq!(shown(0.0), "0.00 H/s");
        assert_eq!(shown(999.0), "999.00 H/s");
        assert_eq!(shown(1_000.0), "1.00 kH/s");
        assert_eq!(shown(1.234e12), "1.23 TH/s");
        assert_eq!(shown(999.99e12), "999.99 TH/s");
        assert_eq!(shown(999.999e12), "1.00 PH/s");
        assert_eq!(shown(1e24), "1.00 YH/s");
        assert_eq!(shown(5e33), "5000.00 QH/s");
    }

    #[test]
    fn the_wire_never_carries_an_infinity() {
        assert_eq!(Hashrate::new(f64::MAX).unwrap().to_f32(), f32::MAX);
        assert_eq!(Hashrate::new(1e14).unwrap().to_f32(), 1e14_f32);
        assert_eq!(Hashrate::from_f32(f32::MAX).unwrap().to_f32(), f32::MAX);
    }
}
