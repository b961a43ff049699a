//! How fast a miner is read: so many requests within a second, then nothing until the second ends.

use std::time::{Duration, Instant};

/// What the rate counts within.
const SECOND: Duration = Duration::from_secs(1);

/// Counts the requests of one connection.
#[derive(Debug)]
pub(crate) struct Pace {
    most: u32,
    count: u32,
    /// When the present second began: with its first request.
    since: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            count: 0,
            since: None,
        }
    }

    /// Counts a request; gives how long nothing more is to be read, where that is at all.
    pub(crate) fn note(&mut self, now: Instant) -> Option<Duration> {
        let passed = |since| now.saturating_duration_since(since);
        let since = self.since.filter(|since| passed(*since) < SECOND);
        let since = *self.since.insert(since.unwrap_or_else(|| {
            self.count = 0;
            now
        }));
        self.count += 1;
        if self.count < self.most {
            return None;
        }
        self.since = None;
        Some(SECOND.saturating_sub(passed(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_request_of_a_second_waits_for_the_second_to_end() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut pace = Pace::new(3);
        assert_eq!(pace.note(at(0)), None);
        assert_eq!(pace.note(at(100)), None);
        assert_eq!(pace.note(at(400)), Some(Duration::from_millis(600)));
        assert_eq!(pace.note(at(1_000)), None, "a new second");
    }

    #[test]
    fn whoever_keeps_to_the_rate_never_waits() {
        let start = Instant::now();
        let mut pace = Pace::new(3);
        for second in 0..100 {
            for request in 0..2 {
                let now = start + Duration::from_millis(1_000 * second + 300 * request);
                assert_eq!(pace.note(now), None);
            }
        }
    }
}
