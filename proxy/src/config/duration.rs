//! Durations as an operator writes them: a whole number and a unit, such as `30s`; also those of the command line.

use std::time::Duration;

/// Units from the largest to the smallest, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// There is no whole number at the start.
    #[error("expected a whole number and a unit such as \"30s\", found \"{0}\"")]
    NoNumber(String),
    /// There is a number and nothing after it.
    #[error("the unit is missing after \"{0}\": write ms, s, m or h, such as \"{0}s\"")]
    NoUnit(String),
    /// The unit is none that is known.
    #[error("unknown unit \"{unit}\" in \"{text}\": write ms, s, m or h")]
    UnknownUnit {
        /// The whole text.
        text: String,
        /// What stands after the number.
        unit: String,
    },
    /// More milliseconds than 64 bits hold.
    #[error("\"{0}\" is longer than any duration")]
    TooLong(String),
}

/// Reads a whole number followed by `ms`, `s`, `m` or `h`.
///
/// # Errors
/// Says which part is missing or unknown.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or(("", text));
    if number.is_empty() {
        return Err(DurationError::NoNumber(text.to_owned()));
    }
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Err(DurationError::NoUnit(text.to_owned()));
    }
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let (text, unit) = (text.to_owned(), unit.to_owned());
        return Err(DurationError::UnknownUnit { text, unit });
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(*factor))
        .map(Duration::from_millis)
        .ok_or_else(|| DurationError::TooLong(text.to_owned()))
}

/// Writes a duration as [`parse_duration`] reads it, in the largest unit that needs no fraction; parts of a millisecond
/// are left out.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    UNITS
        .iter()
        .map(|(unit, factor)| (unit, u128::from(*factor)))
        .find(|(_, factor)| milliseconds > 0 && milliseconds.is_multiple_of(*factor))
        .map_or_else(
            || "0s".to_owned(),
            |(unit, factor)| format!("{}{unit}", milliseconds / factor),
        )
}

#[cfg(test)]
mod tests {
    use super::{DurationError, format_duration, parse_duration};
    use std::time::Duration;

    #[test]
    fn every_unit_reads_and_writes_back() {
        for (text, milliseconds) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("0s", 0),
        ] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse_duration(text), Ok(duration));
            assert_eq!(format_duration(duration), text);
        }
    }

    #[test]
    fn what_is_no_duration_is_told_apart() {
        let text = |text: &str| text.to_owned();
        assert_eq!(parse_duration(""), Err(DurationError::NoNumber(text(""))));
        assert_eq!(
            parse_duration("-1s"),
            Err(DurationError::NoNumber(text("-1s")))
        );
        assert_eq!(parse_duration("30"), Err(DurationError::NoUnit(text("30"))));
        let unknown = |whole, unit| DurationError::UnknownUnit {
            text: text(whole),
            unit: text(unit),
        };
        assert_eq!(parse_duration("1.5h"), Err(unknown("1.5h", ".5h")));
        assert_eq!(parse_duration("3 days"), Err(unknown("3 days", "days")));
        let long = "99999999999999999999h";
        assert_eq!(
            parse_duration(long),
            Err(DurationError::TooLong(text(long)))
        );
    }
}
