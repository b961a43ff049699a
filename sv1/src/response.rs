//! What a client makes of a reply, and a server of a stray one.

use serde_json::Value;

use crate::envelope::Envelope;
use crate::id::Id;
use crate::reply::RejectCode;

/// A JSON-RPC response.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The id of the request that it answers.
    pub id: Id,
    /// The result; null where there is none.
    pub result: Value,
    /// The error, unless it is null or not there.
    pub error: Option<ErrorReply>,
}

/// An error as a server worded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply {
    /// The number: slush's 20 to 25, or whatever the server likes.
    pub code: i64,
    /// The words.
    pub message: Box<str>,
}

impl Response {
    /// Returns whether the server said yes: no error, and a result other than false and null.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.error.is_none() && !matches!(self.result, Value::Null | Value::Bool(false))
    }

    /// Reads the members of a line that has no method.
    pub(crate) fn parse(id: Id, envelope: &Envelope<'_>) -> Self {
        let value = |json: Option<&str>| {
            // Only nesting that is too deep fails here; such a value is none.
            json.and_then(|json| serde_json::from_str(json).ok())
                .unwrap_or_default()
        };
        Self {
            id,
            result: value(envelope.result),
            error: ErrorReply::parse(value(envelope.error)),
        }
    }
}

impl ErrorReply {
    /// Reads slush's `[code, "message", traceback]`, JSON-RPC's `{"code", "message"}`, or bare words.
    fn parse(error: Value) -> Option<Self> {
        let (code, message) = match &error {
            Value::Null | Value::Bool(false) => return None,
            Value::Array(_) => (error.get(0), error.get(1)),
            Value::Object(_) => (error.get("code"), error.get("message")),
            _ => (None, Some(&error)),
        };
        let other = RejectCode::Other.code();
        Some(Self {
            code: code.and_then(Value::as_i64).unwrap_or(other),
            message: match message {
                Some(Value::String(message)) => message.as_str().into(),
                _ => error.to_string().into(),
            },
        })
    }
}
