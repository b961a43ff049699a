//! `/metrics`: counters for Prometheus, in OpenMetrics or in its older text format, whichever is asked for.
//!
//! Every label has few values: names of the config, and words of this program. Pools may name error codes, of which 32
//! are kept apart. Miners have series only where the config asks for some.

mod families;
mod farm;
mod miner_series;
mod text;
mod upstreams;

use std::fmt::{self, Write};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use translate::{MinerStatistics, Span, Statistics};

use crate::snapshot::{Census, Snapshot};

use super::shards::View;

use self::families::Families;

/// The type of the newer format, as clients ask for it.
pub(super) const OPENMETRICS: &str = "application/openmetrics-text";

/// What is written.
#[derive(Debug)]
struct Page {
    view: View<Snapshot>,
    miners: Vec<MinerStatistics>,
    started: Instant,
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut out = Families { encoder };
        farm::write(self, &mut out)?;
        upstreams::write(self, &mut out)?;
        miner_series::write(self, &mut out)
    }
}

fn statistics(page: &Page) -> impl Iterator<Item = &Statistics> {
    page.view.shards.iter().map(|seen| &seen.shown.statistics)
}

/// Gives the miners with the most hashrate over the last hour.
pub(super) fn strongest(view: &View<Census>, most: usize) -> Vec<MinerStatistics> {
    let now = view.clock.instant;
    let all = view.shards.iter().flat_map(|seen| &seen.shown.miners);
    let mut named: Vec<_> = all.filter(|miner| !miner.worker.is_empty()).collect();
    let hashrate = |miner: &&MinerStatistics| miner.meter.hashrate(now, Span::Hour);
    named.sort_by(|a, b| hashrate(b).total_cmp(&hashrate(a)));
    // Two connections of one worker would be one series.
    let mut taken = std::collections::HashSet::new();
    let first = named
        .into_iter()
        .filter(|miner| taken.insert(&miner.worker));
    first.take(most).cloned().collect()
}

/// Writes the page; gives its content type too.
pub(super) fn page(
    view: View<Snapshot>,
    miners: Vec<MinerStatistics>,
    started: Instant,
    openmetrics: bool,
) -> (&'static str, String) {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page {
        view,
        miners,
        started,
    }));
    let mut page = String::new();
    if encode(&mut page, &registry).is_err() {
        // A string takes everything, so this is a fault of ours, which a scraper must not take for the end.
        let _ = page.write_str("\n!\n");
    }
    match openmetrics {
        true => (
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            page,
        ),
        false => (
            "text/plain; version=0.0.4; charset=utf-8",
            text::of_openmetrics(&page),
        ),
    }
}
