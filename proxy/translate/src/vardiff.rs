//! Vardiff: finds the difficulty at which a miner sends the share rate that the operator wants.
//!
//! Shares are a Poisson process. A miner that does `r` units of difficulty per second sends `r · x` shares over an
//! *exposure* `x`: the time in s, each part of it divided by the difficulty then in force. So shares and exposure are
//! all there is to know, over any number of changes of difficulty: the estimate of `r` is shares / exposure, and its
//! confidence limits are Garwood's for a Poisson mean (through the approximation of Wilson and Hilferty, good to 2 %
//! even for a single share).
//!
//! - A change is made where the limits leave no doubt that the miner sends over 1.6 times or below 1 / 1.6 of the wanted
//!   rate. It goes to the power of two nearest to the ideal difficulty, so a settled miner sends between 0.7 and 1.4
//!   times the wanted rate, and chance alone must be far off to move it again: it does not hunt.
//! - Few shares in a long time say that the difficulty is too high, not by how much. So the first step down goes four
//!   times below the estimate, to where the shares that tell it come quickly.
//! - What is known is a memory and a *block* of newer shares. A block that contradicts the memory beyond chance
//!   replaces it: the miner changed, and the past says nothing of it. So a flood is met within [`BLOCK`] shares. A
//!   pause of [`SILENCE`] times the usual one does the same.
//!
//! How much of a raise is granted at once is said in `ceiling.rs`.
//!
//! Simulated with 12 wanted shares a minute, 200 seeds each (`cargo test -p translate vardiff -- --nocapture`): from a
//! start 1,000 times too easy the difficulty is right in 0.1 s, from one 1,000 times too hard in 37 s (half of the
//! miners) to 72 s (95 % of them), in about two changes; over the next hour it changes less than 0.2 times, and the
//! share rate stays between 0.5 and 1.8 of the wanted one for every miner.

use std::time::{Duration, Instant};

use sv2::bitcoin::Difficulty;

/// Ratio to the wanted rate beyond which the difficulty is changed; over √2, where the nearest power of two changes.
const TOLERANCE: f64 = 1.6;
/// Standard deviations of the limits that a change rests on: one chance in 44.
const CONFIDENCE: f64 = 2.0;
/// The same before [`MEASURED`] shares: a wrong step costs little then, waiting for more shares much.
const CONFIDENCE_AT_FIRST: f64 = 1.3;
/// Shares, or wanted shares that did not come, after which a miner counts as measured: four minutes of the default.
const MEASURED: f64 = 48.0;
/// Shares without which nothing is raised: the estimate is then good to a fifth.
const FEW: f64 = 24.0;
/// How far below the estimate a step down goes that rests on few shares.
const OVERSHOOT: f64 = 4.0;
/// Standard deviations beyond which a block contradicts the memory: one chance in 300,000.
const CONTRADICTION: f64 = 4.5;
/// Shares that make a block.
const BLOCK: f64 = 16.0;
/// Wanted shares that did not come and make a block too; enough that a rate of a quarter shows within it.
const SPARSE_BLOCK: f64 = 64.0;
/// Usual pauses without a share that no chance explains: one in a million.
const SILENCE: f64 = 14.0;
/// Shares, or wanted shares that did not come, that the memory holds: eight minutes of the default.
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

    fn contradicts(self, memory: Self) -> bool {
        self.at_least(CONTRADICTION) > (memory.shares + 1.0) / memory.exposure
            || self.at_most(CONTRADICTION) < memory.shares / memory.exposure
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

/// The measurement of one miner.
#[derive(Debug, Clone)]
pub(crate) struct Vardiff {
    counted_until: Instant,
    memory: Evidence,
    block: Evidence,
    /// Exposure since the last share.
    silence: f64,
}

impl Vardiff {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            counted_until: now,
            memory: Evidence::default(),
            block: Evidence::default(),
            silence: 0.0,
        }
    }

    /// Notes an accepted share with its credit, found at the difficulty `current`.
    pub(crate) fn note(&mut self, credit: Difficulty, current: Difficulty) {
        // One for work that was sent at another difficulty stands for as much work as it is credited with.
        self.block.shares += (credit.to_f64() / current.to_f64()).min(1.0);
        self.silence = 0.0;
    }

    /// Counts the time up to now, which passed at the difficulty `current`. To be called before it changes.
    pub(crate) fn pass(&mut self, now: Instant, current: Difficulty) {
        let passed = now.saturating_duration_since(self.counted_until);
        self.counted_until = now;
        let exposure = passed.as_secs_f64() / current.to_f64();
        self.block.exposure += exposure;
        self.silence += exposure;
    }

    /// Leaves the time up to now out: the miner had no work that anybody would have taken shares for.
    pub(crate) fn skip(&mut self, now: Instant) {
        self.counted_until = now;
    }

    /// Estimates the miner's work in difficulty per second, as if one share more had come in the time wanted for one.
    pub(crate) fn work_rate(&self, current: Difficulty, shares_per_minute: f64) -> f64 {
        let known = self.memory.and(self.block);
        let wanted = shares_per_minute / 60.0 * current.to_f64();
        (known.shares + 1.0) / (known.exposure + 1.0 / wanted)
    }

    /// Tells whether any share is known.
    pub(crate) fn has_shares(&self) -> bool {
        self.memory.shares + self.block.shares > 0.0
    }

    /// Tells whether the measure has enough shares to raise a miner.
    pub(crate) fn could_raise(&self) -> bool {
        self.memory.shares + self.block.shares >= FEW
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
        self.remember(wanted * current.to_f64());
        let known = self.memory.and(self.block);
        // No time at all says nothing; a millisecond bounds the rate instead.
        let least = Duration::from_millis(1).as_secs_f64() / current.to_f64();
        let known = Evidence {
            exposure: known.exposure.max(least),
            ..known
        };
        let confidence = match known.size(wanted * current.to_f64()) < MEASURED {
            true => CONFIDENCE_AT_FIRST,
            false => CONFIDENCE,
        };
        let ratio = |rate: f64| rate / wanted / current.to_f64();
        let few = known.shares < FEW;
        let too_fast = !few && ratio(known.at_least(confidence)) > TOLERANCE;
        let too_slow = ratio(known.at_most(confidence)) < 1.0 / TOLERANCE;
        let ideal = known.shares.max(0.5) / known.exposure / wanted;
        let ideal = if few { ideal / OVERSHOOT } else { ideal };
        (too_fast || too_slow).then_some(ideal)
    }

    /// Moves a whole block to the memory, or replaces the memory by what contradicts it. `wanted` is the rate of work
    /// that the difficulty was chosen for.
    fn remember(&mut self, wanted: f64) {
        let known = self.memory.exposure > 0.0 && self.block.exposure > 0.0;
        if known && self.silence * self.memory.shares > SILENCE * self.memory.exposure {
            self.memory = Evidence::default();
            self.block = Evidence {
                shares: 0.0,
                exposure: self.silence,
            };
        } else if known && self.block.contradicts(self.memory) {
            self.memory = Evidence::default();
        }
        if self.block.shares >= BLOCK || self.block.exposure * wanted >= SPARSE_BLOCK {
            let known = self.memory.and(std::mem::take(&mut self.block));
            self.memory = known.scaled((MEMORY / known.size(wanted)).min(1.0));
        }
    }
}

/// Gives the power of two nearest to an ideal difficulty once it is rounded down.
pub(crate) fn nearest(ideal: f64) -> Option<Difficulty> {
    Difficulty::new(ideal * std::f64::consts::SQRT_2).ok()
}

#[cfg(test)]
mod tests;
