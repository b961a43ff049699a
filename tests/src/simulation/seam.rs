//! The seam between the translator and its world: what comes out of the one goes into the other.
//!
//! With the feature `breaks` this file is `seam/breaking.rs` instead, where it can be made to go wrong on the way.

use std::time::{Duration, Instant};

use sv2::messages::mining::SubmitSharesExtended;
use translate::{Output, Statistics, Translator};

use super::conn::Wire;

/// The seam as it should be.
#[derive(Debug)]
pub(super) struct Seam;

impl Seam {
    /// The seam of a world.
    pub(super) fn new(_options: super::Options) -> Self {
        Self
    }

    /// The next output.
    pub(super) fn output(&mut self, _now: Instant, brain: &mut Translator) -> Option<Output> {
        brain.poll_output()
    }

    /// The replies to one request.
    pub(super) fn replies(&mut self, replies: &[u8]) -> Vec<u8> {
        replies.to_vec()
    }

    /// Lines that are written to one miner at once.
    pub(super) fn wires(&mut self, wires: Vec<Wire>) -> Vec<Wire> {
        wires
    }

    /// Whether that is left out which would keep an invariant.
    pub(super) fn holds_back(&self, _invariant: super::Invariant) -> bool {
        false
    }

    /// A share that leaves for a pool, already judged.
    pub(super) fn leaves(&mut self, _share: &mut SubmitSharesExtended) {}

    /// The translator's next timeout.
    pub(super) fn timeout(&self, _now: Duration, due: Option<Duration>) -> Option<Duration> {
        due
    }

    /// The translator's statistics.
    pub(super) fn statistics(&self, statistics: Statistics) -> Statistics {
        statistics
    }
}
