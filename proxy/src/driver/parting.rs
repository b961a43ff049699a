//! Connections to upstreams that were parted with: what was sent last is to arrive.
//!
//! Where a socket is closed while the other end still sends, that end is told of a reset, and may then leave unread what it
//! was sent before: shares whose miners have been told that they count. So only our own direction is ended, and the
//! other's is read until the upstream has ended it, which it does once it has read everything.

use std::time::{Duration, Instant};

use super::Driver;
use crate::poller::Source;
use crate::upstream::UpstreamLink;

/// Longest wait for an upstream to end its direction.
const PATIENCE: Duration = Duration::from_secs(3);

/// A connection that was parted with, and until when it is kept.
#[derive(Debug)]
pub(super) struct Parting {
    link: UpstreamLink,
    until: Instant,
}

impl Driver {
    pub(super) fn part_with(&mut self, mut link: UpstreamLink) {
        let source = self.poller.change(link.socket(), Source::Parting);
        if link.part() || source.is_err() {
            return;
        }
        let until = Instant::now() + PATIENCE;
        self.parting.push(Parting { link, until });
    }

    /// Goes on with those that something has happened at, and drops those that take too long.
    pub(super) fn go_on_parting(&mut self, now: Instant) {
        let has_rung = std::mem::take(&mut self.has_parting_rung);
        self.parting
            .retain_mut(|it| now < it.until && !(has_rung && it.link.part()));
    }

    /// Tells when the next one has taken too long.
    pub(super) fn parting_due(&self) -> Option<Instant> {
        // In the order in which they were parted with.
        self.parting.first().map(|it| it.until)
    }
}
