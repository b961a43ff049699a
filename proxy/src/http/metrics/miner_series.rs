//! Metrics of single miners: only as many as the config asks for.

use std::fmt;

use translate::Span;

use super::Page;
use super::families::{Families, WINDOWS};

/// Writes them.
pub(super) fn write(page: &Page, out: &mut Families<'_>) -> fmt::Result {
    if page.miners.is_empty() {
        return Ok(());
    }
    let now = page.view.clock.instant;
    let miners = || page.miners.iter();
    let spans = WINDOWS.into_iter();
    let spans = spans.filter(|(_, span)| matches!(span, Span::TenMinutes | Span::Hour));
    out.gauges(
        (
            "millrace_miner_hashrate_hashes_per_second",
            "Hashrate of a miner from accepted shares, averaged over a window.",
        ),
        miners().flat_map(|miner| {
            let spans = spans.clone();
            spans.map(move |(window, span)| {
                let labels = vec![("worker", &*miner.worker), ("window", window)];
                (labels, miner.meter.hashrate(now, span))
            })
        }),
    )?;
    out.gauges(
        ("millrace_miner_difficulty", "Difficulty of a miner's work."),
        miners().map(|miner| (vec![("worker", &*miner.worker)], miner.difficulty)),
    )?;
    out.counters(
        (
            "millrace_miner_shares_accepted",
            "Shares of a miner that were good, over its connection.",
        ),
        miners().map(|miner| (vec![("worker", &*miner.worker)], miner.meter.accepted())),
    )?;
    out.counters(
        (
            "millrace_miner_shares_rejected",
            "Shares of a miner that were refused, over its connection.",
        ),
        miners().map(|miner| (vec![("worker", &*miner.worker)], miner.meter.rejected())),
    )?;
    let last = miners().filter_map(|miner| {
        let at = page.view.clock.at(miner.meter.last_share()?);
        Some((vec![("worker", &*miner.worker)], at.seconds()))
    });
    out.gauges(
        (
            "millrace_miner_last_share_timestamp_seconds",
            "When a miner's last good share came, in seconds since epoch.",
        ),
        last,
    )
}
