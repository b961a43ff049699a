//! The config file as TOML: sections by name, each found at most once.
//!
//! The text is parsed with the position of every value kept, and with recovery, so that broken TOML yields all of its
//! faults at once and the values around them can still be judged.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Report, header};
use super::section::{Place, Section, found};

/// A parsed config file.
#[derive(Debug)]
pub(super) struct Document<'t> {
    table: DeTable<'t>,
    sections: Vec<&'static str>,
}

impl<'t> Document<'t> {
    /// Parses `text`; what is not TOML goes into the report.
    pub(super) fn parse(text: &'t str, report: &mut Report) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or_default();
            report.syntax(span.start, reword(text, span, error.message()));
        }
        Self {
            table: table.into_inner(),
            sections: Vec::new(),
        }
    }

    /// Opens the section `[name]`; one that is absent has every default.
    pub(super) fn section<'a>(
        &'a mut self,
        name: &'static str,
        report: &'a mut Report,
    ) -> Section<'a, 't> {
        self.sections.push(name);
        let Some((key, value)) = self.table.get_key_value(name) else {
            return Section::new(name, None, report);
        };
        let table = table_at(name, key.span().start, value, report);
        Section::new(name, table, report)
    }

    /// Opens each `[[name]]` in turn, in the order of the file. There must be at least one.
    pub(super) fn each<T>(
        &mut self,
        name: &'static str,
        report: &mut Report,
        mut read: impl FnMut(Section<'_, 't>) -> T,
    ) -> Vec<T> {
        self.sections.push(name);
        let places = self.places(name, report);
        if places.is_empty() {
            // Read all the same, so that the report learns the keys that this section takes.
            let mut absent = Report::default();
            read(Section::new(name, None, &mut absent));
            report.learn(&absent);
        }
        places
            .into_iter()
            .map(|table| read(Section::new(name, Some(table), report)))
            .collect()
    }

    /// Finds where each `[[name]]` stands; reports what stands there instead, or that nothing does.
    fn places(&self, name: &'static str, report: &mut Report) -> Vec<Place<'_, 't>> {
        let Some((key, value)) = self.table.get_key_value(name) else {
            missing(name, 0, report);
            return Vec::new();
        };
        let at = key.span().start;
        match value.get_ref() {
            DeValue::Array(items) => {
                if items.is_empty() {
                    missing(name, at, report);
                }
                let places = items
                    .iter()
                    .map(|item| table_at(name, item.span().start, item, report));
                places.flatten().collect()
            }
            _ => single_table(name, at, value, report).into_iter().collect(),
        }
    }

    /// Reports what stands in the file and is no section that was opened.
    pub(super) fn finish(&self, report: &mut Report) {
        for key in self.table.keys() {
            if !self.sections.contains(&key.get_ref().as_ref()) {
                report.unknown(key.span().start, "", key.get_ref());
            }
        }
    }
}

fn missing(name: &'static str, at: usize, report: &mut Report) {
    let text = format!("missing; add at least one {}", header(name));
    report.structure(at, name.to_owned(), text);
}

/// Says of broken TOML what to do about it, for the slips that people make; else what the parser says.
fn reword(text: &str, span: Range<usize>, message: &str) -> String {
    if message == "duplicate key" {
        let key = text.get(span).unwrap_or_default();
        return format!("{key} is there twice: remove one");
    }
    match value_at(text, span.start) {
        Some("") => "the value after = is missing".to_owned(),
        Some(value) if is_bare(value) => {
            format!(
                "{value} is neither a number nor true or false; if it is text, write \"{value}\""
            )
        }
        _ => message.to_owned(),
    }
}

/// Returns what stands between `=` and the end of the line or a comment, if `at` lies there.
fn value_at(text: &str, at: usize) -> Option<&str> {
    let (before, after) = text.split_at_checked(at)?;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = at + after.find('\n').unwrap_or(after.len());
    let equals = line_start + before.get(line_start..)?.find('=')?;
    let value = text.get(equals + 1..line_end)?;
    Some(
        value
            .split_once('#')
            .map_or(value, |(value, _)| value)
            .trim(),
    )
}

/// Tells whether a value has no punctuation of TOML in it: no quotes, lists or tables.
fn is_bare(value: &str) -> bool {
    !value.contains(['"', '\'', '[', ']', '{', '}', '=', ','])
}

/// Takes a value as a section whose header stands at `at`.
pub(super) fn table_at<'a, 't>(
    name: &'static str,
    at: usize,
    value: &'a Spanned<DeValue<'t>>,
    report: &mut Report,
) -> Option<Place<'a, 't>> {
    match value.get_ref() {
        DeValue::Table(table) => Some(Place { at, table }),
        DeValue::Array(items) if !items.is_empty() => {
            let text = format!(
                "write {}, in single brackets: there is only one",
                header(name)
            );
            report.structure(at, name.to_owned(), text);
            None
        }
        other => {
            let text = format!(
                "expected a section {}, found {}",
                header(name),
                found(other)
            );
            report.structure(at, name.to_owned(), text);
            None
        }
    }
}

/// Takes `[name]` where `[[name]]` was meant: reported, and read on.
fn single_table<'a, 't>(
    name: &'static str,
    at: usize,
    value: &'a Spanned<DeValue<'t>>,
    report: &mut Report,
) -> Option<Place<'a, 't>> {
    let place = table_at(name, at, value, report)?;
    let text = format!(
        "write {}, in double brackets: there may be several",
        header(name)
    );
    report.structure(at, name.to_owned(), text);
    Some(place)
}
