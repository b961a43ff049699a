//! What the miners of a crowd have seen together.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Bound of words that something was refused with, in characters.
const MAX_WORDS: usize = 100;
/// Blocks whose arrivals are remembered: the one that is timed, and some that slow miners still get.
const REMEMBERED: usize = 8;

/// Counters and times of a crowd.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Connections begun.
    pub(super) connects: u64,
    /// Miners that are set up and have work.
    pub(super) mining: usize,
    /// When the last of them had it.
    pub(super) last_mining: Option<Instant>,
    /// Connections that ended without our doing, by how.
    pub(super) lost: BTreeMap<String, u64>,
    /// Shares handed in.
    pub(super) submitted: u64,
    /// Shares that the proxy accepted.
    pub(super) accepted: u64,
    /// Shares that it refused, by its words.
    pub(super) refused: BTreeMap<String, u64>,
    /// Shares whose connection we closed before the answer came.
    pub(super) abandoned: u64,
    /// Shares for which there was no work, or no hash was found.
    pub(super) missed: u64,
    /// From the submit to its answer, of each accepted share.
    pub(super) round_trips: Vec<Duration>,
    /// Arrivals of the newest blocks, the newest first: one for each miner that had work on another block before.
    blocks: VecDeque<([u8; 32], Vec<Instant>)>,
}

impl Tally {
    /// Counts a connection that ended.
    pub(super) fn lose(&mut self, how: &str) {
        *self.lost.entry(shortened(how)).or_default() += 1;
    }

    /// Counts a share that was refused.
    pub(super) fn refuse(&mut self, words: &str) {
        *self.refused.entry(shortened(words)).or_default() += 1;
    }

    /// Notes that a miner got its first job on a block.
    pub(super) fn note_block(&mut self, prev_hash: [u8; 32], now: Instant) {
        if let Some((_, arrivals)) = self.blocks.iter_mut().find(|(hash, _)| *hash == prev_hash) {
            return arrivals.push(now);
        }
        self.blocks.truncate(REMEMBERED - 1);
        self.blocks.push_front((prev_hash, vec![now]));
    }

    /// Gives when the miners got their first jobs on a block, in the order in which they did.
    pub(super) fn arrivals(&self, prev_hash: &[u8; 32]) -> &[Instant] {
        let block = self.blocks.iter().find(|(hash, _)| hash == prev_hash);
        block.map_or(&[], |(_, arrivals)| arrivals)
    }

    /// Tells how many shares have no answer.
    pub(super) fn unanswered(&self) -> u64 {
        let answered = self.accepted + self.refused.values().sum::<u64>() + self.abandoned;
        self.submitted.saturating_sub(answered)
    }

    /// Tells what must not be, in words.
    pub(super) fn problems(&self) -> Vec<String> {
        let lost = self.lost.iter();
        let lost = lost.map(|(how, count)| format!("{count} connections lost: {how}"));
        let refused = self.refused.iter();
        let refused =
            refused.map(|(words, count)| format!("{count} shares refused by the proxy: {words}"));
        let counts = [
            (self.unanswered(), "shares that the proxy did not answer"),
            (self.missed, "shares that no miner could find"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts = counts.map(|(count, what)| format!("{count} {what}"));
        lost.chain(refused).chain(counts).collect()
    }
}

fn shortened(words: &str) -> String {
    words.chars().take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_lost_is_told_in_words() {
        let mut tally = Tally::default();
        assert!(tally.problems().is_empty());
        tally.submitted = 5;
        tally.accepted = 1;
        tally.abandoned = 1;
        tally.refuse("stale");
        tally.lose("closed by the proxy");
        tally.missed = 7;
        assert_eq!(
            tally.problems(),
            [
                "1 connections lost: closed by the proxy",
                "1 shares refused by the proxy: stale",
                "2 shares that the proxy did not answer",
                "7 shares that no miner could find",
            ]
        );
    }

    #[test]
    fn blocks_that_overlap_are_told_apart() {
        let mut tally = Tally::default();
        let now = Instant::now();
        for (block, times) in [(1, 2), (2, 1), (1, 1), (2, 3)] {
            (0..times).for_each(|_| tally.note_block([block; 32], now));
        }
        assert_eq!(tally.arrivals(&[1; 32]).len(), 3);
        assert_eq!(tally.arrivals(&[2; 32]).len(), 4);
        (3..=10).for_each(|block| tally.note_block([block; 32], now));
        assert!(tally.arrivals(&[1; 32]).is_empty());
    }
}
