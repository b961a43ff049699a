//! Vardiff: finds the difficulty at which a miner sends the share rate that the operator wants.
//!
//! Shares are a Poisson process. A miner that does `r` units of difficulty per second sends `r · x` shares over an
//! *exposure* `x`: the time in s, each part of it divided by the difficulty then in force. So shares and exposure are
//! all there is to know, over any number of changes of difficulty: the estimate of `r` is shares / exposure, and its
//! confidence limits are Garwood's for a Poisson mean (through the approximation of Wilson and Hilferty, good to 2 %
//! even for a single share).
//!
//! - A change is made where the limits, at one chance in ten, say that the miner sends over 1.6 times or below 1 / 1.6 of
//!   the wanted rate. It goes to the power of two nearest to the ideal difficulty, so a settled miner sends between 0.7
//!   and 1.4 times the wanted rate, and chance alone must be far off to move it again: it does not hunt.
//! - Too easy costs surplus shares, which count; too hard costs time, for then the shares that would tell are few. So
//!   nothing is raised before the limits of the ideal difficulty, at one chance in 740 each, are both within a factor of
//!   two of the new one, which takes 20 to 90 shares. And a step down that rests on few shares or none goes far below the
//!   estimate, to where those come quickly.
//! - Whether the miner changed is told by two cumulative sums of log likelihood ratios (Page 1954; for Poisson counts
//!   Lucas 1985): one for a rate [`FACTOR`] times the one known, one for a rate as much below. Where one exceeds
//!   [`ALARM`], what was known is forgotten, but for what came since the lower one last left zero: the likeliest moment
//!   of the change. So a miner that goes quiet is noticed after 15 of its usual pauses.
//!
//! How much of a raise is granted at once is said in `ceiling.rs`. How well all this does is printed by `cargo test -p
//! translate vardiff -- --nocapture`, and with a pool and real shares by the example `vardiff`.

use std::time::{Duration, Instant};

use sv2::bitcoin::Difficulty;

/// Ratio to the wanted rate beyond which the difficulty is changed; over √2, where the nearest power of two changes.
const TOLERANCE: f64 = 1.6;
/// Standard deviations of the limits that tell this: one chance in ten. A settled miner is so far from it that chance
/// gets there less than once in ten hours.
const CONFIDENCE: f64 = 1.3;
/// Standard deviations of the limits of the ideal difficulty that a raise must fit: one chance in 740.
const CONFIDENCE_OF_RAISE: f64 = 3.0;
/// Shares whose limits fit some power of two wherever they lie.
const ENOUGH: f64 = 88.0;
/// Shares below which a step down goes too far on purpose: the estimate is good to a fifth from there on.
const FEW: f64 = 24.0;
/// How far below the estimate such a step goes: where that is right, [`ENOUGH`] shares take 14 s of the default.
const OVERSHOOT: f64 = 32.0;
/// The same without any share, which says nothing of how slow the miner is: from 1,000 times too hard to too easy.
const OVERSHOOT_WITHOUT_SHARES: f64 = 1_000.0;
/// Ratio of rates that the cumulative sums look for.
const FACTOR: f64 = 3.0;
/// Logarithm of the likelihood ratio that is taken for a change: 8,000 to 1.
const ALARM: f64 = 9.0;
/// Shares from which on a rate is known well enough to tell another from it.
const KNOWN: f64 = 16.0;
/// Standard deviations that the known rate is taken to be off by, since it is only an estimate.
const DOUBT: f64 = 1.0;
/// Shares, or wanted shares that did not come, that are remembered: eight minutes of the default.
const MEMORY: f64 = 96.0;

/// What a hypothesis is judged by.
#[derive(Debug, Clone, Copy, Default)]
struct Evidence {
    shares: f64,
    /// Sum of s / difficulty.
    exposure: f64,
}

impl Evidence {
    fn and(self, other: Self) -> Self {
        Self {
            shares: self.shares + other.shares,
            exposure: self.exposure + other.exposure,
        }
    }

    fn without(self, part: Self) -> Self {
        Self {
            shares: (self.shares - part.shares).max(0.0),
            exposure: (self.exposure - part.exposure).max(0.0),
        }
    }

    fn scaled(self, factor: f64) -> Self {
        Self {
            shares: self.shares * factor,
            exposure: self.exposure * factor,
        }
    }

    /// Shares, or the shares that should have come at the rate of work `wanted`, whichever are more.
    fn size(self, wanted: f64) -> f64 {
        self.shares.max(self.exposure * wanted)
    }

    /// Lower limit of the rate of work.
    fn at_least(self, deviations: f64) -> f64 {
        gamma_quantile(self.shares, -deviations) / self.exposure
    }

    /// Upper limit of the rate of work.
    fn at_most(self, deviations: f64) -> f64 {
        gamma_quantile(self.shares + 1.0, deviations) / self.exposure
    }
}

/// Gives the quantile of a gamma distribution of scale 1 (Wilson and Hilferty, 1931).
fn gamma_quantile(shape: f64, deviations: f64) -> f64 {
    if shape <= 0.0 {
        return 0.0;
    }
    let root = 1.0 - 1.0 / (9.0 * shape) + deviations / (3.0 * shape.sqrt());
    shape * root.max(0.0).powi(3)
}

/// A cumulative sum: how much likelier another rate is than the known one, and since when.
#[derive(Debug, Clone, Copy, Default)]
struct Suspicion {
    /// Logarithm of the likelihood ratio.
    score: f64,
    /// What came since the score left zero.
    since: Evidence,
}

impl Suspicion {
    fn weigh(&mut self, news: Evidence, gain: f64) {
        self.score += gain;
        if self.score > 0.0 {
            self.since = self.since.and(news);
        } else {
            *self = Self::default();
        }
    }
}

/// The measurement of one miner.
#[derive(Debug, Clone)]
pub(crate) struct Vardiff {
    counted_until: Instant,
    known: Evidence,
    faster: Suspicion,
    slower: Suspicion,
}

impl Vardiff {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            counted_until: now,
            known: Evidence::default(),
            faster: Suspicion::default(),
            slower: Suspicion::default(),
        }
    }

    /// Notes an accepted share with its credit, found at the difficulty `current`.
    pub(crate) fn note(&mut self, now: Instant, credit: Difficulty, current: Difficulty) {
        self.pass(now, current);
        self.learn(Evidence {
            // One for work that was sent at another difficulty stands for as much work as it is credited with.
            shares: (credit.to_f64() / current.to_f64()).min(1.0),
            exposure: 0.0,
        });
    }

    /// Counts the time up to now, which passed at the difficulty `current`. To be called before it changes.
    pub(crate) fn pass(&mut self, now: Instant, current: Difficulty) {
        let passed = now.saturating_duration_since(self.counted_until);
        self.counted_until = now;
        self.learn(Evidence {
            shares: 0.0,
            exposure: passed.as_secs_f64() / current.to_f64(),
        });
    }

    /// Leaves the time up to now out: the miner had no work that anybody would have taken shares for.
    pub(crate) fn skip(&mut self, now: Instant) {
        self.counted_until = now;
    }

    /// Estimates the miner's work in difficulty per second, as if one share more had come in the time wanted for one.
    pub(crate) fn work_rate(&self, current: Difficulty, shares_per_minute: f64) -> f64 {
        let wanted = shares_per_minute / 60.0 * current.to_f64();
        (self.known.shares + 1.0) / (self.known.exposure + 1.0 / wanted)
    }

    /// Tells whether any share is known.
    pub(crate) fn has_shares(&self) -> bool {
        self.known.shares > 0.0
    }

    /// Tells whether the measure has enough shares to raise a miner, wherever its rate lies.
    pub(crate) fn could_raise(&self) -> bool {
        self.known.shares >= ENOUGH
    }

    /// Gives the ideal difficulty where `current` is wrong beyond chance.
    pub(crate) fn wish(
        &mut self,
        now: Instant,
        current: Difficulty,
        shares_per_minute: f64,
    ) -> Option<f64> {
        self.pass(now, current);
        let wanted = shares_per_minute / 60.0;
        let wanted_work = wanted * current.to_f64();
        self.forget(wanted_work);
        // No time at all says nothing; a millisecond bounds the rate instead.
        let least = Duration::from_millis(1).as_secs_f64() / current.to_f64();
        let known = Evidence {
            exposure: self.known.exposure.max(least),
            ..self.known
        };
        let ideal = known.shares.max(0.5) / known.exposure / wanted;
        if known.at_least(CONFIDENCE) > TOLERANCE * wanted_work {
            return raise_fits(known, ideal, wanted).then_some(ideal);
        }
        let overshoot = match known.shares {
            ..1.0 => OVERSHOOT_WITHOUT_SHARES,
            ..FEW => OVERSHOOT,
            _ => 1.0,
        };
        let too_slow = known.at_most(CONFIDENCE) < wanted_work / TOLERANCE;
        too_slow.then_some(ideal / overshoot)
    }

    /// Adds news to what is known, or finds that they contradict it.
    fn learn(&mut self, news: Evidence) {
        let memory = self.memory();
        if memory.shares >= KNOWN && memory.exposure > 0.0 {
            // The logarithm of the ratio of two Poisson likelihoods.
            let gain = |ratio: f64, rate: f64| {
                news.shares * ratio.ln() - news.exposure * rate * (ratio - 1.0)
            };
            self.faster.weigh(news, gain(FACTOR, memory.at_most(DOUBT)));
            self.slower
                .weigh(news, gain(1.0 / FACTOR, memory.at_least(DOUBT)));
        }
        self.known = self.known.and(news);
        if self.faster.score > ALARM {
            // More comes quickly, and without what came before the change.
            self.begin_anew(Evidence::default());
        } else if self.slower.score > ALARM {
            // With the share that it began with: what has sent any is slow, or rests, but is not of another kind.
            let last = Evidence {
                shares: 1.0,
                exposure: 0.0,
            };
            self.begin_anew(self.slower.since.and(last));
        }
    }

    fn begin_anew(&mut self, known: Evidence) {
        self.known = known;
        self.faster = Suspicion::default();
        self.slower = Suspicion::default();
    }

    /// Gives what is known but not suspected to be of another rate.
    fn memory(&self) -> Evidence {
        let (faster, slower) = (self.faster.since, self.slower.since);
        let suspected = match faster.exposure > slower.exposure {
            true => faster,
            false => slower,
        };
        self.known.without(suspected)
    }

    /// Lets the memory fade, so that what is new weighs more. `wanted` is the rate of work that is asked for now.
    fn forget(&mut self, wanted: f64) {
        let memory = self.memory();
        let size = memory.size(wanted);
        if size > MEMORY {
            let faded = memory.scaled(MEMORY / size);
            self.known = self.known.without(memory).and(faded);
        }
    }
}

/// Tells whether the limits leave no doubt that the power of two nearest to `ideal` is within a factor of two of it.
fn raise_fits(known: Evidence, ideal: f64, wanted: f64) -> bool {
    nearest(ideal).is_some_and(|nearest| {
        let nearest = nearest.floor_power_of_two().to_f64() * wanted;
        known.at_least(CONFIDENCE_OF_RAISE) >= nearest / 2.0
            && known.at_most(CONFIDENCE_OF_RAISE) <= nearest * 2.0
    })
}

/// Gives the power of two nearest to an ideal difficulty once it is rounded down.
pub(crate) fn nearest(ideal: f64) -> Option<Difficulty> {
    Difficulty::new(ideal * std::f64::consts::SQRT_2).ok()
}

#[cfg(test)]
mod tests;
