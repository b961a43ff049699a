//! What happened in a world: a hash of all of it, and the last part of it in words.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// Lines that are kept for whoever asks what led to a failure.
const KEPT: usize = 60;

/// A hash of everything that happened, and words for it where they are wanted.
#[derive(Debug)]
pub(super) struct Trail {
    hash: u64,
    wanted: Wanted,
    kept: VecDeque<String>,
    events: u64,
}

/// Which words are wanted; making them costs more than the world itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Nothing,
    TheLast,
    /// Printed as they come.
    All,
}

impl Trail {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            wanted,
            kept: VecDeque::new(),
            events: 0,
        }
    }

    /// Notes that something happened: its bytes for the hash, its words for a reader.
    pub(super) fn note(&mut self, now: Duration, bytes: &[u8], words: impl FnOnce() -> String) {
        self.events += 1;
        self.mix(&now.as_nanos().to_le_bytes());
        self.mix(bytes);
        if self.wanted == Wanted::Nothing {
            return;
        }
        let line = format!("{:11.6} s  {}", now.as_secs_f64(), words());
        if self.wanted == Wanted::All {
            println!("{line}");
        }
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(line);
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Words bytes at a time, after Fowler, Noll and Vo.
    fn mix(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix_word(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.mix_word(u64::from(*byte));
        }
    }

    fn mix_word(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3);
        self.hash ^= self.hash >> 29;
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kept.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
