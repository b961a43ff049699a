//! What the farm did in each minute of the last 24 hours: what a plot is drawn from.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Minutes that are kept.
pub const HISTORY_MINUTES: usize = 1_440;

const MINUTE: Duration = Duration::from_secs(60);

/// What the farm did in one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Minute {
    /// Sum of the difficulties of accepted shares.
    pub work: f64,
    /// Shares that were accepted.
    pub accepted: u32,
    /// Shares that were refused.
    pub rejected: u32,
    /// Most miners that subscribed and authorized at once.
    pub miners: u32,
}

/// Minutes, the latest last. 35 kB.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// When the first of them began.
    begun: Instant,
    minutes: VecDeque<Minute>,
}

impl History {
    /// Makes one without any minute.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            begun: now,
            minutes: VecDeque::new(),
        }
    }

    /// Counts into the present minute.
    pub(crate) fn note(&mut self, now: Instant, count: impl FnOnce(&mut Minute)) {
        self.go_on(now);
        if let Some(present) = self.minutes.back_mut() {
            count(present);
        }
    }

    /// Begins every minute up to the present one.
    pub(crate) fn go_on(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.begun);
        let present = usize::try_from(passed.as_secs() / MINUTE.as_secs()).unwrap_or(usize::MAX);
        let missing = (present.saturating_add(1)).saturating_sub(self.minutes.len());
        if missing > HISTORY_MINUTES {
            // Nothing of what is kept is of the last day.
            *self = Self::new(now);
            self.minutes.push_back(Minute::default());
            return;
        }
        for _ in 0..missing {
            if self.minutes.len() >= HISTORY_MINUTES {
                self.minutes.pop_front();
                self.begun += MINUTE;
            }
            self.minutes.push_back(Minute::default());
        }
    }

    /// Tells when the first minute began.
    #[must_use]
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Gives the minutes in order; the last one is not over.
    pub fn minutes(&self) -> impl Iterator<Item = &Minute> {
        self.minutes.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::origin;

    fn accepted(history: &History) -> Vec<u32> {
        history.minutes().map(|minute| minute.accepted).collect()
    }

    #[test]
    fn what_happens_is_counted_in_its_minute_and_empty_ones_are_kept() {
        let start = origin();
        let mut history = History::new(start);
        for seconds in [0, 59, 60, 185] {
            let now = start + Duration::from_secs(seconds);
            history.note(now, |minute| minute.accepted += 1);
        }
        assert_eq!(accepted(&history), [2, 1, 0, 1]);
        history.go_on(start + Duration::from_secs(300));
        assert_eq!(accepted(&history), [2, 1, 0, 1, 0, 0]);
        assert_eq!(history.begun(), start);
    }

    #[test]
    fn a_day_is_kept_and_no_more() {
        let start = origin();
        let mut history = History::new(start);
        for minute in 0..2_000 {
            history.note(start + MINUTE * minute, |it| it.accepted = minute);
        }
        let kept = accepted(&history);
        assert_eq!(kept.len(), HISTORY_MINUTES);
        assert_eq!((kept[0], kept[HISTORY_MINUTES - 1]), (560, 1_999));
        assert_eq!(history.begun(), start + MINUTE * 560);
    }

    #[test]
    fn after_a_long_time_without_anything_it_begins_anew() {
        let start = origin();
        let mut history = History::new(start);
        history.note(start, |minute| minute.accepted += 1);
        let later = start + MINUTE * 10_000;
        history.note(later, |minute| minute.accepted += 1);
        assert_eq!(accepted(&history), [1]);
        assert_eq!(history.begun(), later);
        let before = start + MINUTE * 5;
        history.note(before, |minute| minute.accepted += 1);
        assert_eq!(accepted(&history), [2], "time does not go back");
    }
}
