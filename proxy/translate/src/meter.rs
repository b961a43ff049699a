//! What a miner, a worker or the farm achieved: accepted work over four spans of time, and refused shares by reason.
//!
//! Work is averaged with exponentially falling weights, so that a share costs the same however long the span. What is
//! younger than a span is measured as if nothing were known of the time before, not as if nothing had been done then:
//! the weighted sum is divided by the weights of the time that there was.

use std::time::{Duration, Instant};

use crate::refusal::Refusal;

/// Hashes that a share of difficulty 1 takes on average.
pub const HASHES_PER_DIFFICULTY: f64 = 4_294_967_296.0;

/// Time below which nothing is measured: one share in the first second is no hashrate.
const LEAST_AGE: f64 = 10.0;

/// A span of time over which accepted work is averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// One minute.
    Minute,
    /// Ten minutes.
    TenMinutes,
    /// One hour.
    Hour,
    /// 24 hours.
    Day,
}

impl Span {
    /// All spans, the shortest first.
    pub const ALL: [Self; 4] = [Self::Minute, Self::TenMinutes, Self::Hour, Self::Day];

    /// Gives its length in s.
    #[must_use]
    pub const fn seconds(self) -> f64 {
        match self {
            Self::Minute => 60.0,
            Self::TenMinutes => 600.0,
            Self::Hour => 3_600.0,
            Self::Day => 86_400.0,
        }
    }
}

/// Parts of a second that a meter tells apart.
const TICKS: u32 = 16;

/// Accepted work and refused shares. 120 bytes: there is one for each miner.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Meter {
    /// When measuring began: with the first work that was handed out, or the first share.
    begun: Option<Instant>,
    /// When the weighted sums were last brought up to date, in ticks since then.
    faded: u32,
    /// When the last share was accepted, likewise; of no meaning before there was any.
    last_share: u32,
    accepted: u64,
    /// By [`Refusal::place`].
    rejected: [u32; Refusal::LABELS.len()],
    /// Weighted sums of the work that was accepted, one for each of [`Span::ALL`], as difficulties.
    work: [f32; Span::ALL.len()],
    /// Weighted counts over [`Span::Hour`].
    accepted_lately: f32,
    rejected_lately: f32,
}

impl Meter {
    /// Begins to measure, unless it has begun.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.begun.get_or_insert(now);
    }

    /// Notes an accepted share with the difficulty that it is credited with.
    pub(crate) fn accept(&mut self, now: Instant, difficulty: f64) {
        self.accept_many(now, 1, difficulty);
    }

    /// Notes accepted shares with the sum of their difficulties.
    pub(crate) fn accept_many(&mut self, now: Instant, shares: u64, difficulty: f64) {
        self.fade(now);
        self.accepted += shares;
        self.last_share = self.faded;
        for sum in &mut self.work {
            *sum += narrow(difficulty);
        }
        self.accepted_lately += narrow(shares as f64);
    }

    /// Notes a refused share.
    pub(crate) fn reject(&mut self, now: Instant, refusal: Refusal) {
        self.fade(now);
        if let Some(count) = self.rejected.get_mut(refusal.place()) {
            *count = count.saturating_add(1);
        }
        self.rejected_lately += 1.0;
    }

    /// Adds what another connection of the same worker did.
    pub fn add(&mut self, other: &Self) {
        let mut other = *other;
        let (Some(one), Some(another)) = (self.begun, other.begun) else {
            // What has not begun has done nothing.
            *self = if self.begun.is_some() { *self } else { other };
            return;
        };
        let latest = self.faded_at().max(other.faded_at()).unwrap_or(one);
        self.fade(latest);
        other.fade(latest);
        let last_share = self.last_share().max(other.last_share());
        let begun = one.min(another);
        self.begun = Some(begun);
        self.faded = ticks(latest, begun);
        self.last_share = last_share.map_or(0, |last| ticks(last, begun));
        self.accepted += other.accepted;
        for (count, more) in self.rejected.iter_mut().zip(other.rejected) {
            *count = count.saturating_add(more);
        }
        for (sum, more) in self.work.iter_mut().zip(other.work) {
            *sum += more;
        }
        self.accepted_lately += other.accepted_lately;
        self.rejected_lately += other.rejected_lately;
    }

    /// Gives the hashrate over a span that ends now, in h/s, from accepted work alone; 0 before there was any.
    #[must_use]
    pub fn hashrate(&self, now: Instant, span: Span) -> f64 {
        let sums = Span::ALL.into_iter().zip(self.work);
        let sum = sums.filter(|(of, _)| *of == span).map(|(_, sum)| sum);
        let weight = |since: Option<Instant>| {
            let passed = since.map_or(0.0, |since| seconds(now, since));
            (-passed / span.seconds()).exp()
        };
        let sum = f64::from(sum.sum::<f32>()) * weight(self.faded_at());
        let least = LEAST_AGE.min(span.seconds());
        let age = self.begun.map_or(0.0, |begun| seconds(now, begun));
        let weights = 1.0 - (-age.max(least) / span.seconds()).exp();
        sum / (span.seconds() * weights) * HASHES_PER_DIFFICULTY
    }

    /// Gives the share of the shares of the last hour or so that was refused, from 0 to 1; `None` where fewer than
    /// `least` came.
    #[must_use]
    pub fn rejected_lately(&self, now: Instant, least: f64) -> Option<f64> {
        let passed = self.faded_at().map_or(0.0, |faded| seconds(now, faded));
        let weight = (-passed / Span::Hour.seconds()).exp();
        let rejected = f64::from(self.rejected_lately);
        let all = rejected + f64::from(self.accepted_lately);
        (all * weight >= least).then_some(rejected / all)
    }

    /// Tells when measuring began: with the first work that was handed out, or the first share.
    #[must_use]
    pub fn begun(&self) -> Option<Instant> {
        self.begun
    }

    /// Tells when the last share was accepted.
    #[must_use]
    pub fn last_share(&self) -> Option<Instant> {
        let begun = self.begun.filter(|_| self.accepted > 0)?;
        Some(begun + time(self.last_share))
    }

    /// Gives how many shares were accepted.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Gives how many shares were refused.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected.iter().copied().map(u64::from).sum()
    }

    /// Gives how many shares were refused for each reason, where any were.
    pub fn rejections(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = Refusal::LABELS.into_iter().zip(self.rejected);
        counts
            .filter(|(_, count)| *count > 0)
            .map(|(label, count)| (label, count.into()))
    }

    /// Tells when the sums were last brought up to date.
    fn faded_at(&self) -> Option<Instant> {
        self.begun.map(|begun| begun + time(self.faded))
    }

    /// Lets all sums fall to what they weigh now.
    fn fade(&mut self, now: Instant) {
        let begun = *self.begun.get_or_insert(now);
        let ticks = ticks(now, begun);
        let passed = f64::from(ticks.saturating_sub(self.faded)) / f64::from(TICKS);
        if passed <= 0.0 {
            return;
        }
        self.faded = ticks;
        let weights = Span::ALL.map(|span| narrow((-passed / span.seconds()).exp()));
        for (sum, weight) in self.work.iter_mut().zip(weights) {
            *sum *= weight;
        }
        let [_, _, hour, _] = weights;
        self.accepted_lately *= hour;
        self.rejected_lately *= hour;
    }
}

/// Gives the ticks from `begun` on; they last for eight years.
fn ticks(now: Instant, begun: Instant) -> u32 {
    let passed = now.saturating_duration_since(begun).as_millis();
    u32::try_from(passed * u128::from(TICKS) / 1_000).unwrap_or(u32::MAX)
}

/// Gives the time that ticks take.
fn time(ticks: u32) -> Duration {
    Duration::from_secs(1) * ticks / TICKS
}

fn seconds(now: Instant, since: Instant) -> f64 {
    let passed: Duration = now.saturating_duration_since(since);
    passed.as_secs_f64()
}

/// Single precision is good to seven digits, and a difficulty is far from its bounds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is lost is far below the noise of what is measured"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::origin;

    /// A share of difficulty 64 every five seconds.
    fn steady(meter: &mut Meter, from: Instant, seconds: u64) -> Instant {
        let mut now = from;
        for _ in 0..seconds / 5 {
            now += Duration::from_secs(5);
            meter.accept(now, 64.0);
        }
        now
    }

    fn near(value: f64, expected: f64, tolerance: f64) {
        let difference = (value - expected).abs();
        assert!(
            difference <= tolerance * expected,
            "{value}, not {expected}"
        );
    }

    const STEADY: f64 = 64.0 / 5.0 * HASHES_PER_DIFFICULTY;

    #[test]
    fn a_steady_miner_is_measured_alike_over_every_span_from_the_first_minutes_on() {
        let start = origin();
        let mut meter = Meter::default();
        meter.begin(start);
        for (seconds, tolerance) in [(60, 0.05), (600, 0.05), (86_400, 0.05)] {
            let now = steady(&mut meter, start, seconds);
            for span in Span::ALL {
                near(meter.hashrate(now, span), STEADY, tolerance);
            }
            meter = Meter::default();
            meter.begin(start);
        }
    }

    #[test]
    fn short_spans_forget_what_long_ones_remember() {
        let start = origin();
        let mut meter = Meter::default();
        meter.begin(start);
        let stopped = steady(&mut meter, start, 86_400);
        let now = stopped + Duration::from_secs(600);
        assert!(meter.hashrate(now, Span::Minute) < STEADY / 10_000.0);
        near(
            meter.hashrate(now, Span::TenMinutes),
            STEADY / std::f64::consts::E,
            0.05,
        );
        near(meter.hashrate(now, Span::Day), STEADY, 0.05);
        assert_eq!(meter.last_share(), Some(stopped));
    }

    #[test]
    fn nothing_is_measured_of_whom_nothing_is_known() {
        let meter = Meter::default();
        for span in Span::ALL {
            assert!(meter.hashrate(origin(), span).abs() < f64::EPSILON);
        }
        assert_eq!(meter.rejected_lately(origin(), 1.0), None);
        assert_eq!((meter.accepted(), meter.rejected()), (0, 0));
    }

    #[test]
    fn one_share_at_once_is_no_huge_hashrate() {
        let start = origin();
        let mut meter = Meter::default();
        meter.begin(start);
        meter.accept(start, 64.0);
        assert!(meter.hashrate(start, Span::Minute) < STEADY);
    }

    #[test]
    fn refused_shares_are_counted_by_reason_and_weighed_against_good_ones() {
        let mut meter = Meter::default();
        let mut now = origin();
        for share in 0..100 {
            now += Duration::from_secs(1);
            match share % 4 {
                0 => meter.reject(now, Refusal::Stale),
                _ => meter.accept(now, 1.0),
            }
        }
        meter.reject(now, Refusal::Duplicate);
        let rejections: Vec<_> = meter.rejections().collect();
        assert_eq!(rejections, [("stale", 25), ("duplicate", 1)]);
        assert_eq!((meter.accepted(), meter.rejected()), (75, 26));
        near(meter.rejected_lately(now, 50.0).unwrap(), 0.26, 0.02);
        let later = now + Duration::from_secs(7_200);
        assert_eq!(meter.rejected_lately(later, 50.0), None);
    }

    #[test]
    fn two_connections_of_a_worker_add_up_to_one() {
        let start = origin();
        let mut whole = Meter::default();
        whole.begin(start);
        let middle = steady(&mut whole, start, 1_800);
        let mut first = whole;
        let end = steady(&mut whole, middle, 1_800);
        let mut second = Meter::default();
        second.begin(middle);
        steady(&mut second, middle, 1_800);
        first.add(&second);
        assert_eq!(first.accepted(), whole.accepted());
        assert_eq!(first.begun(), whole.begun());
        for span in Span::ALL {
            near(first.hashrate(end, span), whole.hashrate(end, span), 0.001);
        }
    }

    #[test]
    fn a_miners_meter_is_small() {
        assert!(size_of::<Meter>() <= 120, "{}", size_of::<Meter>());
    }
}
