//! Who mines: what the pool is told as a worker's name, fitted to what SV2 ext 0x0002 carries.

use std::fmt::{self, Write};
use std::net::SocketAddr;

use sha2::{Digest, Sha256};
use sv2::tlv::UserIdentity;

/// Characters of the hash that tells shortened names apart: 32 bits, so that among 10,000 workers with the same
/// first 23 bytes a collision has a chance of one in a hundred.
const HASH_DIGITS: usize = 8;

/// What the pool is told as a worker's name: text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserTemplate {
    pieces: Box<[Piece]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    /// The name that the miner authorizes with.
    User,
    /// What follows the first dot of that name, all of it without a dot.
    Worker,
    /// The miner's address.
    Ip,
    /// The miner's port.
    Port,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Nobody would have a name.
    #[error("the template is empty")]
    Empty,
    /// A placeholder that there is none of.
    #[error("{{{0}}} is no placeholder; there are {{user}}, {{worker}}, {{ip}} and {{port}}")]
    UnknownPlaceholder(String),
    /// A brace without its other one.
    #[error("a brace has no other one; placeholders are {{user}}, {{worker}}, {{ip}} and {{port}}")]
    UnpairedBrace,
}

impl Default for UserTemplate {
    /// Makes `{worker}`.
    fn default() -> Self {
        Self {
            pieces: [Piece::Worker].into(),
        }
    }
}

impl fmt::Display for UserTemplate {
    /// Writes the text that it was read from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::User => f.write_str("{user}"),
            Piece::Worker => f.write_str("{worker}"),
            Piece::Ip => f.write_str("{ip}"),
            Piece::Port => f.write_str("{port}"),
        })
    }
}

impl UserTemplate {
    /// Reads text with the placeholders `{user}`, `{worker}`, `{ip}` and `{port}`.
    ///
    /// # Errors
    /// Where it is empty or has braces around anything else.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(TemplateError::UnpairedBrace)?;
            push_text(&mut pieces, before)?;
            pieces.push(match name {
                "user" => Piece::User,
                "worker" => Piece::Worker,
                "ip" => Piece::Ip,
                "port" => Piece::Port,
                name => return Err(TemplateError::UnknownPlaceholder(name.to_owned())),
            });
            rest = after;
        }
        push_text(&mut pieces, rest)?;
        match pieces.is_empty() {
            true => Err(TemplateError::Empty),
            false => Ok(Self {
                pieces: pieces.into(),
            }),
        }
    }

    /// Gives the name for the pool of a miner at `peer` that authorizes as `user`.
    ///
    /// A name over 32 bytes is cut at a character and marked with a hash of the whole name, so that two long names
    /// with the same beginning stay two.
    pub(crate) fn identity(&self, user: &str, peer: SocketAddr) -> UserIdentity {
        let mut name = String::new();
        for piece in &self.pieces {
            let written = match piece {
                Piece::Text(text) => name.write_str(text),
                Piece::User => name.write_str(user),
                Piece::Worker => name.write_str(worker(user)),
                Piece::Ip => write!(name, "{}", peer.ip().to_canonical()),
                Piece::Port => write!(name, "{}", peer.port()),
            };
            debug_assert!(written.is_ok(), "a string takes everything");
        }
        UserIdentity::new(&name).unwrap_or_else(|| shortened(&name))
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) -> Result<(), TemplateError> {
    match text {
        "" => {}
        text if text.contains(['{', '}']) => return Err(TemplateError::UnpairedBrace),
        text => pieces.push(Piece::Text(text.into())),
    }
    Ok(())
}

fn worker(user: &str) -> &str {
    match user.split_once('.') {
        Some((_, worker)) if !worker.is_empty() => worker,
        _ => user,
    }
}

fn shortened(worker: &str) -> UserIdentity {
    let room = UserIdentity::MAX_LEN - HASH_DIGITS - 1;
    let (start, _) = worker.split_at(worker.floor_char_boundary(room));
    let hash = Sha256::digest(worker.as_bytes());
    let mut name = format!("{start}~");
    for byte in hash.iter().take(HASH_DIGITS / 2) {
        name.push_str(&format!("{byte:02x}"));
    }
    UserIdentity::new(&name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, user: &str) -> UserIdentity {
        let peer = "192.0.2.7:4000".parse().unwrap();
        UserTemplate::parse(template).unwrap().identity(user, peer)
    }

    fn identity(user: &str) -> UserIdentity {
        filled("{worker}", user)
    }

    fn named(user: &str) -> String {
        identity(user).to_string()
    }

    #[test]
    fn placeholders_stand_for_what_is_known_of_the_miner() {
        for (template, name) in [
            ("{worker}", "rig1"),
            ("{user}", "farm.rig1"),
            ("{ip}", "192.0.2.7"),
            ("hall2-{worker}@{ip}:{port}", "hall2-rig1@192.0.2.7:4000"),
            ("all", "all"),
        ] {
            assert_eq!(filled(template, "farm.rig1").to_string(), name);
            let shown = UserTemplate::parse(template).unwrap().to_string();
            assert_eq!(shown, template);
        }
        assert_eq!(UserTemplate::parse("{worker}"), Ok(UserTemplate::default()));
    }

    #[test]
    fn an_address_within_an_address_is_shown_plainly() {
        let peer = "[::ffff:192.0.2.7]:4000".parse().unwrap();
        let name = UserTemplate::parse("{ip}").unwrap().identity("x", peer);
        assert_eq!(name.to_string(), "192.0.2.7");
    }

    #[test]
    fn what_is_no_template_is_told_apart() {
        let wrong = |text| UserTemplate::parse(text).unwrap_err();
        assert_eq!(wrong(""), TemplateError::Empty);
        for text in ["{", "}", "{worker", "worker}", "a}{worker}"] {
            assert_eq!(wrong(text), TemplateError::UnpairedBrace, "{text}");
        }
        let message = wrong("{rig}").to_string();
        assert!(message.starts_with("{rig} is no placeholder"), "{message}");
        assert_eq!(
            wrong("{}"),
            TemplateError::UnknownPlaceholder(String::new())
        );
    }

    #[test]
    fn the_worker_is_what_follows_the_first_dot() {
        assert_eq!(named("farm.rig1"), "rig1");
        assert_eq!(named("farm.row2.rig1"), "row2.rig1");
        assert_eq!(named("bc1qexample"), "bc1qexample");
        assert_eq!(named("farm."), "farm.");
        assert_eq!(named(""), "");
    }

    #[test]
    fn long_names_are_cut_to_32_bytes_and_stay_distinct() {
        let one = format!("farm.{}1", "é".repeat(40));
        let two = format!("farm.{}2", "é".repeat(40));
        assert!(identity(&one).as_bytes().len() <= 32);
        assert_ne!(identity(&one), identity(&two));
        assert_eq!(identity(&one), identity(&one));
    }
}
