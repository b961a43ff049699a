//! `/api/v1/events`: what happened, in the words of the log.

use serde::Serialize;
use translate::Severity;

use crate::snapshot::Snapshot;

use super::query::{Query, QueryError};
use super::shards::View;
use super::time::Time;

/// Events where nothing else is said, and at most.
const USUAL: usize = 100;
const MOST: usize = 1_000;
/// Greatest number to go on from: what a JSON number holds exactly.
const AFTER_MOST: u64 = (1 << 53) - 1;

/// Which events are wanted.
#[derive(Debug)]
pub(super) struct Events {
    after: u64,
    severity: Severity,
    kind: Option<String>,
    limit: usize,
}

const SEVERITIES: [(&str, Severity); 3] = [
    ("error", Severity::Error),
    ("warning", Severity::Warning),
    ("info", Severity::Info),
];

/// Events, the newest first.
#[derive(Debug, Serialize)]
pub(super) struct EventsAnswer {
    time: Time,
    events: Vec<EventRow>,
}

#[derive(Debug, Serialize)]
struct EventRow {
    number: u64,
    time: Time,
    severity: &'static str,
    kind: &'static str,
    text: String,
}

impl Events {
    pub(super) fn read(query: &mut Query) -> Result<Self, QueryError> {
        let severity = query.one_of("severity", &SEVERITIES)?;
        Ok(Self {
            after: query.number("after", 0, 0..=AFTER_MOST)?,
            severity: severity.unwrap_or(Severity::Info),
            kind: query.text("kind")?,
            limit: query.number("limit", USUAL, 1..=MOST)?,
        })
    }

    /// Makes the list.
    pub(super) fn of(&self, view: &View<Snapshot>) -> EventsAnswer {
        let all = view.shards.iter().flat_map(|seen| &seen.shown.events);
        let mut wanted: Vec<_> = all
            .filter(|recorded| {
                recorded.number > self.after
                    && recorded.event.severity() <= self.severity
                    && self
                        .kind
                        .as_deref()
                        .is_none_or(|it| it == recorded.event.kind())
            })
            .collect();
        wanted.sort_by_key(|recorded| std::cmp::Reverse(recorded.number));
        wanted.truncate(self.limit);
        let rows = wanted.into_iter().map(|recorded| EventRow {
            number: recorded.number,
            time: recorded.at.into(),
            severity: recorded.event.severity().label(),
            kind: recorded.event.kind(),
            text: recorded.event.to_string(),
        });
        EventsAnswer {
            time: view.clock.time(),
            events: rows.collect(),
        }
    }
}
