//! Mode *hold*: miners that are connected and find nothing. What each costs in memory, and how long a new block takes to
//! reach them all; beside it the time that a plain loop of writes takes for the same bytes.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;
use super::block::{block_json, time_block, typical};
use super::contender::{Contender, Memory, Terms};
use super::crowd::Crowd;
use super::floor::{Floor, WRITER};
use super::job::Job;
use super::miner::Beginning;
use super::upstream::LoadPool;
use super::{WINDOW, kilobytes, own_cpu, seconds};
use crate::spread::Spread;

/// Between two blocks: the fuller job of the one before is with everybody by then.
const BETWEEN: Duration = Duration::from_millis(700);

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Hold {
    /// Miners.
    pub miners: usize,
    /// New blocks that are timed, after one that is not.
    pub blocks: usize,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct HoldReport {
    name: String,
    miners: usize,
    set_up: Duration,
    set_up_cpu: Duration,
    /// With nobody connected, and at the end with all of them.
    memory: [Memory; 2],
    blocks: Vec<Spread>,
    tool_cpu: Duration,
    problems: Vec<String>,
    line: Vec<u8>,
}

/// What a floor came to.
#[derive(Debug, Clone)]
pub struct WriterReport {
    miners: usize,
    blocks: Vec<Spread>,
    bytes: usize,
    problems: Vec<String>,
}

impl Hold {
    /// Runs it with a proxy.
    ///
    /// # Panics
    /// Where something cannot be started.
    #[must_use]
    pub fn run(&self, contender: &Contender) -> HoldReport {
        let pool = LoadPool::start(Terms::AnyHash);
        let proxy = contender.start(&pool, Terms::AnyHash);
        let before = (proxy.memory(), proxy.usage());
        let crowd = Crowd::new(proxy.address, Beginning::SetUp);
        let mut crowd = crowd.expect("an event queue can be made");
        let own = own_cpu();
        let started = Instant::now();
        let mut problems = Vec::new();
        let all = crowd.connect(self.miners, WINDOW, started + 4 * PATIENCE);
        if !all.expect("sockets can be opened") {
            let mining = crowd.tally().mining;
            problems.push(format!("only {mining} of {} miners got work", self.miners));
        }
        let set_up = started.elapsed();
        let set_up_cpu = proxy.usage().cpu.saturating_sub(before.1.cpu);
        let blocks = self.time_blocks(&mut crowd, |crowd| time_block(crowd, &pool));
        let after = proxy.memory();
        problems.extend(self.missing(&blocks));
        problems.extend(crowd.tally().problems());
        problems.extend(proxy.problems());
        let report = HoldReport {
            name: contender.name.clone(),
            miners: self.miners,
            set_up,
            set_up_cpu,
            memory: [before.0, after],
            blocks,
            tool_cpu: own_cpu().saturating_sub(own),
            problems,
            line: crowd.block_line().unwrap_or_default(),
        };
        drop((crowd, proxy));
        pool.stop();
        report
    }

    /// Has the same line written by a plain loop of writes, by the program `tool`.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn run_floor(&self, tool: &Path, line: &[u8]) -> WriterReport {
        let mut floor = Floor::start(tool, WRITER);
        let job = Job::read(line.trim_ascii_end()).expect("a line that a miner has read");
        let crowd = Crowd::new(floor.address, Beginning::Given(job.into()));
        let mut crowd = crowd.expect("an event queue can be made");
        let all = crowd.connect(self.miners, WINDOW, Instant::now() + PATIENCE);
        let mut problems = Vec::new();
        if !all.expect("sockets can be opened") {
            problems.push("the floor did not accept all miners".to_owned());
        }
        let mut serial = 0;
        let blocks = self.time_blocks(&mut crowd, |crowd| {
            serial += 1;
            write_block(crowd, &mut floor, line, serial)
        });
        problems.extend(self.missing(&blocks));
        problems.extend(crowd.tally().problems());
        WriterReport {
            miners: self.miners,
            blocks,
            bytes: line.len(),
            problems,
        }
    }

    fn time_blocks(
        &self,
        crowd: &mut Crowd,
        mut time: impl FnMut(&mut Crowd) -> io::Result<Option<Spread>>,
    ) -> Vec<Spread> {
        let mut blocks = Vec::new();
        for number in 0..=self.blocks {
            crowd.run_for(BETWEEN).expect("sockets can be read");
            let block = time(crowd).expect("sockets can be read");
            // The first is for buffers to grow.
            blocks.extend(block.filter(|_| number > 0));
        }
        crowd.run_for(BETWEEN).expect("sockets can be read");
        blocks
    }

    fn missing(&self, blocks: &[Spread]) -> Option<String> {
        let missing = self.blocks.saturating_sub(blocks.len());
        (missing > 0).then(|| format!("{missing} new blocks did not reach every miner"))
    }
}

/// Has the floor write a line whose block is new, and times its arrival as a proxy's.
fn write_block(
    crowd: &mut Crowd,
    floor: &mut Floor,
    line: &[u8],
    serial: u8,
) -> io::Result<Option<Spread>> {
    let Some(job) = Job::read(line.trim_ascii_end()) else {
        return Ok(None);
    };
    let mut notify = (*job.notify).clone();
    notify.prev_hash = [serial; 32];
    let miners = crowd.tally().mining;
    let began = Instant::now();
    floor.write(&notify.encode())?;
    let arrived = crowd.run_until(began + PATIENCE, |tally| {
        tally.arrivals(&notify.prev_hash).len() >= miners
    })?;
    let arrivals = crowd.tally().arrivals(&notify.prev_hash).iter();
    let delays: Vec<Duration> = arrivals
        .map(|arrival| arrival.saturating_duration_since(began))
        .collect();
    Ok(arrived.then(|| Spread::of(&delays)))
}

impl HoldReport {
    /// Tells everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Gives the line that brought the last block, for a floor.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Gives the bytes of resident memory that each connection added.
    pub(super) fn bytes_per_connection(&self) -> u64 {
        let [none, all] = self.memory;
        all.resident.saturating_sub(none.resident) / (self.miners as u64).max(1)
    }

    /// Gives resident memory with nobody connected and with all, in bytes.
    pub(super) fn resident(&self) -> [u64; 2] {
        self.memory.map(|memory| memory.resident)
    }

    /// Gives the usual delays of a block.
    pub(super) fn block(&self) -> Spread {
        typical(&self.blocks)
    }

    /// Gives the figures for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let [none, all] = self.memory;
        json!({
            "mode": "hold",
            "proxy": self.name,
            "miners": self.miners,
            "set_up_seconds": seconds(self.set_up),
            "set_up_cpu_seconds": seconds(self.set_up_cpu),
            "resident_bytes_none": none.resident,
            "resident_bytes_connected": all.resident,
            "proportional_bytes_none": none.proportional,
            "proportional_bytes_connected": all.proportional,
            "bytes_per_connection": self.bytes_per_connection(),
            "blocks": self.blocks.iter().map(block_json).collect::<Vec<_>>(),
            "tool_cpu_seconds": seconds(self.tool_cpu),
            "problems": self.problems,
        })
    }
}

impl fmt::Display for HoldReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [none, all] = self.memory;
        writeln!(
            f,
            "{}: {} miners connected, set up in {:.2?} with {:.2?} of CPU time",
            self.name, self.miners, self.set_up, self.set_up_cpu
        )?;
        writeln!(
            f,
            "memory:    {} kB with none, {} kB with all, {:.2} kB a connection (proportional: {} kB, {} kB)",
            none.resident / 1024,
            all.resident / 1024,
            kilobytes(self.bytes_per_connection()),
            none.proportional / 1024,
            all.proportional / 1024
        )?;
        let block = self.block();
        writeln!(
            f,
            "new block: to the median miner {:.1?}, to 99 % {:.1?}, to the last {:.1?} (medians of {} blocks)",
            block.median,
            block.p99,
            block.max,
            self.blocks.len()
        )?;
        write!(f, "tool:      {:.2?} of CPU time in all", self.tool_cpu)
    }
}

impl WriterReport {
    /// Tells everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Gives the usual delays of a block.
    pub(super) fn block(&self) -> Spread {
        typical(&self.blocks)
    }

    /// Gives the figures for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "mode": "floor of hold",
            "miners": self.miners,
            "line_bytes": self.bytes,
            "blocks": self.blocks.iter().map(block_json).collect::<Vec<_>>(),
            "problems": self.problems,
        })
    }
}

impl fmt::Display for WriterReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let block = self.block();
        write!(
            f,
            "floor:     to the median miner {:.1?}, to 99 % {:.1?}, to the last {:.1?} ({} bytes each, by a plain loop of writes)",
            block.median, block.p99, block.max, self.bytes
        )
    }
}
