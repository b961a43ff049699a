//! Reads the keys of one section by type. Every key has a default or is required; what is wrong is reported at the key
//! and the reading goes on with the default, so that one run finds every fault.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::document::table_at;
use super::duration::{format_duration, parse_duration};
use super::report::Report;

/// Where a section stands in the file: its header's byte offset and its keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a, 't> {
    pub(super) at: usize,
    pub(super) table: &'a DeTable<'t>,
}

/// One section while it is read. Call [`Section::finish`] at the end: it reports the keys that nobody asked for.
#[derive(Debug)]
pub(super) struct Section<'a, 't> {
    name: &'static str,
    place: Option<Place<'a, 't>>,
    asked: Vec<&'static str>,
    findings_before: usize,
    report: &'a mut Report,
}

impl<'a, 't> Section<'a, 't> {
    /// Opens a section; `None` for one that is absent.
    pub(super) fn new(
        name: &'static str,
        place: Option<Place<'a, 't>>,
        report: &'a mut Report,
    ) -> Self {
        Self {
            name,
            place,
            asked: Vec::new(),
            findings_before: report.findings(),
            report,
        }
    }

    /// Reads a value with `read`, whose error is the problem's text. `None` if absent or wrong.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        self.asked.push(key);
        self.report.knows(self.name, key);
        let (key_span, value) = self.place?.table.get_key_value(key)?;
        let at = key_span.span().start;
        read(value.get_ref())
            .map_err(|text| self.report.value(at, self.path(key), text))
            .ok()
    }

    /// Reads a value that must be there; `hint` says what to write.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        hint: &str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.read(key, read);
        if value.is_none() && !self.has(key) {
            self.mismatch(key, format!("missing; {hint}"));
        }
        value
    }

    /// Reads `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.read(key, |value| {
            value
                .as_bool()
                .ok_or_else(|| expected("true or false", value))
        })
        .unwrap_or(default)
    }

    /// Reads a whole number of `unit`s.
    pub(super) fn integer<T>(
        &mut self,
        key: &'static str,
        unit: &str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T
    where
        T: TryFrom<u64> + PartialOrd + Display,
    {
        self.read(key, |value| {
            let number = whole_number(value).and_then(|number| T::try_from(number).ok());
            number
                .filter(|number| range.contains(number))
                .ok_or_else(|| {
                    let (least, most) = (range.start(), range.end());
                    expected(
                        &format!("a whole number of {unit} from {least} to {most}"),
                        value,
                    )
                })
        })
        .unwrap_or(default)
    }

    /// Reads a duration such as `"30s"`.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        self.read(key, |value| duration_within(value, &range))
            .unwrap_or(default)
    }

    /// Opens the section `[name]` that stands within this one under `key`: `[listener.difficulty]`, or the same as
    /// `difficulty = { .. }`. One that is absent has every default.
    pub(super) fn inner(&mut self, key: &'static str, name: &'static str) -> Section<'_, 't> {
        self.asked.push(key);
        self.report.knows(self.name, key);
        let entry = self.place.and_then(|place| place.table.get_key_value(key));
        let place = entry
            .and_then(|(key, value)| table_at(name, key.span().start, value, &mut *self.report));
        Section::new(name, place, self.report)
    }

    /// Tells whether the file has this key, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.place
            .is_some_and(|place| place.table.contains_key(key))
    }

    /// Tells whether nothing was wrong in this section so far: only then do its values compare.
    pub(super) fn is_sound(&self) -> bool {
        self.report.findings() == self.findings_before
    }

    /// Reports that a key is at odds with another one, or missing; at the key, or else at the section's header.
    pub(super) fn mismatch(&mut self, key: &str, text: String) {
        let place = self.place.as_ref();
        let own = place.and_then(|place| place.table.get_key_value(key));
        let at = own.map_or_else(
            || place.map_or(0, |place| place.at),
            |(key, _)| key.span().start,
        );
        self.report.structure(at, self.path(key), text);
    }

    /// Reports every key that was never asked for.
    pub(super) fn finish(self) {
        let Some(place) = self.place else { return };
        for key in place.table.keys() {
            if !self.asked.contains(&key.get_ref().as_ref()) {
                self.report
                    .unknown(key.span().start, self.name, key.get_ref());
            }
        }
    }

    fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }
}

/// Reads a string.
///
/// # Errors
/// `what` is what was expected, for any other type and for the empty string.
pub(super) fn text(value: &DeValue<'_>, what: &str) -> Result<String, String> {
    match value.as_str() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(expected(what, value)),
    }
}

/// Reads an IP address and port.
///
/// # Errors
/// Says what was expected, with `example`.
pub(super) fn address(value: &DeValue<'_>, example: &str) -> Result<SocketAddr, String> {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| {
        expected(
            &format!("an IP address and port such as \"{example}\""),
            value,
        )
    })
}

/// Reads a duration within bounds.
///
/// # Errors
/// Says how a duration is written, or what the bounds are.
pub(super) fn duration_within(
    value: &DeValue<'_>,
    range: &RangeInclusive<Duration>,
) -> Result<Duration, String> {
    let bounds = || {
        let least = format_duration(*range.start());
        let most = format_duration(*range.end());
        format!("a duration from \"{least}\" to \"{most}\"")
    };
    let text = value.as_str().ok_or_else(|| expected(&bounds(), value))?;
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    if range.contains(&duration) {
        Ok(duration)
    } else {
        Err(expected(&bounds(), value))
    }
}

/// Reads any finite number, with or without a fraction.
pub(super) fn number(value: &DeValue<'_>) -> Option<f64> {
    let text = match value {
        DeValue::Float(float) => float.as_str(),
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
        _ => return None,
    };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn whole_number(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Words what was expected and what is there.
pub(super) fn expected(what: &str, value: &DeValue<'_>) -> String {
    format!("expected {what}, found {}", found(value))
}

/// Longest piece of a wrong value that is repeated in a message, in characters: enough to recognise it.
const SHOWN: usize = 60;

/// Writes a value as a message shows it: on one line, cut where it is long.
pub(super) fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => {
            let shown: String = text.chars().take(SHOWN).collect();
            let rest = if shown.len() < text.len() { "…" } else { "" };
            format!("\"{}{rest}\"", shown.escape_debug())
        }
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    }
}
