//! One direction of a connection: it delays and stalls, and never reorders.

use std::time::Duration;

use super::random::Random;

/// One direction of a connection.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// Shortest and longest delay, in s.
    delay: (f64, f64),
    last: Duration,
    stalled_until: Duration,
}

impl Link {
    pub(super) fn new(delay: (f64, f64)) -> Self {
        Self {
            delay,
            last: Duration::ZERO,
            stalled_until: Duration::ZERO,
        }
    }

    /// Tells when what is sent now arrives: never before what was sent earlier.
    pub(super) fn arrival(&mut self, now: Duration, random: &mut Random) -> Duration {
        let at = now + random.seconds(self.delay.0, self.delay.1);
        self.last = at.max(self.last).max(self.stalled_until);
        self.last
    }

    /// Holds back what is sent from now on.
    pub(super) fn stall(&mut self, until: Duration) {
        self.stalled_until = self.stalled_until.max(until);
    }

    pub(super) fn is_stalled(&self, now: Duration) -> bool {
        now < self.stalled_until
    }
}
