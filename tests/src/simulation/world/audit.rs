//! The look over the world as a whole, once a second of its time.

use std::collections::HashSet;
use std::time::Duration;

use sv2_pool::ConnectionId;
use translate::MAX_KNOWN_WORKERS;

use super::World;
use crate::simulation::invariant::{Checked, Invariant, ensure};

/// Upstreams that are to be connected, as far as there are so many.
const CONNECTIONS: usize = 2;

/// Error codes of an upstream that are counted apart, and the rest.
const MAX_ERROR_CODES: usize = 33;

/// How long a dial may take, a pause apart.
const SLACK: Duration = Duration::from_secs(2);

/// How long an own channel that the miners left is not looked after.
const RETIREMENT: Duration = Duration::from_secs(30);

/// How long an upstream gives work before it takes miners back, and how long that may take.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
const FAIL_BACK: Duration = Duration::from_secs(15);

/// How far behind with a block an upstream may be before others may call it late.
const LATE: Duration = Duration::from_secs(8);

impl World {
    /// Checks what cannot be seen from a single step.
    pub(super) fn look(&mut self) -> Checked {
        self.check_work()?;
        self.check_going()?;
        self.check_dialling()?;
        self.check_silence()?;
        self.check_fail_back()?;
        self.check_own_channels()?;
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
        for conn in self.watched_by(Invariant::WorkForAll) {
            let work = conn.said.work.as_ref();
            let good = work.is_some_and(|work| self.is_alive(work) && self.is_fresh(work));
            ensure(good, Invariant::WorkForAll, || {
                format!("miner {} works on {work:?}", conn.miner)
            })?;
        }
        Ok(())
    }

    /// An open channel is silent no longer than until it is asked for a sign of life and given up; three times that
    /// until it is asked where nobody mines for it, and not at all while it retires.
    fn check_silence(&mut self) -> Checked {
        let served = self.watched_by(Invariant::SilentIsLeft);
        let works = served.filter_map(|conn| conn.said.work.as_ref());
        let mined: HashSet<_> = works.map(|work| (work.upstream, work.attempt)).collect();
        let (after, timeout) = (
            self.config.upstream_probe_after,
            self.config.upstream_probe_timeout,
        );
        for (index, site) in self.sites.iter_mut().enumerate() {
            for (attempt, call) in (1..).zip(&mut site.calls) {
                if call.live_view().is_none() {
                    continue;
                }
                call.mined_since = match mined.contains(&(index, attempt)) {
                    true => call.mined_since.or(Some(self.now)),
                    false => None,
                };
                let bound = match call.mined_since {
                    Some(since) => call.heard_at.max(since) + after + timeout + SLACK,
                    None => call.heard_at + 3 * after + timeout + SLACK,
                };
                let bound = match call.is_own && call.mined_since.is_none() {
                    true if call.is_deserted => continue,
                    true => bound + RETIREMENT,
                    false => bound,
                };
                ensure(self.now <= bound, Invariant::SilentIsLeft, || {
                    format!(
                        "upstream {index}, connection {attempt} was last heard at {:?}, \
                         miners there: {:?}",
                        call.heard_at, call.mined_since
                    )
                })?;
            }
        }
        Ok(())
    }

    /// A preferred upstream with which nothing is wrong has the miners.
    fn check_fail_back(&mut self) -> Checked {
        let (now, longest) = (self.now, self.longest());
        for (index, site) in self.sites.iter().enumerate() {
            let fits = site.view().is_some_and(|view| view.size() >= longest);
            let connection = site.sound(now).filter(|_| fits);
            let health = &mut self.health[index];
            health.note(now, connection, site.has_told(self.height));
            let settled = self.listed.is_listed(index) && self.listed.is_settled(now);
            if !settled || !health.deserves_miners(now) {
                continue;
            }
            for conn in self.watched_by(Invariant::FailsBack) {
                let work = conn.said.work.as_ref();
                let rank = |site: usize| self.listed.rank(site);
                let is_back = work.is_some_and(|work| rank(work.upstream) <= rank(index));
                ensure(is_back, Invariant::FailsBack, || {
                    format!(
                        "miner {} works on {work:?}; upstream {index} is preferred: {:?}",
                        conn.miner, self.health[index]
                    )
                })?;
            }
        }
        Ok(())
    }

    /// The first upstreams in order of preference are connected or dialled, or were a short while ago.
    fn check_dialling(&mut self) -> Checked {
        let mut connections = 0;
        for index in 0..self.sites.len() {
            if !self.listed.is_listed(index) {
                self.idle_since[index] = None;
            }
        }
        for index in self.listed.order().iter().copied() {
            let site = &self.sites[index];
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
        let mining = self.mining().count() as u64;
        adds_up(
            statistics.miners_mining == mining,
            &format!("{mining} miners mine"),
        )?;
        adds_up(
            statistics.miners_moved == counted.moved,
            &format!("{:?} miners were moved", counted.moved),
        )?;
        for upstream in &statistics.upstreams {
            let site = self.listed.named(&upstream.name).unwrap_or_default();
            let sent = &counted.sent[site];
            let refused: u64 = upstream.shares_rejected.values().sum();
            let answered = upstream.shares_accepted + refused;
            let open = upstream.shares_pending + upstream.shares_unanswered;
            adds_up(
                upstream.shares_sent == answered + open,
                "an upstream's shares do not add up",
            )?;
            adds_up(
                !self.listed.is_counted(site) || upstream.shares_sent == *sent,
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

/// For how long nothing has been wrong with an upstream.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Health {
    /// Since when its connection works and it is in time with blocks.
    sound: Option<(ConnectionId, Duration)>,
    /// Since when it has told of the newest block, or has not.
    current: Option<Duration>,
    behind: Option<Duration>,
}

impl Health {
    fn note(&mut self, now: Duration, connection: Option<ConnectionId>, has_told: bool) {
        self.current = self.current.or(Some(now)).filter(|_| has_told);
        self.behind = self.behind.or(Some(now)).filter(|_| !has_told);
        let is_late = self.behind.is_some_and(|since| now >= since + LATE);
        let connection = connection.filter(|_| !is_late);
        let same = self.sound.filter(|(before, _)| Some(*before) == connection);
        self.sound = same.or_else(|| connection.map(|connection| (connection, now)));
    }

    fn deserves_miners(&self, now: Duration) -> bool {
        let lasts = |since: Duration, bound| now > since + bound;
        let sound = self.sound;
        sound.is_some_and(|(_, since)| lasts(since, HEALTHY_AFTER + FAIL_BACK))
            && self.current.is_some_and(|since| lasts(since, FAIL_BACK))
    }
}
