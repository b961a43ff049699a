//! Channels of single accounts and miners: whose they are, who works on them, and when they open and end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use translate::ChannelMode;

use super::World;
use crate::simulation::conn::Conn;
use crate::simulation::invariant::{Checked, Invariant, ensure};
use crate::simulation::site::{Call, End};
use crate::simulation::view::{Dealt, View};

/// So many channels are enough for every world with a limit that is not met.
pub(super) const ROOMY: usize = 1_000;

/// How long a channel is kept that its miners left, and then, or as the farm moves, for late shares.
const LINGER: Duration = Duration::from_secs(60);
const RETIREMENT: Duration = Duration::from_secs(30);

/// What the look once a second, and the translator's own, may be late by.
const SLACK: Duration = Duration::from_secs(5);

/// Longest that one channel takes to open where nothing is wrong: a dial, four slow round trips, and a server that is
/// silent on extensions.
const OPENING: Duration = Duration::from_secs(12);

/// What is known of all of them.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// When one of them last failed.
    pub(super) failed_at: Option<Duration>,
    /// When a trouble last began or ended.
    pub(super) trouble_at: Duration,
    /// When a miner last left, by the owner of its channel.
    left: BTreeMap<String, Duration>,
}

/// Whether an upstream is the connection of an account or miner, by its name in the log.
pub(super) fn is_own(name: &str) -> bool {
    name.contains('/')
}

impl World {
    /// How many connections are of single accounts and miners.
    pub(super) fn own_calls(&self) -> usize {
        let calls = self.sites.iter().flat_map(|site| &site.calls);
        calls
            .filter(|call| call.is_own && call.end != End::Over)
            .count()
    }

    /// Whether a job is of a channel of a single account or miner.
    pub(super) fn is_own(&self, dealt: &Dealt) -> bool {
        self.call_of(dealt).is_some_and(|call| call.is_own)
    }

    fn call_of(&self, dealt: &Dealt) -> Option<&Call> {
        let place = usize::try_from(dealt.attempt).ok()?.checked_sub(1)?;
        self.sites[dealt.upstream].calls.get(place)
    }

    /// The `user_identity` of the channel that a miner has to itself or with its account.
    fn owner(&self, conn: &Conn) -> Option<String> {
        let worker = conn.said.workers.first()?;
        let (account, _) = worker.split_once('.').unwrap_or((worker, ""));
        let name = self.name_of(conn, worker).unwrap_or_default();
        match self.config.channel {
            ChannelMode::Aggregated => None,
            ChannelMode::PerUser => Some(account.to_owned()).filter(|user| !user.is_empty()),
            ChannelMode::PerMiner => Some(format!("farm.{name}")),
        }
    }

    /// What pools are told as the name of a worker.
    pub(super) fn name_of<'a>(&self, conn: &Conn, worker: &'a str) -> Option<&'a str> {
        match self.listener_of(conn.miner) {
            1 => Some(worker),
            _ => worker.split_once('.').map(|(_, name)| name),
        }
    }

    pub(super) fn mining(&self) -> impl Iterator<Item = &Conn> {
        self.conns.iter().filter(|conn| conn.is_mining())
    }

    /// The miners whose work an invariant is about.
    pub(super) fn watched_by(&self, invariant: Invariant) -> impl Iterator<Item = &Conn> {
        self.conns
            .iter()
            .filter(move |conn| conn.is_watched_by(invariant))
    }

    /// Notes that a miner leaves.
    pub(super) fn note_leaving(&mut self, index: usize) {
        if let Some(owner) = self.owner(&self.conns[index]) {
            self.own.left.insert(owner, self.now);
        }
    }

    /// Notes which upstream the farm mines at. Own channels elsewhere retire.
    pub(super) fn farm_mines_at(&mut self, site: usize) -> Checked {
        if self.active.is_some_and(|(active, _)| active == site) {
            return Ok(());
        }
        self.active = Some((site, self.now));
        for (other, place) in self.sites.iter_mut().enumerate() {
            for call in &mut place.calls {
                call.is_deserted |= other != site;
            }
        }
        self.check_last_resort(site)
    }

    /// A channel is asked for in the name of the farm, or of somebody who mines here or did lately.
    pub(super) fn check_owner(&mut self, (id, site): (usize, usize), user: &str) -> Checked {
        let attempt = self.dialled.get(&id).map_or(0, |(_, attempt)| *attempt);
        let call = self.sites[site].call(attempt);
        let is_owner = match call.is_some_and(|call| call.is_own) {
            false => user == "farm",
            true => {
                let here = |conn: &Conn| self.owner(conn).as_deref() == Some(user);
                let left = self.own.left.get(user);
                let lately = |left: &Duration| self.now <= *left + LINGER + RETIREMENT + SLACK;
                self.mining().any(here) || left.is_some_and(lately)
            }
        };
        ensure(is_owner, Invariant::ChannelInOwnersName, || {
            format!("upstream {id} is asked for a channel of {user:?}")
        })
    }

    /// Work comes from the farm's channel, or the miner's own.
    pub(super) fn check_own_work(&self, index: usize, dealt: &Dealt) -> Checked {
        let Some(call) = self.call_of(dealt).filter(|call| call.is_own) else {
            return Ok(());
        };
        let owner = self.owner(&self.conns[index]);
        ensure(owner == call.user, Invariant::NobodyElsesWork, || {
            format!("work of the channel of {:?} for {owner:?}", call.user)
        })
    }

    /// The invariant that is to be broken by keeping this work from its miner.
    pub(super) fn holds_back(&self, index: usize, dealt: &Dealt) -> Option<Invariant> {
        let last = self.conns[index].said.work.as_deref()?;
        if !self.is_alive(last) || !self.is_fresh(last) || self.is_own(last) {
            return None;
        }
        let rank = |dealt: &Dealt| self.listed.rank(dealt.upstream);
        let returns = rank(dealt) < rank(last);
        // Only where it is watched that an account's channel serves it.
        let watched = self.config.channel == ChannelMode::PerUser && self.has_room_for_all();
        let begins = watched && self.is_own(dealt);
        let broken = [
            (returns, Invariant::FailsBack),
            (begins, Invariant::OwnChannelServes),
        ];
        let mut broken = broken.into_iter().filter(|(applies, _)| *applies);
        let broken = broken.find(|(_, invariant)| self.seam.holds_back(*invariant));
        broken.map(|(_, invariant)| invariant)
    }

    /// Whether everybody may have a channel.
    fn has_room_for_all(&self) -> bool {
        self.config.max_channels >= ROOMY
    }

    /// Checks whom own channels serve, and that those end which nobody needs.
    pub(super) fn check_own_channels(&mut self) -> Checked {
        let owners = self.mining().filter_map(|conn| self.owner(conn));
        let owners: BTreeSet<String> = owners.collect();
        self.check_own_ends(&owners)?;
        if !self.has_room_for_all() || self.outage_since.is_some() {
            return Ok(());
        }
        self.check_own_opens()?;
        match self.config.channel {
            ChannelMode::PerUser => self.check_own_serves(),
            _ => Ok(()),
        }
    }

    fn check_own_ends(&mut self, owners: &BTreeSet<String>) -> Checked {
        let (now, active) = (self.now, self.active);
        for (index, site) in self.sites.iter_mut().enumerate() {
            let present = |call: &&mut Call| call.is_own && call.end != End::Over;
            for call in site.calls.iter_mut().filter(present) {
                let spare = call
                    .user
                    .as_ref()
                    .is_some_and(|user| !owners.contains(user));
                call.spare_since = match spare {
                    true => call.spare_since.or(Some(now)),
                    false => None,
                };
                let spared = call.spare_since.map_or(Duration::ZERO, |since| now - since);
                call.is_deserted |= spared + SLACK >= LINGER;
                let elsewhere = active.filter(|(active, _)| *active != index);
                let elsewhere = elsewhere.map_or(Duration::ZERO, |(_, since)| now - since);
                let ends = spared <= LINGER + RETIREMENT + SLACK && elsewhere <= RETIREMENT + SLACK;
                ensure(ends, Invariant::OwnChannelEnds, || {
                    format!(
                        "the channel of {:?} at upstream {index} was not needed for {spared:?}, \
                         and the farm elsewhere for {elsewhere:?}",
                        call.user
                    )
                })?;
            }
        }
        Ok(())
    }

    /// Where nothing is wrong for long enough, everybody has a channel.
    fn check_own_opens(&self) -> Checked {
        let Some((_, moved_at)) = self.active else {
            return Ok(());
        };
        let lanes = match self.config.channel {
            ChannelMode::Aggregated => return Ok(()),
            ChannelMode::PerUser => super::ACCOUNTS.len(),
            ChannelMode::PerMiner => self.conns.len(),
        };
        let lanes = u32::try_from(lanes).unwrap_or(u32::MAX);
        let quiet_since = moved_at.max(self.own.trouble_at);
        if self.own.failed_at.is_some_and(|failed| failed >= moved_at) {
            return Ok(());
        }
        let watched = self.watched_by(Invariant::OwnChannelOpens);
        for conn in watched.filter(|conn| self.owner(conn).is_some()) {
            let Some(work) = &conn.said.work else {
                continue;
            };
            let since = quiet_since.max(conn.worked_since.unwrap_or(self.now));
            let in_time = self.now <= since + OPENING.saturating_mul(lanes + 1);
            ensure(
                in_time || self.is_own(work),
                Invariant::OwnChannelOpens,
                || {
                    let owner = self.owner(conn);
                    format!("{owner:?} has had no channel since {since:?}")
                },
            )?;
        }
        Ok(())
    }

    /// Whose own channel has work, works on it.
    fn check_own_serves(&self) -> Checked {
        let Some((active, _)) = self.active else {
            return Ok(());
        };
        for (attempt, call) in (1..).zip(&self.sites[active].calls) {
            let works = call
                .live_view()
                .is_some_and(|view| view.current().is_some());
            if !call.is_own || !works || call.is_deserted {
                continue;
            }
            let room = call.live_view().map_or(0, View::size);
            // Who has just been told a shorter extranonce joins with the channel's next job.
            let joins = |conn: &Conn| {
                let bound = self.config.keepalive + SLACK;
                conn.told_at.is_some_and(|told| self.now <= told + bound)
            };
            let fits = |conn: &Conn| conn.said.slot().size() <= room && !joins(conn);
            let here = |conn: &&Conn| self.owner(conn) == call.user && fits(conn);
            for conn in self.watched_by(Invariant::OwnChannelServes).filter(here) {
                let work = conn.said.work.as_ref();
                let on_it =
                    work.is_some_and(|work| (work.upstream, work.attempt) == (active, attempt));
                ensure(on_it, Invariant::OwnChannelServes, || {
                    format!(
                        "miner {} of {:?} works on {work:?}, not on connection {attempt}",
                        conn.miner, call.user
                    )
                })?;
            }
        }
        Ok(())
    }

    /// Ends the world: the proxy stops, and every connection with it.
    pub(super) fn rest(&mut self) -> Checked {
        self.look()?;
        let now = self.instant();
        self.is_stopping = true;
        self.trail
            .note(self.now, b"stop", || "the proxy stops".into());
        self.brain.stop(now);
        self.finish(None)?;
        let calls = self.sites.iter().flat_map(|site| &site.calls);
        let held = calls.filter(|call| call.end != End::Over).count();
        ensure(
            held == 0 && self.by_id.is_empty(),
            Invariant::OwnChannelEnds,
            || format!("{held} connections outlive the proxy"),
        )
    }
}
