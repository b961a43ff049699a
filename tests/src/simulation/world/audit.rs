//! The look over the world as a whole, once a second of its time.

use std::time::Duration;

use translate::MAX_KNOWN_WORKERS;

use super::World;
use crate::simulation::conn::Conn;
use crate::simulation::invariant::{Checked, Invariant, ensure};

/// Upstreams that are to be connected, as far as there are so many.
const CONNECTIONS: usize = 2;

/// Error codes of an upstream that are counted apart, and the rest.
const MAX_ERROR_CODES: usize = 33;

/// How long a dial may take, a pause apart.
const SLACK: Duration = Duration::from_secs(2);

impl World {
    /// Checks what cannot be seen from a single step.
    pub(super) fn look(&mut self) -> Checked {
        self.check_work()?;
        self.check_dialling()?;
        self.check_silence()?;
        self.check_statistics()?;
        let known = self.brain.worker_difficulties().count();
        let live = self.by_id.len();
        ensure(
            known <= MAX_KNOWN_WORKERS + live,
            Invariant::Bounded,
            || format!("{known} workers are remembered"),
        )
    }

    fn check_work(&self) -> Checked {
        if self.outage_since.is_some() {
            return Ok(());
        }
        for conn in self.conns.iter().filter(|conn| conn.is_mining()) {
            let work = conn.said.work.as_ref();
            let good = work.is_some_and(|work| self.is_alive(work) && self.is_fresh(work));
            ensure(good, Invariant::WorkForAll, || {
                format!("miner {} works on {work:?}", conn.miner)
            })?;
        }
        Ok(())
    }

    /// An open channel is silent no longer than until it is asked for a sign of life and given up; three times that
    /// until it is asked where nobody mines for it.
    fn check_silence(&mut self) -> Checked {
        if !self.conns.iter().any(Conn::is_mining) {
            self.active = self.active.map(|(active, _)| (active, self.now));
        }
        let (after, timeout) = (
            self.config.upstream_probe_after,
            self.config.upstream_probe_timeout,
        );
        for (index, site) in self.sites.iter_mut().enumerate() {
            let Some(call) = site.present().filter(|call| call.view.is_some()) else {
                continue;
            };
            let since = self.active.filter(|(active, _)| *active == index);
            let bound = match since {
                Some((_, since)) => call.heard_at.max(since) + after + timeout + SLACK,
                None => call.heard_at + 3 * after + timeout + SLACK,
            };
            ensure(self.now <= bound, Invariant::SilentIsLeft, || {
                format!(
                    "upstream {index} was last heard at {:?}, miners there: {since:?}",
                    call.heard_at
                )
            })?;
        }
        Ok(())
    }

    /// The first upstreams in order of preference are connected or dialled, or were a short while ago.
    fn check_dialling(&mut self) -> Checked {
        let mut connections = 0;
        for (index, site) in self.sites.iter_mut().enumerate() {
            if site.present().is_some() {
                connections += 1;
                self.idle_since[index] = None;
                continue;
            }
            if connections >= CONNECTIONS {
                self.idle_since[index] = None;
                continue;
            }
            let since = *self.idle_since[index].get_or_insert(self.now);
            let bound = self.config.retry_max + SLACK;
            ensure(self.now - since <= bound, Invariant::DialledForEver, || {
                format!("upstream {index} has not been dialled since {since:?}")
            })?;
        }
        Ok(())
    }

    fn check_statistics(&self) -> Checked {
        let statistics = self.seam.statistics(self.brain.statistics());
        let adds_up = |holds: bool, words: &str| {
            ensure(holds, Invariant::StatisticsAddUp, || {
                format!("{words}: {statistics:?}")
            })
        };
        let refused: u64 = statistics.shares_rejected.values().sum();
        let all = statistics.shares_accepted + refused;
        adds_up(
            statistics.shares_submitted == all,
            "submitted is not accepted and refused",
        )?;
        let counted = &self.counted;
        let seen = (counted.submitted, counted.accepted, counted.refused);
        let told = (
            statistics.shares_submitted,
            statistics.shares_accepted,
            refused,
        );
        adds_up(seen == told, &format!("{seen:?} shares were seen"))?;
        let live = self.by_id.len() as u64;
        adds_up(
            statistics.miners == live,
            &format!("{live} miners are connected"),
        )?;
        let mining = self.conns.iter().filter(|conn| conn.is_mining()).count() as u64;
        adds_up(
            statistics.miners_mining == mining,
            &format!("{mining} miners mine"),
        )?;
        for (upstream, sent) in statistics.upstreams.iter().zip(&counted.sent) {
            let refused: u64 = upstream.shares_rejected.values().sum();
            let answered = upstream.shares_accepted + refused;
            let open = upstream.shares_pending + upstream.shares_unanswered;
            adds_up(
                upstream.shares_sent == answered + open,
                "an upstream's shares do not add up",
            )?;
            adds_up(
                upstream.shares_sent == *sent,
                &format!("{sent} shares were sent"),
            )?;
            let codes = upstream.shares_rejected.len();
            ensure(codes <= MAX_ERROR_CODES, Invariant::Bounded, || {
                format!("{codes} error codes are counted")
            })?;
        }
        Ok(())
    }
}
