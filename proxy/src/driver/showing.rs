//! What the driver shows: counters at once, miners in slices, and how long its own work takes.

use std::time::Instant;

use async_channel::{Receiver, Sender};
use futures_lite::future;
use sv1::{Incoming, Request};

use super::{Driver, Input, Report};
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
        if let Some(received) = self.job_received.take() {
            let took = written.saturating_duration_since(received);
            self.timings.fan_out.note(took);
        }
    }

    /// Shows the counters.
    pub(super) fn snapshot(&mut self, now: Instant) -> Snapshot {
        let queue = |name, queue: &Receiver<Input>| Queue {
            name,
            length: queue.len(),
            capacity: queue.capacity().unwrap_or(usize::MAX),
        };
        Snapshot {
            statistics: self.translator.statistics(),
            timings: self.timings,
            queues: [
                queue("miners", &self.inputs.miners.1),
                queue("upstreams", &self.inputs.upstream.1),
            ],
            jobs: self.translator.jobs().cloned().collect(),
            history: self.translator.history(now).clone(),
            events: self.journal.events(),
        }
    }

    /// Takes a slice of the census that somebody waits for; then all other tasks get their turn.
    pub(super) async fn go_on_with_census(&mut self) {
        let Some(mut census) = self.census.take() else {
            return;
        };
        match census.go_on(Instant::now(), &self.translator) {
            true => census.finish(),
            false => self.census = Some(census),
        }
        future::yield_now().await;
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
