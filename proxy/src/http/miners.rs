//! `/api/v1/miners`: each connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use serde::Serialize;
use translate::{Meter, MinerState, MinerStatistics, Span};

use crate::snapshot::Census;

use super::page::{Key, Page, sort};
use super::problem::{Evidence, Problem};
use super::query::{Query, QueryError};
use super::shards::{Seen, View};
use super::time::{Clock, Time};

/// Shares below which no part of them is given as refused.
const ANY: f64 = 0.5;

/// Which miners are wanted, and in which order.
#[derive(Debug)]
pub(super) struct Miners {
    choice: Choice,
    sort: Sort,
    descending: bool,
    page: Page,
}

/// Which miners or workers are wanted.
#[derive(Debug)]
pub(super) struct Choice {
    search: Option<String>,
    problem: Option<Wanted>,
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    Any,
    None,
    This(Problem),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Problems,
    Worker,
    Address,
    Client,
    Hashrate(Span),
    Difficulty,
    Accepted,
    Rejected,
    LastShare,
    Connected,
}

const SORTS: [(&str, Sort); 13] = [
    ("problems", Sort::Problems),
    ("worker", Sort::Worker),
    ("address", Sort::Address),
    ("client", Sort::Client),
    ("hashrate_1m", Sort::Hashrate(Span::Minute)),
    ("hashrate_10m", Sort::Hashrate(Span::TenMinutes)),
    ("hashrate_1h", Sort::Hashrate(Span::Hour)),
    ("hashrate_24h", Sort::Hashrate(Span::Day)),
    ("difficulty", Sort::Difficulty),
    ("accepted", Sort::Accepted),
    ("rejected", Sort::Rejected),
    ("last_share", Sort::LastShare),
    ("connected", Sort::Connected),
];

/// Directions of sorting; `true` is descending.
pub(super) const ORDERS: [(&str, bool); 2] = [("asc", false), ("desc", true)];

/// A page of miners.
#[derive(Debug, Serialize)]
pub(super) struct MinersAnswer {
    time: Time,
    /// All miners.
    total: usize,
    /// Those that were searched for.
    matching: usize,
    offset: usize,
    /// All miners, by what is wrong.
    problems: BTreeMap<Problem, usize>,
    miners: Vec<MinerRow>,
}

#[derive(Debug, Serialize)]
struct MinerRow {
    id: String,
    worker: Option<String>,
    address: SocketAddr,
    listener: Option<SocketAddr>,
    client: Option<String>,
    firmware: Option<&'static str>,
    state: &'static str,
    problem: Option<Problem>,
    connected: Time,
    difficulty: f64,
    #[serde(flatten)]
    measured: Measured,
}

/// What a meter shows.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    last_share: Option<Time>,
    hashrate_1m: f64,
    hashrate_10m: f64,
    hashrate_1h: f64,
    hashrate_24h: f64,
    shares_accepted: u64,
    shares_rejected: u64,
    shares_rejected_by_reason: BTreeMap<&'static str, u64>,
    rejected_ratio_1h: Option<f64>,
}

impl Measured {
    pub(super) fn of(meter: &Meter, clock: &Clock) -> Self {
        let hashrate = |span| meter.hashrate(clock.instant, span);
        Self {
            last_share: meter.last_share().map(|at| clock.at(at)),
            hashrate_1m: hashrate(Span::Minute),
            hashrate_10m: hashrate(Span::TenMinutes),
            hashrate_1h: hashrate(Span::Hour),
            hashrate_24h: hashrate(Span::Day),
            shares_accepted: meter.accepted(),
            shares_rejected: meter.rejected(),
            shares_rejected_by_reason: meter.rejections().collect(),
            rejected_ratio_1h: meter.rejected_lately(clock.instant, ANY),
        }
    }
}

impl Choice {
    pub(super) fn read(query: &mut Query) -> Result<Self, QueryError> {
        let named = Problem::NAMED.map(|(name, problem)| (name, Wanted::This(problem)));
        let words = [("any", Wanted::Any), ("none", Wanted::None)];
        let words: Vec<_> = words.into_iter().chain(named).collect();
        Ok(Self {
            search: query.text("search")?.map(|text| text.to_lowercase()),
            problem: query.one_of("problem", &words)?,
        })
    }

    /// Tells whether a row with this problem is wanted that `has` a text, in lower case. That is asked only where
    /// something is searched for.
    pub(super) fn takes(&self, problem: Option<Problem>, has: impl Fn(&str) -> bool) -> bool {
        let fits = match self.problem {
            None => true,
            Some(Wanted::Any) => problem.is_some(),
            Some(Wanted::None) => problem.is_none(),
            Some(Wanted::This(wanted)) => problem == Some(wanted),
        };
        fits && self.search.as_deref().is_none_or(has)
    }
}

/// Counts rows by what is wrong with them.
pub(super) fn count(problems: impl Iterator<Item = Option<Problem>>) -> BTreeMap<Problem, usize> {
    let mut counts = BTreeMap::new();
    for problem in problems.flatten() {
        *counts.entry(problem).or_default() += 1;
    }
    counts
}

/// A miner with what was found out of it.
struct Found<'a> {
    shard: usize,
    seen: &'a Seen<Census>,
    miner: &'a MinerStatistics,
    problem: Option<Problem>,
}

impl Miners {
    pub(super) fn read(query: &mut Query) -> Result<Self, QueryError> {
        let choice = Choice::read(query)?;
        let sort = query.one_of("sort", &SORTS)?.unwrap_or(Sort::Problems);
        let order = query.one_of("order", &ORDERS)?;
        let usual = !matches!(sort, Sort::Worker | Sort::Address | Sort::Client);
        Ok(Self {
            choice,
            sort,
            descending: order.unwrap_or(usual),
            page: Page::read(query)?,
        })
    }

    /// Makes the page.
    pub(super) fn of(&self, view: &View<Census>) -> MinersAnswer {
        let clock = &view.clock;
        let all = view.shards.iter().enumerate().flat_map(|(shard, seen)| {
            seen.shown.miners.iter().map(move |miner| Found {
                shard,
                seen,
                miner,
                problem: problem(clock.instant, miner),
            })
        });
        let all: Vec<_> = all.collect();
        let (total, problems) = (all.len(), count(all.iter().map(|found| found.problem)));
        let mut rows: Vec<_> = all.into_iter().filter(|found| self.takes(found)).collect();
        let matching = rows.len();
        sort(&mut rows, self.descending, |found| {
            self.key(clock.instant, found)
        });
        let rows = self.page.of(rows);
        MinersAnswer {
            time: clock.time(),
            total,
            matching,
            offset: self.page.offset,
            problems,
            miners: rows.map(|found| found.row(clock)).collect(),
        }
    }

    fn takes(&self, found: &Found<'_>) -> bool {
        let miner = found.miner;
        self.choice.takes(found.problem, |searched| {
            let address = miner.peer.to_string();
            let firmware = miner.firmware.unwrap_or_default();
            let texts = [&*miner.worker, &address, &*miner.user_agent, firmware];
            texts
                .iter()
                .any(|text| text.to_lowercase().contains(searched))
        })
    }

    fn key(&self, now: Instant, found: &Found<'_>) -> Key {
        let miner = found.miner;
        match self.sort {
            Sort::Problems => {
                let rank = found.problem.map(Problem::rank);
                Key::problem(rank, miner.meter.hashrate(now, Span::Day))
            }
            Sort::Worker => Key::Text(miner.worker.clone()),
            Sort::Address => Key::Text(miner.peer.to_string()),
            Sort::Client => Key::Text(miner.user_agent.clone()),
            Sort::Hashrate(span) => Key::number(miner.meter.hashrate(now, span)),
            Sort::Difficulty => Key::number(miner.difficulty),
            Sort::Accepted => Key::Number(miner.meter.accepted()),
            Sort::Rejected => Key::Number(miner.meter.rejected()),
            Sort::LastShare => Key::latest(now, miner.meter.last_share()),
            Sort::Connected => Key::latest(now, Some(miner.connected)),
        }
    }
}

fn problem(now: Instant, miner: &MinerStatistics) -> Option<Problem> {
    let evidence = Evidence {
        state: Some(miner.state),
        connected: miner.connected,
        meter: &miner.meter,
        shares_per_minute: miner.shares_per_minute,
    };
    Problem::find(now, evidence)
}

impl Found<'_> {
    fn row(&self, clock: &Clock) -> MinerRow {
        let miner = self.miner;
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let listener = miner.listener.and_then(|id| self.seen.listeners.get(id.0));
        MinerRow {
            id: format!("{}.{}", self.shard, miner.id),
            worker: some(&miner.worker),
            address: miner.peer,
            listener: listener.copied(),
            client: some(&miner.user_agent),
            firmware: miner.firmware,
            state: state_label(miner.state),
            problem: self.problem,
            connected: clock.at(miner.connected),
            difficulty: miner.difficulty,
            measured: Measured::of(&miner.meter, clock),
        }
    }
}

fn state_label(state: MinerState) -> &'static str {
    match state {
        MinerState::SettingUp => "setting-up",
        MinerState::WithoutWork => "without-work",
        MinerState::Mining => "mining",
        MinerState::Paused => "paused",
    }
}
