//! The address of an Sv2 server as operators write it: `stratum2+tcp://host:port/KEY` (SV2 §4.7).

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

use crate::authority_key::{AuthorityKeyError, AuthorityPublicKey};

/// What a URL begins with; the spec knows no other scheme.
const SCHEME: &str = "stratum2+tcp";

/// Longest host, in bytes: a DNS name has at most 253 characters, and `endpoint_host` of SetupConnection 255.
const MAX_HOST_LEN: usize = 253;

/// Where a pool is, and the key by which to know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolUrl {
    /// Name or address, an IPv6 address without its brackets.
    pub host: String,
    /// TCP port, not 0. The spec names no default.
    pub port: u16,
    /// The pool's authority key; without one the server is not authenticated.
    pub authority_key: Option<AuthorityPublicKey>,
}

impl FromStr for PoolUrl {
    type Err = PoolUrlError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let rest = after_scheme(url)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(PoolUrlError::UserInUrl);
        }
        let (host, port) = split_port(authority)?;
        Ok(Self {
            host: host.to_owned(),
            port: parse_port(port)?,
            authority_key: parse_key(path)?,
        })
    }
}

impl fmt::Display for PoolUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            write!(f, "{SCHEME}://[{host}]:{port}")?;
        } else {
            write!(f, "{SCHEME}://{host}:{port}")?;
        }
        match &self.authority_key {
            Some(key) => write!(f, "/{key}"),
            None => Ok(()),
        }
    }
}

/// What follows `stratum2+tcp://`.
fn after_scheme(url: &str) -> Result<&str, PoolUrlError> {
    let (scheme, rest) = url.split_once("://").ok_or(PoolUrlError::NoScheme)?;
    if scheme.eq_ignore_ascii_case(SCHEME) {
        return Ok(rest);
    }
    let sv1 = [
        "stratum+tcp",
        "stratum+ssl",
        "stratum+tls",
        "stratum",
        "tcp",
    ];
    if sv1.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(PoolUrlError::StratumV1);
    }
    Err(PoolUrlError::OtherScheme(scheme.to_owned()))
}

/// Checks the host and cuts it from the port.
fn split_port(authority: &str) -> Result<(&str, &str), PoolUrlError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(PoolUrlError::OpenBracket)?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(PoolUrlError::NotIpv6(host.to_owned()));
        }
        return Ok((host, port.strip_prefix(':').ok_or(PoolUrlError::NoPort)?));
    }
    let (host, port) = authority.rsplit_once(':').ok_or(PoolUrlError::NoPort)?;
    check_name(host)?;
    Ok((host, port))
}

/// Checks a name or an IPv4 address.
fn check_name(host: &str) -> Result<(), PoolUrlError> {
    if host.is_empty() {
        return Err(PoolUrlError::NoHost);
    }
    if host.contains(':') {
        return Err(PoolUrlError::Ipv6WithoutBrackets);
    }
    if host.len() > MAX_HOST_LEN {
        return Err(PoolUrlError::HostTooLong(host.len()));
    }
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match host.chars().find(|c| !allowed(c)) {
        Some(character) => Err(PoolUrlError::HostCharacter(character)),
        None => Ok(()),
    }
}

fn parse_port(port: &str) -> Result<u16, PoolUrlError> {
    if port.is_empty() {
        return Err(PoolUrlError::NoPort);
    }
    // `parse` would take a leading plus sign.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(number @ 1..) if digits => Ok(number),
        _ => Err(PoolUrlError::NotAPort(port.to_owned())),
    }
}

fn parse_key(path: &str) -> Result<Option<AuthorityPublicKey>, PoolUrlError> {
    match path {
        "" => Ok(None),
        _ if path.contains(['/', '?', '#']) => Err(PoolUrlError::MoreThanAKey),
        key => Ok(Some(key.parse()?)),
    }
}

/// Text that is no pool URL; says which part is wrong and what to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PoolUrlError {
    /// There is no `://`.
    #[error("the URL has no scheme: write {SCHEME}://host:port/KEY")]
    NoScheme,
    /// A Stratum V1 URL.
    #[error(
        "this is a Stratum V1 URL: ask the pool for its Stratum V2 URL, {SCHEME}://host:port/KEY"
    )]
    StratumV1,
    /// Something that is no Stratum.
    #[error("unknown scheme {0:?}: write {SCHEME}://host:port/KEY")]
    OtherScheme(String),
    /// A user name, as Sv1 URLs may have.
    #[error(
        "the URL contains '@': the user name does not belong into the URL, and no other part may contain '@'"
    )]
    UserInUrl,
    /// Nothing before the port.
    #[error("the URL has no host: write {SCHEME}://host:port/KEY")]
    NoHost,
    /// More than DNS allows.
    #[error("the host has {0} characters, and at most {MAX_HOST_LEN} are possible")]
    HostTooLong(usize),
    /// A character that no host name has.
    #[error(
        "the host contains {0:?}: letters, digits, '.', '-' and '_' are possible (other scripts as xn--…)"
    )]
    HostCharacter(char),
    /// An IPv6 address that cannot be told from its port.
    #[error("write an IPv6 address in brackets: {SCHEME}://[2001:db8::1]:port/KEY")]
    Ipv6WithoutBrackets,
    /// A bracket that is never closed.
    #[error("the '[' before the IPv6 address has no ']'")]
    OpenBracket,
    /// Something else in brackets.
    #[error("{0:?} in brackets is not an IPv6 address")]
    NotIpv6(String),
    /// Nothing after the host; the spec has no default.
    #[error("the URL has no port, and there is no usual one: write {SCHEME}://host:port/KEY")]
    NoPort,
    /// No number from 1 to 65535.
    #[error("{0:?} is not a port: write a number from 1 to 65535")]
    NotAPort(String),
    /// A second path segment, a query or a fragment.
    #[error("only the authority key may follow the port: write {SCHEME}://host:port/KEY")]
    MoreThanAKey,
    /// The path is no authority key.
    #[error("the authority key after the port is wrong: {0}")]
    AuthorityKey(#[from] AuthorityKeyError),
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh";

    fn error_of(url: &str) -> PoolUrlError {
        url.parse::<PoolUrl>().unwrap_err()
    }

    #[test]
    fn the_specs_url_reads_and_writes() {
        let text = format!("stratum2+tcp://thepool.com:34254/{KEY}");
        let url: PoolUrl = text.parse().unwrap();
        assert_eq!(url.host, "thepool.com");
        assert_eq!(url.port, 34_254);
        assert_eq!(url.authority_key, Some(KEY.parse().unwrap()));
        assert_eq!(url.to_string(), text);
    }

    #[test]
    fn ipv6_addresses_stand_in_brackets() {
        let text = "stratum2+tcp://[2001:db8::1]:3333";
        let url: PoolUrl = text.parse().unwrap();
        assert_eq!((url.host.as_str(), url.port), ("2001:db8::1", 3_333));
        assert_eq!(url.to_string(), text);
        let bare = error_of("stratum2+tcp://2001:db8::1:3333");
        assert_eq!(bare, PoolUrlError::Ipv6WithoutBrackets);
        assert_eq!(
            error_of("stratum2+tcp://[::1:3333"),
            PoolUrlError::OpenBracket
        );
        let name = PoolUrlError::NotIpv6("pool".to_owned());
        assert_eq!(error_of("stratum2+tcp://[pool]:3333"), name);
        assert_eq!(error_of("stratum2+tcp://[::1]3333"), PoolUrlError::NoPort);
    }

    #[test]
    fn the_key_may_be_left_out() {
        for text in ["STRATUM2+TCP://127.0.0.1:1", "stratum2+tcp://127.0.0.1:1/"] {
            let url: PoolUrl = text.parse().unwrap();
            assert_eq!(url.authority_key, None);
            assert_eq!(url.to_string(), "stratum2+tcp://127.0.0.1:1");
        }
    }

    #[test]
    fn the_wrong_scheme_is_named() {
        assert_eq!(error_of("pool:3333"), PoolUrlError::NoScheme);
        assert_eq!(error_of("stratum+tcp://pool:3333"), PoolUrlError::StratumV1);
        let http = PoolUrlError::OtherScheme("http".to_owned());
        assert_eq!(error_of("http://pool:3333"), http);
    }

    #[test]
    fn the_wrong_host_is_named() {
        assert_eq!(error_of("stratum2+tcp://:3333"), PoolUrlError::NoHost);
        assert_eq!(
            error_of("stratum2+tcp://a@pool:3333"),
            PoolUrlError::UserInUrl
        );
        let space = PoolUrlError::HostCharacter(' ');
        assert_eq!(error_of("stratum2+tcp://my pool:3333"), space);
        let long = format!("stratum2+tcp://{}:3333", "a".repeat(254));
        assert_eq!(error_of(&long), PoolUrlError::HostTooLong(254));
    }

    #[test]
    fn the_wrong_port_is_named() {
        assert_eq!(error_of("stratum2+tcp://pool"), PoolUrlError::NoPort);
        assert_eq!(error_of("stratum2+tcp://pool:/x"), PoolUrlError::NoPort);
        for port in ["0", "65536", "+1", "-1", "1 ", "x"] {
            let expected = PoolUrlError::NotAPort(port.to_owned());
            assert_eq!(error_of(&format!("stratum2+tcp://pool:{port}")), expected);
        }
    }

    #[test]
    fn the_wrong_key_is_named() {
        let more = format!("stratum2+tcp://pool:1/{KEY}/");
        assert_eq!(error_of(&more), PoolUrlError::MoreThanAKey);
        let query = format!("stratum2+tcp://pool:1/{KEY}?a=b");
        assert_eq!(error_of(&query), PoolUrlError::MoreThanAKey);
        assert_eq!(
            error_of("stratum2+tcp://pool:1/0").to_string(),
            "the authority key after the port is wrong: character 1 of the key is not base58 \
             (letters and digits without 0, O, I and l)"
        );
    }
}
