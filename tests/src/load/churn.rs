//! Mode *churn*: miners come and go while others stay, all of them mining. What grows that should not, and whether anybody
//! who stays notices.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;
use super::contender::{Contender, Terms};
use super::crowd::Crowd;
use super::miner::Beginning;
use super::upstream::LoadPool;
use super::{WINDOW, kilobytes, seconds};

/// Shares of each miner in a second: as many as an easily measured machine sends.
const SHARES_PER_SECOND: f64 = 0.2;
/// Looks at the proxy, the first and the last among them.
const LOOKS: u32 = 5;
/// Longest time for the last answers.
const DRAIN: Duration = Duration::from_secs(15);
/// Between two new blocks: what is kept for a block is of no use after it, and slots rest until the next job.
const BLOCKS: Duration = Duration::from_secs(30);
/// Words of shares that were on their way as a new block came.
const ON_THEIR_WAY: [&str; 2] = [": stale: a new block", ": stale-share"];
/// Between two looks at who has to go.
const STEP: Duration = Duration::from_millis(50);

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Churn {
    /// Miners at a time; every second of them stays.
    pub miners: usize,
    /// Miners that go in a second, each replaced at once by one that comes.
    pub per_second: f64,
    /// How long.
    pub duration: Duration,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct ChurnReport {
    name: String,
    plan: Churn,
    connects: u64,
    accepted: u64,
    /// Resident memory in bytes and open files, at equal distances.
    looks: Vec<(u64, usize)>,
    cpu: Duration,
    problems: Vec<String>,
}

impl Churn {
    /// Runs it with a proxy.
    ///
    /// # Panics
    /// Where something cannot be started.
    #[must_use]
    pub fn run(&self, contender: &Contender) -> ChurnReport {
        let pool = LoadPool::start(Terms::AnyHash);
        let proxy = contender.start(&pool, Terms::AnyHash);
        let crowd = Crowd::new(proxy.address, Beginning::SetUp);
        let mut crowd = crowd.expect("an event queue can be made");
        let mut problems = Vec::new();
        let all = crowd.connect(self.miners, WINDOW, Instant::now() + 4 * PATIENCE);
        if !all.expect("sockets can be opened") {
            problems.push("not every miner got work".to_owned());
        }
        let look = || (proxy.memory().resident, proxy.descriptors());
        let before = proxy.usage().cpu;
        let mut looks = vec![look()];
        crowd.set_pace(SHARES_PER_SECOND * self.miners as f64);
        for _ in 1..LOOKS {
            self.turn_over(&mut crowd, &pool, self.duration / (LOOKS - 1));
            looks.push(look());
        }
        let cpu = proxy.usage().cpu.saturating_sub(before);
        crowd.rest();
        let miners = self.miners;
        let settled = crowd.run_until(Instant::now() + DRAIN, |tally| {
            tally.unanswered() == 0 && tally.mining >= miners
        });
        if !settled.expect("sockets can be served") {
            let mining = crowd.tally().mining;
            problems.push(format!(
                "{mining} of {miners} miners were at work in the end"
            ));
        }
        let found = crowd.tally().problems().into_iter();
        problems.extend(found.filter(|words| is_a_problem(words)));
        problems.extend(proxy.problems());
        let refused = pool.stats().shares_refused;
        let refused = refused.iter();
        problems.extend(
            refused
                .map(|(code, count)| format!("{count} shares refused by the pool: {code}"))
                .filter(|words| is_a_problem(words)),
        );
        let report = ChurnReport {
            name: contender.name.clone(),
            plan: *self,
            connects: crowd.tally().connects,
            accepted: crowd.tally().accepted,
            looks,
            cpu,
            problems,
        };
        drop((crowd, proxy));
        pool.stop();
        report
    }

    /// Replaces every second miner, one after the other, while all of them mine and new blocks come.
    fn turn_over(&self, crowd: &mut Crowd, pool: &LoadPool, time: Duration) {
        let began = Instant::now();
        let (mut replaced, mut blocks) = (0, 1);
        while began.elapsed() < time {
            if began.elapsed() > BLOCKS * blocks {
                pool.new_block();
                blocks += 1;
            }
            while f64::from(replaced) < seconds(began.elapsed()) * self.per_second {
                let turn = 2 * replaced as usize % self.miners.max(1);
                crowd.replace(turn).expect("sockets can be opened");
                replaced += 1;
            }
            crowd.run_for(STEP).expect("sockets can be served");
        }
    }
}

/// Tells whether words are about more than shares that were on their way as a new block came.
fn is_a_problem(words: &str) -> bool {
    !ON_THEIR_WAY.iter().any(|excuse| words.contains(excuse))
}

impl ChurnReport {
    /// Tells everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Gives the figures for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "mode": "churn",
            "proxy": self.name,
            "miners": self.plan.miners,
            "replaced_per_second": self.plan.per_second,
            "seconds": seconds(self.plan.duration),
            "connections": self.connects,
            "shares_accepted": self.accepted,
            "resident_bytes": self.looks.iter().map(|look| look.0).collect::<Vec<_>>(),
            "open_files": self.looks.iter().map(|look| look.1).collect::<Vec<_>>(),
            "cpu_seconds": seconds(self.cpu),
            "problems": self.problems,
        })
    }
}

impl fmt::Display for ChurnReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Churn {
            miners,
            per_second,
            duration,
        } = self.plan;
        writeln!(
            f,
            "{}: {miners} miners, {per_second} replaced a second for {duration:?}: {} connections, {} shares accepted, \
             {:.2?} of CPU time",
            self.name, self.connects, self.accepted, self.cpu
        )?;
        let memory = self.looks.iter().map(|(resident, _)| kilobytes(*resident));
        let memory: Vec<String> = memory.map(|memory| format!("{memory:.0}")).collect();
        let files: Vec<String> = self.looks.iter().map(|look| look.1.to_string()).collect();
        writeln!(f, "memory:     {} kB", memory.join(", "))?;
        write!(f, "open files: {}", files.join(", "))
    }
}
