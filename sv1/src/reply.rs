//! What a server answers: each function appends one line to a buffer.
//!
//! `error: null` is always there on success, because NerdQAxe+ takes any error that is set, and some
//! others any that is missing, for a failure.

mod configure;
mod subscribe;

pub use configure::ConfigureReply;
pub use subscribe::SubscribeReply;

use crate::id::Id;
use crate::json;

/// The code of an error reply, as slush's pool numbered them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectCode {
    /// Anything that no other code says.
    Other,
    /// The share's job is not known (any more): the share is stale.
    JobNotFound,
    /// The share was handed in before.
    Duplicate,
    /// The share's hash does not meet the difficulty.
    LowDifficulty,
    /// The worker is not authorized.
    Unauthorized,
    /// The connection has not subscribed.
    NotSubscribed,
    /// The method is not known. Slush's -3 rather than JSON-RPC's -32601: the Stratum V1 servers
    /// that answer at all use slush's numbers, and no firmware looks at this one.
    MethodNotFound,
}

impl RejectCode {
    /// Every code.
    pub const ALL: [Self; 7] = [
        Self::Other,
        Self::JobNotFound,
        Self::Duplicate,
        Self::LowDifficulty,
        Self::Unauthorized,
        Self::NotSubscribed,
        Self::MethodNotFound,
    ];

    /// Returns the number on the wire.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Other => 20,
            Self::JobNotFound => 21,
            Self::Duplicate => 22,
            Self::LowDifficulty => 23,
            Self::Unauthorized => 24,
            Self::NotSubscribed => 25,
            Self::MethodNotFound => -3,
        }
    }

    /// Returns the code with a number, or `None` for one that is not slush's.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }
}

/// Appends `true`: to authorize, submit, suggest_difficulty, extranonce.subscribe.
pub fn result_true(out: &mut Vec<u8>, id: &Id) {
    result(out, id, |out| out.extend_from_slice(b"true"));
}

/// Appends `false` without an error, which is how firmware knows a refused worker.
pub fn result_false(out: &mut Vec<u8>, id: &Id) {
    result(out, id, |out| out.extend_from_slice(b"false"));
}

/// Appends `"pong"`, to ping.
pub fn result_pong(out: &mut Vec<u8>, id: &Id) {
    result_text(out, id, "pong");
}

/// Appends text, to get_version.
pub fn result_text(out: &mut Vec<u8>, id: &Id, text: &str) {
    result(out, id, |out| json::push_text(out, text));
}

/// Appends `[]`, to get_transactions.
pub fn result_empty(out: &mut Vec<u8>, id: &Id) {
    result(out, id, |out| out.extend_from_slice(b"[]"));
}

/// Appends an error reply: `[code, "message", null]`.
pub fn error(out: &mut Vec<u8>, id: &Id, code: RejectCode, message: &str) {
    out.extend_from_slice(b"{\"id\":");
    id.encode_into(out);
    out.extend_from_slice(b",\"result\":null,\"error\":[");
    json::push_display(out, code.code());
    out.push(b',');
    json::push_text(out, message);
    out.extend_from_slice(b",null]}\n");
}

/// Appends a reply whose result `write` appends.
fn result(out: &mut Vec<u8>, id: &Id, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"id\":");
    id.encode_into(out);
    out.extend_from_slice(b",\"result\":");
    write(out);
    out.extend_from_slice(b",\"error\":null}\n");
}
