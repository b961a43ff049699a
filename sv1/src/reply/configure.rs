//! The reply to BIP-0310 mining.configure, written and read.

use serde_json::Value;

use super::result;
use crate::id::Id;
use crate::json;
use crate::params::hex_u32;
use crate::request::Configure;

/// What became of each extension that was asked for; the others stay out of the reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigureReply {
    /// The version bits that the miner may roll; `Some(0)` refuses the extension.
    pub version_rolling: Option<u32>,
    /// Whether the minimum difficulty is kept to.
    pub minimum_difficulty: Option<bool>,
    /// Whether `mining.set_extranonce` may come.
    pub subscribe_extranonce: Option<bool>,
    /// Whether the miner's information was taken.
    pub info: Option<bool>,
    /// Extensions that are refused because nobody here knows them.
    pub unknown: Vec<Box<str>>,
}

impl ConfigureReply {
    /// Answers a request: the version bits that both sides have, and the rest as asked.
    ///
    /// `mask` is what the server allows. A miner that needs more bits than are left is refused.
    #[must_use]
    pub fn granting(configure: &Configure, mask: u32) -> Self {
        let version_rolling = configure.version_rolling.map(|offer| {
            let granted = offer.mask & mask;
            match granted.count_ones() < offer.min_bit_count {
                true => 0,
                false => granted,
            }
        });
        Self {
            version_rolling,
            minimum_difficulty: configure.minimum_difficulty.map(|_| true),
            subscribe_extranonce: configure.subscribe_extranonce.then_some(true),
            info: configure.info.as_ref().map(|_| true),
            unknown: configure.unknown.clone(),
        }
    }

    /// Appends the reply. With version-rolling it always carries the mask too: cgminer and
    /// ESP-Miner read both, also from a refusal.
    pub fn encode_into(&self, id: &Id, out: &mut Vec<u8>) {
        result(out, id, |out| self.encode_result(out));
    }

    /// Reads the reply's result; a value that is neither true nor false (BIP-0310 allows words that
    /// say why not) is a refusal.
    #[must_use]
    pub fn parse(result: &Value) -> Option<Self> {
        let members = result.as_object()?;
        let mut reply = Self::default();
        for (name, value) in members {
            let granted = value == &Value::Bool(true);
            match name.as_str() {
                "version-rolling" => {
                    let mask = members.get("version-rolling.mask").and_then(Value::as_str);
                    let mask = mask.and_then(hex_u32).filter(|_| granted);
                    reply.version_rolling = Some(mask.unwrap_or_default());
                }
                "minimum-difficulty" => reply.minimum_difficulty = Some(granted),
                "subscribe-extranonce" => reply.subscribe_extranonce = Some(granted),
                "info" => reply.info = Some(granted),
                name if name.contains('.') => {}
                name => reply.unknown.push(name.into()),
            }
        }
        Some(reply)
    }

    fn encode_result(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        let start = out.len();
        let mut member = |name: &str, value: &[u8]| {
            if out.len() > start {
                out.push(b',');
            }
            json::push_text(out, name);
            out.push(b':');
            out.extend_from_slice(value);
        };
        if let Some(mask) = self.version_rolling {
            member("version-rolling", bool_json(mask != 0));
            member("version-rolling.mask", format!("\"{mask:08x}\"").as_bytes());
        }
        for (name, granted) in [
            ("minimum-difficulty", self.minimum_difficulty),
            ("subscribe-extranonce", self.subscribe_extranonce),
            ("info", self.info),
        ] {
            if let Some(granted) = granted {
                member(name, bool_json(granted));
            }
        }
        for name in &self.unknown {
            member(name, b"false");
        }
        out.push(b'}');
    }
}

const fn bool_json(value: bool) -> &'static [u8] {
    match value {
        true => b"true",
        false => b"false",
    }
}
