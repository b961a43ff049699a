//! What stands behind the question mark: each parameter by its name, known or an error in words.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// Why a query cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    /// A parameter that there is none of.
    #[error("there is no parameter {name:?} here; there are {known}")]
    Unknown {
        /// Its name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// No parameters are taken at all.
    #[error("there is no parameter {0:?} here, nor any other")]
    NoneTaken(String),
    /// A parameter that stands there twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// A value that does not fit.
    #[error("{name}: expected {expected}, found {found:?}")]
    Wrong {
        /// The parameter.
        name: &'static str,
        /// What it takes.
        expected: String,
        /// What it was given.
        found: String,
    },
}

/// Longest piece of a wrong name or value that is repeated, in characters.
const SHOWN: usize = 60;

/// The parameters of a request while they are read. Call [`finish`](Self::finish) at the end: it tells of those that
/// nobody asked for.
#[derive(Debug)]
pub(super) struct Query {
    given: Vec<(String, String)>,
    asked: Vec<&'static str>,
}

impl Query {
    /// Reads what stands behind the question mark.
    pub(super) fn new(text: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(text.unwrap_or_default().as_bytes());
        Self {
            given: pairs.into_owned().collect(),
            asked: Vec::new(),
        }
    }

    /// Gives a parameter's text.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, QueryError> {
        self.asked.push(name);
        let mut values = self.given.iter().filter(|(given, _)| given == name);
        let value = values.next().map(|(_, value)| value.clone());
        match values.next() {
            Some(_) => Err(QueryError::Twice(name)),
            None => Ok(value),
        }
    }

    /// Reads a whole number.
    pub(super) fn number<T>(
        &mut self,
        name: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> Result<T, QueryError>
    where
        T: std::str::FromStr + PartialOrd + Display,
    {
        let Some(found) = self.text(name)? else {
            return Ok(default);
        };
        let number = found.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| QueryError::Wrong {
            name,
            expected: format!("a whole number from {} to {}", range.start(), range.end()),
            found: shown(&found),
        })
    }

    /// Reads one of several words.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, QueryError> {
        let Some(found) = self.text(name)? else {
            return Ok(None);
        };
        let known = words.iter().find(|(word, _)| *word == found);
        match known {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                Err(QueryError::Wrong {
                    name,
                    expected: format!("one of {}", words.join(", ")),
                    found: shown(&found),
                })
            }
        }
    }

    /// Tells of a parameter that nobody asked for.
    pub(super) fn finish(self) -> Result<(), QueryError> {
        let unknown = |(name, _): &&(String, String)| !self.asked.contains(&name.as_str());
        match self.given.iter().find(unknown) {
            None => Ok(()),
            Some((name, _)) if self.asked.is_empty() => Err(QueryError::NoneTaken(shown(name))),
            Some((name, _)) => Err(QueryError::Unknown {
                name: shown(name),
                known: self.asked.join(", "),
            }),
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_absent_ones_have_their_default() {
        let mut query = Query::new(Some("search=farm.rig%201%2B2&limit=7&empty="));
        assert_eq!(
            query.text("search").unwrap().as_deref(),
            Some("farm.rig 1+2")
        );
        assert_eq!(query.number("limit", 100, 1..=1_000), Ok(7));
        assert_eq!(query.number("offset", 3, 0..=9), Ok(3));
        assert_eq!(query.text("empty").unwrap().as_deref(), Some(""));
        assert_eq!(query.finish(), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_told_in_words() {
        let told = |text: &str| {
            let mut query = Query::new(Some(text));
            query
                .number("limit", 100, 1..=1_000)
                .map(drop)
                .and_then(|()| query.one_of("order", &[("asc", 1), ("desc", 2)]).map(drop))
                .and_then(|()| query.finish())
                .unwrap_err()
                .to_string()
        };
        for (text, words) in [
            (
                "limit=0",
                "limit: expected a whole number from 1 to 1000, found \"0\"",
            ),
            (
                "limit=",
                "limit: expected a whole number from 1 to 1000, found \"\"",
            ),
            (
                "limit=-1",
                "limit: expected a whole number from 1 to 1000, found \"-1\"",
            ),
            ("limit=1&limit=2", "limit is given twice"),
            ("order=up", "order: expected one of asc, desc, found \"up\""),
            (
                "sort=x",
                "there is no parameter \"sort\" here; there are limit, order",
            ),
        ] {
            assert_eq!(told(text), words);
        }
        let none = Query::new(Some("x=1")).finish().unwrap_err().to_string();
        assert_eq!(none, "there is no parameter \"x\" here, nor any other");
    }
}
