//! All connected miners, by an id that is never reused for another.

use std::fmt;
use std::ops::Range;

use crate::miner::Miner;

/// One Sv1 connection. As text: its place and how many were there before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MinerId {
    index: u32,
    generation: u32,
}

impl MinerId {
    /// The place of the miner in a dense table; free again once it has left.
    #[must_use]
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// Gives the first miner of a place.
    #[cfg(test)]
    pub(crate) const fn nth(index: u32) -> Self {
        Self {
            index,
            generation: 0,
        }
    }
}

impl fmt::Display for MinerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

#[derive(Debug)]
struct Place {
    generation: u32,
    miner: Option<Box<Miner>>,
}

/// A table whose places are reused under a new generation.
#[derive(Debug, Default)]
pub(crate) struct Miners {
    places: Vec<Place>,
    free: Vec<u32>,
}

impl Miners {
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Adds a miner; `None` past 2^32 of them.
    pub(crate) fn insert(&mut self, miner: Miner) -> Option<MinerId> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.places.len()).ok()?;
                self.places.push(Place {
                    generation: 0,
                    miner: None,
                });
                index
            }
        };
        let place = self.places.get_mut(index as usize)?;
        place.miner = Some(Box::new(miner));
        Some(MinerId {
            index,
            generation: place.generation,
        })
    }

    pub(crate) fn get(&self, id: MinerId) -> Option<&Miner> {
        let place = self.places.get(id.index())?;
        place
            .miner
            .as_deref()
            .filter(|_| place.generation == id.generation)
    }

    pub(crate) fn get_mut(&mut self, id: MinerId) -> Option<&mut Miner> {
        let place = self.places.get_mut(id.index())?;
        place
            .miner
            .as_deref_mut()
            .filter(|_| place.generation == id.generation)
    }

    pub(crate) fn remove(&mut self, id: MinerId) -> Option<Miner> {
        let place = self.places.get_mut(id.index())?;
        if place.generation != id.generation {
            return None;
        }
        let miner = place.miner.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(*miner)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (MinerId, &Miner)> {
        self.of_places(0..self.places.len())
    }

    /// Gives the miners of some places.
    pub(crate) fn of_places(
        &self,
        places: Range<usize>,
    ) -> impl Iterator<Item = (MinerId, &Miner)> {
        let first = u32::try_from(places.start).unwrap_or(u32::MAX);
        let end = places.end.min(self.places.len());
        let places = self.places.get(places.start..end).unwrap_or_default();
        (first..).zip(places).filter_map(|(index, place)| {
            let miner = place.miner.as_deref()?;
            Some((
                MinerId {
                    index,
                    generation: place.generation,
                },
                miner,
            ))
        })
    }

    /// Gives the number of places, taken and free.
    pub(crate) fn places(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (MinerId, &mut Miner)> {
        (0..).zip(&mut self.places).filter_map(|(index, place)| {
            let generation = place.generation;
            let miner = place.miner.as_deref_mut()?;
            Some((MinerId { index, generation }, miner))
        })
    }
}
