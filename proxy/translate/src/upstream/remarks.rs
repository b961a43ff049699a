//! How much of what an upstream says finds its way into the log: a server that refuses a million shares, or answers what
//! was never asked, must not fill a disk.

use std::time::{Duration, Instant};

/// Remarks that are told within a minute; more tell nothing new, and all are counted elsewhere.
const MOST: u32 = 10;

const MINUTE: Duration = Duration::from_secs(60);

/// The remarks about one upstream, over all its connections.
#[derive(Debug)]
pub(super) struct Remarks {
    since: Instant,
    told: u32,
    unsaid: u64,
}

impl Remarks {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            told: 0,
            unsaid: 0,
        }
    }

    /// Tells whether there is room for another remark, and how many were left out in the minute before.
    pub(super) fn admit(&mut self, now: Instant) -> Option<u64> {
        let mut left_out = 0;
        if now.saturating_duration_since(self.since) >= MINUTE {
            left_out = self.unsaid;
            *self = Self::new(now);
        }
        if self.told >= MOST {
            self.unsaid += 1;
            return None;
        }
        self.told += 1;
        Some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::origin;

    #[test]
    fn ten_remarks_a_minute_are_told_and_the_others_counted() {
        let start = origin();
        let mut remarks = Remarks::new(start);
        let told = (0..1_000).filter(|_| remarks.admit(start).is_some());
        assert_eq!(told.count(), 10);
        assert_eq!(remarks.admit(start + MINUTE), Some(990));
        assert_eq!(remarks.admit(start + MINUTE), Some(0));
    }
}
