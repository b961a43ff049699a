//! How long things took, as a histogram of fixed buckets: noting one costs a search among sixteen numbers.

use std::time::Duration;

const fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// Counts of how long something took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many lie at or below each bound and above the one before; the last has no bound.
    counts: [u64; Self::BOUNDS.len() + 1],
    sum: Duration,
}

impl Latency {
    /// Upper bounds of the buckets: from what one core does at once to what an operator should be woken for.
    pub const BOUNDS: [Duration; 16] = [
        micros(100),
        micros(250),
        micros(500),
        micros(1_000),
        micros(2_500),
        micros(5_000),
        micros(10_000),
        micros(25_000),
        micros(50_000),
        micros(100_000),
        micros(250_000),
        micros(500_000),
        micros(1_000_000),
        micros(2_500_000),
        micros(5_000_000),
        micros(10_000_000),
    ];

    /// Notes how long one took.
    pub fn note(&mut self, took: Duration) {
        self.note_many(took, 1);
    }

    /// Notes that several took equally long.
    pub fn note_many(&mut self, took: Duration, times: u32) {
        let place = Self::BOUNDS.partition_point(|bound| *bound < took);
        if let Some(count) = self.counts.get_mut(place) {
            *count += u64::from(times);
        }
        self.sum = self.sum.saturating_add(took.saturating_mul(times));
    }

    /// Adds what was noted elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Gives how many were noted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Gives how long all of them took together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Gives the upper bound of each bucket in s and how many lie in it; the last bound is infinite.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = Self::BOUNDS.iter().map(Duration::as_secs_f64);
        bounds.chain([f64::INFINITY]).zip(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_long_as_a_bound_lies_below_it() {
        let mut latency = Latency::default();
        latency.note(Duration::ZERO);
        latency.note(micros(100));
        latency.note_many(micros(101), 3);
        latency.note(Duration::from_secs(11));
        let filled: Vec<_> = latency.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.0001, 2), (0.000_25, 3), (f64::INFINITY, 1)]);
        assert_eq!(latency.count(), 6);
        assert_eq!(latency.sum(), Duration::from_secs(11) + micros(403));
    }

    #[test]
    fn bounds_rise() {
        assert!(Latency::BOUNDS.is_sorted());
    }

    #[test]
    fn what_was_noted_elsewhere_is_added() {
        let (mut one, mut other) = (Latency::default(), Latency::default());
        one.note(micros(200));
        other.note(micros(200));
        other.note(Duration::MAX);
        one.add(&other);
        assert_eq!(one.count(), 3);
        assert_eq!(one.sum(), Duration::MAX);
    }
}
