//! The file `sessions`: which session has which slot, so that miners that come back after a restart with their session id
//! are told the `extranonce1` that they had.
//!
//! Text, a session a line: the number of its driver, the slot in hex, the bytes of extranonce1 and of extranonce2, the id.
//!
//! ```text
//! millrace sessions 1
//! 0 00100000 4 4 0f3a5c7e9b1d2f40
//! ```
//!
//! It is of use for two minutes after a stop: then slots go to other miners. Who knows an id can have the slot while its
//! miner is away, so nobody else is to read the file. One of another version is not used, and lines that are wrong are
//! skipped: miners get other slots then, which costs them nothing but that.

use std::fmt::Write;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};

use translate::KeptSession;

use super::StateDirectory;

/// The file's name.
const NAME: &str = "sessions";
/// Its first line, which names the version.
const TITLE: &str = "millrace sessions 1";
/// Longest line read, in bytes: an id of 64 characters, and numbers.
const LINE_MAX: u64 = 128;
/// Most lines read: as many miners as `limits.max_miners` can be.
const MOST_LINES: usize = 1_000_000;

/// The file and what it holds.
#[derive(Debug)]
pub(crate) struct Sessions {
    directory: StateDirectory,
    /// Those of each driver, in the drivers' order.
    known: Vec<Vec<KeptSession>>,
    /// Whether the last try to write it failed, and the log says so.
    failing: bool,
}

impl Sessions {
    /// Reads the file. What is wrong with it is a warning at most.
    pub(crate) fn load(directory: StateDirectory) -> Self {
        let path = directory.path_of(NAME);
        let known = match File::open(&path) {
            Ok(file) => read(file),
            Err(error) if error.kind() == ErrorKind::NotFound => Some(Vec::new()),
            Err(_) => None,
        };
        if known.is_none() {
            log::warn!(
                "{}: is no file of sessions that is known here; it is not used",
                path.display()
            );
        }
        Self {
            directory,
            known: known.unwrap_or_default(),
            failing: false,
        }
    }

    /// Gives what a driver is started with.
    pub(crate) fn of_driver(&self, number: usize) -> Vec<KeptSession> {
        self.known.get(number).cloned().unwrap_or_default()
    }

    /// Takes those of every driver and writes the file where they changed.
    pub(crate) fn save(&mut self, now: Vec<Vec<KeptSession>>) {
        if now == self.known && !self.failing {
            return;
        }
        self.known = now;
        let written = self.directory.write(NAME, self.text().as_bytes());
        if let Err(error) = &written
            && !self.failing
        {
            let path = self.directory.path_of(NAME);
            log::warn!("{}: cannot be written: {error}; trying on", path.display());
        }
        self.failing = written.is_err();
    }

    fn text(&self) -> String {
        let mut text = format!("{TITLE}\n");
        for (driver, sessions) in self.known.iter().enumerate() {
            for session in sessions {
                let KeptSession {
                    id,
                    slot,
                    extranonce1_size,
                    extranonce2_size,
                } = session;
                // A string takes everything.
                let _ = writeln!(
                    text,
                    "{driver} {slot:08x} {extranonce1_size} {extranonce2_size} {id}"
                );
            }
        }
        text
    }
}

/// Reads as many lines as may be; `None` for a file of another version.
fn read(file: impl Read) -> Option<Vec<Vec<KeptSession>>> {
    let (mut reader, mut line) = (BufReader::new(file), Vec::new());
    let mut known: Vec<Vec<KeptSession>> = Vec::new();
    for number in 0..=MOST_LINES {
        line.clear();
        let read = reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
        if read.ok()? == 0 {
            break;
        }
        let line = str::from_utf8(&line).unwrap_or_default().trim_end();
        if number == 0 {
            (line == TITLE).then_some(())?;
        } else if let Some((driver, session)) = session(line) {
            if known.len() <= driver {
                known.resize_with(driver + 1, Vec::new);
            }
            known.get_mut(driver)?.push(session);
        }
    }
    Some(known)
}

/// Reads one line.
fn session(line: &str) -> Option<(usize, KeptSession)> {
    let mut words = line.split(' ');
    let driver: u8 = words.next()?.parse().ok()?;
    let session = KeptSession {
        slot: u32::from_str_radix(words.next()?, 16).ok()?,
        extranonce1_size: words.next()?.parse().ok()?,
        extranonce2_size: words.next()?.parse().ok()?,
        id: words.next().filter(|id| is_id(id))?.into(),
    };
    words.next().is_none().then_some((driver.into(), session))
}

/// Tells whether a text can be an id of ours: hex.
fn is_id(text: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_hexdigit();
    !text.is_empty() && text.len() <= 64 && text.bytes().all(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(id: &str, slot: u32) -> KeptSession {
        KeptSession {
            id: id.into(),
            slot,
            extranonce1_size: 4,
            extranonce2_size: 8,
        }
    }

    #[test]
    fn what_was_saved_is_what_is_loaded() {
        let name = format!("millrace-sessions-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let directory = StateDirectory::open(&path).unwrap();
        let mut sessions = Sessions::load(directory.clone());
        let all = vec![
            vec![kept("0f", 1), kept("1f", u32::MAX)],
            Vec::new(),
            vec![kept("2f", 3)],
        ];
        sessions.save(all.clone());
        let again = Sessions::load(directory);
        assert_eq!(again.known, all);
        assert_eq!(again.of_driver(2), all[2]);
        assert!(again.of_driver(3).is_empty());
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn wrong_lines_are_skipped_and_another_version_is_not_used() {
        let good = "millrace sessions 1\n0 00000001 4 8 0f\n";
        for wrong in [
            "\n",
            "0 1 4 8\n",
            "0 1 4 8 xyz\n",
            "0 1 4 8 0f more\n",
            "999999 1 4 8 0f\n",
            "-1 1 4 8 0f\n",
            "0 100000000 4 8 0f\n",
            "0 1 4 256 0f\n",
            "\u{0}\u{1}",
            &"0".repeat(10_000),
        ] {
            let text = format!("{good}{wrong}");
            assert_eq!(
                read(text.as_bytes()),
                Some(vec![vec![kept("0f", 1)]]),
                "{wrong:?}"
            );
        }
        assert_eq!(read("millrace sessions 2\n".as_bytes()), None);
        assert_eq!(read("".as_bytes()), Some(Vec::new()));
    }
}
