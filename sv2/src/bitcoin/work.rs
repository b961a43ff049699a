//! [`Work`]: a number of hashes, the measure of what a share or a block is worth.

use std::fmt;

use super::wide::Wide;

/// An expected number of hashes, as a 256-bit number. `Display` is decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Work([u64; 4]);

impl Work {
    /// Gives the number if it fits 128 bits, else the largest that does.
    #[must_use]
    pub fn saturating_u128(self) -> u128 {
        match self.0 {
            [0, 0, high, low] => (u128::from(high) << 64) | u128::from(low),
            _ => u128::MAX,
        }
    }

    /// Gives the nearest binary64.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        Wide::from_limbs(self.0).to_f64()
    }

    pub(super) const fn from_limbs(limbs: [u64; 4]) -> Self {
        Self(limbs)
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 256 bits are at most 78 digits, which 19 at a time fill five groups.
        const GROUP: Wide = Wide::from_u64(10_u64.pow(19));
        let mut rest = Wide::from_limbs(self.0);
        let mut digits = String::new();
        loop {
            let (above, group) = rest.div_rem(GROUP);
            if above == Wide::ZERO {
                digits.insert_str(0, &group.low_u64().to_string());
                return f.pad_integral(true, "", &digits);
            }
            digits.insert_str(0, &format!("{:019}", group.low_u64()));
            rest = above;
        }
    }
}
