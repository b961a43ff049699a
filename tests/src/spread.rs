//! How times lie: the median, nearly all, the longest.

use std::fmt;
use std::time::Duration;

/// Median, 99th percentile and greatest of some times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    /// How many there are.
    pub(crate) count: usize,
    /// Half of them are not longer.
    pub(crate) median: Duration,
    /// 99 of 100 are not longer.
    pub(crate) p99: Duration,
    /// None is longer.
    pub(crate) max: Duration,
}

impl Spread {
    /// Looks at some times; all zero where there is none.
    pub(crate) fn of(times: &[Duration]) -> Self {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        let at = |percent: usize| sorted.get(last * percent / 100).copied();
        Self {
            count: sorted.len(),
            median: at(50).unwrap_or_default(),
            p99: at(99).unwrap_or_default(),
            max: at(100).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "median {:.2?}, 99 % within {:.2?}, all within {:.2?}",
            self.median, self.p99, self.max
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends_are_found_in_any_order() {
        let times: Vec<Duration> = (0..=100).rev().map(Duration::from_millis).collect();
        let spread = Spread::of(&times);
        assert_eq!(spread.count, 101);
        assert_eq!(spread.median, Duration::from_millis(50));
        assert_eq!(spread.p99, Duration::from_millis(99));
        assert_eq!(spread.max, Duration::from_millis(100));
        assert_eq!(Spread::of(&[]), Spread::default());
    }
}
