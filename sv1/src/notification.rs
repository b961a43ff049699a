//! What a server tells without being asked: written by functions that append one line each, and
//! read into [`Notification`] by a client.

mod notify;

pub use notify::{MAX_MERKLE_BRANCHES, Notify, NotifyParts};

use crate::error::ParameterError;
use crate::extranonce::Extranonce1;
use crate::json;
use crate::params::{Params, bounded};
use crate::request::MAX_METHOD;

/// Bound of a message that is to be shown, in bytes; what is longer is cut.
const MAX_MESSAGE: usize = 1024;

/// Bound of a host name, in bytes: that of the DNS.
const MAX_HOST: usize = 253;

/// A server's notification.
#[derive(Clone, Debug, PartialEq)]
pub enum Notification {
    /// A job (SV1 mining.notify).
    Notify(Box<Notify>),
    /// The difficulty of the jobs that follow (SV1 mining.set_difficulty).
    SetDifficulty(f64),
    /// Another extranonce1, for the jobs that follow (SV1 mining.set_extranonce).
    SetExtranonce {
        /// The connection's part of the extranonce.
        extranonce1: Extranonce1,
        /// Length of the miner's part, in bytes.
        extranonce2_size: u8,
    },
    /// The version bits that may be rolled from now on (BIP-0310 mining.set_version_mask).
    SetVersionMask(u32),
    /// The connection is to be closed and dialled again (SV1 client.reconnect).
    Reconnect(Option<Reconnect>),
    /// Text for a person (SV1 client.show_message).
    ShowMessage(Box<str>),
    /// Anything else.
    Unknown {
        /// The name, cut to [`MAX_METHOD`] bytes.
        method: Box<str>,
    },
}

/// Where and when to dial again (SV1 client.reconnect).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// Name or address of the host.
    pub host: Box<str>,
    /// TCP port.
    pub port: u16,
    /// How long to wait before, in s.
    pub wait: u32,
}

impl Notification {
    /// Reads the parameters of `method`.
    pub(crate) fn parse(method: &str, params: Option<&str>) -> Result<Self, ParameterError> {
        Ok(match method {
            "mining.notify" => Self::Notify(Box::new(Notify::parse(&Params::parse(params)?)?)),
            "mining.set_difficulty" => {
                Self::SetDifficulty(Params::parse(params)?.at(1, "difficulty").number()?)
            }
            "mining.set_extranonce" => {
                let params = Params::parse(params)?;
                Self::SetExtranonce {
                    extranonce1: params.at(1, "extranonce1").extranonce1()?,
                    extranonce2_size: params.at(2, "extranonce2_size").integer()?,
                }
            }
            "mining.set_version_mask" => {
                Self::SetVersionMask(Params::parse(params)?.at(1, "version_mask").hex_u32()?)
            }
            "client.reconnect" => Self::Reconnect(Reconnect::parse(&Params::parse(params)?)?),
            "client.show_message" => {
                let message = Params::parse(params)?.at(1, "message").text()?;
                Self::ShowMessage(bounded(&message, MAX_MESSAGE))
            }
            method => Self::Unknown {
                method: bounded(method, MAX_METHOD),
            },
        })
    }
}

impl Reconnect {
    /// Reads `[]`, or `[host, port, wait]` of which the last may be missing.
    fn parse(params: &Params<'_>) -> Result<Option<Self>, ParameterError> {
        let Some(host) = params.at(1, "host").optional_text() else {
            return Ok(None);
        };
        let wait = params.at(3, "wait");
        Ok(Some(Self {
            host: bounded(&host, MAX_HOST),
            port: params.at(2, "port").integer()?,
            wait: match wait.is_present() {
                true => wait.integer()?,
                false => 0,
            },
        }))
    }
}

/// Appends SV1 mining.set_difficulty; whole numbers go out without a fraction (`8192`), fractions
/// exactly (`0.0078125`). A number that is not finite would go out as 1.
pub fn set_difficulty(out: &mut Vec<u8>, difficulty: f64) {
    line(out, "mining.set_difficulty", |out| {
        json::push_number(out, difficulty)
    });
}

/// Appends SV1 mining.set_extranonce. `extranonce2_size` is in bytes.
pub fn set_extranonce(out: &mut Vec<u8>, extranonce1: &Extranonce1, extranonce2_size: u8) {
    line(out, "mining.set_extranonce", |out| {
        json::push_hex(out, extranonce1.as_bytes());
        out.push(b',');
        json::push_display(out, extranonce2_size);
    });
}

/// Appends BIP-0310 mining.set_version_mask.
pub fn set_version_mask(out: &mut Vec<u8>, mask: u32) {
    line(out, "mining.set_version_mask", |out| {
        json::push_hex_u32(out, mask)
    });
}

/// Appends SV1 client.reconnect. Without a place (`None`) the miner dials the same one again.
pub fn reconnect(out: &mut Vec<u8>, place: Option<&Reconnect>) {
    line(out, "client.reconnect", |out| {
        if let Some(Reconnect { host, port, wait }) = place {
            json::push_text(out, host);
            json::push_display(out, format_args!(",{port},{wait}"));
        }
    });
}

/// Appends SV1 client.show_message.
pub fn show_message(out: &mut Vec<u8>, message: &str) {
    line(out, "client.show_message", |out| {
        json::push_text(out, message)
    });
}

/// Appends a notification whose parameters `write` appends.
fn line(out: &mut Vec<u8>, method: &str, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"id\":null,\"method\":\"");
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b"\",\"params\":[");
    write(out);
    out.extend_from_slice(b"]}\n");
}
