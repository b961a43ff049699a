//! Mode *storm*: all miners connect at once, to a proxy that measures them as on a farm. How long until each has its
//! set-up and its work, what it costs, and how much later new blocks are meanwhile at miners that were there before.

use std::fmt;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;
use super::block::{block_json, time_block};
use super::contender::{Contender, Running, Terms};
use super::crowd::Crowd;
use super::miner::Beginning;
use super::tally::Tally;
use super::upstream::LoadPool;
use super::{WINDOW, own_cpu, seconds};
use crate::spread::Spread;

/// Longest time for a storm.
const LONGEST: Duration = Duration::from_secs(120);
/// Blocks timed in the calm before.
const CALM_BLOCKS: usize = 5;
/// Between two blocks in the calm: the fuller job of the one before is with everybody by then.
const BETWEEN_CALM: Duration = Duration::from_millis(700);
/// Between a block's arrival at the last and the next block, in the storm.
const BETWEEN: Duration = Duration::from_millis(250);

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Storm {
    /// Miners that connect at once.
    pub miners: usize,
    /// Miners that are connected before, and whose new blocks are timed; 0 for a storm without blocks.
    pub connected: usize,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct StormReport {
    name: String,
    plan: Storm,
    /// From the first connect until the last miner had its work, or was given up.
    took: Duration,
    cpu: Duration,
    calm: Vec<Spread>,
    stormy: Vec<Spread>,
    tool_cpu: Duration,
    problems: Vec<String>,
}

impl Storm {
    /// Runs it with a proxy.
    ///
    /// # Panics
    /// Where something cannot be started.
    #[must_use]
    pub fn run(&self, contender: &Contender) -> StormReport {
        let pool = LoadPool::start(Terms::Farm);
        let proxy = contender.start(&pool, Terms::Farm);
        let crowd = Crowd::new(proxy.address, Beginning::SetUp);
        let mut crowd = crowd.expect("an event queue can be made");
        let mut problems = Vec::new();
        let deadline = Instant::now() + LONGEST;
        let all = crowd.connect(self.connected, WINDOW, deadline);
        if !all.expect("sockets can be opened") {
            problems.push("not every miner got work before the storm".to_owned());
        }
        let calm = self.calm_blocks(&mut crowd, &pool, &mut problems);
        let own = own_cpu();
        let (cpu, newcomers, stormy) = self.blow(&mut crowd, (&pool, &proxy), &mut problems);
        let took = newcomers.took;
        problems.extend(newcomers.tally.problems());
        problems.extend(crowd.tally().problems());
        problems.extend(proxy.problems());
        let report = StormReport {
            name: contender.name.clone(),
            plan: *self,
            took,
            cpu,
            calm,
            stormy,
            tool_cpu: own_cpu().saturating_sub(own),
            problems,
        };
        drop((newcomers, crowd, proxy));
        pool.stop();
        report
    }

    fn calm_blocks(
        &self,
        crowd: &mut Crowd,
        pool: &LoadPool,
        problems: &mut Vec<String>,
    ) -> Vec<Spread> {
        let mut blocks = Vec::new();
        // The first is for buffers to grow.
        let count = if self.connected > 0 {
            CALM_BLOCKS + 1
        } else {
            0
        };
        for number in 0..count {
            crowd.run_for(BETWEEN_CALM).expect("sockets can be read");
            let block = time_block(crowd, pool).expect("sockets can be read");
            if block.is_none() {
                problems.push("a new block did not reach every miner before the storm".to_owned());
            }
            blocks.extend(block.filter(|_| number > 0));
        }
        crowd.run_for(BETWEEN_CALM).expect("sockets can be read");
        blocks
    }

    /// Lets the newcomers connect on a thread of their own, and times blocks at the others until all are set up.
    fn blow(
        &self,
        crowd: &mut Crowd,
        (pool, proxy): (&LoadPool, &Running),
        problems: &mut Vec<String>,
    ) -> (Duration, Newcomers, Vec<Spread>) {
        let before = proxy.usage().cpu;
        let newcomers = Newcomers::connect(proxy.address, self.miners);
        let mut blocks = Vec::new();
        while self.connected > 0 && !newcomers.is_finished() {
            crowd.run_for(BETWEEN).expect("sockets can be read");
            match time_block(crowd, pool).expect("sockets can be read") {
                Some(block) => blocks.push(block),
                None => {
                    let late = Spread {
                        max: PATIENCE,
                        ..Spread::default()
                    };
                    blocks.push(late);
                    let words = format!("a new block took {PATIENCE:?} or more in the storm");
                    problems.push(words);
                }
            }
        }
        let newcomers = newcomers.join().expect("no miner panics");
        if newcomers.tally.mining < self.miners {
            let (mining, miners) = (newcomers.tally.mining, self.miners);
            problems.push(format!(
                "only {mining} of {miners} miners got work within {LONGEST:?} of the storm"
            ));
        }
        (proxy.usage().cpu.saturating_sub(before), newcomers, blocks)
    }
}

/// Those who came in the storm.
#[derive(Debug)]
struct Newcomers {
    took: Duration,
    tally: Tally,
    /// Holds their connections.
    _crowd: Crowd,
}

impl Newcomers {
    fn connect(address: SocketAddr, miners: usize) -> JoinHandle<Self> {
        thread::spawn(move || {
            let crowd = Crowd::new(address, Beginning::SetUp);
            let mut crowd = crowd.expect("an event queue can be made");
            let began = Instant::now();
            let all = crowd.connect(miners, usize::MAX, began + LONGEST);
            let all = all.expect("sockets can be opened");
            let tally = crowd.tally().clone();
            let last = tally.last_mining.filter(|_| all);
            Self {
                took: last.map_or(LONGEST, |last| last.saturating_duration_since(began)),
                tally,
                _crowd: crowd,
            }
        })
    }
}

impl StormReport {
    /// Tells everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Gives the time until all had work.
    pub(super) fn took(&self) -> Duration {
        self.took
    }

    /// Gives the proxy's CPU time for it.
    pub(super) fn cpu(&self) -> Duration {
        self.cpu
    }

    /// Gives the time of a block to the last of the connected miners: the median in the calm, and the longest in the storm.
    pub(super) fn block_delays(&self) -> [Duration; 2] {
        let longest = self.stormy.iter().map(|block| block.max).max();
        let calm: Vec<Duration> = self.calm.iter().map(|block| block.max).collect();
        [Spread::of(&calm).median, longest.unwrap_or_default()]
    }

    /// Gives the figures for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let [calm, storm] = self.block_delays();
        json!({
            "mode": "storm",
            "proxy": self.name,
            "miners": self.plan.miners,
            "connected_before": self.plan.connected,
            "seconds": seconds(self.took),
            "cpu_seconds": seconds(self.cpu),
            "block_last_seconds_calm": seconds(calm),
            "block_last_seconds_storm": seconds(storm),
            "blocks_calm": self.calm.iter().map(block_json).collect::<Vec<_>>(),
            "blocks_storm": self.stormy.iter().map(block_json).collect::<Vec<_>>(),
            "tool_cpu_seconds": seconds(self.tool_cpu),
            "problems": self.problems,
        })
    }
}

impl fmt::Display for StormReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} miners connected at once: all at work after {:.2?}, with {:.2?} of CPU time",
            self.name, self.plan.miners, self.took, self.cpu
        )?;
        if self.plan.connected > 0 {
            let [calm, storm] = self.block_delays();
            writeln!(
                f,
                "new block: to the last of {} miners connected before {calm:.1?} in the calm (median of {}), at most \
                 {storm:.1?} in the storm ({} blocks)",
                self.plan.connected,
                self.calm.len(),
                self.stormy.len()
            )?;
        }
        write!(
            f,
            "tool:      {:.2?} of CPU time, with the pool",
            self.tool_cpu
        )
    }
}
