//! Layouts: how a miner's part of the extranonce is divided between its slot and extranonce2.
//!
//! A miner inserts its extranonce1 and its extranonce2 and nothing else, so the lengths that it was told at SV1
//! mining.subscribe decide which channels it can work on: those that give at least as many bytes. What they give
//! beyond is filled with zeros before the slot. New sessions get the longest layout that the farm's channel has room
//! for. A shorter one fits every channel that a longer one fits, so whoever was once moved to it stays with it.

/// Zeros to fill up with: the longest layout less the shortest.
const ZEROS: [u8; 6] = [0; 6];

/// The bytes of the extranonce that are a miner's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Layout {
    /// Four bytes of slot, and as many of extranonce2 as the operator wants.
    Usual {
        /// Bytes of extranonce2.
        extranonce2_size: u8,
    },
    /// Four bytes of slot and four of extranonce2, where the operator wants more.
    Short,
    /// Two bytes of slot and four of extranonce2: less of either is more than firmware bears.
    Narrow,
}

impl Layout {
    /// Gives the longest layout that fits so many bytes; `None` where none does.
    pub(crate) fn longest_in(size: u16, extranonce2_size: u8) -> Option<Self> {
        let all = [Self::Usual { extranonce2_size }, Self::Short, Self::Narrow];
        all.into_iter().find(|layout| layout.size() <= size)
    }

    /// Bytes of the slot.
    pub(crate) fn slot_size(self) -> u8 {
        match self {
            Self::Usual { .. } | Self::Short => 4,
            Self::Narrow => 2,
        }
    }

    /// Bytes of extranonce2.
    pub(crate) fn extranonce2_size(self) -> u8 {
        match self {
            Self::Usual { extranonce2_size } => extranonce2_size,
            Self::Short | Self::Narrow => 4,
        }
    }

    /// Bytes of both.
    pub(crate) fn size(self) -> u16 {
        u16::from(self.slot_size()) + u16::from(self.extranonce2_size())
    }
}

/// The bytes of a channel's extranonce that are ours: zeros, then the longest layout that fits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    size: u16,
    pub(crate) layout: Layout,
}

impl Room {
    /// Divides so many bytes; `None` where there are too few to tell miners apart.
    pub(crate) fn new(size: u16, extranonce2_size: u8) -> Option<Self> {
        let layout = Layout::longest_in(size, extranonce2_size)?;
        Some(Self { size, layout })
    }

    /// Bytes that the channel gives.
    pub(crate) fn size(self) -> u16 {
        self.size
    }

    /// Zeros before the longest layout.
    pub(crate) fn zeros(self) -> usize {
        usize::from(self.size.saturating_sub(self.layout.size()))
    }

    /// Gives the zeros that a layout needs beyond those; `None` where it does not fit.
    pub(crate) fn padding(self, layout: Layout) -> Option<&'static [u8]> {
        let more = self.layout.size().checked_sub(layout.size())?;
        ZEROS.get(..usize::from(more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of slot and extranonce2.
    type Shape = Option<(u8, u8)>;

    /// What the operator wants of extranonce2, what the channel gives, and what becomes of it.
    const SHAPES: [(u8, u16, Shape); 11] = [
        (4, 5, None),
        (4, 6, Some((2, 4))),
        (4, 7, Some((2, 4))),
        (4, 8, Some((4, 4))),
        (4, 32, Some((4, 4))),
        (8, 12, Some((4, 8))),
        (8, 11, Some((4, 4))),
        (8, 8, Some((4, 4))),
        (8, 7, Some((2, 4))),
        (8, 6, Some((2, 4))),
        (8, 5, None),
    ];

    #[test]
    fn extranonce2_shrinks_to_four_bytes_before_the_slot_shrinks_to_two() {
        for (extranonce2_size, size, expected) in SHAPES {
            let layout = Layout::longest_in(size, extranonce2_size);
            let shape = layout.map(|layout| (layout.slot_size(), layout.extranonce2_size()));
            assert_eq!(shape, expected, "{size} bytes for {extranonce2_size}");
        }
    }

    #[test]
    fn zeros_padding_and_layout_are_the_whole_room_or_the_layout_does_not_fit() {
        for (extranonce2_size, size, _) in SHAPES {
            let Some(room) = Room::new(size, extranonce2_size) else {
                continue;
            };
            let usual = Layout::Usual { extranonce2_size };
            for layout in [usual, Layout::Short, Layout::Narrow] {
                let sum = room
                    .padding(layout)
                    .map(|padding| room.zeros() + padding.len() + usize::from(layout.size()));
                let fits = layout.size() <= room.layout.size();
                assert_eq!(sum, fits.then_some(usize::from(size)));
            }
        }
    }
}
