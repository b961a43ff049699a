//! Times by the wall clock: RFC 3339 in UTC, to the millisecond.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// A time by the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Time(SystemTime);

/// What both clocks showed at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) instant: Instant,
    wall: SystemTime,
}

impl Clock {
    pub(super) fn now() -> Self {
        Self {
            instant: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// Gives the present time.
    pub(super) fn time(&self) -> Time {
        Time(self.wall)
    }

    /// Gives the time of an instant, as the wall clock goes now.
    pub(super) fn at(&self, instant: Instant) -> Time {
        let past = self.instant.saturating_duration_since(instant);
        let ahead = instant.saturating_duration_since(self.instant);
        let wall = self.wall.checked_sub(past);
        let wall = wall.and_then(|wall| wall.checked_add(ahead));
        Time(wall.unwrap_or(self.wall))
    }
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        Self(time)
    }
}

impl Time {
    /// Gives s since epoch.
    pub(super) fn seconds(self) -> f64 {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_secs_f64()
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let milliseconds = i64::try_from(since.as_millis()).unwrap_or_default();
        let time = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
        serializer.collect_str(&format_args!("{time:.3}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_written_in_utc_to_the_millisecond() {
        let time = UNIX_EPOCH + Duration::from_millis(1_700_000_000_020);
        let text = serde_json::to_string(&Time::from(time)).unwrap();
        assert_eq!(text, "\"2023-11-14T22:13:20.020Z\"");
        assert!((Time::from(time).seconds() - 1_700_000_000.02).abs() < 1e-6);
    }

    #[test]
    fn instants_before_and_ahead_have_their_time() {
        let clock = Clock::now();
        let hour = Duration::from_secs(3_600);
        assert_eq!(clock.at(clock.instant), clock.time());
        assert_eq!(clock.at(clock.instant + hour), Time(clock.wall + hour));
        assert!(clock.at(clock.instant) < clock.at(clock.instant + hour));
    }
}
