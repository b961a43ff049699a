//! What a miner asks of a server: one variant per method, and how each is read and written.
//!
//! The methods that have parameters worth a type stand in the files beside this one.

mod configure;
mod submit;
mod subscribe;

pub use configure::{Configure, Info, MAX_UNKNOWN_EXTENSIONS, VersionRolling};
pub use submit::Submit;
pub use subscribe::{MAX_SESSION_ID, MAX_USER_AGENT, Subscribe};

use crate::error::ParameterError;
use crate::hex;
use crate::id::Id;
use crate::json;
use crate::params::{Params, bounded};

/// Bound of an unknown method's name, in bytes; what is longer is cut. For logs and error replies only.
pub const MAX_METHOD: usize = 64;

/// A miner's request.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Negotiates extensions (BIP-0310 mining.configure). May come at any time, or never.
    Configure(Box<Configure>),
    /// Asks for an extranonce1 and for jobs (SV1 mining.subscribe).
    Subscribe(Subscribe),
    /// Names a worker (SV1 mining.authorize). May come more than once on a connection.
    Authorize {
        /// The worker's name.
        user: Box<str>,
        /// The password, where one was given.
        password: Option<Box<str>>,
    },
    /// Hands in a share (SV1 mining.submit).
    Submit(Submit),
    /// Asks for a difficulty (SV1 mining.suggest_difficulty). Any finite number; the server judges.
    SuggestDifficulty(f64),
    /// Asks for a target (SV1 mining.suggest_target), most significant byte first.
    SuggestTarget([u8; 32]),
    /// Says that the miner takes `mining.set_extranonce` (SV1 mining.extranonce.subscribe).
    ExtranonceSubscribe,
    /// Tells how many versions an old Antminer rolls (SV1 mining.multi_version), if it can be read.
    MultiVersion(Option<u32>),
    /// Asks for the transactions of a job (SV1 mining.get_transactions).
    GetTransactions,
    /// Asks for a sign of life (SV1 mining.ping).
    Ping,
    /// Asks for the name of the server's software (SV1 client.get_version).
    GetVersion,
    /// Anything else, a `pong` among it. No error: the connection stays, and the answer says no.
    Unknown {
        /// The name, cut to [`MAX_METHOD`] bytes.
        method: Box<str>,
    },
}

impl Request {
    /// Returns the method's name on the wire.
    #[must_use]
    pub fn method(&self) -> &str {
        match self {
            Self::Configure(_) => "mining.configure",
            Self::Subscribe(_) => "mining.subscribe",
            Self::Authorize { .. } => "mining.authorize",
            Self::Submit(_) => "mining.submit",
            Self::SuggestDifficulty(_) => "mining.suggest_difficulty",
            Self::SuggestTarget(_) => "mining.suggest_target",
            Self::ExtranonceSubscribe => "mining.extranonce.subscribe",
            Self::MultiVersion(_) => "mining.multi_version",
            Self::GetTransactions => "mining.get_transactions",
            Self::Ping => "mining.ping",
            Self::GetVersion => "client.get_version",
            Self::Unknown { method } => method,
        }
    }

    /// Appends the request as one line.
    pub fn encode_into(&self, id: &Id, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        id.encode_into(out);
        out.extend_from_slice(b",\"method\":");
        json::push_text(out, self.method());
        out.extend_from_slice(b",\"params\":[");
        self.encode_params(out);
        out.extend_from_slice(b"]}\n");
    }

    /// Reads the parameters of `method`.
    pub(crate) fn parse(method: &str, params: Option<&str>) -> Result<Self, ParameterError> {
        Ok(match method {
            "mining.submit" => Self::Submit(Submit::parse(&Params::parse(params)?)?),
            "mining.configure" => Self::Configure(Box::new(Configure::parse(params)?)),
            "mining.subscribe" => {
                Self::Subscribe(Subscribe::parse(&Params::parse_or_empty(params)))
            }
            "mining.authorize" => Self::parse_authorize(&Params::parse(params)?)?,
            "mining.suggest_difficulty" => {
                let difficulty = Params::parse(params)?.at(1, "difficulty");
                Self::SuggestDifficulty(difficulty.number()?)
            }
            "mining.suggest_target" => Self::parse_suggest_target(&Params::parse(params)?)?,
            "mining.extranonce.subscribe" => Self::ExtranonceSubscribe,
            "mining.multi_version" => {
                let count = Params::parse_or_empty(params).at(1, "count");
                Self::MultiVersion(count.integer().ok())
            }
            "mining.get_transactions" => Self::GetTransactions,
            "mining.ping" => Self::Ping,
            "client.get_version" => Self::GetVersion,
            method => Self::Unknown {
                method: bounded(method, MAX_METHOD),
            },
        })
    }

    fn parse_authorize(params: &Params<'_>) -> Result<Self, ParameterError> {
        params.need(1)?;
        let password = params.at(2, "password").optional_text();
        Ok(Self::Authorize {
            user: params.at(1, "user").text()?.into(),
            password: password.map(Into::into),
        })
    }

    /// Firmware that prints a number leaves leading zeros out, so fewer than 64 digits are taken.
    fn parse_suggest_target(params: &Params<'_>) -> Result<Self, ParameterError> {
        let target = params.at(1, "target");
        let text = target.text()?;
        let digits = hex::strip_prefix(text.trim());
        let mut bytes = [0; 32];
        let padded = format!("{digits:0>64}");
        match !digits.is_empty() && hex::decode_into(padded.as_bytes(), &mut bytes) {
            true => Ok(Self::SuggestTarget(bytes)),
            false => Err(target.wrong(crate::Problem::NotHex)),
        }
    }

    fn encode_params(&self, out: &mut Vec<u8>) {
        match self {
            Self::Configure(configure) => configure.encode_params(out),
            Self::Subscribe(subscribe) => subscribe.encode_params(out),
            Self::Submit(submit) => submit.encode_params(out),
            Self::Authorize { user, password } => {
                json::push_text(out, user);
                if let Some(password) = password {
                    out.push(b',');
                    json::push_text(out, password);
                }
            }
            Self::SuggestDifficulty(difficulty) => json::push_number(out, *difficulty),
            Self::SuggestTarget(target) => json::push_hex(out, target),
            Self::MultiVersion(Some(count)) => json::push_display(out, count),
            Self::MultiVersion(None)
            | Self::ExtranonceSubscribe
            | Self::GetTransactions
            | Self::Ping
            | Self::GetVersion
            | Self::Unknown { .. } => {}
        }
    }
}
