//! Acknowledging shares in batches (SV2 §5.3.13).

use sv2::bitcoin::Difficulty;
use sv2::messages::mining::SubmitSharesSuccess;
use sv2::types::{ChannelId, SequenceNumber};

/// The shares of a channel that were accepted and not yet acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    last: SequenceNumber,
    count: u32,
    difficulty: f64,
}

impl Batch {
    /// Adds an accepted share of a job with `difficulty`.
    pub(crate) fn add(&mut self, sequence_number: SequenceNumber, difficulty: Difficulty) {
        self.last = sequence_number;
        self.count = self.count.saturating_add(1);
        self.difficulty += difficulty.to_f64();
    }

    /// Tells how many shares wait.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Acknowledges what waits; `None` where nothing does.
    pub(crate) fn take(&mut self, channel_id: ChannelId) -> Option<SubmitSharesSuccess> {
        let batch = std::mem::take(self);
        (batch.count > 0).then(|| SubmitSharesSuccess {
            channel_id,
            last_sequence_number: batch.last,
            new_submits_accepted_count: batch.count,
            new_shares_sum: whole(batch.difficulty),
        })
    }
}

/// Cuts the fraction off, as the reference pool does: the field is a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float saturates at the bounds of the integer"
)]
fn whole(difficulty: f64) -> u64 {
    difficulty as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_sums_up_and_starts_anew() {
        let mut batch = Batch::default();
        let half = Difficulty::new(1.5).unwrap();
        for number in 5..9 {
            batch.add(SequenceNumber(number), half);
        }
        let success = batch.take(ChannelId(3)).unwrap();
        assert_eq!(success.last_sequence_number, SequenceNumber(8));
        assert_eq!(success.new_submits_accepted_count, 4);
        assert_eq!(success.new_shares_sum, 6);
        assert_eq!(batch.take(ChannelId(3)), None);
    }
}
