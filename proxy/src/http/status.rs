//! `/api/v1/status`: the farm in short.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use translate::{
    Event, ListenerStatistics, Meter, Span, Statistics, UpstreamState, UpstreamStatistics,
};

use crate::snapshot::Snapshot;

use super::process::Process;
use super::shards::View;
use super::time::{Clock, Time};

/// The farm in short.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    time: Time,
    version: &'static str,
    started: Time,
    ready: bool,
    /// Since when no upstream has work, where none has.
    outage_since: Option<Time>,
    troubles: Vec<String>,
    active_upstreams: Vec<String>,
    hashrate: Hashrates,
    miners: MinerCounts,
    listeners: Vec<ListenerRow>,
    shares: Shares,
    upstream_shares: UpstreamShares,
    jobs: u64,
    new_blocks: u64,
    keepalives: u64,
    blocks_found: u64,
    blocks_kept: u64,
    /// When the last of them was, as far as that is remembered.
    last_block_kept: Option<Time>,
    outages: u64,
    upstream_switches: BTreeMap<&'static str, u64>,
    limits_met: BTreeMap<&'static str, u64>,
    sessions_resumed: u64,
    process: Process,
}

#[derive(Debug, Serialize)]
struct Hashrates {
    estimated: f64,
    #[serde(rename = "1m")]
    minute: f64,
    #[serde(rename = "10m")]
    ten_minutes: f64,
    #[serde(rename = "1h")]
    hour: f64,
    #[serde(rename = "24h")]
    day: f64,
}

#[derive(Debug, Default, Serialize)]
struct MinerCounts {
    connected: u64,
    mining: u64,
    connections: u64,
}

#[derive(Debug, Serialize)]
struct ListenerRow {
    address: SocketAddr,
    miners: u64,
    connections: u64,
}

#[derive(Debug, Default, Serialize)]
struct Shares {
    submitted: u64,
    accepted: u64,
    rejected: u64,
    rejected_by_reason: BTreeMap<&'static str, u64>,
    rejected_ratio_1h: Option<f64>,
}

#[derive(Debug, Default, Serialize)]
struct UpstreamShares {
    sent: u64,
    acknowledged: u64,
    rejected: u64,
    pending: u64,
    unanswered: u64,
}

impl Status {
    pub(super) fn of(view: &View<Snapshot>, started: Instant) -> Self {
        let clock = &view.clock;
        let all = || view.shards.iter().map(|seen| &seen.shown.statistics);
        let upstreams = || all().flat_map(|statistics| &statistics.upstreams);
        let sum = |count: fn(&Statistics) -> u64| all().map(count).sum();
        let mut meter = Meter::default();
        all().for_each(|statistics| meter.add(&statistics.meter));
        let outage = all().map(|statistics| statistics.outage_since);
        let ready = all().any(gives_work);
        let outage = outage.max().flatten().filter(|_| !ready);
        let active = upstreams().filter(|upstream| upstream.active);
        Self {
            time: clock.time(),
            version: env!("CARGO_PKG_VERSION"),
            started: clock.at(started),
            ready,
            outage_since: outage.map(|since| clock.at(since)),
            troubles: troubles(view),
            active_upstreams: active.map(|upstream| upstream.name.clone()).collect(),
            hashrate: Hashrates::of(&meter, clock, all().map(|it| it.hashrate).sum()),
            miners: MinerCounts {
                connected: sum(|it| it.miners),
                mining: sum(|it| it.miners_mining),
                connections: sum(|it| it.miners_connected),
            },
            listeners: listeners(view).collect(),
            shares: Shares {
                submitted: sum(|it| it.shares_submitted),
                accepted: sum(|it| it.shares_accepted),
                rejected: sum(|it| it.shares_rejected.values().sum()),
                rejected_by_reason: add_up(all().map(|it| &it.shares_rejected)),
                rejected_ratio_1h: meter.rejected_lately(clock.instant, 0.5),
            },
            upstream_shares: UpstreamShares::of(upstreams()),
            jobs: sum(|it| it.jobs),
            new_blocks: sum(|it| it.new_blocks),
            keepalives: sum(|it| it.keepalives),
            blocks_found: sum(|it| it.blocks_found),
            blocks_kept: upstreams().map(|upstream| upstream.blocks_kept).sum(),
            last_block_kept: last_block_kept(view),
            outages: sum(|it| it.outages),
            upstream_switches: add_up(all().map(|it| &it.switches)),
            limits_met: add_up(all().map(|it| &it.limits_met)),
            sessions_resumed: sum(|it| it.sessions_resumed),
            process: Process::look(),
        }
    }
}

fn last_block_kept(view: &View<Snapshot>) -> Option<Time> {
    let events = view.shards.iter().flat_map(|seen| &seen.shown.events);
    let kept = events.filter(|recorded| matches!(recorded.event, Event::BlockKept { .. }));
    kept.map(|recorded| recorded.at).max().map(Time::from)
}

impl Hashrates {
    fn of(meter: &Meter, clock: &Clock, estimated: f64) -> Self {
        let hashrate = |span| meter.hashrate(clock.instant, span);
        Self {
            estimated,
            minute: hashrate(Span::Minute),
            ten_minutes: hashrate(Span::TenMinutes),
            hour: hashrate(Span::Hour),
            day: hashrate(Span::Day),
        }
    }
}

impl UpstreamShares {
    fn of<'a>(upstreams: impl Iterator<Item = &'a UpstreamStatistics>) -> Self {
        upstreams.fold(Self::default(), |sum, upstream| Self {
            sent: sum.sent + upstream.shares_sent,
            acknowledged: sum.acknowledged + upstream.shares_accepted,
            rejected: sum.rejected + upstream.shares_rejected.values().sum::<u64>(),
            pending: sum.pending + upstream.shares_pending,
            unanswered: sum.unanswered + upstream.shares_unanswered,
        })
    }
}

/// Gives each listener with its counters.
fn listeners(view: &View<Snapshot>) -> impl Iterator<Item = ListenerRow> {
    let all = listener_counters(view).into_iter();
    all.map(|(address, counters)| ListenerRow {
        address,
        miners: counters.miners,
        connections: counters.miners_connected,
    })
}

/// Tells whether a driver's miners have work, or could have it at once.
pub(super) fn gives_work(statistics: &Statistics) -> bool {
    let mut upstreams = statistics.upstreams.iter();
    upstreams.any(|upstream| upstream.state >= UpstreamState::Warm)
}

/// Gives each listener that miners come to, and whether all shards that serve it give work.
pub(super) fn ready_listeners(view: &View<Snapshot>) -> BTreeMap<SocketAddr, bool> {
    let mut ready = BTreeMap::new();
    for seen in &view.shards {
        let statistics = &seen.shown.statistics;
        // One whose miners were let go has no upstreams left.
        let listeners = seen.listeners.iter();
        for listener in listeners.filter(|_| !statistics.upstreams.is_empty()) {
            *ready.entry(*listener).or_insert(true) &= gives_work(statistics);
        }
    }
    ready
}

/// Adds up each listener's counters over the shards that serve it.
pub(super) fn listener_counters(view: &View<Snapshot>) -> Vec<(SocketAddr, ListenerStatistics)> {
    let mut sums: Vec<(SocketAddr, ListenerStatistics)> = Vec::new();
    for seen in &view.shards {
        let counters = &seen.shown.statistics.listeners;
        for (address, counters) in seen.listeners.iter().zip(counters) {
            match sums.iter_mut().find(|(other, _)| other == address) {
                Some((_, sum)) => {
                    sum.miners += counters.miners;
                    sum.miners_connected += counters.miners_connected;
                }
                None => sums.push((*address, *counters)),
            }
        }
    }
    sums
}

/// Adds up counters under the same labels.
pub(super) fn add_up<'a>(
    counters: impl Iterator<Item = &'a BTreeMap<&'static str, u64>>,
) -> BTreeMap<&'static str, u64> {
    let mut sums = BTreeMap::new();
    for (label, count) in counters.flatten() {
        *sums.entry(*label).or_default() += count;
    }
    sums
}

/// Says what an operator should look at, the gravest first.
fn troubles(view: &View<Snapshot>) -> Vec<String> {
    let mut troubles = Vec::new();
    let mut outages: Vec<&Arc<[SocketAddr]>> = Vec::new();
    for seen in &view.shards {
        let statistics = &seen.shown.statistics;
        let is_told = outages
            .iter()
            .any(|told| Arc::ptr_eq(told, &seen.listeners));
        if let Some(since) = statistics.outage_since.filter(|_| !is_told) {
            outages.push(&seen.listeners);
            let passed = view.clock.instant.saturating_duration_since(since);
            let addresses: Vec<_> = seen.listeners.iter().map(ToString::to_string).collect();
            troubles.push(format!(
                "no upstream gives work to the miners of {} since {} s",
                addresses.join(", "),
                passed.as_secs()
            ));
        }
        for trouble in statistics.upstreams.iter().filter_map(trouble) {
            // Other shards may have the same one.
            if !troubles.contains(&trouble) {
                troubles.push(trouble);
            }
        }
    }
    troubles
}

/// Says what is wrong with an upstream.
fn trouble(upstream: &UpstreamStatistics) -> Option<String> {
    let name = &upstream.name;
    match (upstream.state, &upstream.last_failure) {
        (UpstreamState::Late, _) => Some(format!("{name}: is late with a block")),
        (UpstreamState::Waiting, Some(failure)) => Some(format!("{name}: {}", failure.words)),
        _ => None,
    }
}
