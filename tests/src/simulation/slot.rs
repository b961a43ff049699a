//! A miner's part of the extranonce, and the space that it searches with it.

use std::fmt;

/// What a miner was told of the extranonce.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) extranonce1: Vec<u8>,
    pub(super) extranonce2_size: usize,
    /// The byte before it that is the slot's too, where that is short; known once a notify had it.
    pub(super) page: Option<u8>,
}

/// Bytes of a slot that has a byte before it.
const PAGED: usize = 2;

/// The numbers that a miner's part of the extranonce can be, zeros before it counted in: the first and the last. On any
/// channel, two miners search the same space where these overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Space {
    pub(super) first: u128,
    pub(super) last: u128,
}

impl Slot {
    /// Bytes of extranonce1 and extranonce2.
    pub(super) fn size(&self) -> usize {
        self.extranonce1.len() + self.extranonce2_size
    }

    /// Notes what stands in a notify before the slot, as far as that is the channel's extranonce.
    pub(super) fn note_padding(&mut self, padding: &[u8]) {
        if self.extranonce1.len() == PAGED {
            self.page = padding.last().copied().or(self.page);
        }
    }

    /// What stands before the slot where there are so many bytes.
    pub(super) fn padding(&self, bytes: usize) -> Vec<u8> {
        let mut padding = vec![0; bytes];
        if let (Some(last), Some(page)) = (padding.last_mut(), self.page) {
            *last = page;
        }
        padding
    }

    pub(super) fn space(&self) -> Space {
        let number = self.page.iter().chain(&self.extranonce1);
        let number = number.fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
        let rolled = 8 * self.extranonce2_size;
        let first = number << rolled;
        Space {
            first,
            last: first | ((1 << rolled) - 1),
        }
    }
}

impl Space {
    pub(super) fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?} + {}", self.extranonce1, self.extranonce2_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(extranonce1: &[u8], extranonce2_size: usize) -> Slot {
        Slot {
            extranonce1: extranonce1.to_vec(),
            extranonce2_size,
            page: None,
        }
    }

    #[test]
    fn two_slots_of_two_bytes_are_one_only_on_one_page() {
        let (mut first, mut second) = (slot(&[0, 7], 4), slot(&[0, 7], 4));
        first.note_padding(&[0, 0]);
        second.note_padding(&[0, 1]);
        assert!(!first.space().overlaps(second.space()));
        second.note_padding(&[]);
        assert_eq!(second.padding(3), [0, 0, 1]);
        first.note_padding(&[1]);
        assert!(first.space().overlaps(second.space()));
    }

    #[test]
    fn slots_of_any_lengths_share_what_they_share_on_a_channel() {
        let narrow = slot(&[0, 7], 4).space();
        assert!(narrow.overlaps(slot(&[0, 0, 0, 7], 4).space()));
        assert!(!narrow.overlaps(slot(&[0, 1, 0, 7], 4).space()));
        assert!(narrow.overlaps(slot(&[0, 0, 0, 0], 8).space()));
        assert!(!narrow.overlaps(slot(&[0, 8], 4).space()));
    }
}
