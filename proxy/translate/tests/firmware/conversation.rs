//! Conversations as files: how one is written, and how a line that was heard is held against one that was expected.
//!
//! A file is plain text, one step per line; empty lines and lines that begin with `#` are for the reader.
//!
//! | line | meaning |
//! |---|---|
//! | `firmware: NAME` | the row of the firmware table; the first line |
//! | `source: WORDS` | where the conversation is from; the second line |
//! | `> LINE` | the miner sends this; several in a row go out together, before anything is answered |
//! | `< LINE` | the miner hears exactly this next, byte for byte |
//! | `share LINE` | the miner finds a share of its present work and submits it in these words |
//! | `wait TIME` | time passes, in `s` or `ms` |
//! | `pool: new job`, `pool: new block` | the pool deals one |
//! | `reconnect` | the miner closes its connection and makes another |
//!
//! Nothing may be heard that is not written. What cannot be known beforehand stands as a name in braces and is held to
//! what must be true of it:
//!
//! | name | what it is |
//! |---|---|
//! | `{session}` | 16 hex digits, the same all over a connection; in a line sent, the one heard last |
//! | `{job}` | up to 8 hex digits, never heard before; in a share, the newest |
//! | `{ntime}` | 8 hex digits; rises with every notify of the same job; in a share, the newest notify's |
//! | `{prevhash}` | 64 hex digits; another one exactly when the pool found a new block |
//! | `{coinb1}`, `{coinb2}` | whole bytes in hex, at least one |
//! | `{branches}` | any number of hashes of 64 hex digits, in quotes, with commas between |
//! | `{version}`, `{nbits}` | 8 hex digits |
//! | `{extranonce2}`, `{nonce}`, `{bits}` | in a share: what was rolled; bits of the version where they are named |

use std::path::{Path, PathBuf};
use std::time::Duration;

/// A conversation between one firmware and us.
pub(crate) struct Conversation {
    path: PathBuf,
    pub(crate) firmware: String,
    /// With the numbers of their lines, from 1.
    pub(crate) steps: Vec<(usize, Step)>,
}

/// One line of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Say(String),
    Hear(String),
    Share(String),
    Wait(Duration),
    NewJob,
    NewBlock,
    Reconnect,
}

impl Conversation {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(path, &text)
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, String> {
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        let mut header = |key: &str| {
            let (_, line) = lines.next()?;
            let value = line.strip_prefix(key)?.strip_prefix(": ")?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let (firmware, source) = (header("firmware"), header("source"));
        let place = path.display();
        let firmware =
            firmware.ok_or_else(|| format!("{place}: begins without `firmware: NAME`"))?;
        source.ok_or_else(|| format!("{place}: goes on without `source: WORDS`"))?;
        let steps = lines.map(|(number, line)| match Step::parse(line) {
            Some(step) => Ok((number, step)),
            None => Err(format!(
                "{place}:{number}: no step of a conversation: {line}"
            )),
        });
        Ok(Self {
            path: path.to_owned(),
            firmware,
            steps: steps.collect::<Result<_, _>>()?,
        })
    }

    /// Names a line, as editors understand it.
    pub(crate) fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

impl Step {
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim_end();
        match line {
            "pool: new job" => return Some(Self::NewJob),
            "pool: new block" => return Some(Self::NewBlock),
            "reconnect" => return Some(Self::Reconnect),
            _ => {}
        }
        let (word, rest) = line.split_once(' ')?;
        match word {
            ">" => Some(Self::Say(rest.to_owned())),
            "<" => Some(Self::Hear(rest.to_owned())),
            "share" => Some(Self::Share(rest.to_owned())),
            "wait" => duration(rest).map(Self::Wait),
            _ => None,
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    if let Some(milliseconds) = text.strip_suffix("ms") {
        return milliseconds.parse().ok().map(Duration::from_millis);
    }
    let seconds = text.strip_suffix('s')?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// A piece of an expected line.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// Cuts a line at its names. JSON's own braces are never followed by a letter.
fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut text = 0;
    for (open, _) in line.match_indices('{') {
        let inside = &line[open + 1..];
        let length = inside.bytes().take_while(u8::is_ascii_alphanumeric).count();
        if length > 0 && inside[length..].starts_with('}') {
            pieces.push(Piece::Text(&line[text..open]));
            pieces.push(Piece::Name(&inside[..length]));
            text = open + length + 2;
        }
    }
    pieces.push(Piece::Text(&line[text..]));
    pieces
}

/// Holds what was heard against what was expected; gives what stood for each name, or `None`.
pub(crate) fn matched<'a>(expected: &'a str, heard: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let mut found = Vec::new();
    let (mut rest, mut name) = (heard, None);
    for piece in pieces(expected) {
        match (piece, name.take()) {
            (Piece::Name(next), _) => name = Some(next),
            (Piece::Text(text), None) => rest = rest.strip_prefix(text)?,
            (Piece::Text(text), Some(name)) => {
                // At the end of a line the text is all that is left.
                let end = rest.find(text)?;
                found.push((name, &rest[..end]));
                rest = &rest[end + text.len()..];
            }
        }
    }
    rest.is_empty().then_some(found)
}

/// Puts values in the places of names; `Err` with the name that has none.
pub(crate) fn filled(line: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let pieces = pieces(line);
    let pieces = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => Ok((*text).to_owned()),
        Piece::Name(name) => value(name).ok_or_else(|| format!("nothing stands for {{{name}}}")),
    });
    pieces.collect()
}

/// Tells whether text is so many lower-case hex digits.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == digits && text.bytes().all(digit)
}
