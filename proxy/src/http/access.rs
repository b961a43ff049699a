//! Who may read: whoever shows the token; without one, whoever reaches the address by itself.
//!
//! Without a token a request must name the server by an IP address or as localhost. A web page that had its own name
//! resolve to this machine (DNS rebinding) would name it by that, and read everything through the browser of somebody
//! who can reach it.

use std::net::IpAddr;

use data_encoding::BASE64;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use subtle::ConstantTimeEq;

use crate::config::Token;

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    /// It does not show the token.
    #[error(
        "the token is missing or wrong: send it as `Authorization: Bearer TOKEN`, or as the password of HTTP Basic"
    )]
    WithoutToken,
    /// It names the server otherwise than by an address.
    #[error(
        "without a token this server answers only where it is asked by an IP address or as localhost; set [http] token \
         to use a name"
    )]
    NamedServer,
}

/// Decides whether a request with these headers may be answered.
pub(super) fn check(token: Option<&Token>, headers: &HeaderMap) -> Result<(), Denied> {
    match token {
        Some(token) => {
            let shown = headers.get(AUTHORIZATION).and_then(shown);
            let right = shown.is_some_and(|shown| token.as_bytes().ct_eq(&shown).into());
            right.then_some(()).ok_or(Denied::WithoutToken)
        }
        None => {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            let by_address = host.is_none_or(is_address);
            by_address.then_some(()).ok_or(Denied::NamedServer)
        }
    }
}

/// Says how to show the token. A browser that is asked for HTTP Basic asks its user; for who takes nothing but JSON,
/// such as the page after the token was changed, that would be a window every two seconds.
pub(super) fn challenge(headers: &HeaderMap) -> HeaderValue {
    let only_json = headers
        .get(ACCEPT)
        .is_some_and(|it| it == "application/json");
    HeaderValue::from_static(match only_json {
        true => "Bearer realm=\"Millrace\"",
        false => "Basic realm=\"Millrace\", charset=\"UTF-8\"",
    })
}

/// Gives the secret that a request shows.
fn shown(authorization: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, secret) = authorization.to_str().ok()?.split_once(' ')?;
    let secret = secret.trim().as_bytes();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(secret.to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut pair = BASE64.decode(secret).ok()?.into_iter();
    // The user's name ends at the first colon and may be any.
    pair.find(|byte| *byte == b':')?;
    Some(pair.collect())
}

/// Tells whether a Host header names an IP address or localhost, with a port or without.
fn is_address(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "correct-horse-battery";

    fn with(name: hyper::header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn the_token_is_taken_as_bearer_and_as_the_password_of_basic() {
        let token = Token::new(SECRET);
        let basic = |pair: String| format!("Basic {}", BASE64.encode(pair.as_bytes()));
        for good in [
            format!("Bearer {SECRET}"),
            format!("bearer  {SECRET} "),
            basic(format!(":{SECRET}")),
            basic(format!("anybody:{SECRET}")),
        ] {
            let headers = with(AUTHORIZATION, &good);
            assert_eq!(check(Some(&token), &headers), Ok(()), "{good}");
        }
        for wrong in [
            "Bearer".to_owned(),
            SECRET.to_owned(),
            format!("Bearer {SECRET}x"),
            format!("Digest {SECRET}"),
            "Basic ???".to_owned(),
            basic(SECRET.to_owned()),
            basic(format!("{SECRET}:")),
        ] {
            let headers = with(AUTHORIZATION, &wrong);
            let denied = Err(Denied::WithoutToken);
            assert_eq!(check(Some(&token), &headers), denied, "{wrong}");
        }
        assert!(check(Some(&token), &HeaderMap::new()).is_err());
        let named = with(HOST, "localhost");
        assert!(
            check(Some(&token), &named).is_err(),
            "the host is no secret"
        );
    }

    #[test]
    fn without_a_token_the_server_must_be_named_by_an_address() {
        for good in [
            "127.0.0.1:8330",
            "localhost",
            "LOCALHOST:1",
            "[::1]:8330",
            "[::1]",
        ] {
            assert_eq!(check(None, &with(HOST, good)), Ok(()), "{good}");
        }
        assert_eq!(check(None, &HeaderMap::new()), Ok(()));
        for wrong in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com:80",
        ] {
            let denied = Err(Denied::NamedServer);
            assert_eq!(check(None, &with(HOST, wrong)), denied, "{wrong}");
        }
    }
}
