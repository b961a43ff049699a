//! How hard measuring may make a miner's work: no harder than what the pool pays at, so that no share is lost that the
//! pool would pay for.
//!
//! A pool pays each share of a job at the target that the channel had as the job became active (SV2 §5.3.21). A miner
//! whose difficulty is above that hides shares that the pool would have paid. So a raise waits until a job with a harder
//! target comes, which the pool is asked for meanwhile, and goes out with it. An easier target lowers nobody.
//!
//! A pool that never makes its target harder must not leave a flood. So whoever goes on to send more than a bounded
//! [`Flow`] is raised all the same, and so is everybody while the whole farm sends the pool more than one: the
//! processors of both come before the surplus.

use std::time::Instant;

use sv2::bitcoin::{Difficulty, Target};

/// Shares per second that one miner may send for ever: a hundred times what is usual, and nothing to a processor.
const MINER_RATE: f64 = 20.0;
/// Shares beyond [`MINER_RATE`] of one miner: what one whose work is 1,000 times too easy sends (200 per second) in
/// 40 s, in which a pool is told (10 s) and has dealt its next job (30 s). A flood as fast as the limit on requests
/// allows takes four seconds for it.
const MINER_BURST: f64 = 8_000.0;
/// Shares per second that the farm may send upstream for ever: those of 5,000 miners at 12 a minute.
const FARM_RATE: f64 = 1_000.0;
/// Shares beyond [`FARM_RATE`]: those of 50 miners in the 40 s of [`MINER_BURST`], or ten seconds at twice the rate.
const FARM_BURST: f64 = 10_000.0;

/// Gives the hardest difficulty, a power of two, whose target is not below `target`.
pub(crate) fn of_target(target: Target) -> Difficulty {
    let floor = target.difficulty().floor_power_of_two();
    match Target::from_difficulty(floor) < target {
        // The difficulty was rounded up to the power of two.
        true => Difficulty::new(floor.to_f64() / 2.0).unwrap_or(floor),
        false => floor,
    }
}

/// Tells whether a miner that fits `wish` sends too much for ever at `ceiling`.
pub(crate) fn floods(wish: Difficulty, ceiling: Difficulty, shares_per_minute: f64) -> bool {
    shares_per_minute / 60.0 * wish.to_f64() > MINER_RATE * ceiling.to_f64()
}

/// Shares over time, as a leaky bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    /// Shares beyond the rate that have not leaked yet.
    level: f64,
    counted: Instant,
    rate: f64,
    burst: f64,
}

impl Flow {
    /// Begins to count one miner's.
    pub(crate) fn of_miner(now: Instant) -> Self {
        Self::new(now, MINER_RATE, MINER_BURST)
    }

    /// Begins to count those that the farm sends upstream.
    pub(crate) fn of_farm(now: Instant) -> Self {
        Self::new(now, FARM_RATE, FARM_BURST)
    }

    fn new(now: Instant, rate: f64, burst: f64) -> Self {
        Self {
            level: 0.0,
            counted: now,
            rate,
            burst,
        }
    }

    /// Counts a share.
    pub(crate) fn note(&mut self, now: Instant) {
        self.level = self.level_at(now) + 1.0;
        self.counted = now;
    }

    /// Tells whether more came than may.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.level_at(now) > self.burst
    }

    fn level_at(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.counted);
        (self.level - passed.as_secs_f64() * self.rate).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::origin;

    #[test]
    fn a_ceiling_is_not_harder_than_its_target_and_over_half_as_hard() {
        for value in [1e-9, 0.3, 1.0, 1.5, 1_000.0, 16_384.0, 3e12] {
            let target = Target::from_difficulty(Difficulty::new(value).unwrap());
            let ceiling = of_target(target);
            assert!(Target::from_difficulty(ceiling) >= target, "{value}");
            assert!(ceiling.to_f64() * 2.0 > value, "{value}: {ceiling}");
        }
        assert_eq!(of_target(Target::DIFFICULTY_1), Difficulty::ONE);
    }

    #[test]
    fn a_flow_is_over_only_past_its_burst_and_recovers_at_its_rate() {
        let start = origin();
        let mut flow = Flow::new(start, 10.0, 5.0);
        (0..5).for_each(|_| flow.note(start));
        assert!(!flow.is_over(start));
        flow.note(start);
        assert!(flow.is_over(start));
        assert!(!flow.is_over(start + Duration::from_millis(100)));
        for tenth in 1..1_000 {
            flow.note(start + Duration::from_millis(100 * tenth));
        }
        assert!(
            !flow.is_over(start + Duration::from_secs(100)),
            "at its rate"
        );
    }
}
