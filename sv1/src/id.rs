//! The JSON-RPC id of a request, which goes back in the reply as it came.

use thiserror::Error;

use crate::json;

/// Bound of an id's JSON text, in bytes. Real ones are small numbers, or UUIDs at 38 bytes.
pub const MAX_ID: usize = 128;

/// Why a value is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// An array, an object or a boolean.
    #[error("is neither a number nor text nor null")]
    WrongType,
    /// More than [`MAX_ID`] bytes of JSON.
    #[error("is longer than {MAX_ID} bytes")]
    TooLong,
}

/// A JSON-RPC id: a number of any form, text, or null (which also stands for none at all).
///
/// It keeps the JSON text as it was received, so `1`, `1.0` and `"1"` are three ids, each echoed
/// verbatim. A whole number that fits 64 bits needs no memory of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Id(Form);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Form {
    #[default]
    Null,
    Number(u64),
    Json(Box<str>),
}

impl Id {
    /// The id of notifications, and of replies to what had none.
    pub const NULL: Self = Self(Form::Null);

    /// Creates the id that clients commonly use: a counter.
    #[must_use]
    pub const fn number(number: u64) -> Self {
        Self(Form::Number(number))
    }

    /// Returns the whole number that the id is, also where a server sent it back as text.
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        match &self.0 {
            Form::Null => None,
            Form::Number(number) => Some(*number),
            Form::Json(json) => json.trim_matches('"').parse().ok(),
        }
    }

    /// Returns whether the id is null or was absent.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self.0, Form::Null)
    }

    /// Appends the id's JSON, as it was received.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Form::Null => out.extend_from_slice(b"null"),
            Form::Number(number) => json::push_display(out, number),
            Form::Json(json) => out.extend_from_slice(json.as_bytes()),
        }
    }

    /// Reads the id from one well-formed JSON value.
    pub(crate) fn from_json(json: &str) -> Result<Self, IdError> {
        if json.len() > MAX_ID {
            return Err(IdError::TooLong);
        }
        if let Ok(number) = json.parse() {
            return Ok(Self(Form::Number(number)));
        }
        match json.as_bytes().first() {
            Some(b'n') => Ok(Self::NULL),
            Some(b'"' | b'-' | b'0'..=b'9') => Ok(Self(Form::Json(json.into()))),
            _ => Err(IdError::WrongType),
        }
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Self::number(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_echoed_verbatim() {
        for json in [
            "0",
            "1",
            "18446744073709551615",
            "18446744073709551616",
            "-1",
            "1.0",
            "1e3",
            "null",
            r#""""#,
            r#""1""#,
            r#""a\u0041\n""#,
            r#""ü""#,
        ] {
            let mut out = Vec::new();
            Id::from_json(json).unwrap().encode_into(&mut out);
            assert_eq!(out, json.as_bytes());
        }
    }

    #[test]
    fn a_whole_number_needs_no_memory() {
        assert_eq!(Id::from_json("42"), Ok(Id(Form::Number(42))));
        assert_eq!(size_of::<Id>(), 24);
    }

    #[test]
    fn what_is_no_id_is_an_error() {
        for json in ["[1]", "{}", "true", "false"] {
            assert_eq!(Id::from_json(json), Err(IdError::WrongType));
        }
        let text = |length| format!("\"{}\"", "x".repeat(length));
        assert!(Id::from_json(&text(MAX_ID - 2)).is_ok());
        assert_eq!(Id::from_json(&text(MAX_ID - 1)), Err(IdError::TooLong));
    }

    #[test]
    fn a_number_sent_back_as_text_is_still_that_number() {
        assert_eq!(Id::from_json("\"7\"").unwrap().as_number(), Some(7));
        assert_eq!(Id::from_json("\"x\"").unwrap().as_number(), None);
        assert_eq!(Id::NULL.as_number(), None);
    }
}
