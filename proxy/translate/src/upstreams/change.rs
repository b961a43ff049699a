//! Another configuration: which upstreams stay, come and leave.
//!
//! An upstream whose account, server or set-up is another is another one. Those that stay keep their connections, whatever
//! their place in the order of preference becomes. One that leaves keeps the miners until another has work for them, and
//! is closed half a minute after they left, so that late shares still reach it. It is never dialled again.

use std::time::Instant;

use super::Upstreams;
use crate::config::{Config, UpstreamConfig};
use crate::upstream::{Fault, Outputs, Upstream, UpstreamId};

/// Upstreams that are gone whose names are known, for blocks that miners find for them even then.
const MAX_GONE: usize = 64;

impl Upstreams {
    /// Takes over another configuration; gives the number of each upstream, in its order.
    pub(crate) fn reconfigure(
        &mut self,
        now: Instant,
        (config, seed): (&Config, u64),
        outputs: &mut Outputs,
    ) -> Vec<UpstreamId> {
        let mut before = std::mem::take(&mut self.all);
        let names = config.worker_names;
        // Those with the same name first: one of two at the same place may have been renamed.
        let same_name = |wanted: &UpstreamConfig| {
            take(&mut before, |it| {
                it.is(wanted, names) && it.name() == wanted.name
            })
        };
        let mut stay: Vec<_> = config.upstreams.iter().map(same_name).collect();
        for (place, wanted) in stay.iter_mut().zip(&config.upstreams) {
            if place.is_none() {
                *place = take(&mut before, |it| it.is(wanted, names));
            }
        }
        for (place, wanted) in stay.into_iter().zip(&config.upstreams) {
            let upstream = match place {
                Some(mut upstream) => {
                    upstream.stay(wanted, config);
                    upstream
                }
                None => {
                    let id = self.own.reserve();
                    let noise = seed.wrapping_mul(2 * id.0 as u64 + 1);
                    Upstream::new(now, id, wanted, config, noise)
                }
            };
            self.all.push(upstream);
        }
        self.listed = self.all.len();
        for mut upstream in before {
            if !upstream.leaves() {
                upstream.leave(outputs);
            }
            if self.active != Some(upstream.id()) {
                upstream.retire(now);
            }
            self.all.push(upstream);
        }
        self.votes.set_grace(config.upstream_block_grace);
        self.own.reconfigure(config);
        let listed = self.all.iter().take(self.listed);
        listed.map(Upstream::id).collect()
    }

    /// Chooses who gets the miners of an upstream that leaves and still has work for them: the most preferred one, if
    /// possible with room for layouts of `longest` bytes. One that would be better and is on its way is waited for:
    /// nobody is without work meanwhile, and each step of the set-up has its time limit.
    pub(super) fn successor(
        &mut self,
        now: Instant,
        longest: u16,
        outputs: &mut Outputs,
    ) -> Option<UpstreamId> {
        let listed = || self.all.iter().take(self.listed).enumerate();
        let works = |(_, upstream): &(usize, &Upstream)| upstream.works() && !upstream.is_late();
        let roomy = listed().filter(works).find(|(_, it)| it.works_for(longest));
        let (place, better) = match roomy {
            Some((place, _)) => (place, place),
            None => (listed().find(works)?.0, self.listed),
        };
        if self.all.iter().take(better).any(Upstream::is_on_its_way) {
            return None;
        }
        let successor = self.all.get_mut(place)?;
        successor.is_awake(now, outputs).then(|| successor.id())
    }

    /// Closes those that leave and that nobody needs any more.
    pub(super) fn part_with_leaving(&mut self, now: Instant, outputs: &mut Outputs) {
        for mut upstream in self.all.split_off(self.listed) {
            if self.active != Some(upstream.id()) {
                upstream.retire(now);
            }
            match upstream.is_over(now) {
                true => self.part_with(now, upstream, outputs),
                false => self.all.push(upstream),
            }
        }
    }

    fn part_with(&mut self, now: Instant, mut upstream: Upstream, outputs: &mut Outputs) {
        let id = upstream.id();
        upstream.stop(Fault::Removed, outputs);
        self.own.retire(now, |configured| configured == id);
        self.votes.forget(id);
        // Counters go on under a name that stays.
        let heir = self.all.iter().take(self.listed);
        let heir = heir.filter(|heir| heir.name() == upstream.name());
        let heir = heir.map(Upstream::id).next();
        self.own.pass_on(id, &upstream.statistics, heir);
        if self.gone.len() >= MAX_GONE {
            self.gone.pop_front();
        }
        self.gone.push_back((id, upstream.name().to_owned()));
    }

    /// Gives the name of an upstream that is gone.
    pub(crate) fn name_of_gone(&self, id: UpstreamId) -> Option<&str> {
        let mut gone = self.gone.iter().rev();
        gone.find(|(gone, _)| *gone == id).map(|(_, name)| &**name)
    }
}

/// Takes the first that is wanted.
fn take(from: &mut Vec<Upstream>, wanted: impl Fn(&Upstream) -> bool) -> Option<Upstream> {
    let place = from.iter().position(wanted)?;
    Some(from.remove(place))
}
