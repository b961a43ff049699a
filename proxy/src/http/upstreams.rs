//! `/api/v1/upstreams`: each pool, what was sent to it and what it acknowledged.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;
use translate::{Span, UpstreamState, UpstreamStatistics};

use crate::snapshot::Snapshot;

use super::shards::View;
use super::time::{Clock, Time};

/// All upstreams, in the order of preference, for each set of listeners that share them.
#[derive(Debug, Serialize)]
pub(super) struct Upstreams {
    time: Time,
    upstreams: Vec<UpstreamRow>,
}

#[derive(Debug, Serialize)]
struct UpstreamRow {
    name: String,
    listeners: Vec<SocketAddr>,
    state: &'static str,
    active: bool,
    gives_work: bool,
    since: Option<Time>,
    retry_at: Option<Time>,
    connection_attempts: u64,
    connection_failures: BTreeMap<&'static str, u64>,
    last_failure: Option<FailureRow>,
    channels_opened: u64,
    own_channels: u64,
    difficulty: Option<f64>,
    shares_sent: u64,
    shares_acknowledged: u64,
    shares_rejected: u64,
    shares_rejected_by_code: BTreeMap<String, u64>,
    shares_pending: u64,
    shares_unanswered: u64,
    work_acknowledged: f64,
    work_credited: u64,
    hashrate_acknowledged_10m: f64,
    hashrate_acknowledged_1h: f64,
    hashrate_acknowledged_24h: f64,
    mean_answer_seconds: Option<f64>,
    blocks_late: u64,
    blocks_kept: u64,
    extranonce_refusals: u64,
}

#[derive(Debug, Serialize)]
struct FailureRow {
    time: Time,
    reason: String,
}

impl Upstreams {
    pub(super) fn of(view: &View<Snapshot>) -> Self {
        let rows = view.shards.iter().flat_map(|seen| {
            let upstreams = seen.shown.statistics.upstreams.iter();
            upstreams.map(|upstream| UpstreamRow::of(upstream, &seen.listeners, &view.clock))
        });
        Self {
            time: view.clock.time(),
            upstreams: rows.collect(),
        }
    }
}

impl UpstreamRow {
    fn of(upstream: &UpstreamStatistics, listeners: &[SocketAddr], clock: &Clock) -> Self {
        let hashrate = |span| upstream.meter.hashrate(clock.instant, span);
        let answers = upstream.answers.count();
        let mean = upstream.answers.sum().as_secs_f64() / answers.max(1) as f64;
        let failure = upstream.last_failure.as_ref().map(|failure| FailureRow {
            time: clock.at(failure.at),
            reason: failure.words.clone(),
        });
        Self {
            name: upstream.name.clone(),
            listeners: listeners.to_vec(),
            state: upstream.state.label(),
            active: upstream.active,
            gives_work: upstream.state >= UpstreamState::Warm,
            since: upstream.since.map(|at| clock.at(at)),
            retry_at: upstream.retry_at.map(|at| clock.at(at)),
            connection_attempts: upstream.dials,
            connection_failures: upstream.failures.clone(),
            last_failure: failure,
            channels_opened: upstream.channels_opened,
            own_channels: upstream.own_channels,
            difficulty: upstream.open.then_some(upstream.difficulty),
            shares_sent: upstream.shares_sent,
            shares_acknowledged: upstream.shares_accepted,
            shares_rejected: upstream.shares_rejected.values().sum(),
            shares_rejected_by_code: upstream.shares_rejected.clone(),
            shares_pending: upstream.shares_pending,
            shares_unanswered: upstream.shares_unanswered,
            work_acknowledged: upstream.work_acknowledged,
            work_credited: upstream.work_accepted,
            hashrate_acknowledged_10m: hashrate(Span::TenMinutes),
            hashrate_acknowledged_1h: hashrate(Span::Hour),
            hashrate_acknowledged_24h: hashrate(Span::Day),
            mean_answer_seconds: (answers > 0).then_some(mean),
            blocks_late: upstream.blocks_late,
            blocks_kept: upstream.blocks_kept,
            extranonce_refusals: upstream.extranonce_refusals,
        }
    }
}
