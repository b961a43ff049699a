//! `[difficulty]`: how hard the shares are that miners are asked for; `[listener.difficulty]`: of one port.
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
            min: USUAL_LEAST,
            asked_min: ASKED_LEAST,
            max: None,
            vardiff: true,
        }
    }
}

/// Least difficulty: 2⁻³², at which every hash is a share.
const LEAST: f64 = 1.0 / 4_294_967_296.0;
/// Least difficulty unless the operator sets another: no firmware mistakes it.
const USUAL_LEAST: f64 = 1.0;
/// Least difficulty for who asks, unless the operator sets another: 2⁻¹⁶, at which a CPU of 1 MH/s finds a share in
/// 0.07 s and a miner of 50 kH/s in 1.3 s.
const ASKED_LEAST: f64 = 1.0 / 65_536.0;
/// Greatest difficulty: 2⁶³, 60,000 times the network's of 2025.
const GREATEST: f64 = 9_223_372_036_854_775_808.0;

impl Difficulty {
    /// Reads `[difficulty]`, and tells whether nothing is wrong there.
    pub(super) fn read(mut section: Section<'_, '_>) -> (Self, bool) {
        let read = Self::default().overridden(&mut section);
        if section.is_sound() {
            read.compare(&mut section, "");
        }
        let sound = section.is_sound();
        section.finish();
        (read, sound)
    }

    /// Reads the difficulty of one listener: what is not there is as in `[difficulty]`, which is `sound` or not.
    pub(super) fn read_over(&self, sound: bool, mut section: Section<'_, '_>) -> Self {
        let read = self.overridden(&mut section);
        // What is wrong in [difficulty] is told there.
        if sound && section.is_sound() {
            read.compare(&mut section, " of [difficulty]");
        }
        section.finish();
        read
    }

    /// Reads the keys of a section; one that is absent has the value that it has here.
    fn overridden(&self, section: &mut Section<'_, '_>) -> Self {
        let (min, asked_min) = match section.read("min", |value| difficulty_or("usual", value)) {
            None => (self.min, self.asked_min),
            Some(None) => (USUAL_LEAST, ASKED_LEAST),
            Some(Some(min)) => (min, min),
        };
        Self {
            shares_per_minute: section
                .read("shares_per_minute", shares_per_minute)
                .unwrap_or(self.shares_per_minute),
            start: section
                .read("start", |value| difficulty_or("measured", value))
                .unwrap_or(self.start),
            min,
            asked_min,
            max: section
                .read("max", |value| difficulty_or("none", value))
                .unwrap_or(self.max),
            vardiff: section.flag("vardiff", self.vardiff),
        }
    }

    /// Reports values that are right by themselves and wrong together, at a key that the section has; `elsewhere` are
    /// the words for where the others are from.
    fn compare(&self, section: &mut Section<'_, '_>, elsewhere: &str) {
        let (min, max) = (self.min, self.max.unwrap_or(f64::INFINITY));
        let start = self.start.unwrap_or(min);
        if max < min {
            let [max, min] = [("max", max), ("min", min)]
                .map(|(key, value)| told(section, key, value, elsewhere));
            let text = format!("{max} is below {min}: raise max or lower min");
            section.mismatch(first_there(section, ["max", "min"]), text);
        } else if start < min {
            let [start, min] = [("start", start), ("min", min)]
                .map(|(key, value)| told(section, key, value, elsewhere));
            let text = format!("{start} is below {min}: raise start or lower min");
            section.mismatch(first_there(section, ["start", "min"]), text);
        } else if self.start.is_some() && start > max {
            let [start, max] = [("start", start), ("max", max)]
                .map(|(key, value)| told(section, key, value, elsewhere));
            let text = format!("{start} is above {max}: lower start or raise max");
            section.mismatch(first_there(section, ["start", "max"]), text);
        }
        if !self.vardiff && self.start.is_none() {
            let text =
                "false holds every miner at start, and start is not set: set start to a number";
            section.mismatch(first_there(section, ["vardiff", "start"]), text.to_owned());
        }
    }
}

/// Writes a value with its key, and where it is from if not from this section.
fn told(section: &Section<'_, '_>, key: &str, value: f64, elsewhere: &str) -> String {
    let origin = if section.has(key) { "" } else { elsewhere };
    format!("{key} {value}{origin}")
}

/// Chooses the key that a mismatch is reported at.
fn first_there<'k>(section: &Section<'_, '_>, [first, second]: [&'k str; 2]) -> &'k str {
    match section.has(second) && !section.has(first) {
        true => second,
        false => first,
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
