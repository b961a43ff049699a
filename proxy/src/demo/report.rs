//! What a demo shows: a line every few seconds, a summary at the end, one JSON object for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sv2::bitcoin::Hashrate;
use sv2_pool::PoolStats;
use translate::Statistics;

use crate::driver::Report;

/// The numbers of a demo at one moment.
#[derive(Debug)]
pub(super) struct Summary {
    duration: Duration,
    miners: usize,
    /// Hashes that the miners computed.
    hashes: u64,
    proxy: Statistics,
    difficulties: Vec<f64>,
    pool: PoolStats,
}

impl Summary {
    pub(super) fn new(
        duration: Duration,
        miners: usize,
        hashes: u64,
        reports: Vec<Report>,
        pool: PoolStats,
    ) -> Self {
        let mut reports = reports.into_iter();
        let report = reports.next();
        let (proxy, miner_statistics) = report.map_or_else(Default::default, |report| {
            (report.statistics, report.miners)
        });
        let difficulties = miner_statistics
            .iter()
            .map(|miner| miner.difficulty)
            .collect();
        Self {
            duration,
            miners,
            hashes,
            proxy,
            difficulties,
            pool,
        }
    }

    pub(super) fn upstream_shares_accepted(&self) -> u64 {
        self.proxy
            .upstreams
            .iter()
            .map(|upstream| upstream.shares_accepted)
            .sum()
    }

    fn upstream_shares_sent(&self) -> u64 {
        self.proxy
            .upstreams
            .iter()
            .map(|upstream| upstream.shares_sent)
            .sum()
    }

    fn upstream_shares_rejected(&self) -> BTreeMap<&str, u64> {
        let mut rejected = BTreeMap::new();
        for (code, count) in self
            .proxy
            .upstreams
            .iter()
            .flat_map(|upstream| &upstream.shares_rejected)
        {
            *rejected.entry(code.as_str()).or_default() += count;
        }
        rejected
    }

    fn hashrate(&self) -> Hashrate {
        let seconds = self.duration.as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        Hashrate::new(self.hashes as f64 / seconds).unwrap_or(Hashrate::ZERO)
    }

    /// One line for a person.
    pub(super) fn line(&self) -> String {
        let proxy = &self.proxy;
        format!(
            "{:4.0} s | {} miners, {} | accepted by the proxy {}{} | by the pool {} of {}{} | job {}, block {} | difficulty {}",
            self.duration.as_secs_f64(),
            proxy.miners_mining,
            self.hashrate(),
            proxy.shares_accepted,
            refused(
                proxy
                    .shares_rejected
                    .iter()
                    .map(|(reason, count)| (*reason, *count))
            ),
            self.upstream_shares_accepted(),
            self.upstream_shares_sent(),
            refused(self.upstream_shares_rejected()),
            proxy.jobs,
            proxy.new_blocks,
            self.difficulty(),
        )
    }

    fn difficulty(&self) -> String {
        let least = self.difficulties.iter().copied().reduce(f64::min);
        let most = self.difficulties.iter().copied().reduce(f64::max);
        match (least, most) {
            (Some(least), Some(most)) if least < most => format!("{least:.6} to {most:.6}"),
            (Some(least), _) => format!("{least:.6}"),
            _ => "-".into(),
        }
    }

    /// Prints the summary for a person, and as the last line one JSON object where it is asked for.
    pub(super) fn print(&self, with_json: bool) {
        let proxy = &self.proxy;
        println!(
            "{} miners hashed for {:.1} s at {}",
            self.miners,
            self.duration.as_secs_f64(),
            self.hashrate()
        );
        println!(
            "proxy: {} shares submitted, {} accepted{}",
            proxy.shares_submitted,
            proxy.shares_accepted,
            refused(
                proxy
                    .shares_rejected
                    .iter()
                    .map(|(reason, count)| (*reason, *count))
            )
        );
        println!(
            "pool:  {} shares received, {} accepted{}",
            self.upstream_shares_sent(),
            self.upstream_shares_accepted(),
            refused(self.upstream_shares_rejected())
        );
        println!(
            "work:  {} jobs in {} blocks, {} blocks found",
            proxy.jobs, proxy.new_blocks, proxy.blocks_found
        );
        if self.upstream_shares_accepted() == 0 {
            println!("the pool accepted no share");
        }
        if with_json {
            println!("{}", self.json());
        }
    }

    fn json(&self) -> Value {
        let proxy = &self.proxy;
        json!({
            "miners": self.miners,
            "duration_seconds": self.duration.as_secs_f64(),
            "hashrate": self.hashrate().to_f64(),
            "shares_submitted": proxy.shares_submitted,
            "shares_accepted": proxy.shares_accepted,
            "shares_rejected": proxy.shares_rejected,
            "upstream_shares_sent": self.upstream_shares_sent(),
            "upstream_shares_accepted": self.upstream_shares_accepted(),
            "upstream_shares_rejected": self.upstream_shares_rejected(),
            "pool_shares_accepted": self.pool.shares_accepted,
            "pool_shares_refused": self.pool.shares_refused,
            "jobs": proxy.jobs,
            "new_blocks": proxy.new_blocks,
            "blocks_found": proxy.blocks_found,
        })
    }
}

/// Words for refused shares by reason; nothing where there are none.
fn refused<'a>(reasons: impl IntoIterator<Item = (&'a str, u64)>) -> String {
    let words: Vec<_> = reasons
        .into_iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    match words.is_empty() {
        true => ", none refused".into(),
        false => format!(", refused: {}", words.join(", ")),
    }
}
