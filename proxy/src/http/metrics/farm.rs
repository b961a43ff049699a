//! Metrics of the farm and of this process.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::metrics::MetricType;
use translate::{HASHES_PER_DIFFICULTY, Latency, Refusal, Statistics};

use super::super::process::Process;
use super::super::status::{add_up, gives_work, listener_counters, ready_listeners};
use super::families::{Families, Labels, WINDOWS, labelled};
use super::{Page, statistics};

/// Limits whose meeting refuses a connection.
const REFUSALS: [&str; 3] = ["too-many-miners", "too-many-from-address", "banned"];
/// Causes of a change of the active upstream.
const SWITCHES: [&str; 5] = ["start", "failed", "late", "preferred", "config"];

/// Writes them.
pub(super) fn write(page: &Page, out: &mut Families<'_>) -> fmt::Result {
    write_build(out)?;
    write_miners(page, out)?;
    write_shares(page, out)?;
    write_work(page, out)?;
    write_timings(page, out)?;
    write_process(page, out)
}

fn write_build(out: &mut Families<'_>) -> fmt::Result {
    let about = ("millrace_build", "The version that runs.");
    let mut metric = out
        .encoder
        .encode_descriptor(about.0, about.1, None, MetricType::Info)?;
    metric.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
}

fn sum(page: &Page, count: fn(&Statistics) -> u64) -> u64 {
    statistics(page).map(count).sum()
}

fn write_miners(page: &Page, out: &mut Families<'_>) -> fmt::Result {
    let ready = statistics(page).any(gives_work);
    out.gauge(
        ("millrace_ready", "1 while an upstream gives work, else 0."),
        u32::from(ready),
    )?;
    let all_ready = ready_listeners(&page.view).into_iter();
    let all_ready: Vec<_> = all_ready
        .map(|(address, ready)| (address.to_string(), u32::from(ready)))
        .collect();
    out.gauges(
        (
            "millrace_listener_ready",
            "1 while an upstream gives work to all who come to the listener, else 0.",
        ),
        all_ready
            .iter()
            .map(|(address, ready)| (vec![("listener", &**address)], *ready)),
    )?;
    let listeners: Vec<_> = listener_counters(&page.view)
        .into_iter()
        .map(|(address, counters)| (address.to_string(), counters))
        .collect();
    out.gauges(
        (
            "millrace_listener_miners",
            "Miners connected to each listener.",
        ),
        listeners
            .iter()
            .map(|(address, it)| (vec![("listener", &**address)], it.miners)),
    )?;
    out.counters(
        (
            "millrace_listener_connections",
            "Connections accepted by each listener.",
        ),
        listeners
            .iter()
            .map(|(address, it)| (vec![("listener", &**address)], it.miners_connected)),
    )?;
    out.gauge(
        ("millrace_miners_connected", "Miners connected."),
        sum(page, |it| it.miners),
    )?;
    out.gauge(
        (
            "millrace_miners_mining",
            "Miners that subscribed and authorized.",
        ),
        sum(page, |it| it.miners_mining),
    )?;
    let limits = add_up(statistics(page).map(|it| &it.limits_met));
    let refused = |label: &&str| REFUSALS.contains(label);
    let refused = limits.iter().filter(|(label, _)| refused(label));
    out.counters(
        (
            "millrace_connections_refused",
            "Connections refused, by reason.",
        ),
        labelled(
            "reason",
            &REFUSALS,
            &refused.map(|(label, count)| (*label, *count)).collect(),
        ),
    )?;
    out.counters(
        (
            "millrace_limits_met",
            "How often limits on miners were met, by limit.",
        ),
        labelled("limit", &REFUSALS, &limits),
    )?;
    let moved = add_up(statistics(page).map(|it| &it.miners_moved));
    out.counters(
        (
            "millrace_miners_moved",
            "Miners whose extranonce was too long for the upstream, by what was done.",
        ),
        labelled("way", &["set-extranonce", "reconnect", "closed"], &moved),
    )?;
    out.counter(
        (
            "millrace_sessions_resumed",
            "Sessions resumed over another connection.",
        ),
        sum(page, |it| it.sessions_resumed),
    )?;
    write_difficulties(page, out)
}

fn write_difficulties(page: &Page, out: &mut Families<'_>) -> fmt::Result {
    let mut difficulties: BTreeMap<u64, (String, u64)> = BTreeMap::new();
    for (difficulty, miners) in statistics(page).flat_map(|it| &it.difficulties) {
        let entry = difficulties.entry(difficulty.to_bits());
        entry.or_insert_with(|| (difficulty.to_string(), 0)).1 += miners;
    }
    out.gauges(
        (
            "millrace_miners_at_difficulty",
            "Miners by the difficulty of their work, a power of two.",
        ),
        difficulties
            .values()
            .map(|(difficulty, miners)| (vec![("difficulty", &**difficulty)], *miners)),
    )
}

fn write_shares(page: &Page, out: &mut Families<'_>) -> fmt::Result {
    out.counter(
        ("millrace_shares_submitted", "Shares that miners submitted."),
        sum(page, |it| it.shares_submitted),
    )?;
    out.counter(
        (
            "millrace_shares_accepted",
            "Shares of miners that were good.",
        ),
        sum(page, |it| it.shares_accepted),
    )?;
    let rejected = add_up(statistics(page).map(|it| &it.shares_rejected));
    out.counters(
        (
            "millrace_shares_rejected",
            "Shares of miners that were refused, by reason.",
        ),
        labelled("reason", &Refusal::LABELS, &rejected),
    )?;
    let work: f64 = statistics(page).map(|it| it.work_accepted).sum();
    out.counter(
        (
            "millrace_accepted_hashes",
            "Hashes that the good shares stand for: its rate is the hashrate.",
        ),
        work * HASHES_PER_DIFFICULTY,
    )?;
    let mut meter = translate::Meter::default();
    statistics(page).for_each(|it| meter.add(&it.meter));
    out.gauges(
        (
            "millrace_hashrate_hashes_per_second",
            "Hashrate of the farm from accepted shares, averaged over a window.",
        ),
        WINDOWS.map(|(window, span)| {
            (
                vec![("window", window)],
                meter.hashrate(page.view.clock.instant, span),
            )
        }),
    )?;
    out.gauge(
        (
            "millrace_hashrate_estimated_hashes_per_second",
            "Hashrate of the farm as upstreams are told.",
        ),
        statistics(page).map(|it| it.hashrate).sum::<f64>(),
    )
}

fn write_work(page: &Page, out: &mut Families<'_>) -> fmt::Result {
    out.counter(
        (
            "millrace_jobs",
            "Jobs that went out to miners, keepalives not counted.",
        ),
        sum(page, |it| it.jobs),
    )?;
    out.counter(
        ("millrace_new_blocks", "Blocks that began."),
        sum(page, |it| it.new_blocks),
    )?;
    out.counter(
        (
            "millrace_keepalives",
            "Jobs that were sent again to keep miners from giving up.",
        ),
        sum(page, |it| it.keepalives),
    )?;
    out.counter(
        ("millrace_blocks_found", "Blocks that miners solved."),
        sum(page, |it| it.blocks_found),
    )?;
    let switches = add_up(statistics(page).map(|it| &it.switches));
    out.counters(
        (
            "millrace_upstream_switches",
            "How often miners were given to another upstream, by cause.",
        ),
        labelled("cause", &SWITCHES, &switches),
    )?;
    out.counter(
        (
            "millrace_outages",
            "How often no upstream had work any more.",
        ),
        sum(page, |it| it.outages),
    )
}

fn write_timings(page: &Page, out: &mut Families<'_>) -> fmt::Result {
    let (mut fan_out, mut replies) = (Latency::default(), Latency::default());
    let mut queues: BTreeMap<_, (usize, usize)> = BTreeMap::new();
    for seen in &page.view.shards {
        fan_out.add(&seen.shown.timings.fan_out);
        replies.add(&seen.shown.timings.replies);
        for queue in seen.shown.queues {
            let (length, capacity) = queues.entry(queue.name).or_default();
            *length += queue.length;
            *capacity += queue.capacity;
        }
    }
    let none = Labels::new;
    out.histograms(
        (
            "millrace_job_fan_out_seconds",
            "From a job that was received to the last miner that it was written to.",
        ),
        [(none(), fan_out)],
    )?;
    out.histograms(
        (
            "millrace_share_reply_seconds",
            "From a share that was received to its reply.",
        ),
        [(none(), replies)],
    )?;
    let queue = |name: &'static str| vec![("queue", name)];
    out.gauges(
        (
            "millrace_queue_length",
            "What waits for a driver's turn: miners with something to be read, and words of tasks.",
        ),
        queues
            .iter()
            .map(|(name, (length, _))| (queue(name), *length)),
    )?;
    out.gauges(
        ("millrace_queue_capacity", "How many can."),
        queues
            .iter()
            .map(|(name, (_, capacity))| (queue(name), *capacity)),
    )
}

fn write_process(page: &Page, out: &mut Families<'_>) -> fmt::Result {
    let process = Process::look();
    out.gauges(
        ("millrace_process_resident_memory_bytes", "Memory in use."),
        process.resident_memory_bytes.map(|it| (Labels::new(), it)),
    )?;
    out.counters(
        (
            "millrace_process_cpu_seconds",
            "User and system time of all threads.",
        ),
        process.cpu_seconds.map(|it| (Labels::new(), it)),
    )?;
    out.gauges(
        ("millrace_process_open_fds", "Open files and sockets."),
        process.open_fds.map(|it| (Labels::new(), it)),
    )?;
    out.gauges(
        (
            "millrace_process_max_fds",
            "Files and sockets that may be open.",
        ),
        process.max_fds.map(|it| (Labels::new(), it)),
    )?;
    out.gauge(
        (
            "millrace_process_start_time_seconds",
            "When the process started, in seconds since epoch.",
        ),
        page.view.clock.at(page.started).seconds(),
    )
}
