//! All figures at once: every mode, several times, the proxies and their floors by turns, in one table.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::contender::Contender;
use super::hold::Hold;
use super::mine::{Flow, Mine};
use super::seconds;
use super::sheet::{FLOOR, Figure, Sheet};
use super::storm::Storm;

/// Blocks in each run of hold.
const BLOCKS: usize = 7;
/// Miners that find shares where throughput is measured.
const FEW: usize = 200;
/// Shares of each in a second, where their rate is fixed.
const RATE: f64 = 50.0;
/// Shares of each in flight, where it is not.
const IN_FLIGHT: usize = 16;
/// Shares of each in a second where all of them are on a farm: 12 a minute.
const FARM_RATE: f64 = 0.2;
/// How long shares are found in each run.
const MINING: Duration = Duration::from_secs(10);
/// How long the whole farm mines in each run.
const IDLING: Duration = Duration::from_secs(20);

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Figures {
    /// The proxies; the first is compared with the others.
    pub contenders: Vec<Contender>,
    /// This tool, which is the floors too.
    pub tool: PathBuf,
    /// Miners, but where fewer are enough.
    pub miners: usize,
    /// Runs of each.
    pub runs: usize,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct FiguresReport {
    plan: Figures,
    sheet: Sheet,
    runs: Vec<Value>,
    problems: Vec<String>,
}

impl Figures {
    /// Measures all, and tells each run on standard error as it ends.
    ///
    /// # Panics
    /// Where something cannot be started.
    #[must_use]
    pub fn run(&self) -> FiguresReport {
        let names = self
            .contenders
            .iter()
            .map(|contender| contender.name.clone());
        let mut columns: Vec<String> = names.collect();
        columns.insert(1.min(columns.len()), FLOOR.to_owned());
        let mut report = FiguresReport {
            plan: self.clone(),
            sheet: Sheet::new(columns),
            runs: Vec::new(),
            problems: Vec::new(),
        };
        for _ in 0..self.runs {
            self.hold(&mut report);
            self.mine(&mut report);
            self.in_flight(&mut report);
            self.storm(&mut report);
            self.blocks_in_a_storm(&mut report);
            self.idle(&mut report);
        }
        report
    }

    fn hold(&self, report: &mut FiguresReport) {
        let hold = Hold {
            miners: self.miners,
            blocks: BLOCKS,
        };
        let mut line: Option<Vec<u8>> = None;
        for contender in &self.contenders {
            let run = hold.run(contender);
            report.keep(&contender.name, &run, run.to_json(), run.problems());
            let [none, all] = run.resident();
            let name = &contender.name;
            let sheet = &mut report.sheet;
            sheet.note(Figure::ResidentNone, name, none as f64 / 1_000.0);
            sheet.note(Figure::ResidentAll, name, all as f64 / 1_000.0);
            let each = run.bytes_per_connection() as f64 / 1_000.0;
            sheet.note(Figure::Connection, name, each);
            sheet.note(Figure::BlockMedian, name, milliseconds(run.block().median));
            sheet.note(Figure::BlockLast, name, milliseconds(run.block().max));
            // The floor has the bytes of the first: the lines of others are about as long.
            if line.is_none() {
                let line = line.insert(run.line().to_vec());
                let floor = hold.run_floor(&self.tool, line);
                report.keep(FLOOR, &floor, floor.to_json(), floor.problems());
                let block = floor.block();
                let sheet = &mut report.sheet;
                sheet.note(Figure::BlockMedian, FLOOR, milliseconds(block.median));
                sheet.note(Figure::BlockLast, FLOOR, milliseconds(block.max));
            }
        }
    }

    fn mine(&self, report: &mut FiguresReport) {
        let mine = Mine {
            miners: FEW,
            duration: MINING,
            flow: Flow::Paced(RATE),
            vardiff: false,
        };
        for contender in &self.contenders {
            let run = mine.run(contender);
            report.keep(&contender.name, &run, run.to_json(), run.problems());
            let cpu = run.cpu_per_thousand();
            report.sheet.note(Figure::ShareCpu, &contender.name, cpu);
        }
        let floor = mine.run_floor(&self.tool);
        report.keep(FLOOR, &floor, floor.to_json(), floor.problems());
        let cpu = floor.cpu_per_thousand();
        report.sheet.note(Figure::ShareCpu, FLOOR, cpu);
    }

    fn in_flight(&self, report: &mut FiguresReport) {
        let mine = Mine {
            miners: FEW,
            duration: MINING,
            flow: Flow::InFlight(IN_FLIGHT),
            vardiff: false,
        };
        for contender in &self.contenders {
            let run = mine.run(contender);
            report.keep(&contender.name, &run, run.to_json(), run.problems());
            let rate = run.rate();
            report.sheet.note(Figure::ShareRate, &contender.name, rate);
        }
    }

    fn storm(&self, report: &mut FiguresReport) {
        let storm = Storm {
            miners: self.miners,
            connected: 0,
        };
        for contender in &self.contenders {
            let run = storm.run(contender);
            report.keep(&contender.name, &run, run.to_json(), run.problems());
            let (name, sheet) = (&contender.name, &mut report.sheet);
            sheet.note(Figure::StormTime, name, seconds(run.took()));
            sheet.note(Figure::StormCpu, name, seconds(run.cpu()));
        }
    }

    fn blocks_in_a_storm(&self, report: &mut FiguresReport) {
        let storm = Storm {
            miners: self.miners,
            connected: self.miners / 5,
        };
        for contender in &self.contenders {
            let run = storm.run(contender);
            report.keep(&contender.name, &run, run.to_json(), run.problems());
            let [calm, in_storm] = run.block_delays().map(milliseconds);
            let (name, sheet) = (&contender.name, &mut report.sheet);
            sheet.note(Figure::CalmBlock, name, calm);
            sheet.note(Figure::StormBlock, name, in_storm);
        }
    }

    fn idle(&self, report: &mut FiguresReport) {
        let mine = Mine {
            miners: self.miners,
            duration: IDLING,
            flow: Flow::Paced(FARM_RATE),
            vardiff: true,
        };
        for contender in &self.contenders {
            let run = mine.run(contender);
            report.keep(&contender.name, &run, run.to_json(), run.problems());
            let load = run.load() * 100.0;
            report.sheet.note(Figure::Idle, &contender.name, load);
        }
    }
}

impl FiguresReport {
    fn keep(&mut self, name: &str, run: &impl fmt::Display, json: Value, problems: &[String]) {
        eprintln!("{run}\n");
        self.runs.push(json);
        let problems = problems.iter().map(|words| format!("{name}: {words}"));
        self.problems.extend(problems);
    }

    /// Tells everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Gives the figures for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        json!({
            "mode": "all",
            "machine": machine(),
            "unix_time": time.map_or(0, |time| time.as_secs()),
            "miners": self.plan.miners,
            "figures": self.sheet.to_json(),
            "runs": self.runs,
            "problems": self.problems,
        })
    }
}

impl fmt::Display for FiguresReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { miners, runs, .. } = self.plan;
        writeln!(
            f,
            "{}; {miners} miners, medians of {runs} runs (least to most)\n",
            machine()
        )?;
        write!(f, "{}", self.sheet)
    }
}

fn milliseconds(time: Duration) -> f64 {
    seconds(time) * 1_000.0
}

/// Names the processor, its cores and the kernel.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}
