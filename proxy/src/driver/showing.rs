//! What the driver shows: counters at once, miners in slices, and how long its own work takes.

use std::time::Instant;

use async_channel::Sender;
use sv1::{Incoming, Request};

use super::{Driver, Report};
use crate::snapshot::{Queue, Snapshot};

impl Driver {
    /// Notes how long it took to write what was due.
    pub(super) fn note_timings(&mut self) {
        if self.submits.is_empty() && self.job_received.is_none() {
            return;
        }
        let written = Instant::now();
        for received in self.submits.drain(..) {
            let took = written.saturating_duration_since(received);
            self.timings.replies.note(took);
        }
        // Not before the last miner has it.
        if let Some(received) = self.job_received.take_if(|_| !self.falls_behind) {
            let took = written.saturating_duration_since(received);
            self.timings.fan_out.note(took);
        }
    }

    /// Shows the counters.
    pub(super) fn snapshot(&mut self, now: Instant) -> Snapshot {
        Snapshot {
            statistics: self.translator.statistics(),
            timings: self.timings,
            queues: [
                Queue {
                    name: "miners",
                    length: self.in_line.len() + self.paused.len(),
                    capacity: self.limits.max_miners,
                },
                Queue {
                    name: "tasks",
                    length: self.told.len(),
                    capacity: self.told.capacity(),
                },
            ],
            jobs: self.translator.jobs().cloned().collect(),
            history: self.translator.history(now).clone(),
            events: self.records.journal.events(),
        }
    }

    /// Takes a slice of the census that somebody waits for; then all else gets its turn.
    pub(super) fn go_on_with_census(&mut self) {
        let Some(mut census) = self.census.take() else {
            return;
        };
        match census.go_on(Instant::now(), &self.translator) {
            true => census.finish(),
            false => self.census = Some(census),
        }
    }

    pub(super) fn report(&self, asker: &Sender<Report>) {
        let miners = self.translator.miner_statistics(Instant::now()).collect();
        // Who asked may have gone.
        let _ = asker.try_send(Report {
            statistics: self.translator.statistics(),
            miners,
        });
    }
}

/// Tells whether a request is a share.
pub(super) fn is_submit(incoming: &Incoming) -> bool {
    let Incoming::Call { request, .. } = incoming else {
        return false;
    };
    matches!(request, Request::Submit(_))
}
