//! Everything that reading a config file finds wrong, collected while the reading goes on.
//!
//! Sections report here with byte offsets; [`Report::into_problems`] makes lines of them, in the order of the file.
//! It also notes every key that a section asks for, and so knows what an unknown key may have been meant to be.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::Problem;
use super::suggestion::closest;

/// Collects problems and the keys that exist.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
    unknown: Vec<Unknown>,
    known: BTreeMap<&'static str, Vec<&'static str>>,
}

#[derive(Debug)]
struct Finding {
    at: usize,
    key: Option<String>,
    text: String,
    cause: Cause,
}

/// What a finding rests on. Where the TOML itself is broken, the parser may have lost keys or moved them, so only
/// findings about single values are still to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Syntax,
    Value,
    Structure,
}

#[derive(Debug)]
struct Unknown {
    at: usize,
    section: &'static str,
    key: String,
}

impl Report {
    /// Reports text that is not TOML.
    pub(super) fn syntax(&mut self, at: usize, text: String) {
        self.push(at, None, text, Cause::Syntax);
    }

    /// Reports one value that is wrong by itself.
    pub(super) fn value(&mut self, at: usize, key: String, text: String) {
        self.push(at, Some(key), text, Cause::Value);
    }

    /// Reports what is missing, surplus, or at odds with another key.
    pub(super) fn structure(&mut self, at: usize, key: String, text: String) {
        self.push(at, Some(key), text, Cause::Structure);
    }

    /// Reports a key that its section did not ask for; worded once every section has been read.
    pub(super) fn unknown(&mut self, at: usize, section: &'static str, key: &str) {
        let key = key.to_owned();
        self.unknown.push(Unknown { at, section, key });
    }

    /// Notes that `section` takes `key`.
    pub(super) fn knows(&mut self, section: &'static str, key: &'static str) {
        let keys = self.known.entry(section).or_default();
        if !keys.contains(&key) {
            keys.push(key);
        }
    }

    /// Takes over the keys that another report knows.
    pub(super) fn learn(&mut self, other: &Self) {
        for (section, key) in other.known() {
            self.knows(section, key);
        }
    }

    /// Tells how many problems there are so far; unknown keys do not count.
    pub(super) fn findings(&self) -> usize {
        self.findings.len()
    }

    /// Returns every key that was asked for, as (section, key).
    pub(super) fn known(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.known
            .iter()
            .flat_map(|(section, keys)| keys.iter().map(move |key| (*section, *key)))
    }

    /// Makes the final list: one problem per fault, by line.
    pub(super) fn into_problems(mut self, text: &str) -> Vec<Problem> {
        for unknown in std::mem::take(&mut self.unknown) {
            let (name, wording) = self.word(&unknown);
            self.structure(unknown.at, name, wording);
        }
        let broken = self.broken_lines(text);
        self.findings.sort_by_key(|finding| finding.at);
        let mut problems: Vec<Problem> = self
            .findings
            .into_iter()
            .map(|finding| (finding.cause, finding.into_problem(text)))
            .filter(|(cause, problem)| match cause {
                Cause::Syntax => true,
                Cause::Value => !broken.contains(&problem.line),
                Cause::Structure => broken.is_empty(),
            })
            .map(|(_, problem)| problem)
            .collect();
        // The parser may stumble twice over one fault.
        problems.dedup();
        problems
    }

    fn push(&mut self, at: usize, key: Option<String>, text: String, cause: Cause) {
        self.findings.push(Finding {
            at,
            key,
            text,
            cause,
        });
    }

    fn broken_lines(&self, text: &str) -> BTreeSet<usize> {
        self.findings
            .iter()
            .filter(|finding| finding.cause == Cause::Syntax)
            .map(|finding| line_of(text, finding.at))
            .collect()
    }

    /// Words an unknown key: the section that does take it, or the name it is close to, or the names there are.
    fn word(&self, unknown: &Unknown) -> (String, String) {
        if unknown.section.is_empty() {
            return (unknown.key.clone(), self.word_at_top(&unknown.key));
        }
        let name = format!("{}.{}", unknown.section, unknown.key);
        let here = self
            .known
            .get(unknown.section)
            .map_or(&[][..], Vec::as_slice);
        let wording = if let Some(homes) = self.homes_of(&unknown.key) {
            format!("unknown key here; it belongs to {homes}")
        } else if let Some(near) = closest(&unknown.key, here) {
            format!("unknown key; did you mean `{near}`?")
        } else {
            format!(
                "unknown key; {} takes {}",
                header(unknown.section),
                here.join(", ")
            )
        };
        (name, wording)
    }

    fn word_at_top(&self, key: &str) -> String {
        let sections: Vec<&'static str> = self.known.keys().copied().collect();
        if let Some(near) = closest(key, &sections) {
            format!("unknown section; did you mean {}?", header(near))
        } else if let Some(homes) = self.homes_of(key) {
            format!("stands above every section; it belongs below {homes}")
        } else {
            let names: Vec<String> = sections.into_iter().map(header).collect();
            format!("unknown; a config file has {}", names.join(", "))
        }
    }

    /// Names the sections that take this very key.
    fn homes_of(&self, key: &str) -> Option<String> {
        let homes: Vec<String> = self
            .known()
            .filter(|(_, known)| *known == key)
            .map(|(section, _)| header(section))
            .collect();
        (!homes.is_empty()).then(|| homes.join(" or "))
    }
}

impl Finding {
    fn into_problem(self, text: &str) -> Problem {
        Problem {
            line: line_of(text, self.at),
            key: self.key,
            text: self.text,
        }
    }
}

/// Sections of which a file may hold several.
const LISTS: [&str; 2] = ["listener", "upstream"];

/// Writes a section as it stands in a file: `[log]`, `[[listener]]`.
pub(super) fn header(section: &str) -> String {
    if LISTS.contains(&section) {
        format!("[[{section}]]")
    } else {
        format!("[{section}]")
    }
}

/// Returns the line, from 1, of a byte offset.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}
