//! The operator's side of a world: now and then another configuration.
//!
//! Upstreams are taken out, put back and put into another order; difficulties, limits and times are changed. Nothing of
//! it may cost a miner its connection or a share.

use std::time::Duration;

use sv2::bitcoin::Difficulty;
use translate::{Config, DifficultyPolicy};

use super::{Event, World};
use crate::simulation::invariant::Checked;
use crate::simulation::random::Random;

/// How long it may take until another order of preference is followed.
const FOLLOWED: Duration = Duration::from_secs(15);

/// The same where the miners' upstream was taken out: one that is preferred is waited for while it is set up, which has a
/// bound of 10 s for each of its steps and of 60 s for the first job.
const REPLACED: Duration = Duration::from_secs(120);

/// The configuration of upstreams, as the operator changes it.
#[derive(Debug)]
pub(super) struct Listed {
    /// Every site's configuration.
    all: Vec<translate::UpstreamConfig>,
    /// The sites that are configured, in order of preference.
    order: Vec<usize>,
    /// The site of each upstream, by its number.
    sites: Vec<Option<usize>>,
    /// Sites that were taken out at some time, so that they were counted anew.
    was_out: Vec<bool>,
    /// From when on miners are to be where they are preferred to be.
    settled_at: Duration,
    /// How often the operator acts.
    every: f64,
}

impl Listed {
    /// All sites, in their order.
    pub(super) fn new(config: &Config, random: &mut Random) -> Self {
        let sites = config.upstreams.len();
        Self {
            all: config.upstreams.clone(),
            order: (0..sites).collect(),
            sites: (0..sites).map(Some).collect(),
            was_out: vec![false; sites],
            settled_at: Duration::ZERO,
            every: *random.pick(&[1e9, 1e9, 200.0, 60.0, 20.0]),
        }
    }

    /// The sites in order of preference.
    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }

    /// How preferred a site is: least is best. One that is not configured is worst.
    pub(super) fn rank(&self, site: usize) -> usize {
        let place = self.order.iter().position(|listed| *listed == site);
        place.unwrap_or(usize::MAX)
    }

    pub(super) fn is_listed(&self, site: usize) -> bool {
        self.order.contains(&site)
    }

    /// The site of a configured upstream.
    pub(super) fn site(&self, upstream: usize) -> usize {
        let site = self.sites.get(upstream).copied().flatten();
        site.unwrap_or_else(|| unreachable!("upstream {upstream} was configured"))
    }

    /// The site with a name.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|config| config.name == name)
    }

    /// Whether all that was counted of a site still is.
    pub(super) fn is_counted(&self, site: usize) -> bool {
        !self.was_out[site]
    }

    /// Whether miners should be where they are preferred to be.
    pub(super) fn is_settled(&self, now: Duration) -> bool {
        now >= self.settled_at
    }
}

impl World {
    /// Plans the next change of the configuration.
    pub(super) fn plan_change(&mut self) {
        let at = self.now + self.random.exponential(self.listed.every);
        self.queue.put(at, Event::Reconfigure);
    }

    /// The operator has another configuration followed.
    pub(super) fn reconfigure(&mut self) -> Checked {
        self.plan_change();
        let kind = self.random.below(6);
        self.trail.note(self.now, &kind.to_le_bytes(), || {
            format!("the operator: change {kind}")
        });
        match kind {
            0 => self.change_order(),
            1 => self.take_out(),
            2 => self.put_back(),
            3 => self.change_difficulty(),
            4 => self.change_limits(),
            _ => {
                // All of it at once, or as it was.
                self.take_out();
                self.put_back();
                self.change_order();
                self.change_difficulty();
            }
        }
        let order = self.listed.order.iter();
        self.config.upstreams = order.map(|site| self.listed.all[*site].clone()).collect();
        // What is to come soon is not late because of it.
        self.own.trouble_at = self.now;
        let now = self.instant();
        let ids = self.brain.reconfigure(now, self.config.clone());
        for (id, site) in ids.iter().zip(&self.listed.order) {
            let sites = &mut self.listed.sites;
            if sites.len() <= id.0 {
                sites.resize(id.0 + 1, None);
            }
            sites[id.0] = Some(*site);
        }
        self.finish(None)
    }

    fn unsettle(&mut self, time: Duration) {
        self.listed.settled_at = self.listed.settled_at.max(self.now + time);
    }

    fn change_order(&mut self) {
        if self.listed.order.len() < 2 {
            return;
        }
        self.coverage.count("operator: another order of upstreams");
        let from = self.random.place(self.listed.order.len());
        let site = self.listed.order.remove(from);
        let to = self.random.place(self.listed.order.len() + 1);
        self.listed.order.insert(to, site);
        self.unsettle(FOLLOWED);
    }

    fn take_out(&mut self) {
        if self.listed.order.len() < 2 {
            return;
        }
        self.coverage.count("operator: an upstream taken out");
        let place = self.random.place(self.listed.order.len());
        let site = self.listed.order.remove(place);
        self.listed.was_out[site] = true;
        self.unsettle(REPLACED);
    }

    fn put_back(&mut self) {
        let sites = 0..self.sites.len();
        let out: Vec<_> = sites.filter(|site| !self.listed.is_listed(*site)).collect();
        if out.is_empty() {
            return;
        }
        self.coverage.count("operator: an upstream put in");
        let site = *self.random.pick(&out);
        let to = self.random.place(self.listed.order.len() + 1);
        self.listed.order.insert(to, site);
        self.unsettle(FOLLOWED);
    }

    fn change_difficulty(&mut self) {
        self.coverage.count("operator: other difficulties");
        let policy = policy(&mut self.random);
        self.config.difficulty = policy;
        for listener in &mut self.config.listeners {
            if self.random.chance(0.7) {
                listener.difficulty = policy;
            }
        }
    }

    fn change_limits(&mut self) {
        self.coverage.count("operator: other limits");
        let random = &mut self.random;
        // No longer than firmware bears, and no shorter than pools' probes are checked by.
        self.config.keepalive = random.seconds(10.0, 50.0);
        self.config.retry_min = random.seconds(0.5, 3.0);
        self.config.guard.pause = random.seconds(5.0, 20.0);
        self.config.upstream_block_grace = random.seconds(8.0, 15.0);
        // Nobody who is in is to be closed for it.
        self.config.max_miners = self.miners.len() + 1 + random.place(self.miners.len() + 2);
    }
}

/// Some policy that worlds have.
fn policy(random: &mut Random) -> DifficultyPolicy {
    let difficulty = |value: f64| Difficulty::new(value).unwrap_or(Difficulty::ONE);
    let least = difficulty(2_f64.powf(random.between(-31.0, -29.0)));
    DifficultyPolicy {
        shares_per_minute: random.between(6.0, 20.0),
        start: Some(difficulty(2_f64.powf(random.between(-29.0, -26.0)))),
        min: least,
        asked_min: least,
        max: random
            .chance(0.3)
            .then(|| difficulty(2_f64.powf(random.between(-26.0, -23.0)))),
        vardiff: random.chance(0.8),
    }
}
