//! The outer object of every line: its five members, found in one pass and left as raw JSON.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{CallError, Reason};
use crate::id::Id;

/// The JSON text of each member that came; of one that came twice, the last. Others are skipped.
#[derive(Debug, Default)]
pub(crate) struct Envelope<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) method: Option<&'a str>,
    pub(crate) params: Option<&'a str>,
    pub(crate) result: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    /// Finds the members of the object that `line` is.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, CallError> {
        serde_json::from_slice(line).map_err(|error| match error.is_data() {
            true => CallError {
                id: None,
                method: None,
                reason: Reason::NotAnObject,
            },
            false => CallError {
                id: readable_id(line),
                method: None,
                reason: Reason::NotJson { at: error.column() },
            },
        })
    }

    /// Reads the id, which is null where there is none.
    pub(crate) fn id(&self) -> Result<Id, CallError> {
        self.id
            .map_or(Ok(Id::NULL), Id::from_json)
            .map_err(|error| CallError {
                id: None,
                method: None,
                reason: Reason::BadId(error),
            })
    }
}

/// Finds the id in an object that breaks off or goes wrong elsewhere, so that it can be answered.
fn readable_id(line: &[u8]) -> Option<Id> {
    const KEY: &[u8] = b"\"id\"";
    if line.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    let start = line.windows(KEY.len()).position(|window| window == KEY)?;
    let rest = line.get(start + KEY.len()..)?.trim_ascii_start();
    let value = rest.strip_prefix(b":")?;
    let mut values = serde_json::Deserializer::from_slice(value).into_iter::<&RawValue>();
    let id = Id::from_json(values.next()?.ok()?.get()).ok()?;
    (!id.is_null()).then_some(id)
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    Id,
    Method,
    Params,
    Result,
    Error,
    #[serde(other)]
    Other,
}

impl<'a> Deserialize<'a> for Envelope<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'a> Visitor<'a> for Members {
    type Value = Envelope<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Envelope<'a>, M::Error> {
        let mut envelope = Envelope::default();
        while let Some(member) = map.next_key()? {
            let place = match member {
                Member::Id => &mut envelope.id,
                Member::Method => &mut envelope.method,
                Member::Params => &mut envelope.params,
                Member::Result => &mut envelope.result,
                Member::Error => &mut envelope.error,
                Member::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *place = Some(map.next_value::<&RawValue>()?.get());
        }
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(line: &str) -> Option<u64> {
        let error = Envelope::parse(line.as_bytes()).unwrap_err();
        assert!(matches!(error.reason, Reason::NotJson { .. }), "{line}");
        error.id?.as_number()
    }

    #[test]
    fn a_broken_object_is_answered_where_its_id_can_be_read() {
        for line in [
            r#"{"id":5,"method":"mining.submit","params":[}"#,
            r#"{"id": 5, "method": "mining.submit", "params": ["farm.rig1""#,
            r#"{"method":"mining.submit","params":[1 2],"id":5}"#,
            r#"{"params":["a"],"id" : 5 "method":"x"}"#,
        ] {
            assert_eq!(id_of(line), Some(5), "{line}");
        }
    }

    #[test]
    fn what_has_no_readable_id_has_none() {
        for line in [
            "",
            "GET / HTTP/1.1",
            "\u{1}\u{2}\u{3}",
            r#"{"id""#,
            r#"{"id":"#,
            r#"{"id":null,"method":"#,
            r#"{"id":[5,"method":"x"}"#,
            r#"{"method":"mining.ping"#,
        ] {
            assert_eq!(id_of(line), None, "{line}");
        }
    }
}
