//! Extranonce prefixes: no two living channels have the same (SV2 §5.2.2).

use std::collections::HashSet;

use sv2::types::B0_32;

/// Hands out the lowest free prefix, counted up from the first.
#[derive(Debug)]
pub(crate) struct Prefixes {
    first: B0_32,
    taken: HashSet<B0_32>,
}

impl Prefixes {
    pub(crate) fn new(first: B0_32) -> Self {
        Self {
            first,
            taken: HashSet::new(),
        }
    }

    /// Takes the lowest free prefix; `None` where all that differ are taken.
    pub(crate) fn take(&mut self) -> Option<B0_32> {
        let attempts = self.taken.len().saturating_add(1);
        let free = (0..attempts)
            .map(|offset| add(self.first, offset))
            .find(|prefix| !self.taken.contains(prefix))?;
        self.taken.insert(free);
        Some(free)
    }

    /// Takes a prefix of the caller's choice; `false` where another channel has it.
    pub(crate) fn claim(&mut self, prefix: B0_32) -> bool {
        self.taken.insert(prefix)
    }

    /// Gives a prefix back.
    pub(crate) fn give_back(&mut self, prefix: &B0_32) {
        self.taken.remove(prefix);
    }
}

/// Adds to the last eight bytes, read big-endian, and wraps around in what the prefix has of them.
fn add(prefix: B0_32, offset: usize) -> B0_32 {
    let kept = prefix.len().saturating_sub(8);
    let (head, tail) = prefix.split_at(kept);
    let mut number = [0; 8];
    for (place, byte) in number.iter_mut().rev().zip(tail.iter().rev()) {
        *place = *byte;
    }
    let sum = u64::from_be_bytes(number).wrapping_add(offset as u64);
    let sum = sum.to_be_bytes();
    let tail = sum.get(sum.len() - tail.len()..).unwrap_or_default();
    B0_32::new(head)
        .and_then(|head| head.join(tail))
        .unwrap_or(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(bytes: &[u8]) -> B0_32 {
        B0_32::new(bytes).unwrap()
    }

    #[test]
    fn the_first_channel_has_exactly_the_first_prefix() {
        let mut prefixes = Prefixes::new(prefix(&[1, 2, 3]));
        assert_eq!(prefixes.take(), Some(prefix(&[1, 2, 3])));
        assert_eq!(prefixes.take(), Some(prefix(&[1, 2, 4])));
    }

    #[test]
    fn a_prefix_given_back_is_the_next_one_handed_out() {
        let mut prefixes = Prefixes::new(prefix(&[7; 12]));
        let first = prefixes.take().unwrap();
        prefixes.take().unwrap();
        prefixes.give_back(&first);
        assert_eq!(prefixes.take(), Some(first));
    }

    #[test]
    fn counting_wraps_around_within_the_prefix() {
        let mut prefixes = Prefixes::new(prefix(&[0xff]));
        let all: HashSet<_> = (0..256).map(|_| prefixes.take().unwrap()).collect();
        assert_eq!(all.len(), 256);
        assert_eq!(prefixes.take(), None);
    }

    #[test]
    fn an_empty_prefix_serves_one_channel() {
        let mut prefixes = Prefixes::new(B0_32::default());
        assert_eq!(prefixes.take(), Some(B0_32::default()));
        assert_eq!(prefixes.take(), None);
    }
}
