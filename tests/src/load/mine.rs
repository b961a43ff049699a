//! Mode *mine*: real shares, at a fixed rate or as many as go through with a number in flight. What the proxy accepted,
//! what reached the pool, how long answers took, and the CPU time of everybody; beside it what an echo costs.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sv2_pool::PoolStats;

use super::PATIENCE;
use super::contender::{Contender, Terms};
use super::crowd::Crowd;
use super::floor::{ECHO, Floor};
use super::job::Job;
use super::miner::Beginning;
use super::tally::Tally;
use super::upstream::LoadPool;
use super::{WINDOW, own_cpu, seconds, thread_cpu};
use crate::Usage;
use crate::spread::Spread;

/// Longest time for the last answers to come, and for the last shares to reach the pool.
const DRAIN: Duration = Duration::from_secs(15);
/// Part of the planned shares that may not be handed in: of miners that were not at work in their turn.
const MOST_BEHIND: f64 = 0.01;
/// Part of a core above which one thread of the tool may be what is measured.
const BUSY: f64 = 0.85;
/// How often the pool is asked whether it has all.
const LOOK: Duration = Duration::from_millis(5);

/// How shares come.
#[derive(Debug, Clone, Copy)]
pub enum Flow {
    /// Each miner finds this many a second, all at equal distances.
    Paced(f64),
    /// Each miner has this many unanswered all the time.
    InFlight(usize),
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Mine {
    /// Miners.
    pub miners: usize,
    /// How long they mine.
    pub duration: Duration,
    /// How shares come.
    pub flow: Flow,
    /// Whether the proxy measures the miners.
    pub vardiff: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct MineReport {
    name: String,
    plan: Mine,
    /// From the first share until nothing was left behind.
    took: Duration,
    tally: Counts,
    pool: Option<PoolCounts>,
    round_trip: Spread,
    cpu: Duration,
    miners_cpu: Duration,
    pool_cpu: Duration,
    problems: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Counts {
    submitted: u64,
    accepted: u64,
    refused: u64,
}

#[derive(Debug, Clone)]
struct PoolCounts {
    accepted: u64,
    refused: u64,
}

impl Mine {
    /// Runs it with a proxy.
    ///
    /// # Panics
    /// Where something cannot be started.
    #[must_use]
    pub fn run(&self, contender: &Contender) -> MineReport {
        let terms = match self.vardiff {
            true => Terms::AnyHashMeasured,
            false => Terms::AnyHash,
        };
        let pool = LoadPool::start(terms);
        let proxy = contender.start(&pool, terms);
        let crowd = Crowd::new(proxy.address, Beginning::SetUp);
        let mut crowd = crowd.expect("an event queue can be made");
        let mut problems = self.connect(&mut crowd);
        let usage = || proxy.usage();
        let mut stats = pool.stats();
        let mut run = self.mine(&mut crowd, &contender.name, usage, |tally| {
            stats = pool.stats();
            stats.shares_accepted + stats.shares_refused_total() >= tally.accepted
        });
        problems.append(&mut run.problems);
        problems.extend(crowd.tally().problems());
        problems.extend(lost_between(crowd.tally(), &stats));
        problems.extend(proxy.problems());
        run.problems = problems;
        run.pool = Some(PoolCounts {
            accepted: stats.shares_accepted,
            refused: stats.shares_refused_total(),
        });
        drop((crowd, proxy));
        pool.stop();
        run
    }

    /// Has the same shares echoed, by the program `tool`.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn run_floor(&self, tool: &Path) -> MineReport {
        let floor = Floor::start(tool, ECHO);
        let crowd = Crowd::new(floor.address, Beginning::Given(Job::any().into()));
        let mut crowd = crowd.expect("an event queue can be made");
        let mut problems = self.connect(&mut crowd);
        let usage = || Usage::of(floor.program.id()).unwrap_or_default();
        let mut run = self.mine(&mut crowd, "echo", usage, |_| true);
        problems.append(&mut run.problems);
        problems.extend(crowd.tally().problems());
        run.problems = problems;
        run
    }

    /// Gives how many shares are to be handed in; none where their number is what is measured.
    fn planned(&self) -> f64 {
        match self.flow {
            Flow::Paced(rate) => rate * self.miners as f64 * seconds(self.duration),
            Flow::InFlight(_) => 0.0,
        }
    }

    fn connect(&self, crowd: &mut Crowd) -> Vec<String> {
        let all = crowd.connect(self.miners, WINDOW, Instant::now() + 4 * PATIENCE);
        let mining = crowd.tally().mining;
        let missing = !all.expect("sockets can be opened");
        let words = format!("only {mining} of {} miners got work", self.miners);
        missing.then_some(words).into_iter().collect()
    }

    /// Mines, and waits until every share is answered and `is_carried` says that the pool has all of them.
    fn mine(
        &self,
        crowd: &mut Crowd,
        name: &str,
        usage: impl Fn() -> Usage,
        mut is_carried: impl FnMut(&Tally) -> bool,
    ) -> MineReport {
        let served = "sockets can be served";
        let before = usage().cpu;
        let (own, thread) = (own_cpu(), thread_cpu());
        let began = Instant::now();
        match self.flow {
            Flow::Paced(rate) => crowd.set_pace(rate * self.miners as f64),
            Flow::InFlight(shares) => crowd.keep_in_flight(shares).expect(served),
        }
        crowd.run_for(self.duration).expect(served);
        // A machine with other work may have some left to hand in.
        while crowd.has_paced() < self.planned() && began.elapsed() < self.duration + DRAIN {
            crowd.run_for(LOOK).expect(served);
        }
        crowd.rest();
        let deadline = Instant::now() + DRAIN;
        let drained = crowd.run_until(deadline, |tally| tally.unanswered() == 0);
        drained.expect(served);
        let mut problems = Vec::new();
        while !is_carried(crowd.tally()) {
            if Instant::now() >= deadline {
                problems.push("shares were left behind between proxy and pool".to_owned());
                break;
            }
            crowd.run_for(LOOK).expect(served);
        }
        let took = began.elapsed();
        let tally = crowd.tally();
        if tally.accepted == 0 {
            problems.push("no share was accepted".to_owned());
        }
        let behind = self.planned() - tally.submitted as f64;
        if behind > MOST_BEHIND * self.planned() {
            problems.push(format!("{behind:.0} shares fewer handed in than planned"));
        }
        let miners_cpu = thread_cpu().saturating_sub(thread);
        MineReport {
            name: name.to_owned(),
            plan: *self,
            took,
            tally: Counts {
                submitted: tally.submitted,
                accepted: tally.accepted,
                refused: tally.refused.values().sum(),
            },
            pool: None,
            round_trip: Spread::of(&tally.round_trips),
            cpu: usage().cpu.saturating_sub(before),
            miners_cpu,
            pool_cpu: own_cpu().saturating_sub(own).saturating_sub(miners_cpu),
            problems,
        }
    }
}

/// Tells what is amiss between what the proxy said to the miners and what the pool says.
fn lost_between(tally: &Tally, stats: &PoolStats) -> Vec<String> {
    let refused = stats.shares_refused.iter();
    let refused =
        refused.map(|(code, count)| format!("{count} shares refused by the pool: {code}"));
    let known = stats.shares_accepted + stats.shares_refused_total();
    let lost = tally.accepted.saturating_sub(known);
    let lost = (lost > 0).then(|| {
        format!("{lost} shares that the proxy accepted and did not send on within {DRAIN:?}")
    });
    refused.chain(lost).collect()
}

impl MineReport {
    /// Tells everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Shares that went all the way: to the pool, or of an echo back to the miner.
    fn carried(&self) -> u64 {
        (self.pool.as_ref()).map_or(self.tally.accepted, |pool| pool.accepted)
    }

    /// Gives the CPU time of the proxy for a thousand shares, in seconds.
    pub(super) fn cpu_per_thousand(&self) -> f64 {
        seconds(self.cpu) / (self.carried() as f64 / 1_000.0)
    }

    /// Gives the shares carried through in a second.
    pub(super) fn rate(&self) -> f64 {
        self.carried() as f64 / seconds(self.took)
    }

    /// Gives the part of a CPU that the proxy took.
    pub(super) fn load(&self) -> f64 {
        seconds(self.cpu) / seconds(self.took)
    }

    /// Gives the figures for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let pool = self.pool.as_ref();
        let (rate, in_flight) = match self.plan.flow {
            Flow::Paced(rate) => (Some(rate), None),
            Flow::InFlight(shares) => (None, Some(shares)),
        };
        json!({
            "mode": "mine",
            "proxy": self.name,
            "miners": self.plan.miners,
            "shares_per_second_and_miner": rate,
            "in_flight": in_flight,
            "vardiff": self.plan.vardiff,
            "seconds": seconds(self.took),
            "shares_submitted": self.tally.submitted,
            "shares_accepted": self.tally.accepted,
            "shares_refused": self.tally.refused,
            "pool_shares_accepted": pool.map(|pool| pool.accepted),
            "pool_shares_refused": pool.map(|pool| pool.refused),
            "shares_per_second": self.rate(),
            "round_trip_median_seconds": seconds(self.round_trip.median),
            "round_trip_p99_seconds": seconds(self.round_trip.p99),
            "round_trip_max_seconds": seconds(self.round_trip.max),
            "cpu_seconds": seconds(self.cpu),
            "cpu_seconds_per_thousand_shares": self.cpu_per_thousand(),
            "tool_cpu_seconds": seconds(self.miners_cpu),
            "pool_cpu_seconds": seconds(self.pool_cpu),
            "problems": self.problems,
        })
    }
}

impl fmt::Display for MineReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flow = match self.plan.flow {
            Flow::Paced(rate) => format!("{rate} shares a second each"),
            Flow::InFlight(shares) => format!("{shares} shares in flight each"),
        };
        writeln!(
            f,
            "{}: {} miners, {flow}: {} submitted, {} accepted, {} refused in {:.2?}",
            self.name,
            self.plan.miners,
            self.tally.submitted,
            self.tally.accepted,
            self.tally.refused,
            self.took
        )?;
        if let Some(pool) = &self.pool {
            writeln!(
                f,
                "pool:       {} accepted, {} refused",
                pool.accepted, pool.refused
            )?;
        }
        writeln!(f, "carried:    {:.0} shares a second", self.rate())?;
        writeln!(f, "round trip: {}", self.round_trip)?;
        write!(
            f,
            "cpu:        {:.2?} of it, {:.4} s for 1,000 shares, {:.0} % of a core; the miners took {:.2?}, the pool {:.2?}",
            self.cpu,
            self.cpu_per_thousand(),
            self.load() * 100.0,
            self.miners_cpu,
            self.pool_cpu
        )?;
        for (who, cpu) in [("miners", self.miners_cpu), ("pool", self.pool_cpu)] {
            if seconds(cpu) > BUSY * seconds(self.took) {
                write!(
                    f,
                    "\nnote:       {who} busy all the time, which may be the bound"
                )?;
            }
        }
        Ok(())
    }
}
