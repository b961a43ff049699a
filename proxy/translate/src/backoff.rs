//! Pauses between attempts: doubling, capped, uneven.

use std::time::Duration;

/// The pause before an upstream is dialled again.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
    noise: u64,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, seed: u64) -> Self {
        // An xorshift state must not be zero.
        Self {
            min,
            max,
            next: min,
            noise: seed | 1,
        }
    }

    /// Gives the next pause: half to all of a span that doubles up to the cap, so that farms that lost a pool together
    /// do not come back together.
    pub(crate) fn pause(&mut self) -> Duration {
        let span = self.next;
        self.next = span.saturating_mul(2).min(self.max);
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        let percent = u32::try_from(self.noise % 51).unwrap_or(0) + 50;
        span.saturating_mul(percent) / 100
    }

    /// Changes the bounds of later pauses.
    pub(crate) fn set_bounds(&mut self, min: Duration, max: Duration) {
        // Where the pauses begin they begin anew.
        self.next = match self.next == self.min {
            true => min,
            false => self.next.clamp(min, max),
        };
        (self.min, self.max) = (min, max);
    }

    /// Starts over: the upstream works.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_start_over() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(8));
        let mut backoff = Backoff::new(min, max, 42);
        let pauses: Vec<_> = (0..8).map(|_| backoff.pause().as_secs_f64()).collect();
        for (pause, span) in pauses.iter().zip([1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0]) {
            assert!((0.5 * span..=span).contains(pause), "{pause} for {span}");
        }
        backoff.reset();
        assert!(backoff.pause() <= min);
    }

    #[test]
    fn later_pauses_keep_to_new_bounds() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(seconds(1), seconds(60), 42);
        backoff.set_bounds(seconds(4), seconds(60));
        assert!(backoff.pause() >= seconds(2));
        assert!((0..6).all(|_| backoff.pause() <= seconds(60)));
        backoff.set_bounds(seconds(1), seconds(5));
        assert!(backoff.pause() <= seconds(5));
    }

    #[test]
    fn two_seeds_do_not_pause_alike() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(60));
        let pauses = |seed| {
            let mut backoff = Backoff::new(min, max, seed);
            (0..6).map(|_| backoff.pause()).collect::<Vec<_>>()
        };
        assert_ne!(pauses(1), pauses(0x9e37_79b9_7f4a_7c15));
    }
}
