//! The table of vardiff: for a hashrate and a start, how soon the difficulty is right, and how well it holds.

use std::fmt;

use crate::world::{MEASURING_START, SHARES_PER_MINUTE, Start, World, ideal};

/// Time in which a miner whose start was wrong is to settle, in s; the hour that is measured begins after it.
const SETTLING: f64 = 300.0;
/// Time of a steady hashrate before it changes, in s.
const STEADY: f64 = 1_800.0;
const HOUR: f64 = 3_600.0;

const TERA: f64 = 1e12;

/// One row: a miner and what it goes through.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    /// In h/s.
    hashrate: f64,
    start: Start,
    /// What the hashrate is multiplied by once it has been steady for half an hour.
    change: Option<f64>,
}

const fn case(name: &'static str, hashrate: f64, start: f64) -> Case {
    Case {
        name,
        hashrate,
        start: Start::At(start),
        change: None,
    }
}

const fn changing(name: &'static str, hashrate: f64, factor: f64) -> Case {
    Case {
        change: Some(factor),
        ..case(name, hashrate, 16_384.0)
    }
}

/// What is shown.
pub const CASES: [Case; 12] = [
    case(
        "S9, 14 TH/s; start 16384 is right",
        14.0 * TERA,
        MEASURING_START,
    ),
    case("S21, 200 TH/s; start 16384", 200.0 * TERA, MEASURING_START),
    case("Bitaxe, 1.2 TH/s; start 16384", 1.2 * TERA, MEASURING_START),
    Case {
        start: Start::Suggested(0.00015),
        ..case("NerdMiner, 60 kH/s; asks for 0.00015", 6e4, MEASURING_START)
    },
    case("100 TH/s; 1,000 x too easy", 100.0 * TERA, 128.0),
    case("100 TH/s; 10 x too easy", 100.0 * TERA, 8_192.0),
    case("100 TH/s; 10 x too hard", 100.0 * TERA, 1_048_576.0),
    case("100 TH/s; 1,000 x too hard", 100.0 * TERA, 134_217_728.0),
    changing("14 TH/s, falls to a quarter", 14.0 * TERA, 0.25),
    changing("14 TH/s, rises fourfold", 14.0 * TERA, 4.0),
    changing("14 TH/s, floods with a hundredfold", 14.0 * TERA, 100.0),
    changing("14 TH/s, falls to a hundredth", 14.0 * TERA, 0.01),
];

/// What came of one case.
#[derive(Debug, Clone)]
pub struct Row {
    case: Case,
    /// Time to within a factor two, in s: half of the seeds, 95 % of them, 99 %, all.
    pub settled: [f64; 4],
    /// Changes until then and five minutes on, on average.
    pub changes_before: f64,
    /// Shares per minute over the next hour: mean, least and greatest of all seeds.
    pub rate: [f64; 3],
    /// Changes in that hour, on average.
    pub changes_in_hour: f64,
    /// Part of the work of that hour that the pool credited, on average.
    pub credited: f64,
}

/// What came of one seed.
struct Run {
    settled: f64,
    before: usize,
    rate: f64,
    changes: usize,
    credited: f64,
}

fn run(case: &Case, seed: u64) -> Run {
    let most = case.hashrate * case.change.unwrap_or(1.0).max(1.0);
    let seed = seed.wrapping_mul(7_919) + 1;
    let mut world = World::new(seed, case.hashrate, most, case.start);
    let begins = if let Some(factor) = case.change {
        world.mine_until(STEADY);
        world.hashrate *= factor;
        STEADY
    } else {
        0.0
    };
    let fits = ideal(world.hashrate);
    let hour = begins + SETTLING;
    world.mine_until(hour);
    let (credited, hashes) = (world.credited(), world.hashes);
    world.mine_until(hour + HOUR);
    let credited = (world.credited() - credited) / (world.hashes - hashes);
    let shares = world.shares.iter().filter(|at| **at >= hour).count();
    // The first is the start.
    let changes = world.changes.iter().skip(1).map(|change| change.at);
    let changes: Vec<_> = changes.filter(|at| *at >= begins).collect();
    let before = changes.iter().filter(|at| **at < hour).count();
    Run {
        settled: settled(&world, begins, fits),
        before,
        rate: shares as f64 / HOUR * 60.0,
        changes: changes.len() - before,
        credited,
    }
}

/// Time after which the difficulty stays within a factor two of what fits for five minutes.
fn settled(world: &World, begins: f64, fits: f64) -> f64 {
    let mut since = None;
    for change in &world.changes {
        let at = change.at.max(begins);
        if since.is_some_and(|since| at - since >= SETTLING) {
            break;
        }
        let right = (0.5..=2.0).contains(&(fits / change.difficulty));
        since = right.then(|| since.unwrap_or(at));
    }
    since.map_or(f64::INFINITY, |since| since - begins)
}

#[expect(clippy::cast_possible_truncation, reason = "a place in a short list")]
fn quantile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

/// Simulates a case with this many seeds.
pub fn row(case: Case, seeds: u64) -> Row {
    let runs: Vec<_> = (0..seeds).map(|seed| run(&case, seed)).collect();
    let sorted = |of: fn(&Run) -> f64| {
        let mut values: Vec<_> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let mean = |of: fn(&Run) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
    let settled = sorted(|run| run.settled);
    let rates = sorted(|run| run.rate);
    Row {
        case,
        settled: [0.5, 0.95, 0.99, 1.0].map(|part| quantile(&settled, part)),
        changes_before: mean(|run| run.before as f64),
        rate: [
            mean(|run| run.rate),
            quantile(&rates, 0.0),
            quantile(&rates, 1.0),
        ],
        changes_in_hour: mean(|run| run.changes as f64),
        credited: mean(|run| run.credited),
    }
}

/// The head of the table.
pub fn head(seeds: u64) -> String {
    format!(
        "{seeds} seeds each, {SHARES_PER_MINUTE} shares a minute wanted\n\n\
         | miner | within 2 x after: half | 95 % | 99 % | all | changes | next hour: shares a minute | least | most | changes | credited |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([half, many, most, all], [mean, least, greatest]) = (self.settled, self.rate);
        write!(
            f,
            "| {} | {half:.1} s | {many:.1} s | {most:.1} s | {all:.1} s | {:.2} | {mean:.1} | {least:.1} | {greatest:.1} | {:.2} | {:.1} % |",
            self.case.name,
            self.changes_before,
            self.changes_in_hour,
            100.0 * self.credited
        )
    }
}
