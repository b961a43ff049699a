//! Vardiff: finds the difficulty at which a miner sends the share rate that the operator wants.
//!
//! Shares are a Poisson process. Over a window the work done per second is estimated as the sum of the credited
//! difficulties over the time; the number of shares in the window says how far the estimate can be trusted. In
//! force is the largest power of two not above the ideal difficulty, so a settled miner sends one to two times the
//! wanted rate. A change is made only where the rate is outside that band beyond chance:
//!
//! - While *measuring* (nothing is known yet) eight shares, or the time of three without any, are enough, and a
//!   miner that is silent is lowered eightfold each time.
//! - Once *settled* the bounds are 3.3 standard deviations of the count away (one window in a thousand), so that
//!   luck does not move it.

use std::time::{Duration, Instant};

use sv2::bitcoin::Difficulty;

/// Standard deviations beyond which a settled miner's rate is not chance.
const CONFIDENCE: f64 = 3.3;
/// Shares after which a change may be made while measuring: the estimate is then good to about a third.
const MEASURING_SHARES: f64 = 8.0;
/// Shares after which an unchanged miner counts as settled.
const SETTLED_SHARES: f64 = 16.0;
/// Shares after which the window starts anew, so that an old rate does not hide a new one.
const WINDOW_SHARES: f64 = 240.0;
/// Expected shares without any that lower a miner while measuring: chance is 5 %, and a wrong step costs little.
const SILENCE: f64 = 3.0;
/// What silence divides the difficulty by while measuring; when settled it is this at the most.
const STEP_DOWN: f64 = 8.0;

/// The measurement of one miner.
#[derive(Debug, Clone)]
pub(crate) struct Vardiff {
    since: Instant,
    shares: f64,
    /// Sum of the credited difficulties in the window.
    work: f64,
    settled: bool,
}

impl Vardiff {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            shares: 0.0,
            work: 0.0,
            settled: false,
        }
    }

    /// Notes an accepted share and the difficulty that it is credited with.
    pub(crate) fn note(&mut self, credit: Difficulty) {
        self.shares += 1.0;
        self.work += credit.to_f64();
    }

    /// Starts a new window: the difficulty changed, or old shares no longer tell about the present.
    pub(crate) fn restart(&mut self, now: Instant) {
        *self = Self {
            settled: self.settled,
            ..Self::new(now)
        };
    }

    /// Estimates the miner's work in difficulty per second; `None` while there are too few shares.
    pub(crate) fn work_rate(&self, now: Instant) -> Option<f64> {
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        (self.shares >= MEASURING_SHARES && seconds > 0.0).then(|| self.work / seconds)
    }

    /// Gives the ideal difficulty where `current` is wrong beyond chance.
    pub(crate) fn wish(
        &mut self,
        now: Instant,
        current: Difficulty,
        shares_per_minute: f64,
    ) -> Option<f64> {
        // A window of no length says nothing; a millisecond bounds the rate instead.
        let elapsed = now
            .saturating_duration_since(self.since)
            .max(Duration::from_millis(1));
        let expected = shares_per_minute / 60.0 * elapsed.as_secs_f64();
        let counted = self.work / current.to_f64();
        let wish = match self.settled {
            true => self.wish_when_settled(counted, expected),
            false => self.wish_when_measuring(counted, expected),
        };
        if wish.is_none() {
            self.age(now);
        }
        wish.map(|ratio| ratio * current.to_f64())
    }

    /// Gives the ratio of the ideal difficulty to the current one.
    fn wish_when_measuring(&self, counted: f64, expected: f64) -> Option<f64> {
        if self.shares >= MEASURING_SHARES {
            let ratio = counted / expected;
            return (!(0.75..2.0).contains(&ratio)).then_some(ratio);
        }
        let silent = expected >= SILENCE + 2.0 * self.shares;
        silent.then(|| ((counted + 0.5) / expected).max(1.0 / STEP_DOWN))
    }

    fn wish_when_settled(&self, counted: f64, expected: f64) -> Option<f64> {
        let deviation = CONFIDENCE * (counted + 1.0).sqrt();
        if self.shares >= MEASURING_SHARES && counted - deviation > 2.0 * expected {
            return Some(counted / expected);
        }
        let most = counted + deviation + CONFIDENCE;
        (most < expected).then(|| ((counted + 0.5) / expected).max(1.0 / STEP_DOWN))
    }

    fn age(&mut self, now: Instant) {
        if self.shares >= SETTLED_SHARES {
            self.settled = true;
        }
        if self.shares >= WINDOW_SHARES {
            self.restart(now);
        }
    }
}
