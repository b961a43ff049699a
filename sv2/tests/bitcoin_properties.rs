//! The Bitcoin arithmetic against a slow model on whole numbers of any size, and at the ends of its range.
#![allow(clippy::unwrap_used)]

use num_bigint::{BigInt, BigUint};
use proptest::prelude::*;
use sv2::bitcoin::{BlockHash, Difficulty, Error, Hashrate, Target};

/// A fraction of whole numbers: numerator and denominator.
type Fraction = (BigInt, BigInt);

/// Gives a binary64 as a fraction.
fn exactly(value: f64) -> Fraction {
    let bits = value.to_bits();
    let fraction = BigInt::from(bits & ((1 << 52) - 1));
    let (mantissa, exponent) = match i32::try_from(bits >> 52 & 0x7ff).unwrap() {
        0 => (fraction, -1_074),
        biased => (fraction + (1_u64 << 52), biased - 1_075),
    };
    let power = BigInt::from(1) << exponent.unsigned_abs();
    if exponent < 0 {
        (mantissa, power)
    } else {
        (mantissa * power, BigInt::from(1))
    }
}

/// Tells whether `value` is the binary64 nearest to the fraction, and the even one of two that are equally near.
fn is_nearest(value: f64, (numerator, denominator): &Fraction) -> bool {
    // The distances to value and to its neighbours, all over the same denominator.
    let distance = |(n, d): Fraction, scale: &BigInt| {
        let gap = n * denominator * (scale / &d) - numerator * scale;
        if gap < BigInt::ZERO { -gap } else { gap }
    };
    let (below, above) = (exactly(value.next_down()), exactly(value.next_up()));
    // All three denominators are powers of two, so the largest is a multiple of the others.
    let scale = exactly(value).1.max(below.1.clone()).max(above.1.clone());
    let here = distance(exactly(value), &scale);
    let nearest_other = distance(below, &scale).min(distance(above, &scale));
    here < nearest_other || (here == nearest_other && value.to_bits().is_multiple_of(2))
}

fn number(target: Target) -> BigUint {
    BigUint::from_bytes_be(&target.to_be_bytes())
}

fn signed(target: Target) -> BigInt {
    number(target).into()
}

fn hashes() -> BigUint {
    BigUint::from(1_u8) << 256
}

/// Gives the target of a model's number, clamped as `Target::from_difficulty` does.
fn target_of(number: &BigUint) -> Target {
    if *number >= hashes() {
        return Target::MAX;
    }
    let mut bytes = number.to_bytes_le();
    bytes.resize(32, 0);
    Target::from_le_bytes(bytes.try_into().unwrap())
}

fn model_of_difficulty(difficulty: Difficulty) -> Target {
    let (numerator, denominator) = exactly(difficulty.to_f64());
    target_of(
        &(signed(Target::DIFFICULTY_1) * denominator / numerator)
            .try_into()
            .unwrap(),
    )
}

fn target_of_difficulty(difficulty: f64) -> Target {
    Target::from_difficulty(Difficulty::new(difficulty).unwrap())
}

/// Targets of every length, not only those close to 2^256.
fn targets() -> impl Strategy<Value = Target> {
    let shifted = (any::<[u8; 32]>(), 0_u32..256)
        .prop_map(|(bytes, shift)| target_of(&(BigUint::from_bytes_be(&bytes) >> shift)));
    let edges = prop::sample::select(vec![Target::ZERO, Target::DIFFICULTY_1, Target::MAX]);
    prop_oneof![9 => shifted, 1 => edges]
}

/// Difficulties over the whole range, and those that a target has.
fn difficulties() -> impl Strategy<Value = Difficulty> {
    let any_bits = prop::num::f64::POSITIVE | prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL;
    let of_targets = (1_u64..1 << 53, -90_i32..230)
        .prop_map(|(mantissa, exponent)| mantissa as f64 * 2_f64.powi(exponent));
    prop_oneof![any_bits, of_targets]
        .prop_filter_map("positive", |difficulty| Difficulty::new(difficulty).ok())
}

fn hashrates() -> impl Strategy<Value = Hashrate> {
    prop_oneof![0.0..1e6, 1e6..1e15, 1e15..1e24].prop_map(|h: f64| Hashrate::new(h).unwrap())
}

proptest! {
    #[test]
    fn bytes_in_either_order_give_the_target_again(bytes: [u8; 32]) {
        let target = Target::from_le_bytes(bytes);
        prop_assert_eq!(target.to_le_bytes(), bytes);
        prop_assert_eq!(Target::from_be_bytes(target.to_be_bytes()), target);
        prop_assert_eq!(number(target), BigUint::from_bytes_le(&bytes));
        prop_assert_eq!(target.to_string(), format!("{:064x}", number(target)));
    }

    #[test]
    fn targets_are_ordered_as_numbers(one in targets(), other in targets()) {
        prop_assert_eq!(one.cmp(&other), number(one).cmp(&number(other)));
        prop_assert_eq!(one.is_met_by(&BlockHash(other.to_le_bytes())), other <= one);
    }

    #[test]
    fn the_target_of_a_difficulty_is_exact(difficulty in difficulties()) {
        prop_assert_eq!(Target::from_difficulty(difficulty), model_of_difficulty(difficulty));
    }

    #[test]
    fn a_higher_difficulty_never_has_a_higher_target(one in difficulties(), other in difficulties()) {
        let (low, high) = (one.min(other), one.max(other));
        prop_assert!(Target::from_difficulty(high) <= Target::from_difficulty(low));
    }

    #[test]
    fn the_difficulty_of_a_target_is_the_nearest(target in targets()) {
        let exact = (signed(Target::DIFFICULTY_1), signed(target));
        let difficulty = target.difficulty().to_f64();
        prop_assert!(target == Target::ZERO || is_nearest(difficulty, &exact));
    }

    #[test]
    fn difficulties_of_long_targets_come_back(mantissa in 1_u64 << 52..1 << 53, exponent in -84_i32..96) {
        // The target keeps 64 bits or more, hence all 53 of the difficulty.
        let difficulty = Difficulty::new(mantissa as f64 * 2_f64.powi(exponent)).unwrap();
        prop_assert_eq!(Target::from_difficulty(difficulty).difficulty(), difficulty);
    }

    #[test]
    fn the_floor_power_of_two_is_the_largest_not_above(difficulty in difficulties()) {
        let (numerator, denominator) = exactly(difficulty.floor_power_of_two().to_f64());
        let power = if denominator > BigInt::from(1) { &denominator } else { &numerator };
        prop_assert_eq!(power.magnitude().count_ones(), 1);
        let (whole, over) = exactly(difficulty.to_f64());
        let scaled = &numerator * &over;
        prop_assert!(scaled <= &whole * &denominator);
        prop_assert!(scaled * 2 > whole * denominator);
    }

    #[test]
    fn expected_hashes_are_exact(target in targets()) {
        let above = number(target) + 1_u8;
        let exact = (hashes() / &above).min(hashes() - 1_u8);
        prop_assert_eq!(target.expected_hashes().to_string(), exact.to_string());
        prop_assert!(is_nearest(target.expected_hashes().to_f64(), &(exact.into(), 1.into())));
        prop_assert!(is_nearest(target.expected_hashes_f64(), &(hashes().into(), above.into())));
    }

    #[test]
    fn the_target_of_a_hashrate_is_exact(hashrate in hashrates(), shares_per_minute in 0.01..1e4) {
        let per_share = hashrate.to_f64() * (60.0 / shares_per_minute);
        let (numerator, denominator) = exactly(per_share);
        let whole: BigUint = (numerator / denominator).try_into().unwrap();
        let exact = (hashes() - 1_u8 - &whole) / (whole + 1_u8);
        prop_assert_eq!(Target::from_hashrate(hashrate, shares_per_minute).unwrap(), target_of(&exact));
    }

    #[test]
    fn a_higher_hashrate_never_has_a_higher_target(one in hashrates(), other in hashrates()) {
        let (low, high) = (one.min(other), one.max(other));
        let target = |hashrate| Target::from_hashrate(hashrate, 12.0).unwrap();
        prop_assert!(target(high) <= target(low));
    }

    #[test]
    fn the_hashrate_comes_back_but_for_a_hash_per_share(hashrate in hashrates(), shares_per_minute in 0.01..1e4) {
        let target = Target::from_hashrate(hashrate, shares_per_minute).unwrap();
        let back = target.hashrate(shares_per_minute).unwrap().to_f64();
        let lost = shares_per_minute / 60.0 + hashrate.to_f64() * 1e-15;
        prop_assert!((back - hashrate.to_f64()).abs() <= lost, "{back}");
    }

    #[test]
    fn nbits_mean_what_the_definition_says(nbits: u32) {
        let (length, mantissa) = (nbits >> 24, BigUint::from(nbits & 0x007f_ffff));
        let number = (mantissa << (8 * length)) >> 24;
        let expected = if number == BigUint::ZERO {
            Ok(Target::ZERO)
        } else if nbits & 0x0080_0000 != 0 {
            Err(Error::NegativeTarget(nbits))
        } else if number >= hashes() {
            Err(Error::TargetOverflow(nbits))
        } else {
            Ok(target_of(&number))
        };
        prop_assert_eq!(Target::from_compact(nbits), expected);
    }

    #[test]
    fn nbits_of_a_target_are_the_nearest_below(target in targets()) {
        let nbits = target.to_compact();
        let expanded = Target::from_compact(nbits).unwrap();
        prop_assert!(expanded <= target);
        prop_assert_eq!(expanded.to_compact(), nbits);
        // The mantissa has at least 15 bits, and the next one is above.
        let next = number(expanded) + (number(expanded) >> 14) + 1_u8;
        prop_assert!(next > number(target));
    }

    #[test]
    fn a_hash_comes_back_from_its_text(bytes: [u8; 32]) {
        let hash = BlockHash(bytes);
        prop_assert_eq!(hash.to_string().parse(), Ok(hash));
        prop_assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
    }

    #[test]
    fn no_text_panics_as_a_hash(text: String) {
        let _ = text.parse::<BlockHash>();
    }
}

#[test]
fn the_smallest_difficulty_has_the_largest_target() {
    assert_eq!(target_of_difficulty(f64::from_bits(1)), Target::MAX);
    assert_eq!(target_of_difficulty(f64::MIN_POSITIVE), Target::MAX);
    // The last difficulty that is clamped, and the first that is not: 65535 · 2^208 / 2^256.
    let edge = 65_535.0 * 2_f64.powi(-48);
    assert_eq!(target_of_difficulty(edge), Target::MAX);
    assert!(target_of_difficulty(edge.next_up()) < Target::MAX);
}

#[test]
fn the_largest_difficulties_have_the_target_zero() {
    assert_eq!(target_of_difficulty(f64::MAX), Target::ZERO);
    assert_eq!(target_of_difficulty(2_f64.powi(224)), Target::ZERO);
    // That of target 1 is the last that a hash other than zero meets.
    let hardest = 65_535.0 * 2_f64.powi(208);
    assert_eq!(number(target_of_difficulty(hardest)), BigUint::from(1_u8));
    assert_eq!(target_of_difficulty(hardest.next_up()), Target::ZERO);
}

#[test]
fn target_zero_has_the_largest_difficulty_and_work() {
    assert_eq!(Target::ZERO.difficulty(), Difficulty::MAX);
    assert_eq!(
        Target::ZERO.expected_hashes().to_string(),
        (hashes() - 1_u8).to_string()
    );
    assert_eq!(Target::ZERO.expected_hashes_f64(), 2_f64.powi(256));
    assert_eq!(
        Target::ZERO.hashrate(60.0).unwrap().to_f64(),
        2_f64.powi(256)
    );
    assert_eq!(Target::ZERO.hashrate(f64::MAX).unwrap().to_f64(), f64::MAX);
    assert!(Target::ZERO.is_met_by(&BlockHash([0; 32])));
    assert_eq!(Target::ZERO.to_compact(), 0);
}

#[test]
fn target_max_is_met_by_every_hash() {
    assert!(Target::MAX.is_met_by(&BlockHash([0xff; 32])));
    assert_eq!(Target::MAX.expected_hashes().to_string(), "1");
    assert_eq!(Target::MAX.expected_hashes_f64(), 1.0);
    assert_eq!(
        Target::MAX.hashrate(60.0).unwrap().to_f64(),
        2_f64.powi(-256)
    );
    assert_eq!(Target::MAX.to_compact(), 0x2100_ffff);
}

#[test]
fn a_hash_equal_to_the_target_meets_it_and_the_next_does_not() {
    for byte in 0..32 {
        let mut bytes = [0xff; 32];
        bytes[byte] = 0x7f;
        let target = Target::from_le_bytes(bytes);
        assert!(target.is_met_by(&BlockHash(bytes)));
        bytes[byte] = 0x80;
        assert!(!target.is_met_by(&BlockHash(bytes)), "byte {byte}");
    }
}

#[test]
fn no_hashrate_asks_for_no_work_and_the_largest_for_the_most() {
    for shares_per_minute in [f64::from_bits(1), 0.1, 12.0, f64::MAX] {
        let target = Target::from_hashrate(Hashrate::ZERO, shares_per_minute);
        assert_eq!(target, Ok(Target::MAX), "{shares_per_minute}");
    }
    let huge = Hashrate::new(1e24).unwrap();
    let target = Target::from_hashrate(huge, 6.0).unwrap();
    let back = target.hashrate(6.0).unwrap().to_f64();
    assert!((back - 1e24).abs() <= 1e9, "{back}");
    // From 2^128 - 1 hashes a share on, the work stays the same.
    let largest = Hashrate::new(f64::MAX).unwrap();
    let target = Target::from_hashrate(largest, f64::from_bits(1)).unwrap();
    assert_eq!(number(target), BigUint::from(1_u8) << 128);
}

#[test]
fn a_share_rate_that_is_no_rate_is_an_error() {
    for rate in [0.0, -0.0, -1.0, f64::INFINITY, f64::NAN] {
        let target = Target::from_hashrate(Hashrate::ZERO, rate);
        assert!(
            matches!(target, Err(Error::ShareRateNotPositive(_))),
            "{rate}"
        );
        let hashrate = Target::MAX.hashrate(rate);
        assert!(
            matches!(hashrate, Err(Error::ShareRateNotPositive(_))),
            "{rate}"
        );
    }
}

#[test]
fn nbits_are_read_as_bitcoin_core_reads_them() {
    let accepted = [
        (0x0000_0000, "0"),
        (0x0012_3456, "0"),
        (0x0100_3456, "0"),
        (0x0112_3456, "12"),
        (0x0212_3456, "1234"),
        (0x0312_3456, "123456"),
        (0x0412_3456, "12345600"),
        (0x0500_9234, "92340000"),
        (
            0x2012_3456,
            "1234560000000000000000000000000000000000000000000000000000000000",
        ),
        (
            0x2200_00ff,
            "ff00000000000000000000000000000000000000000000000000000000000000",
        ),
        (0xff00_0000, "0"),
        // The sign of a zero does not count.
        (0x0180_0000, "0"),
        (0x0180_3456, "0"),
        (0x0480_0000, "0"),
    ];
    for (nbits, target) in accepted {
        assert_eq!(
            Target::from_compact(nbits).unwrap().to_string(),
            format!("{target:0>64}")
        );
    }
    for nbits in [0x01fe_dcba, 0x0492_3456, 0x1d80_ffff, 0xff92_3456] {
        assert_eq!(
            Target::from_compact(nbits),
            Err(Error::NegativeTarget(nbits))
        );
    }
    for nbits in [
        0x2112_3456,
        0x2200_0100,
        0x2300_0001,
        0xff12_3456,
        0xff7f_ffff,
    ] {
        assert_eq!(
            Target::from_compact(nbits),
            Err(Error::TargetOverflow(nbits))
        );
    }
}

#[test]
fn nbits_never_have_the_sign_set() {
    let target = target_of(&BigUint::from(0x80_u8));
    assert_eq!(target.to_compact(), 0x0200_8000);
    let target = target_of(&BigUint::from(0x1234_5678_u32));
    assert_eq!(target.to_compact(), 0x0412_3456);
}
