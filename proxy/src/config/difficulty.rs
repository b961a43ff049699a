//! `[difficulty]`: how hard the shares are that miners are asked for.
//!
//! Miners are given whole powers of two (and powers of two below 1), because old firmware rounds anything else in its
//! own way; every difficulty of the config is rounded down to one here.

use toml::de::DeValue;

use super::section::{Section, expected, number};

/// How hard the shares are that miners are asked for. Difficulties are powers of two.
#[derive(Debug, Clone, PartialEq)]
pub struct Difficulty {
    /// Shares per minute that each miner is to find.
    pub shares_per_minute: f64,
    /// Difficulty of a miner that says nothing about itself; `None` finds it by measuring.
    pub start: Option<f64>,
    /// Lowest difficulty given.
    pub min: f64,
    /// Lowest difficulty given to a miner that asks for less than `min`; the same where `min` is set.
    pub asked_min: f64,
    /// Highest difficulty given; `None` is without bound.
    pub max: Option<f64>,
    /// Whether difficulty follows the miner's hashrate; otherwise it stays at `start`, or at what the miner asked for.
    pub vardiff: bool,
}

impl Default for Difficulty {
    fn default() -> Self {
        // 12 a minute: one share in 5 s, so that a minute tells a hashrate to within a third (1/√12), at 200 shares a
        // second for 1,000 miners.
        Self {
            shares_per_minute: 12.0,
            start: None,
            min: 1.0,
            asked_min: ASKED_LEAST,
            max: None,
            vardiff: true,
        }
    }
}

/// Least difficulty: 2⁻³², at which every hash is a share.
const LEAST: f64 = 1.0 / 4_294_967_296.0;
/// Least difficulty for who asks, unless the operator sets another: 2⁻¹⁶, at which a CPU of 1 MH/s finds a share in
/// 0.07 s and a miner of 50 kH/s in 1.3 s.
const ASKED_LEAST: f64 = 1.0 / 65_536.0;
/// Greatest difficulty: 2⁶³, 60,000 times the network's of 2025.
const GREATEST: f64 = 9_223_372_036_854_775_808.0;

impl Difficulty {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let default = Self::default();
        let min = section
            .read("min", |value| difficulty_or("usual", value))
            .flatten();
        let read = Self {
            shares_per_minute: section
                .read("shares_per_minute", shares_per_minute)
                .unwrap_or(default.shares_per_minute),
            start: section
                .read("start", |value| difficulty_or("measured", value))
                .unwrap_or(default.start),
            min: min.unwrap_or(default.min),
            asked_min: min.unwrap_or(default.asked_min),
            max: section
                .read("max", |value| difficulty_or("none", value))
                .unwrap_or(default.max),
            vardiff: section.flag("vardiff", default.vardiff),
        };
        if section.is_sound() {
            read.compare(&mut section);
        }
        section.finish();
        read
    }

    /// Reports values that are right by themselves and wrong together.
    fn compare(&self, section: &mut Section<'_, '_>) {
        let (min, max) = (self.min, self.max.unwrap_or(f64::INFINITY));
        if max < min {
            let text = format!("max {max} is below min {min}: raise max or lower min");
            section.mismatch("max", text);
        } else if let Some(start) = self.start
            && start < min
        {
            let text = format!("start {start} is below min {min}: raise start or lower min");
            section.mismatch("start", text);
        } else if let Some(start) = self.start
            && start > max
        {
            let text = format!("start {start} is above max {max}: lower start or raise max");
            section.mismatch("start", text);
        }
        if !self.vardiff && self.start.is_none() {
            let text =
                "false holds every miner at start, and start is not set: set start to a number";
            section.mismatch("vardiff", text.to_owned());
        }
    }
}

fn shares_per_minute(value: &DeValue<'_>) -> Result<f64, String> {
    // One share in ten minutes still tells a dead miner from a slow one; ten a second is what a farm's link bears.
    number(value)
        .filter(|rate| (0.1..=600.0).contains(rate))
        .ok_or_else(|| expected("a number from 0.1 to 600", value))
}

fn difficulty(value: &DeValue<'_>, what: &str) -> Result<f64, String> {
    number(value)
        .filter(|difficulty| (LEAST..=GREATEST).contains(difficulty))
        .map(power_of_two_at_most)
        .ok_or_else(|| expected(&format!("{what} above 0, from 2^-32 to 2^63"), value))
}

fn difficulty_or(word: &str, value: &DeValue<'_>) -> Result<Option<f64>, String> {
    if value.as_str() == Some(word) {
        return Ok(None);
    }
    difficulty(value, &format!("\"{word}\" or a difficulty")).map(Some)
}

/// Rounds a normal positive number down to a power of two by clearing its fraction bits (IEEE 754).
fn power_of_two_at_most(number: f64) -> f64 {
    f64::from_bits(number.to_bits() & 0x7ff0_0000_0000_0000)
}

#[cfg(test)]
mod tests {
    use super::{GREATEST, LEAST, power_of_two_at_most};

    #[test]
    fn rounding_down_keeps_powers_of_two_and_never_rises() {
        for exponent in -32_i32..=63 {
            let power = 2_f64.powi(exponent);
            assert_eq!(power_of_two_at_most(power), power);
            assert_eq!(power_of_two_at_most(power * 1.999), power);
        }
        assert_eq!((LEAST, GREATEST), (2_f64.powi(-32), 2_f64.powi(63)));
    }
}
