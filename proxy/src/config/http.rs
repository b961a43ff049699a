//! `[http]`: where the API, the metrics and the probes are served, and to whom.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use toml::de::DeValue;

use super::section::{Section, address, expected};

/// Where the API, the metrics and the probes are served, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// The address to listen on; `None` is off.
    pub address: Option<SocketAddr>,
    /// What a client must know; `None` lets everybody in who reaches the address.
    pub token: Option<Token>,
    /// How many miners have series of their own in the metrics.
    pub miner_series: usize,
}

/// A secret that clients show. Its text is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Fewest characters of a token: at random from letters and digits, more than anybody tries over a network.
const TOKEN_LEAST: usize = 16;
/// Most characters of a token: what fits well into a header.
const TOKEN_MOST: usize = 255;

/// Most miners with series of their own: above, the metrics of the miners outweigh all others a hundred times.
const MINER_SERIES_MOST: usize = 1_000;

impl Token {
    /// Takes a text for a token.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Gives its bytes, to be compared with what a client shows.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            // Loopback only: what it shows is nobody else's business.
            address: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8330))),
            token: None,
            // A series for each miner of a large farm would fill any Prometheus.
            miner_series: 0,
        }
    }
}

impl Http {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let default = Self::default();
        let read = section.read("address", |value| match value.as_str() {
            Some("") => Ok(None),
            _ => address(value, "127.0.0.1:8330")
                .map(Some)
                .map_err(|text| format!("{text}; \"\" is off")),
        });
        let address = read.unwrap_or(default.address);
        let token = section.read("token", token).flatten();
        let beyond_loopback = address.filter(|address| !address.ip().is_loopback());
        if let Some(address) = beyond_loopback
            && section.is_sound()
            && token.is_none()
        {
            let text = format!(
                "missing: {address} can be seen from the network; write a secret of at least {TOKEN_LEAST} characters \
                 that clients are to show"
            );
            section.mismatch("token", text);
        }
        let miner_series = section.integer(
            "miner_series",
            "miners",
            default.miner_series,
            0..=MINER_SERIES_MOST,
        );
        section.finish();
        Self {
            address,
            token,
            miner_series,
        }
    }
}

/// Reads a token; the empty one is none. What is wrong with it is told without its text.
fn token(value: &DeValue<'_>) -> Result<Option<Token>, String> {
    let what = format!("a secret of {TOKEN_LEAST} to {TOKEN_MOST} characters without spaces");
    let text = value.as_str().ok_or_else(|| expected(&what, value))?;
    if text.is_empty() {
        return Ok(None);
    }
    let fits = (TOKEN_LEAST..=TOKEN_MOST).contains(&text.len());
    if !fits || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let length = text.chars().count();
        return Err(format!("expected {what}, found one of {length}"));
    }
    Ok(Some(Token::new(text)))
}
