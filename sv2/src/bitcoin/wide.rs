//! 320-bit whole numbers: room for every intermediate value between a target and a difficulty or hashrate.
//!
//! The widest is the numerator of `floor(difficulty 1 / difficulty)`, below 2^309 (see `Target::from_difficulty`).
//! Division is the schoolbook's: limb by limb where the divisor is one limb, as for every target of a difficulty, else
//! one bit at a time, which is rare.

const LIMBS: usize = 5;

/// A whole number below 2^320, most significant limb first, so that the derived order is the numeric one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wide([u64; LIMBS]);

impl Wide {
    pub(super) const ZERO: Self = Self([0; LIMBS]);
    pub(super) const ONE: Self = Self([0, 0, 0, 0, 1]);
    /// 2^256, the number of different hashes.
    pub(super) const HASHES: Self = Self([1, 0, 0, 0, 0]);

    pub(super) const fn from_u64(value: u64) -> Self {
        Self([0, 0, 0, 0, value])
    }

    pub(super) fn from_u128(value: u128) -> Self {
        let [high, low] = halves(value);
        Self([0, 0, 0, high, low])
    }

    pub(super) const fn from_limbs([a, b, c, d]: [u64; 4]) -> Self {
        Self([0, a, b, c, d])
    }

    /// Gives the value as 256 bits, most significant limb first, or the largest such value when it is above.
    pub(super) const fn saturating_limbs(self) -> [u64; 4] {
        match self.0 {
            [0, a, b, c, d] => [a, b, c, d],
            _ => [u64::MAX; 4],
        }
    }

    /// Counts the bits up to the highest set one; 0 for zero.
    pub(super) fn bit_length(self) -> u32 {
        let leading = self.0.iter().position(|limb| *limb != 0);
        let rest = self.0.iter().skip_while(|limb| **limb == 0);
        let limbs_below = LIMBS.saturating_sub(1 + leading.unwrap_or(LIMBS));
        let top = rest.clone().next().map_or(0, |limb| limb.ilog2() + 1);
        top + 64 * u32::try_from(limbs_below).unwrap_or(0)
    }

    /// Multiplies by 2^`count`; bits above 2^320 are lost.
    pub(super) fn shl(self, count: u32) -> Self {
        let (limbs, bits) = (count / 64, count % 64);
        let moved = self
            .0
            .into_iter()
            .skip(limbs as usize)
            .chain(std::iter::repeat(0));
        let mut shifted = Self::ZERO;
        for (to, from) in shifted.0.iter_mut().zip(moved) {
            *to = from;
        }
        let mut carry = 0;
        for limb in shifted.0.iter_mut().rev() {
            // Shifting right in two steps keeps `bits == 0` below the width of the limb.
            let out = (*limb >> 1) >> (63 - bits);
            *limb = (*limb << bits) | carry;
            carry = out;
        }
        shifted
    }

    fn halve(self) -> Self {
        let mut carry = 0;
        Self(self.0.map(|limb| {
            let half = (limb >> 1) | carry;
            carry = limb << 63;
            half
        }))
    }

    /// Adds modulo 2^320.
    pub(super) fn add(self, other: Self) -> Self {
        let mut sum = self;
        let mut carry = false;
        for (limb, addend) in sum.0.iter_mut().zip(other.0).rev() {
            let (partial, first) = limb.overflowing_add(addend);
            let (total, second) = partial.overflowing_add(u64::from(carry));
            *limb = total;
            carry = first | second;
        }
        sum
    }

    /// Subtracts modulo 2^320.
    pub(super) fn sub(self, other: Self) -> Self {
        let mut difference = self;
        let mut borrow = false;
        for (limb, subtrahend) in difference.0.iter_mut().zip(other.0).rev() {
            let (partial, first) = limb.overflowing_sub(subtrahend);
            let (total, second) = partial.overflowing_sub(u64::from(borrow));
            *limb = total;
            borrow = first | second;
        }
        difference
    }

    /// Divides, giving quotient and remainder. A divisor of zero gives the largest quotient and no remainder.
    pub(super) fn div_rem(self, divisor: Self) -> (Self, Self) {
        match divisor.0 {
            [0, 0, 0, 0, 0] => (Self([u64::MAX; LIMBS]), Self::ZERO),
            [0, 0, 0, 0, limb] => self.div_rem_limb(limb),
            _ => self.div_rem_bits(divisor),
        }
    }

    /// Divides by a single limb that is not zero.
    fn div_rem_limb(self, divisor: u64) -> (Self, Self) {
        let divisor = u128::from(divisor);
        let mut remainder = 0_u128;
        let quotient = self.0.map(|limb| {
            let dividend = (remainder << 64) | u128::from(limb);
            remainder = dividend % divisor;
            // The remainder before was below the divisor, so this is below 2^64.
            let [_, quotient] = halves(dividend / divisor);
            quotient
        });
        (Self(quotient), Self::from_u128(remainder))
    }

    /// Divides one bit at a time by a divisor that is not zero.
    fn div_rem_bits(self, divisor: Self) -> (Self, Self) {
        let Some(steps) = self.bit_length().checked_sub(divisor.bit_length()) else {
            return (Self::ZERO, self);
        };
        let mut quotient = Self::ZERO;
        let mut remainder = self;
        let mut aligned = divisor.shl(steps);
        for _ in 0..=steps {
            quotient = quotient.shl(1);
            if remainder >= aligned {
                remainder = remainder.sub(aligned);
                quotient = quotient.add(Self::ONE);
            }
            aligned = aligned.halve();
        }
        (quotient, remainder)
    }

    /// Gives the binary64 nearest to `self / divisor`, ties to even.
    ///
    /// Both must be below 2^319, and the divisor not zero.
    pub(super) fn ratio(self, divisor: Self) -> f64 {
        // A mantissa of 53 bits, one that may be a leading zero, and two that decide the rounding.
        const QUOTIENT_BITS: u32 = 56;
        if self == Self::ZERO {
            return 0.0;
        }
        let (above, below) = (self.bit_length(), divisor.bit_length());
        let divisor = divisor.shl(above.saturating_sub(below));
        let mut remainder = self.shl(below.saturating_sub(above));
        let mut quotient = 0_u64;
        for _ in 0..QUOTIENT_BITS {
            quotient <<= 1;
            if remainder >= divisor {
                remainder = remainder.sub(divisor);
                quotient |= 1;
            }
            remainder = remainder.shl(1);
        }
        // The bits that were not computed count for the rounding only as zero or not zero.
        let sticky = (quotient << 1) | u64::from(remainder != Self::ZERO);
        let exponent = above.cast_signed() - below.cast_signed() - QUOTIENT_BITS.cast_signed();
        sticky as f64 * power_of_two(exponent)
    }

    /// Gives the nearest binary64, ties to even.
    pub(super) fn to_f64(self) -> f64 {
        self.ratio(Self::ONE)
    }

    pub(super) const fn low_u64(self) -> u64 {
        let [.., low] = self.0;
        low
    }
}

/// Gives 2^`exponent` exactly, for exponents of normal binary64 numbers.
fn power_of_two(exponent: i32) -> f64 {
    const BIAS: i32 = 1_023;
    let biased = u64::from((exponent + BIAS).clamp(1, 2_046).cast_unsigned());
    f64::from_bits(biased << 52)
}

#[expect(clippy::cast_possible_truncation, reason = "each half is 64 bits")]
const fn halves(value: u128) -> [u64; 2] {
    [(value >> 64) as u64, value as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_length_counts_to_the_highest_set_bit() {
        assert_eq!(Wide::ZERO.bit_length(), 0);
        for count in 0..320 {
            assert_eq!(Wide::ONE.shl(count).bit_length(), count + 1);
        }
    }

    #[test]
    fn shifting_left_and_halving_undo_each_other() {
        let mut value = Wide::from_u64(0xdead_beef_0123_4567).shl(256);
        for count in (0..=256).rev() {
            assert_eq!(value, Wide::from_u64(0xdead_beef_0123_4567).shl(count));
            value = value.halve();
        }
    }

    #[test]
    fn quotient_and_remainder_make_the_dividend_again() {
        let dividend = Wide::HASHES.sub(Wide::ONE);
        let (quotient, remainder) = dividend.div_rem(Wide::from_u128(10_u128.pow(38)));
        let mut sum = remainder;
        // 10^38 = 5^38 · 2^38; multiplication is repeated addition of shifted values.
        for bit in (0..128).filter(|bit| 10_u128.pow(38) >> bit & 1 == 1) {
            sum = sum.add(quotient.shl(bit));
        }
        assert_eq!(sum, dividend);
    }

    #[test]
    fn limb_by_limb_and_bit_by_bit_agree() {
        let dividend = Wide::HASHES.sub(Wide::from_u64(0x1234_5678_9abc_def1));
        for dividend in [dividend, dividend.shl(63), Wide::ONE, Wide::ZERO] {
            for divisor in [1, 2, 3, 0xffff, 1 << 52, (1 << 53) - 1, 1 << 63, u64::MAX] {
                let bits = dividend.div_rem_bits(Wide::from_u64(divisor));
                assert_eq!(dividend.div_rem_limb(divisor), bits, "{divisor}");
            }
        }
    }

    #[test]
    fn a_divisor_of_zero_does_not_panic() {
        assert_eq!(
            Wide::ONE.div_rem(Wide::ZERO).0.saturating_limbs(),
            [u64::MAX; 4]
        );
    }

    #[test]
    fn ratios_round_ties_to_even() {
        let even = Wide::from_u64((1 << 53) + 1);
        assert_eq!(even.to_f64(), 9_007_199_254_740_992.0);
        let odd = Wide::from_u64((1 << 53) + 3);
        assert_eq!(odd.to_f64(), 9_007_199_254_740_996.0);
        let above_tie = even.shl(200).add(Wide::ONE);
        assert_eq!(above_tie.ratio(Wide::ONE.shl(200)), 9_007_199_254_740_994.0);
    }
}
