//! Layouts: how a miner's part of the extranonce is divided between its slot and extranonce2.
//!
//! A miner inserts its extranonce1 and its extranonce2 and nothing else, so the lengths that it was told at SV1
//! mining.subscribe decide which channels it can work on: those that give at least as many bytes. What they give
//! beyond is filled with zeros before the slot. New sessions get the longest layout that the farm's channel has room
//! for. A shorter one fits every channel that a longer one fits, so whoever was once moved to it stays with it.
//!
//! Slots of two bytes come in pages of 65,536. On a channel with a byte to spare the number of the page stands before
//! the slot, in the place of a zero, so that all pages go together there. A channel with none has one page.

/// Bytes to fill up with at most: the longest layout less the shortest.
const MAX_PADDING: usize = 6;

/// Pages of slots of two bytes: a million miners, ten times what one machine is for.
pub(crate) const PAGES: u8 = 16;

/// Paddings before the slots of each page; the first is all zeros.
#[expect(
    clippy::indexing_slicing,
    reason = "a constant cannot use `get_mut`, and the compiler checks it"
)]
const PADDINGS: [[u8; MAX_PADDING]; PAGES as usize] = {
    let mut paddings = [[0; MAX_PADDING]; PAGES as usize];
    let mut page = 0;
    while page < PAGES {
        paddings[page as usize][MAX_PADDING - 1] = page;
        page += 1;
    }
    paddings
};

/// One of the sets of slots of two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Page(u8);

impl Page {
    /// The page that the farm's channel has.
    pub(crate) const FIRST: Self = Self(0);

    /// How many there are.
    pub(crate) const COUNT: usize = PAGES as usize;

    /// Gives all of them in order.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..PAGES).map(Self)
    }

    /// Gives its number, from 0.
    pub(crate) fn number(self) -> u8 {
        self.0
    }

    /// Gives the last bytes of its padding.
    fn padding(self, size: usize) -> Option<&'static [u8]> {
        let padding = PADDINGS.get(usize::from(self.0))?;
        padding.get(MAX_PADDING.checked_sub(size)?..)
    }
}

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
    Narrow {
        /// Which of the slots of two bytes.
        page: Page,
    },
}

impl Layout {
    /// The shortest one.
    pub(crate) const NARROW: Self = Self::Narrow { page: Page::FIRST };

    /// Gives the longest layout that fits so many bytes; `None` where none does.
    pub(crate) fn longest_in(size: u16, extranonce2_size: u8) -> Option<Self> {
        let all = [Self::Usual { extranonce2_size }, Self::Short, Self::NARROW];
        all.into_iter().find(|layout| layout.size() <= size)
    }

    /// Gives the layout of a slot by the lengths that its miner was told; `None` where no such layout is handed out.
    pub(crate) fn of_lengths(
        (slot_size, extranonce2_size): (u8, u8),
        slot: u32,
        configured: u8,
    ) -> Option<Self> {
        match (slot_size, extranonce2_size) {
            (4, size) if size == configured => Some(Self::Usual {
                extranonce2_size: configured,
            }),
            (4, 4) => Some(Self::Short),
            (2, 4) => {
                let page = Page::all().find(|page| u32::from(page.number()) == slot >> 16)?;
                Some(Self::Narrow { page })
            }
            _ => None,
        }
    }

    /// Bytes of the slot.
    pub(crate) fn slot_size(self) -> u8 {
        match self {
            Self::Usual { .. } | Self::Short => 4,
            Self::Narrow { .. } => 2,
        }
    }

    /// Bytes of extranonce2.
    pub(crate) fn extranonce2_size(self) -> u8 {
        match self {
            Self::Usual { extranonce2_size } => extranonce2_size,
            Self::Short | Self::Narrow { .. } => 4,
        }
    }

    /// Bytes of both.
    pub(crate) fn size(self) -> u16 {
        u16::from(self.slot_size()) + u16::from(self.extranonce2_size())
    }

    /// Gives the page of its slots; only narrow ones have others than the first.
    pub(crate) fn page(self) -> Page {
        match self {
            Self::Narrow { page } => page,
            Self::Usual { .. } | Self::Short => Page::FIRST,
        }
    }

    /// Gives the layouts of this length, page by page, beginning with its own.
    pub(crate) fn pages(self) -> impl Iterator<Item = Self> {
        let further = Page::all().filter(move |page| *page > self.page());
        let further = further.map(|page| Self::Narrow { page });
        let is_narrow = matches!(self, Self::Narrow { .. });
        std::iter::once(self).chain(further.filter(move |_| is_narrow))
    }
}

/// The bytes of a channel's extranonce that are ours: zeros, then the longest layout that fits. Where that is narrow,
/// its page decides which slots the channel is for, unless there is a byte to spare for any page.
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

    /// Makes this the room of a channel for the slots of a page.
    pub(crate) fn for_page(self, page: Page) -> Self {
        match self.layout {
            Layout::Narrow { .. } => Self {
                layout: Layout::Narrow { page },
                ..self
            },
            Layout::Usual { .. } | Layout::Short => self,
        }
    }

    /// Bytes that the channel gives.
    pub(crate) fn size(self) -> u16 {
        self.size
    }

    /// Zeros that every miner's part of the extranonce begins behind.
    pub(crate) fn zeros(self) -> usize {
        match self.layout {
            // The byte to spare is for the page.
            Layout::Narrow { .. } => 0,
            longest => usize::from(self.size.saturating_sub(longest.size())),
        }
    }

    /// Gives what stands between those and the slot of a layout; `None` where it does not fit.
    pub(crate) fn padding(self, layout: Layout) -> Option<&'static [u8]> {
        let padded = usize::from(self.size).checked_sub(self.zeros())?;
        let size = padded.checked_sub(usize::from(layout.size()))?;
        if size == 0 && layout.page() != self.layout.page() {
            return None;
        }
        layout.page().padding(size)
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
            for layout in [usual, Layout::Short, Layout::NARROW] {
                let sum = room
                    .padding(layout)
                    .map(|padding| room.zeros() + padding.len() + usize::from(layout.size()));
                let fits = layout.size() <= room.layout.size();
                assert_eq!(sum, fits.then_some(usize::from(size)));
            }
        }
    }

    #[test]
    fn pages_go_together_where_there_is_a_byte_to_spare_and_apart_where_there_is_none() {
        let narrow = |page| Layout::Narrow { page: Page(page) };
        for size in [7, 8, 12, 32] {
            let room = Room::new(size, 4).unwrap();
            let paddings = Layout::NARROW.pages().map(|layout| room.padding(layout));
            let paddings: Vec<_> = paddings.map(Option::unwrap).collect();
            assert_eq!(paddings.len(), Page::COUNT);
            for (page, padding) in paddings.iter().enumerate() {
                assert_eq!(padding.last().map(|last| usize::from(*last)), Some(page));
                let all = room.zeros() + padding.len() + 6;
                assert_eq!(all, usize::from(size));
            }
        }
        let first = Room::new(6, 4).unwrap();
        let third = first.for_page(Page(2));
        assert_eq!(
            (first.padding(narrow(0)), first.padding(narrow(2))),
            (Some(&[][..]), None)
        );
        assert_eq!(
            (third.padding(narrow(2)), third.padding(narrow(0))),
            (Some(&[][..]), None)
        );
    }
}
