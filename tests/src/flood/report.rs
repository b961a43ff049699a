//! What came of a flood, for a person and for programs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sv1_miner::Stats;
use sv2_pool::PoolStats;

use super::{Flood, Met};
use crate::Usage;
use crate::spread::Spread;

/// What came of a flood.
#[derive(Debug, Clone)]
pub struct Report {
    pub(super) flood: Flood,
    pub(super) farm: Stats,
    pub(super) pool: PoolStats,
    /// Of the probe's shares: in the calm, in the flood.
    pub(super) round_trips: [Vec<Duration>; 2],
    /// Of the proxy: before the calm, between, after the flood.
    pub(super) usage: [Usage; 3],
    pub(super) met: Counts,
    /// Shares that the proxy sent to the pool, in its words: with many miners those that meet the channel's target, which
    /// it asks to be harder then.
    pub(super) sent: u64,
    /// What the proxy counted under each limit, in its words.
    pub(super) limits: String,
    /// Whether an address was banned.
    pub(super) banned: bool,
}

/// How the flood was answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    garbage_closed: u64,
    worthless_refused: u64,
    worthless_paused: u64,
    worthless_accepted: u64,
    worthless_closed: u64,
}

impl Counts {
    pub(super) fn of(met: &Met) -> Self {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            garbage_closed: load(&met.garbage_closed),
            worthless_refused: load(&met.worthless_refused),
            worthless_paused: load(&met.worthless_paused),
            worthless_accepted: load(&met.worthless_accepted),
            worthless_closed: load(&met.worthless_closed),
        }
    }
}

/// Most worthless shares that chance makes good, of this many: four times what is to be expected, and a few.
fn most_by_chance(judged: u64) -> u64 {
    10 + judged / 1_000
}

/// Finds how many shares the proxy says it sent, as it stops.
pub(super) fn sent(log: &str) -> u64 {
    let mut lines = log.lines();
    let words = lines.find_map(|line| line.split_once(" shares sent, "));
    let count = words.and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok());
    count.unwrap_or_default()
}

/// Finds which limits the proxy says were met, as it stops.
pub(super) fn limits(log: &str) -> String {
    let mut lines = log.lines();
    let line = lines.find_map(|line| line.split_once("limits met: "));
    line.map_or_else(String::new, |(_, limits)| limits.to_owned())
}

fn spread_json(spread: Spread) -> Value {
    json!({
        "shares": spread.count,
        "median_seconds": spread.median.as_secs_f64(),
        "p99_seconds": spread.p99.as_secs_f64(),
        "max_seconds": spread.max.as_secs_f64(),
    })
}

impl Report {
    fn probed(&self) -> u64 {
        self.round_trips
            .iter()
            .map(|times| times.len() as u64)
            .sum()
    }

    /// Tells everything that is wrong: what good miners lost, and a flood that was none.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let (farm, pool, met) = (&self.farm, &self.pool, &self.met);
        let answered = farm.shares_accepted + farm.rejected();
        let sent = self.sent.abs_diff(pool.shares_accepted);
        let by_chance = most_by_chance(met.worthless_refused);
        let lacks = |what: bool| u64::from(!what);
        let banned = self.banned == self.flood.one_address;
        [
            (
                (self.flood.good as u64).abs_diff(farm.connections),
                "connections of good miners too few or too many",
            ),
            (farm.connections_lost, "connections of good miners lost"),
            (farm.rejected(), "good shares refused by the proxy"),
            (
                farm.shares_submitted - answered,
                "good shares without an answer",
            ),
            (
                sent,
                "shares more or fewer at the pool than sent by the proxy",
            ),
            (pool.shares_refused_total(), "shares refused by the pool"),
            (
                met.worthless_accepted.saturating_sub(by_chance),
                "worthless shares accepted beyond chance",
            ),
            (lacks(farm.shares_accepted > 0), "farm without any share"),
            (lacks(met.garbage_closed > 0), "flood without garbage"),
            (lacks(met.worthless_paused > 0), "flood without a pause"),
            (
                u64::from(banned),
                "ban where there must be none, or none where there must be one",
            ),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
    }

    /// Gives the figures for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let [calm, flood] = self.round_trips.each_ref().map(|times| Spread::of(times));
        let [connected, before, during] = self.usage;
        json!({
            "good_miners": self.flood.good + 1,
            "silent_connections": self.flood.silent,
            "garbage_senders": self.flood.garbage,
            "one_address": self.flood.one_address,
            "seconds": self.flood.duration.as_secs_f64(),
            "connections_lost": self.farm.connections_lost,
            "shares_submitted": self.farm.shares_submitted + self.probed(),
            "shares_accepted": self.farm.shares_accepted + self.probed(),
            "shares_rejected": self.farm.rejected(),
            "proxy_shares_sent": self.sent,
            "pool_shares_accepted": self.pool.shares_accepted,
            "pool_shares_refused": self.pool.shares_refused_total(),
            "round_trip_calm": spread_json(calm),
            "round_trip_flood": spread_json(flood),
            "garbage_closed": self.met.garbage_closed,
            "worthless_shares_refused": self.met.worthless_refused,
            "worthless_shares_paused": self.met.worthless_paused,
            "worthless_connections_closed": self.met.worthless_closed,
            "limits_met": self.limits,
            "banned": self.banned,
            "proxy_resident_bytes_calm": before.resident_bytes,
            "proxy_resident_bytes_flood": during.resident_bytes,
            "proxy_cpu_seconds_calm": before.cpu.saturating_sub(connected.cpu).as_secs_f64(),
            "proxy_cpu_seconds_flood": during.cpu.saturating_sub(before.cpu).as_secs_f64(),
            "problems": self.problems(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            flood, farm, met, ..
        } = self;
        let [calm, flooded] = self.round_trips.each_ref().map(|times| Spread::of(times));
        let [connected, before, during] = self.usage;
        let whence = match flood.one_address {
            true => "the good miners' own address",
            false => "other addresses",
        };
        writeln!(
            f,
            "{} good miners; for {:.0} s alone, then as long beside {} silent connections, {} senders of garbage and a \
             miner of worthless shares, from {whence}",
            flood.good + 1,
            flood.duration.as_secs_f64(),
            flood.silent,
            flood.garbage
        )?;
        writeln!(
            f,
            "good:   {} connections lost, {} shares submitted, {} accepted, {} refused; sent to the pool {}, accepted there {}, refused {}",
            farm.connections_lost,
            farm.shares_submitted + self.probed(),
            farm.shares_accepted + self.probed(),
            farm.rejected(),
            self.sent,
            self.pool.shares_accepted,
            self.pool.shares_refused_total()
        )?;
        let of_one = "shares of one miner answered,";
        writeln!(f, "alone:  {} {of_one} {calm}", calm.count)?;
        writeln!(f, "beside: {} {of_one} {flooded}", flooded.count)?;
        writeln!(
            f,
            "flood:  garbage closed {} times; of the worthless shares {} judged, {} answered in a pause, {} accepted, its \
             connection closed {} times",
            met.garbage_closed,
            met.worthless_refused,
            met.worthless_paused,
            met.worthless_accepted,
            met.worthless_closed
        )?;
        writeln!(f, "limits: {}", self.limits)?;
        writeln!(
            f,
            "memory: {} kB alone, {} kB beside the flood",
            before.resident_bytes / 1024,
            during.resident_bytes / 1024
        )?;
        write!(
            f,
            "cpu:    {:.2} s alone, {:.2} s beside the flood",
            before.cpu.saturating_sub(connected.cpu).as_secs_f64(),
            during.cpu.saturating_sub(before.cpu).as_secs_f64()
        )
    }
}
