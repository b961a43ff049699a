//! Positional parameters: the bent forms that every method shares.
//!
//! Numbers come as text and text as numbers, hex with `0x` and in capitals, and `params` as null or
//! not at all. What can be meant is taken; what cannot is named by its place.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{ParameterError, Problem};
use crate::extranonce::{Extranonce1, Extranonce2, MAX_EXTRANONCE};
use crate::hex;
use crate::job_id::{JobId, MAX_JOB_ID};

/// How many parameters are looked at; `mining.notify` has nine. More are counted and skipped.
const LOOKED_AT: usize = 9;

/// The list of a call's parameters, each as raw JSON.
#[derive(Debug, Default)]
pub(crate) struct Params<'a> {
    raw: [Option<&'a str>; LOOKED_AT],
    given: usize,
}

impl<'a> Params<'a> {
    /// Reads `params`; none at all or null is the empty list.
    pub(crate) fn parse(json: Option<&'a str>) -> Result<Self, ParameterError> {
        match json {
            None | Some("null") => Ok(Self::default()),
            Some(json) => serde_json::from_str(json).map_err(|_| ParameterError::NotAnArray),
        }
    }

    /// Reads `params` of a method that can do without: what is no list is the empty list.
    pub(crate) fn parse_or_empty(json: Option<&'a str>) -> Self {
        Self::parse(json).unwrap_or_default()
    }

    /// Checks that the list reaches to the last required parameter.
    pub(crate) const fn need(&self, needed: usize) -> Result<(), ParameterError> {
        match self.given < needed {
            true => Err(ParameterError::TooFew {
                needed,
                given: self.given,
            }),
            false => Ok(()),
        }
    }

    /// Returns the parameter at a place that counts from 1, with the name for its errors.
    pub(crate) fn at(&self, position: u8, name: &'static str) -> Param<'a> {
        let index = usize::from(position).wrapping_sub(1);
        let raw = self.raw.get(index).copied().flatten();
        Param::new(position, name, raw)
    }
}

impl<'a> Deserialize<'a> for Params<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(List)
    }
}

struct List;

impl<'a> Visitor<'a> for List {
    type Value = Params<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut list: S) -> Result<Params<'a>, S::Error> {
        let mut params = Params::default();
        while let Some(value) = list.next_element::<&RawValue>()? {
            if let Some(place) = params.raw.get_mut(params.given) {
                *place = Some(value.get());
            }
            params.given += 1;
        }
        Ok(params)
    }
}

/// One parameter: its JSON, unless it is null or not there, and its name for errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param<'a> {
    position: u8,
    name: &'static str,
    json: Option<&'a str>,
}

impl<'a> Param<'a> {
    pub(crate) fn new(position: u8, name: &'static str, json: Option<&'a str>) -> Self {
        Self {
            position,
            name,
            json: json.filter(|json| *json != "null"),
        }
    }

    /// The error that says what is wrong with this parameter.
    pub(crate) const fn wrong(&self, problem: Problem) -> ParameterError {
        ParameterError::Wrong {
            position: self.position,
            name: self.name,
            problem,
        }
    }

    /// The parameter's JSON.
    pub(crate) fn json(&self) -> Result<&'a str, ParameterError> {
        self.json.ok_or_else(|| self.wrong(Problem::Missing))
    }

    /// Whether the parameter is there and not null.
    pub(crate) const fn is_present(&self) -> bool {
        self.json.is_some()
    }

    /// The text of a string, or a number as its digits.
    pub(crate) fn text(&self) -> Result<Cow<'a, str>, ParameterError> {
        text(self.json()?).ok_or_else(|| self.wrong(Problem::NotText))
    }

    /// Text that may be missing, empty or of another type; all of these are none.
    pub(crate) fn optional_text(&self) -> Option<Cow<'a, str>> {
        self.json.and_then(text).filter(|text| !text.is_empty())
    }

    /// A 32-bit number as one to eight hex digits, or as a JSON number.
    pub(crate) fn hex_u32(&self) -> Result<u32, ParameterError> {
        let json = self.json()?;
        if let Ok(number) = json.parse() {
            return Ok(number);
        }
        let text = text(json).filter(|_| json.starts_with('"'));
        text.and_then(|text| hex_u32(&text))
            .ok_or_else(|| self.wrong(Problem::NotHex))
    }

    /// A finite number, also where it is written as text.
    pub(crate) fn number(&self) -> Result<f64, ParameterError> {
        let text = self.text()?;
        let number = text
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite());
        number.ok_or_else(|| self.wrong(Problem::NotANumber))
    }

    /// A whole number within its type, also where it is written as text.
    pub(crate) fn integer<T: TryFrom<u64>>(&self) -> Result<T, ParameterError> {
        let text = self.text()?;
        let number = text
            .trim()
            .parse::<u64>()
            .map_err(|_| self.wrong(Problem::NotANumber))?;
        T::try_from(number).map_err(|_| self.wrong(Problem::OutOfRange))
    }

    /// A flag; what is neither true nor a number other than 0 is false.
    pub(crate) fn flag(&self) -> bool {
        match self.json {
            Some("true") => true,
            Some(json) => json.parse::<u64>().is_ok_and(|number| number != 0),
            None => false,
        }
    }

    pub(crate) fn job_id(&self) -> Result<JobId, ParameterError> {
        let text = self.text()?;
        JobId::new(&text).ok_or_else(|| {
            self.wrong(match text.len() > MAX_JOB_ID {
                true => Problem::TooLong(MAX_JOB_ID),
                false => Problem::NotAJobId,
            })
        })
    }

    pub(crate) fn extranonce1(&self) -> Result<Extranonce1, ParameterError> {
        self.bounded_hex(Extranonce1::from_hex)
    }

    pub(crate) fn extranonce2(&self) -> Result<Extranonce2, ParameterError> {
        self.bounded_hex(Extranonce2::from_hex)
    }

    /// Any number of bytes as hex; the line's length is their bound.
    pub(crate) fn hex_bytes(&self) -> Result<Vec<u8>, ParameterError> {
        let text = self.text()?;
        hex::decode(hex::strip_prefix(&text).as_bytes()).ok_or_else(|| self.wrong(Problem::NotHex))
    }

    /// Exactly 32 bytes as hex.
    pub(crate) fn hash(&self) -> Result<[u8; 32], ParameterError> {
        let mut hash = [0; 32];
        let text = self.text()?;
        let digits = hex::strip_prefix(&text).as_bytes();
        if digits.len() != 64 {
            return Err(self.wrong(Problem::WrongLength(32)));
        }
        match hex::decode_into(digits, &mut hash) {
            true => Ok(hash),
            false => Err(self.wrong(Problem::NotHex)),
        }
    }

    /// The elements of a list, each with this parameter's place and name.
    pub(crate) fn elements(&self) -> Result<Vec<Self>, ParameterError> {
        let values: Vec<&'a RawValue> =
            serde_json::from_str(self.json()?).map_err(|_| self.wrong(Problem::NotAnArray))?;
        let element = |value: &'a RawValue| Self::new(self.position, self.name, Some(value.get()));
        Ok(values.into_iter().map(element).collect())
    }

    fn bounded_hex<T>(&self, from_hex: impl Fn(&str) -> Option<T>) -> Result<T, ParameterError> {
        let text = self.text()?;
        let digits = hex::strip_prefix(&text);
        from_hex(digits).ok_or_else(|| {
            self.wrong(match digits.len() > 2 * MAX_EXTRANONCE {
                true => Problem::TooLong(MAX_EXTRANONCE),
                false => Problem::NotHex,
            })
        })
    }
}

/// The text of a JSON string without copying it where it has no escapes; the digits of a number.
pub(crate) fn text(json: &str) -> Option<Cow<'_, str>> {
    match json.as_bytes() {
        [b'"', .., b'"'] if !json.contains('\\') => json.get(1..json.len() - 1).map(Cow::Borrowed),
        [b'"', ..] => serde_json::from_str(json).ok().map(Cow::Owned),
        [b'-' | b'0'..=b'9', ..] => Some(Cow::Borrowed(json)),
        _ => None,
    }
}

/// A number from one to eight hex digits, with or without `0x`.
pub(crate) fn hex_u32(text: &str) -> Option<u32> {
    let digits = hex::strip_prefix(text.trim());
    // `from_str_radix` would take a sign.
    let plain = digits.len() <= 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
}

/// Text cut to at most `max_length` bytes, at the boundary of a character.
pub(crate) fn bounded(text: &str, max_length: usize) -> Box<str> {
    let end = (0..=max_length.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default())
        .unwrap_or_default()
        .into()
}
