//! `[[upstream]]`: a Sv2 server to mine at, in order of preference.

use sv2::url::{PoolUrl, PoolUrlError};
use toml::de::DeValue;

use super::section::{Section, expected, text};

/// A Sv2 server to mine at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name in logs and metrics; unique.
    pub name: String,
    /// Where it is, and the authority key that proves it, which is always there (SV2 §4.7).
    pub url: PoolUrl,
    /// The channel's `user_identity`, at most 255 bytes: the account that is paid.
    pub user: String,
}

impl Upstream {
    /// Reads one upstream; `names` are those of the upstreams before it, and grow by this one's.
    pub(super) fn read(mut section: Section<'_, '_>, names: &mut Vec<String>) -> Option<Self> {
        let name = section.required("name", "write a short name such as \"primary\"", name);
        if let Some(name) = &name {
            if names.contains(name) {
                let text =
                    format!("\"{name}\" is the name of an upstream above: write another one");
                section.mismatch("name", text);
            }
            names.push(name.clone());
        }
        let url = section.required("url", URL_HINT, url);
        let user = section.required("user", "write the pool account that is to be paid", user);
        section.finish();
        Some(Self {
            name: name?,
            url: url?,
            user: user?,
        })
    }
}

const URL_HINT: &str = "write stratum2+tcp://host:port/KEY as the pool publishes it";

/// Longest name of an upstream, in bytes: it stands in every log line and metric of that upstream.
const NAME_MAX: usize = 32;

fn name(value: &DeValue<'_>) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    value
        .as_str()
        .filter(|name| (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(plain))
        .map(str::to_owned)
        .ok_or_else(|| {
            let what = format!("a name of 1 to {NAME_MAX} letters, digits, \"-\", \"_\" or \".\"");
            expected(&what, value)
        })
}

fn url(value: &DeValue<'_>) -> Result<PoolUrl, String> {
    let text = text(value, "a URL: stratum2+tcp://host:port/KEY")?;
    let url: PoolUrl = text
        .parse()
        .map_err(|error: PoolUrlError| error.to_string())?;
    if url.authority_key.is_none() {
        return Err(NO_KEY.to_owned());
    }
    Ok(url)
}

/// Certificates are all that tells the pool from somebody on the way to it, so a key is not optional here.
const NO_KEY: &str = "the authority key is missing, and without it anybody on the way can take the hashrate: \
                      add /KEY after the port, as the pool publishes it";

/// Longest `user_identity`, in bytes: the length of a STR0_255 (SV2 §3.1).
const USER_MAX: usize = 255;

fn user(value: &DeValue<'_>) -> Result<String, String> {
    let text = text(value, "the pool account that is to be paid")?;
    if text.len() > USER_MAX {
        return Err(format!(
            "is {} bytes long: at most {USER_MAX} fit",
            text.len()
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(expected("an account without control characters", value));
    }
    Ok(text)
}
