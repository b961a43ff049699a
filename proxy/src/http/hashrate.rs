//! `/api/v1/hashrate`: the last 24 hours of the farm, in columns of equal steps.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use translate::{HASHES_PER_DIFFICULTY, HISTORY_MINUTES, Minute};

use crate::snapshot::Snapshot;

use super::query::{Query, QueryError};
use super::shards::View;
use super::time::Time;

/// Minutes of a step where nothing else is said: 288 points make a plot.
const STEP: usize = 5;
/// Longest step, in minutes.
const STEP_MOST: usize = 60;

/// As long as minutes are kept.
const DAY: Duration = Duration::from_secs(60 * HISTORY_MINUTES as u64);

/// What is wanted.
#[derive(Debug)]
pub(super) struct HashrateHistory {
    step: usize,
}

/// What the farm did in each step; the columns have equal lengths, the oldest step first.
#[derive(Debug, Serialize)]
pub(super) struct HashrateAnswer {
    time: Time,
    /// When the first step began.
    start: Time,
    step_seconds: usize,
    hashrate: Vec<f64>,
    miners: Vec<u32>,
    shares_accepted: Vec<u64>,
    shares_rejected: Vec<u64>,
}

/// What was done in one step.
#[derive(Debug, Default)]
struct Step {
    work: f64,
    accepted: u64,
    rejected: u64,
    /// Most miners in each minute, over all drivers.
    miners: BTreeMap<usize, u32>,
}

impl HashrateHistory {
    pub(super) fn read(query: &mut Query) -> Result<Self, QueryError> {
        Ok(Self {
            step: query.number("step", STEP, 1..=STEP_MOST)?,
        })
    }

    /// Adds up what the drivers did. Steps that are not over are left out.
    pub(super) fn of(&self, view: &View<Snapshot>) -> HashrateAnswer {
        let histories = || view.shards.iter().map(|seen| &seen.shown.history);
        let begun = histories().map(|history| history.begun()).min();
        // One that departed began perhaps longer ago than is shown.
        let oldest = view.clock.instant.checked_sub(DAY);
        let begun = begun.max(oldest).unwrap_or(view.clock.instant);
        let over = minutes_since(begun, view.clock.instant) / self.step;
        let mut steps: Vec<Step> = Vec::new();
        steps.resize_with(over.min(HISTORY_MINUTES), Step::default);
        for history in histories() {
            let ahead = minutes_since(begun, history.begun());
            let behind = minutes_since(history.begun(), begun);
            for (minute, done) in history.minutes().enumerate().skip(behind) {
                let minute = ahead + minute - behind;
                if let Some(step) = steps.get_mut(minute / self.step) {
                    step.add(minute, done);
                }
            }
        }
        let seconds = self.step * 60;
        let hashrate = |step: &Step| step.work * HASHES_PER_DIFFICULTY / seconds as f64;
        let miners = |step: &Step| step.miners.values().copied().max().unwrap_or_default();
        HashrateAnswer {
            time: view.clock.time(),
            start: view.clock.at(begun),
            step_seconds: seconds,
            hashrate: steps.iter().map(hashrate).collect(),
            miners: steps.iter().map(miners).collect(),
            shares_accepted: steps.iter().map(|step| step.accepted).collect(),
            shares_rejected: steps.iter().map(|step| step.rejected).collect(),
        }
    }
}

impl Step {
    fn add(&mut self, minute: usize, done: &Minute) {
        self.work += done.work;
        self.accepted += u64::from(done.accepted);
        self.rejected += u64::from(done.rejected);
        *self.miners.entry(minute).or_default() += done.miners;
    }
}

fn minutes_since(begun: Instant, now: Instant) -> usize {
    // Drivers that begin together do so within the same second.
    let passed = now.saturating_duration_since(begun) + Duration::from_secs(1);
    usize::try_from(passed.as_secs() / 60).unwrap_or(usize::MAX)
}
