//! Mode *watched*: whether miners notice that somebody looks. The same miners mine, and new blocks come, by turns with nobody
//! at HTTP, with a scrape of the metrics every second, and with everything asked for every second.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;
use super::block::{block_json, time_block, typical};
use super::contender::{Contender, Running, Terms};
use super::crowd::Crowd;
use super::miner::Beginning;
use super::upstream::LoadPool;
use super::{WINDOW, seconds};
use crate::Http;
use crate::spread::Spread;

/// Shares of each miner in a second: as many as an easily measured machine sends.
const SHARES_PER_SECOND: f64 = 0.2;
/// Between two looks of one who watches.
const EVERY: Duration = Duration::from_secs(1);
/// Between two new blocks.
const BLOCKS: Duration = Duration::from_secs(2);
const METRICS: &str = "/metrics";
/// What else there is to ask for.
const API: [&str; 8] = [
    "/api/v1/status",
    "/api/v1/upstreams",
    "/api/v1/jobs",
    "/api/v1/events",
    "/api/v1/hashrate",
    "/api/v1/miners?limit=100",
    "/api/v1/miners?limit=1000&sort=hashrate_1h",
    "/api/v1/workers?limit=100",
];

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// Miners.
    pub miners: usize,
    /// How often each way of watching has its turn.
    pub turns: usize,
    /// How long a turn takes.
    pub turn: Duration,
}

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Watcher {
    Nobody,
    Prometheus,
    Everybody,
}

impl Watcher {
    const ALL: [Self; 3] = [Self::Nobody, Self::Prometheus, Self::Everybody];

    fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody looks",
            Self::Prometheus => "metrics every second",
            Self::Everybody => "everything every second",
        }
    }

    fn paths(self) -> Vec<&'static str> {
        match self {
            Self::Nobody => Vec::new(),
            Self::Prometheus => vec![METRICS],
            Self::Everybody => std::iter::once(METRICS).chain(API).collect(),
        }
    }
}

/// What miners and machine came to under one way of watching.
#[derive(Debug, Clone, Default)]
struct Served {
    replies: Vec<Duration>,
    blocks: Vec<Spread>,
    cpu: Duration,
    time: Duration,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct WatchedReport {
    plan: Watched,
    served: BTreeMap<Watcher, Served>,
    /// How long each answer took, and the bytes of the longest.
    answers: BTreeMap<&'static str, (Vec<Duration>, usize)>,
    problems: Vec<String>,
}

impl Watched {
    /// Runs it with Millrace.
    ///
    /// # Panics
    /// Where something cannot be started.
    #[must_use]
    pub fn run(&self, contender: &Contender) -> WatchedReport {
        let terms = Terms::AnyHashMeasured;
        let pool = LoadPool::start(terms);
        let (proxy, http) = contender.start_with_http(&pool, terms);
        let crowd = Crowd::new(proxy.address, Beginning::SetUp);
        let mut crowd = crowd.expect("an event queue can be made");
        let mut report = WatchedReport {
            plan: *self,
            served: BTreeMap::new(),
            answers: BTreeMap::new(),
            problems: Vec::new(),
        };
        let all = crowd.connect(self.miners, WINDOW, Instant::now() + 4 * PATIENCE);
        if !all.expect("sockets can be opened") {
            report.problems.push("not every miner got work".to_owned());
        }
        crowd.set_pace(SHARES_PER_SECOND * self.miners as f64);
        // For buffers to grow.
        crowd.run_for(self.turn).expect("sockets can be served");
        for _ in 0..self.turns {
            for watcher in Watcher::ALL {
                self.turn(watcher, http, (&mut crowd, &pool, &proxy), &mut report);
            }
        }
        crowd.rest();
        let lost = &crowd.tally().lost;
        let lost = lost.iter();
        let lost = lost.map(|(how, count)| format!("{count} connections lost: {how}"));
        report.problems.extend(lost);
        report.problems.extend(proxy.problems());
        drop((crowd, proxy));
        pool.stop();
        report
    }

    fn turn(
        &self,
        watcher: Watcher,
        http: Http,
        (crowd, pool, proxy): (&mut Crowd, &LoadPool, &Running),
        report: &mut WatchedReport,
    ) {
        let known = crowd.tally().round_trips.len();
        let (began, cpu) = (Instant::now(), proxy.usage().cpu);
        let looking = Looking::start(http, watcher.paths());
        let served = report.served.entry(watcher).or_default();
        while began.elapsed() < self.turn {
            crowd.run_for(BLOCKS).expect("sockets can be served");
            match time_block(crowd, pool).expect("sockets can be served") {
                Some(block) => served.blocks.push(block),
                None => report
                    .problems
                    .push("a new block did not reach every miner".to_owned()),
            }
        }
        served.time += began.elapsed();
        served.cpu += proxy.usage().cpu.saturating_sub(cpu);
        let replies = crowd.tally().round_trips.get(known..);
        served.replies.extend(replies.unwrap_or_default());
        match looking.stop() {
            Some(answers) => {
                for (path, took, length) in answers {
                    let (times, longest) = report.answers.entry(path).or_default();
                    times.push(took);
                    *longest = length.max(*longest);
                }
            }
            None => report.problems.push("http did not answer".to_owned()),
        }
    }
}

/// A path, how long its answer took, and its length in bytes.
type Answered = (&'static str, Duration, usize);

/// One who looks every second, on a thread of its own.
struct Looking {
    end: Sender<()>,
    thread: JoinHandle<Vec<Answered>>,
}

impl Looking {
    fn start(http: Http, paths: Vec<&'static str>) -> Self {
        let (end, ended) = mpsc::channel::<()>();
        let look = move || {
            let mut answers = Vec::new();
            loop {
                for path in &paths {
                    let began = Instant::now();
                    let reply = http.get(path);
                    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
                    answers.push((*path, began.elapsed(), reply.body.len()));
                }
                if ended.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                    return answers;
                }
            }
        };
        Self {
            end,
            thread: std::thread::spawn(look),
        }
    }

    /// Gives what was seen; `None` where an answer did not come.
    fn stop(self) -> Option<Vec<Answered>> {
        drop(self.end);
        self.thread.join().ok()
    }
}

impl Served {
    /// Gives the part of a CPU that the proxy took.
    fn load(&self) -> f64 {
        seconds(self.cpu) / seconds(self.time)
    }
}

impl WatchedReport {
    /// Tells everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Gives the figures for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let served = self.served.iter().map(|(watcher, served)| {
            let replies = Spread::of(&served.replies);
            json!({
                "watcher": watcher.name(),
                "shares": replies.count,
                "reply_median_seconds": seconds(replies.median),
                "reply_p99_seconds": seconds(replies.p99),
                "blocks": served.blocks.iter().map(block_json).collect::<Vec<_>>(),
                "cpu": served.load(),
            })
        });
        let answers = self.answers.iter().map(|(path, (times, length))| {
            let times = Spread::of(times);
            json!({
                "path": path,
                "answers": times.count,
                "median_seconds": seconds(times.median),
                "longest_seconds": seconds(times.max),
                "bytes": length,
            })
        });
        json!({
            "mode": "watched",
            "miners": self.plan.miners,
            "turns": self.plan.turns,
            "turn_seconds": seconds(self.plan.turn),
            "served": served.collect::<Vec<_>>(),
            "answers": answers.collect::<Vec<_>>(),
            "problems": self.problems,
        })
    }
}

impl fmt::Display for WatchedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} miners, {} turns of {:?} each",
            self.plan.miners, self.plan.turns, self.plan.turn
        )?;
        writeln!(
            f,
            "| | share to its reply: median, 99 % | new block to the median, to the last | CPU |\n|---|---|---|---|"
        )?;
        for (watcher, served) in &self.served {
            let (replies, block) = (Spread::of(&served.replies), typical(&served.blocks));
            writeln!(
                f,
                "| {} | {:.2?}, {:.2?} | {:.1?}, {:.1?} | {:.1} % |",
                watcher.name(),
                replies.median,
                replies.p99,
                block.median,
                block.max,
                served.load() * 100.0
            )?;
        }
        writeln!(f, "\n| path | median | longest | kB |\n|---|---|---|---|")?;
        for (path, (times, length)) in &self.answers {
            let times = Spread::of(times);
            writeln!(
                f,
                "| `{path}` | {:.1?} | {:.1?} | {} |",
                times.median,
                times.max,
                length / 1_000
            )?;
        }
        Ok(())
    }
}
