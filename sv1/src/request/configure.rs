//! BIP-0310 mining.configure: which extensions a miner asks for, and with what.
//!
//! `params` is `[[names], {"name.key": value}]`. Names decide; a key without its name is not looked at.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::ParameterError;
use crate::json;
use crate::params::{Param, Params, bounded};
use crate::request::MAX_METHOD;

/// How many extensions that are not known are named in the reply. BIP-0310 has four in all.
pub const MAX_UNKNOWN_EXTENSIONS: usize = 8;

/// Bound of each text of the `info` extension, in bytes; what is longer is cut.
const MAX_INFO: usize = 128;

/// The extensions that a miner asks for (BIP-0310 mining.configure).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configure {
    /// The `version-rolling` extension.
    pub version_rolling: Option<VersionRolling>,
    /// The `minimum-difficulty` extension: the least difficulty that the miner would have.
    pub minimum_difficulty: Option<f64>,
    /// The `subscribe-extranonce` extension: the miner takes `mining.set_extranonce`.
    pub subscribe_extranonce: bool,
    /// The `info` extension.
    pub info: Option<Box<Info>>,
    /// Names of what else was asked for, and of `minimum-difficulty` without its value: each is
    /// answered with false. At most [`MAX_UNKNOWN_EXTENSIONS`].
    pub unknown: Vec<Box<str>>,
}

/// What a miner offers to roll of the version field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRolling {
    /// The bits that it can roll; all of them where it does not say.
    pub mask: u32,
    /// How many bits it needs at least; 0 where it does not say.
    pub min_bit_count: u32,
}

/// What a miner tells about itself (BIP-0310 `info`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The URL that it dialled.
    pub connection_url: Option<Box<str>>,
    /// The model of the machine.
    pub hw_version: Option<Box<str>>,
    /// The software and its version.
    pub sw_version: Option<Box<str>>,
    /// The serial number of the machine.
    pub hw_id: Option<Box<str>>,
}

impl Configure {
    /// Reads the two parameters, of which the second may be missing or anything.
    pub(crate) fn parse(params: Option<&str>) -> Result<Self, ParameterError> {
        let params = Params::parse(params)?;
        let names = params.at(1, "extensions");
        let values = Values::parse(&params.at(2, "extension parameters"));
        let mut configure = Self::default();
        for name in names.elements()? {
            configure.take(&name.text()?, &values)?;
        }
        Ok(configure)
    }

    fn take(&mut self, name: &str, values: &Values<'_>) -> Result<(), ParameterError> {
        match name {
            "version-rolling" => self.version_rolling = Some(VersionRolling::parse(values)?),
            "minimum-difficulty" => match values.at("minimum-difficulty.value").number() {
                Ok(difficulty) => self.minimum_difficulty = Some(difficulty),
                Err(_) => self.refuse(name),
            },
            "subscribe-extranonce" => self.subscribe_extranonce = true,
            "info" => self.info = Some(Box::new(Info::parse(values))),
            name => self.refuse(name),
        }
        Ok(())
    }

    fn refuse(&mut self, name: &str) {
        if self.unknown.len() < MAX_UNKNOWN_EXTENSIONS {
            self.unknown.push(bounded(name, MAX_METHOD));
        }
    }

    pub(crate) fn encode_params(&self, out: &mut Vec<u8>) {
        let mut names: Vec<Value> = Vec::new();
        let mut values = Map::new();
        if let Some(offer) = self.version_rolling {
            names.push("version-rolling".into());
            let mask = format!("{:08x}", offer.mask);
            values.insert("version-rolling.mask".into(), mask.into());
            let bits = offer.min_bit_count.into();
            values.insert("version-rolling.min-bit-count".into(), bits);
        }
        if let Some(difficulty) = self.minimum_difficulty {
            names.push("minimum-difficulty".into());
            values.insert("minimum-difficulty.value".into(), difficulty.into());
        }
        if self.subscribe_extranonce {
            names.push("subscribe-extranonce".into());
        }
        if let Some(info) = &self.info {
            names.push("info".into());
            info.encode(&mut values);
        }
        names.extend(self.unknown.iter().map(|name| Value::from(&**name)));
        json::push_display(out, Value::from(names));
        out.push(b',');
        json::push_display(out, Value::from(values));
    }
}

impl VersionRolling {
    /// cgminer prints the mask without leading zeros, and tells no bit count.
    fn parse(values: &Values<'_>) -> Result<Self, ParameterError> {
        let mask = values.at("version-rolling.mask");
        let min_bit_count = values.at("version-rolling.min-bit-count");
        Ok(Self {
            mask: match mask.is_present() {
                true => mask.hex_u32()?,
                false => u32::MAX,
            },
            min_bit_count: match min_bit_count.is_present() {
                true => min_bit_count.integer()?,
                false => 0,
            },
        })
    }
}

impl Info {
    fn parse(values: &Values<'_>) -> Self {
        let text = |key| {
            let text = values.at(key).optional_text()?;
            Some(bounded(&text, MAX_INFO))
        };
        Self {
            connection_url: text("info.connection-url"),
            hw_version: text("info.hw-version"),
            sw_version: text("info.sw-version"),
            hw_id: text("info.hw-id"),
        }
    }

    fn encode(&self, values: &mut Map<String, Value>) {
        for (key, text) in [
            ("info.connection-url", &self.connection_url),
            ("info.hw-version", &self.hw_version),
            ("info.sw-version", &self.sw_version),
            ("info.hw-id", &self.hw_id),
        ] {
            if let Some(text) = text {
                values.insert(key.into(), Value::from(&**text));
            }
        }
    }
}

/// The object of `"name.key": value`, each value as raw JSON.
struct Values<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Values<'a> {
    /// What is no object has no values.
    fn parse(values: &Param<'a>) -> Self {
        let json = values.json().unwrap_or("{}");
        Self(serde_json::from_str(json).unwrap_or_default())
    }

    fn at(&self, key: &'static str) -> Param<'a> {
        let value: Option<&'a RawValue> = self.0.get(key).copied();
        Param::new(2, key, value.map(RawValue::get))
    }
}
