//! The driver's one timer.
//!
//! Setting a timer wakes whoever waits for the network. So it is set only where something is due before it rings, and
//! may ring before anything is due: what is due at a second's end is put off by each share, and that must cost nothing.

use std::time::Instant;

use async_io::Timer;

/// A timer that rings at the time asked for, or before.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: Timer,
    /// When it rings.
    set: Option<Instant>,
}

impl Default for Alarm {
    fn default() -> Self {
        Self {
            timer: Timer::never(),
            set: None,
        }
    }
}

impl Alarm {
    /// Waits until `due` at the latest; for ever where nothing is due and it is not set.
    pub(crate) async fn wait_until(&mut self, due: Option<Instant>) {
        if let Some(due) = due
            && self.set.is_none_or(|set| set > due)
        {
            self.timer.set_at(due);
            self.set = Some(due);
        }
        (&mut self.timer).await;
        self.set = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_lite::future;

    use super::*;
    use crate::runtime::block_on;

    #[test]
    fn a_later_time_leaves_it_set_and_an_earlier_one_does_not() {
        let mut alarm = Alarm::default();
        let now = Instant::now();
        let hour = Duration::from_secs(3_600);
        for (due, set) in [(2, 2), (3, 2), (1, 1), (4, 1)] {
            let due = now + due * hour;
            assert!(block_on(future::poll_once(alarm.wait_until(Some(due)))).is_none());
            assert_eq!(alarm.set, Some(now + set * hour));
        }
    }

    #[test]
    fn it_rings_again_and_again() {
        let mut alarm = Alarm::default();
        for _ in 0..3 {
            let due = Instant::now() + Duration::from_millis(1);
            block_on(alarm.wait_until(Some(due)));
            assert!(Instant::now() >= due);
        }
    }
}
