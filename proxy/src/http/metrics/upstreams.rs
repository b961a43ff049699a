//! Metrics of upstreams: one by its name, over all drivers that use it.

use std::collections::BTreeMap;
use std::fmt;

use translate::{HASHES_PER_DIFFICULTY, Latency, UpstreamState, UpstreamStatistics};

use super::super::status::add_up;
use super::families::{Families, Labels};
use super::{Page, statistics};

/// Writes them.
pub(super) fn write(page: &Page, out: &mut Families<'_>) -> fmt::Result {
    let upstreams = by_name(page);
    write_upstreams(&upstreams, out)?;
    write_upstream_shares(&upstreams, out)
}

/// One upstream as each driver sees it.
type Upstreams<'a> = BTreeMap<&'a str, Vec<&'a UpstreamStatistics>>;

fn by_name(page: &Page) -> Upstreams<'_> {
    let mut upstreams = Upstreams::new();
    for upstream in statistics(page).flat_map(|it| &it.upstreams) {
        upstreams.entry(&upstream.name).or_default().push(upstream);
    }
    upstreams
}

/// Gives a sum over all drivers for each upstream.
fn sums<'a>(
    upstreams: &'a Upstreams<'_>,
    count: fn(&UpstreamStatistics) -> u64,
) -> impl Iterator<Item = (Labels<'a>, u64)> {
    upstreams.iter().map(move |(name, seen)| {
        let sum = seen.iter().map(|it| count(it)).sum();
        (vec![("upstream", *name)], sum)
    })
}

fn write_upstreams(upstreams: &Upstreams<'_>, out: &mut Families<'_>) -> fmt::Result {
    let states = upstreams.iter().flat_map(|(name, seen)| {
        UpstreamState::ALL.into_iter().map(move |state| {
            let count = seen.iter().filter(|it| it.state == state).count();
            (vec![("upstream", *name), ("state", state.label())], count)
        })
    });
    out.gauges(
        ("millrace_upstream_state", "1 for the state that an upstream is in, else 0; more where several sets of listeners share it."),
        states,
    )?;
    out.gauges(
        (
            "millrace_upstream_active",
            "1 for an upstream that miners work for, else 0.",
        ),
        sums(upstreams, |it| u64::from(it.active)),
    )?;
    let difficulty =
        |seen: &[&UpstreamStatistics]| seen.iter().map(|it| it.difficulty).fold(0.0, f64::max);
    out.gauges(
        (
            "millrace_upstream_difficulty",
            "Difficulty of the channel; 0 without one.",
        ),
        upstreams
            .iter()
            .map(|(name, seen)| (vec![("upstream", *name)], difficulty(seen))),
    )?;
    out.gauges(
        (
            "millrace_upstream_own_channels",
            "Open channels beside the first: of single accounts or miners, and further ones.",
        ),
        sums(upstreams, |it| it.own_channels),
    )?;
    out.counters(
        (
            "millrace_upstream_channels_opened",
            "Channels that were opened.",
        ),
        sums(upstreams, |it| it.channels_opened),
    )?;
    out.counters(
        (
            "millrace_upstream_connection_attempts",
            "Times that an upstream was dialled.",
        ),
        sums(upstreams, |it| it.dials),
    )?;
    let failures = upstreams.iter().flat_map(|(name, seen)| {
        let failures = add_up(seen.iter().map(|it| &it.failures));
        failures
            .into_iter()
            .map(move |(cause, count)| (vec![("upstream", *name), ("cause", cause)], count))
    });
    out.counters(
        (
            "millrace_upstream_connection_failures",
            "Connections that ended or could not be made, by cause.",
        ),
        failures,
    )?;
    out.counters(
        (
            "millrace_upstream_late_blocks",
            "Blocks that another upstream had announced well before.",
        ),
        sums(upstreams, |it| it.blocks_late),
    )?;
    out.counters(
        (
            "millrace_upstream_kept_blocks",
            "Solved blocks that an upstream may not have.",
        ),
        sums(upstreams, |it| it.blocks_kept),
    )?;
    out.counters(
        (
            "millrace_upstream_extranonce_refusals",
            "Times that as much extranonce as was asked for was refused.",
        ),
        sums(upstreams, |it| it.extranonce_refusals),
    )
}

fn write_upstream_shares(upstreams: &Upstreams<'_>, out: &mut Families<'_>) -> fmt::Result {
    out.counters(
        (
            "millrace_upstream_shares_sent",
            "Shares sent to an upstream.",
        ),
        sums(upstreams, |it| it.shares_sent),
    )?;
    out.counters(
        (
            "millrace_upstream_shares_acknowledged",
            "Shares that an upstream acknowledged.",
        ),
        sums(upstreams, |it| it.shares_accepted),
    )?;
    let rejected = upstreams.iter().flat_map(|(name, seen)| {
        let mut codes: BTreeMap<&str, u64> = BTreeMap::new();
        for (code, count) in seen.iter().flat_map(|it| &it.shares_rejected) {
            *codes.entry(code).or_default() += count;
        }
        codes
            .into_iter()
            .map(move |(code, count)| (vec![("upstream", *name), ("code", code)], count))
    });
    out.counters(
        (
            "millrace_upstream_shares_rejected",
            "Shares that an upstream refused, by its error code.",
        ),
        rejected,
    )?;
    out.gauges(
        (
            "millrace_upstream_shares_pending",
            "Shares sent over the present connection that have no answer yet.",
        ),
        sums(upstreams, |it| it.shares_pending),
    )?;
    out.counters(
        (
            "millrace_upstream_shares_unanswered",
            "Shares without an answer as their connection ended.",
        ),
        sums(upstreams, |it| it.shares_unanswered),
    )?;
    let hashes = |work: fn(&UpstreamStatistics) -> f64| {
        upstreams.iter().map(move |(name, seen)| {
            let work: f64 = seen.iter().map(|it| work(it)).sum();
            (vec![("upstream", *name)], work * HASHES_PER_DIFFICULTY)
        })
    };
    out.counters(
        (
            "millrace_upstream_acknowledged_hashes",
            "Hashes that the acknowledged shares stand for, by the difficulty of their jobs.",
        ),
        hashes(|it| it.work_acknowledged),
    )?;
    out.counters(
        (
            "millrace_upstream_credited_hashes",
            "Hashes that the upstream says that it credited, in whole difficulties.",
        ),
        hashes(|it| it.work_accepted as f64),
    )?;
    let answers = upstreams.iter().map(|(name, seen)| {
        let mut answers = Latency::default();
        seen.iter().for_each(|it| answers.add(&it.answers));
        (vec![("upstream", *name)], answers)
    });
    out.histograms(
        (
            "millrace_upstream_answer_seconds",
            "From a share that was sent to its answer.",
        ),
        answers,
    )
}
