//! What is due on which of many connections, so that none but those have to be looked at.

use std::collections::BTreeSet;
use std::time::Instant;

/// What a connection waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Entry {
    /// Nothing.
    #[default]
    Nothing,
    /// To be dialled, once no other is being opened.
    Dial(Instant),
    /// Its channel to be opened; what happens when.
    Opening(Option<Instant>),
    /// Anything else.
    Other(Instant),
}

/// The entries of all connections, by their places.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: Vec<Entry>,
    dials: BTreeSet<(Instant, usize)>,
    others: BTreeSet<(Instant, usize)>,
    opening: usize,
}

impl Agenda {
    /// Enters what a connection waits for in the place of what it waited for.
    pub(super) fn enter(&mut self, place: usize, entry: Entry) {
        if self.entries.len() <= place {
            self.entries.resize(place + 1, Entry::Nothing);
        }
        let Some(before) = self.entries.get_mut(place) else {
            return;
        };
        let before = std::mem::replace(before, entry);
        if before == entry {
            return;
        }
        match before {
            Entry::Nothing => {}
            Entry::Dial(at) => {
                self.dials.remove(&(at, place));
            }
            Entry::Opening(at) => {
                self.opening -= 1;
                at.iter().for_each(|at| {
                    self.others.remove(&(*at, place));
                });
            }
            Entry::Other(at) => {
                self.others.remove(&(at, place));
            }
        }
        match entry {
            Entry::Nothing => {}
            Entry::Dial(at) => {
                self.dials.insert((at, place));
            }
            Entry::Opening(at) => {
                self.opening += 1;
                self.others.extend(at.map(|at| (at, place)));
            }
            Entry::Other(at) => {
                self.others.insert((at, place));
            }
        }
    }

    /// Tells whether a channel is being opened.
    pub(super) fn is_opening(&self) -> bool {
        self.opening > 0
    }

    /// Tells when the first is due.
    pub(super) fn first(&self) -> Option<Instant> {
        let dial = self.dials.first().filter(|_| !self.is_opening());
        let dues = [dial, self.others.first()].into_iter().flatten();
        dues.map(|(at, _)| *at).min()
    }

    /// Gives the places where something other than a dial is due.
    pub(super) fn due(&self, now: Instant) -> Vec<usize> {
        let due = self.others.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, place)| *place).collect()
    }

    /// Gives the place that is to be dialled.
    pub(super) fn next_dial(&self, now: Instant) -> Option<usize> {
        let first = self.dials.first().filter(|_| !self.is_opening());
        first.filter(|(at, _)| *at <= now).map(|(_, place)| *place)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::origin;

    #[test]
    fn dials_wait_for_the_channel_that_is_being_opened() {
        let (mut agenda, now) = (Agenda::default(), origin());
        let later = now + Duration::from_secs(1);
        agenda.enter(0, Entry::Dial(now));
        agenda.enter(3, Entry::Dial(later));
        assert_eq!(
            (agenda.first(), agenda.next_dial(now)),
            (Some(now), Some(0))
        );
        agenda.enter(0, Entry::Opening(None));
        assert_eq!((agenda.first(), agenda.next_dial(later)), (None, None));
        agenda.enter(0, Entry::Opening(Some(later)));
        assert_eq!((agenda.first(), agenda.due(later)), (Some(later), vec![0]));
        agenda.enter(0, Entry::Other(later + Duration::from_secs(1)));
        assert_eq!(agenda.next_dial(now), None, "too early");
        assert_eq!(agenda.next_dial(later), Some(3));
        assert!(agenda.due(later).is_empty());
    }

    #[test]
    fn what_is_entered_takes_the_place_of_what_was() {
        let (mut agenda, now) = (Agenda::default(), origin());
        for second in 0..10 {
            let at = now + Duration::from_secs(second);
            for entry in [Entry::Other(at), Entry::Dial(at), Entry::Opening(Some(at))] {
                agenda.enter(1, entry);
                assert_eq!(agenda.first(), Some(at));
            }
        }
        agenda.enter(1, Entry::Nothing);
        assert_eq!((agenda.first(), agenda.is_opening()), (None, false));
        assert!(agenda.dials.is_empty() && agenda.others.is_empty());
    }
}
