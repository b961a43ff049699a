//! `/api/v1/workers`: each worker, over all its connections, and those of the last day that are gone.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Instant;

use serde::Serialize;
use translate::{LeftWorker, Meter, MinerState, MinerStatistics, Span};

use crate::snapshot::Census;

use super::miners::{Choice, Measured, ORDERS, count};
use super::page::{Key, Page, sort};
use super::problem::{Evidence, Problem};
use super::query::{Query, QueryError};
use super::shards::View;
use super::time::{Clock, Time};

/// Addresses of a worker that are listed.
const ADDRESSES: usize = 8;

/// Which workers are wanted, and in which order.
#[derive(Debug)]
pub(super) struct Workers {
    choice: Choice,
    sort: Sort,
    descending: bool,
    page: Page,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Problems,
    Worker,
    Client,
    Connections,
    Hashrate(Span),
    Accepted,
    Rejected,
    LastShare,
}

const SORTS: [(&str, Sort); 11] = [
    ("problems", Sort::Problems),
    ("worker", Sort::Worker),
    ("client", Sort::Client),
    ("connections", Sort::Connections),
    ("hashrate_1m", Sort::Hashrate(Span::Minute)),
    ("hashrate_10m", Sort::Hashrate(Span::TenMinutes)),
    ("hashrate_1h", Sort::Hashrate(Span::Hour)),
    ("hashrate_24h", Sort::Hashrate(Span::Day)),
    ("accepted", Sort::Accepted),
    ("rejected", Sort::Rejected),
    ("last_share", Sort::LastShare),
];

/// A page of workers.
#[derive(Debug, Serialize)]
pub(super) struct WorkersAnswer {
    time: Time,
    /// All workers.
    total: usize,
    /// Those that were searched for.
    matching: usize,
    offset: usize,
    /// All workers, by what is wrong.
    problems: BTreeMap<Problem, usize>,
    workers: Vec<WorkerRow>,
}

#[derive(Debug, Serialize)]
struct WorkerRow {
    worker: String,
    connections: usize,
    connections_ended: u32,
    addresses: Vec<SocketAddr>,
    client: Option<String>,
    firmware: Option<&'static str>,
    problem: Option<Problem>,
    since: Option<Time>,
    left: Option<Time>,
    left_reason: Option<&'static str>,
    difficulty: f64,
    #[serde(flatten)]
    measured: Measured,
}

/// All that is known of a worker.
struct Worker<'a> {
    name: &'a str,
    miners: Vec<&'a MinerStatistics>,
    left: Option<&'a LeftWorker>,
    ended: u32,
    meter: Meter,
    problem: Option<Problem>,
}

impl Workers {
    pub(super) fn read(query: &mut Query) -> Result<Self, QueryError> {
        let choice = Choice::read(query)?;
        let sort = query.one_of("sort", &SORTS)?.unwrap_or(Sort::Problems);
        let order = query.one_of("order", &ORDERS)?;
        let usual = !matches!(sort, Sort::Worker | Sort::Client);
        Ok(Self {
            choice,
            sort,
            descending: order.unwrap_or(usual),
            page: Page::read(query)?,
        })
    }

    /// Makes the page.
    pub(super) fn of(&self, view: &View<Census>) -> WorkersAnswer {
        let clock = &view.clock;
        let all = gather(view);
        let (total, problems) = (all.len(), count(all.iter().map(|worker| worker.problem)));
        let mut rows: Vec<_> = all.into_iter().filter(|it| self.takes(it)).collect();
        let matching = rows.len();
        // Equal ones have an order too, so that pages do not overlap.
        rows.sort_unstable_by_key(|worker| worker.name);
        sort(&mut rows, self.descending, |worker| {
            self.key(clock.instant, worker)
        });
        let rows = self.page.of(rows);
        WorkersAnswer {
            time: clock.time(),
            total,
            matching,
            offset: self.page.offset,
            problems,
            workers: rows.map(|worker| worker.row(clock)).collect(),
        }
    }

    fn takes(&self, worker: &Worker<'_>) -> bool {
        self.choice.takes(worker.problem, |searched| {
            let has = |text: &str| text.to_lowercase().contains(searched);
            let texts = [
                worker.name,
                worker.client(),
                worker.firmware().unwrap_or(""),
            ];
            texts.into_iter().any(has) || worker.addresses().any(|it| has(&it.to_string()))
        })
    }

    fn key(&self, now: Instant, worker: &Worker<'_>) -> Key {
        let meter = &worker.meter;
        match self.sort {
            Sort::Problems => {
                let rank = worker.problem.map(Problem::rank);
                Key::problem(rank, meter.hashrate(now, Span::Day))
            }
            Sort::Worker => Key::Text(worker.name.to_owned()),
            Sort::Client => Key::Text(worker.client().to_owned()),
            Sort::Connections => Key::number(worker.miners.len() as f64),
            Sort::Hashrate(span) => Key::number(meter.hashrate(now, span)),
            Sort::Accepted => Key::Number(meter.accepted()),
            Sort::Rejected => Key::Number(meter.rejected()),
            Sort::LastShare => Key::latest(now, meter.last_share()),
        }
    }
}

/// Puts together what is known of each worker.
fn gather(view: &View<Census>) -> Vec<Worker<'_>> {
    let censuses = || view.shards.iter().map(|seen| &seen.shown);
    let most = censuses().map(|census| census.miners.len() + census.left.len());
    let mut all: HashMap<&str, Worker<'_>> = HashMap::with_capacity(most.sum());
    let worker = |name| Worker {
        name,
        miners: Vec::new(),
        left: None,
        ended: 0,
        meter: Meter::default(),
        problem: None,
    };
    for census in censuses() {
        let named = census.miners.iter().filter(|it| !it.worker.is_empty());
        for miner in named {
            let worker = all
                .entry(&miner.worker)
                .or_insert_with_key(|name| worker(name));
            worker.meter.add(&miner.meter);
            worker.miners.push(miner);
        }
        for left in &census.left {
            let worker = all
                .entry(&left.name)
                .or_insert_with_key(|name| worker(name));
            worker.meter.add(&left.meter);
            worker.ended = worker.ended.saturating_add(left.connections);
            // Of two drivers, what happened last counts.
            worker.left = match worker.left {
                Some(other) if other.left > left.left => Some(other),
                _ => Some(left),
            };
        }
    }
    let mut all: Vec<_> = all.into_values().collect();
    for worker in &mut all {
        worker.problem = worker.find_problem(view.clock.instant);
    }
    all
}

impl Worker<'_> {
    /// Finds what is wrong. Of several connections the best one counts: a worker mines while one of them does.
    fn find_problem(&self, now: Instant) -> Option<Problem> {
        let first = self.miners.iter().min_by_key(|miner| place(miner.state));
        let evidence = Evidence {
            state: first.map(|miner| miner.state),
            connected: first.map_or(now, |miner| miner.connected),
            meter: &self.meter,
            shares_per_minute: first.map_or(1.0, |miner| miner.shares_per_minute),
        };
        Problem::find(now, evidence)
    }

    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let there = self.miners.iter().map(|miner| miner.peer);
        let gone = self.left.filter(|_| self.miners.is_empty());
        there.chain(gone.map(|left| left.peer))
    }

    fn client(&self) -> &str {
        let there = self.miners.first().map(|miner| &*miner.user_agent);
        let gone = self.left.map(|left| &*left.user_agent);
        there.or(gone).unwrap_or_default()
    }

    fn firmware(&self) -> Option<&'static str> {
        match self.miners.first() {
            Some(miner) => miner.firmware,
            None => translate::Firmware::of(self.client()).map(|firmware| firmware.name),
        }
    }

    fn row(&self, clock: &Clock) -> WorkerRow {
        let gone = self.left.filter(|_| self.miners.is_empty());
        let hardest = self.miners.iter().map(|miner| miner.difficulty);
        let hardest = hardest.max_by(f64::total_cmp);
        let client = self.client();
        WorkerRow {
            worker: self.name.to_owned(),
            connections: self.miners.len(),
            connections_ended: self.ended,
            addresses: self.addresses().take(ADDRESSES).collect(),
            client: (!client.is_empty()).then(|| client.to_owned()),
            firmware: self.firmware(),
            problem: self.problem,
            since: self.meter.begun().map(|begun| clock.at(begun)),
            left: gone.map(|left| clock.at(left.left)),
            left_reason: gone.map(|left| left.reason),
            difficulty: hardest
                .or_else(|| gone.map(|left| left.difficulty))
                .unwrap_or(0.0),
            measured: Measured::of(&self.meter, clock),
        }
    }
}

/// Orders states, the best first.
fn place(state: MinerState) -> u8 {
    match state {
        MinerState::Mining => 0,
        MinerState::Paused => 1,
        MinerState::WithoutWork => 2,
        MinerState::SettingUp => 3,
    }
}
