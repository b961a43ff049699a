//! The reply to SV1 mining.subscribe, written and read.

use serde_json::Value;

use super::result;
use crate::extranonce::Extranonce1;
use crate::id::Id;
use crate::json;

/// What a connection is given for its life (SV1 mining.subscribe).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeReply {
    /// Id by which the miner can resume its session; empty if the server gives none.
    pub session_id: Box<str>,
    /// The connection's part of the extranonce.
    pub extranonce1: Extranonce1,
    /// Length of the miner's part of the extranonce, in bytes.
    pub extranonce2_size: u8,
}

impl SubscribeReply {
    /// Appends the reply: `[[["mining.set_difficulty", session_id], ["mining.notify", session_id]],
    /// extranonce1, extranonce2_size]`.
    ///
    /// cgminer takes the session id from the `mining.notify` entry; NerdMiner reads `result[0][0][1]`.
    pub fn encode_into(&self, id: &Id, out: &mut Vec<u8>) {
        result(out, id, |out| {
            out.extend_from_slice(b"[[[\"mining.set_difficulty\",");
            json::push_text(out, &self.session_id);
            out.extend_from_slice(b"],[\"mining.notify\",");
            json::push_text(out, &self.session_id);
            out.extend_from_slice(b"]],");
            json::push_hex(out, self.extranonce1.as_bytes());
            out.push(b',');
            json::push_display(out, self.extranonce2_size);
            out.push(b']');
        });
    }

    /// Reads the reply's result. The subscriptions may be one pair instead of a list of pairs, or
    /// anything else: only the session id is lost then.
    #[must_use]
    pub fn parse(result: &Value) -> Option<Self> {
        let session_id = result.get(0).and_then(session_id);
        Some(Self {
            session_id: session_id.unwrap_or_default().into(),
            extranonce1: Extranonce1::from_hex(result.get(1)?.as_str()?)?,
            extranonce2_size: u8::try_from(result.get(2)?.as_u64()?).ok()?,
        })
    }
}

/// The id beside `mining.notify`, at whichever depth it stands.
fn session_id(subscriptions: &Value) -> Option<&str> {
    let list = subscriptions.as_array()?;
    match list.as_slice() {
        [Value::String(method), Value::String(id)] if method == "mining.notify" => Some(id),
        pairs => pairs
            .iter()
            .find(|pair| pair.get(0).is_some_and(|method| method == "mining.notify"))?
            .get(1)?
            .as_str(),
    }
}
