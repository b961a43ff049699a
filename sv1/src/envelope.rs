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
        serde_json::from_slice(line).map_err(|error| CallError {
            id: None,
            method: None,
            reason: match error.is_data() {
                true => Reason::NotAnObject,
                false => Reason::NotJson { at: error.column() },
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
