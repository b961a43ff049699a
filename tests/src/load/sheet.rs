//! A table of figures: several runs of each, the median, how far they are apart, and ratios.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde_json::{Value, json};

/// Column of what the machine does at best.
pub(super) const FLOOR: &str = "floor";

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Figure {
    ResidentNone,
    ResidentAll,
    Connection,
    BlockMedian,
    BlockLast,
    ShareCpu,
    ShareRate,
    StormTime,
    StormCpu,
    CalmBlock,
    StormBlock,
    Idle,
}

impl Figure {
    const ALL: [Self; 12] = [
        Self::ResidentNone,
        Self::ResidentAll,
        Self::Connection,
        Self::BlockMedian,
        Self::BlockLast,
        Self::ShareCpu,
        Self::ShareRate,
        Self::StormTime,
        Self::StormCpu,
        Self::CalmBlock,
        Self::StormBlock,
        Self::Idle,
    ];

    /// Gives its name for programs, and its words.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::ResidentNone => (
                "resident_kilobytes_none",
                "memory with nobody connected, kB",
            ),
            Self::ResidentAll => ("resident_kilobytes_all", "memory with all connected, kB"),
            Self::Connection => ("kilobytes_per_connection", "memory of a connection, kB"),
            Self::BlockMedian => ("block_median_ms", "new block to the median miner, ms"),
            Self::BlockLast => ("block_last_ms", "new block to the last miner, ms"),
            Self::ShareCpu => ("cpu_per_thousand_shares", "CPU time for 1,000 shares, s"),
            Self::ShareRate => ("shares_per_second", "shares carried through in a second"),
            Self::StormTime => ("storm_seconds", "all connect at once: at work after, s"),
            Self::StormCpu => ("storm_cpu_seconds", "all connect at once: CPU time, s"),
            Self::CalmBlock => (
                "block_calm_ms",
                "new block to the last who was there, before a storm, ms",
            ),
            Self::StormBlock => (
                "block_storm_ms",
                "new block to the last who was there, in the storm, at most, ms",
            ),
            Self::Idle => (
                "idle_cpu_percent",
                "CPU with all connected, 12 shares a minute each, %",
            ),
        }
    }

    /// Tells whether more is better.
    fn is_better_high(self) -> bool {
        self == Self::ShareRate
    }
}

/// The runs of each figure, by column.
#[derive(Debug, Clone, Default)]
pub(super) struct Sheet {
    columns: Vec<String>,
    cells: BTreeMap<(Figure, String), Vec<f64>>,
}

impl Sheet {
    /// Makes an empty one with these columns; the first is what the others are compared with.
    pub(super) fn new(columns: Vec<String>) -> Self {
        Self {
            columns,
            cells: BTreeMap::new(),
        }
    }

    /// Notes what a run came to.
    pub(super) fn note(&mut self, figure: Figure, column: &str, value: f64) {
        let cell = self.cells.entry((figure, column.to_owned())).or_default();
        cell.push(value);
    }

    fn runs(&self, figure: Figure, column: &str) -> Option<&[f64]> {
        let cell = self.cells.get(&(figure, column.to_owned()));
        cell.map(Vec::as_slice)
    }

    /// How many times better the first column is than another; against the floor, how many times as much it takes.
    fn ratio(&self, figure: Figure, column: &str) -> Option<f64> {
        let first = median(self.runs(figure, self.columns.first()?)?);
        let other = median(self.runs(figure, column)?);
        match figure.is_better_high() || column == FLOOR {
            true => Some(first / other),
            false => Some(other / first),
        }
    }

    /// Gives the figures for programs.
    pub(super) fn to_json(&self) -> Value {
        let mut figures = serde_json::Map::new();
        for ((figure, column), runs) in &self.cells {
            let value = json!({"median": median(runs), "runs": runs});
            let of_figure = figures.entry(figure.names().0).or_insert_with(|| json!({}));
            if let Some(columns) = of_figure.as_object_mut() {
                columns.insert(column.clone(), value);
            }
        }
        Value::Object(figures)
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| figure |")?;
        for (number, column) in self.columns.iter().enumerate() {
            write!(f, " {column} |")?;
            match (number, column.as_str()) {
                (0, _) => {}
                (_, FLOOR) => write!(f, " × floor |")?,
                _ => write!(f, " better than it |")?,
            }
        }
        writeln!(f, "\n|---|{}", "---|".repeat(2 * self.columns.len() - 1))?;
        for figure in Figure::ALL {
            let mut row = format!("| {} |", figure.names().1);
            for (number, column) in self.columns.iter().enumerate() {
                let runs = self.runs(figure, column);
                // Writing to a String cannot fail.
                let _ = write!(row, " {} |", runs.map_or_else(String::new, in_words));
                if number > 0 {
                    let ratio = self.ratio(figure, column);
                    let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.1} ×"));
                    let _ = write!(row, " {ratio} |");
                }
            }
            writeln!(f, "{row}")?;
        }
        Ok(())
    }
}

/// The median, and the ends where there is more than one run.
fn in_words(runs: &[f64]) -> String {
    let least = runs.iter().copied().fold(f64::INFINITY, f64::min);
    let most = runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let middle = rounded(median(runs));
    match runs {
        [_] => middle,
        _ => format!("{middle} ({} to {})", rounded(least), rounded(most)),
    }
}

/// Three digits or so.
fn rounded(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        0.1.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// The middle one of an odd number of runs, and the lower of the middle two of an even number.
fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_medians_and_ratios() {
        let mut sheet = Sheet::new(["millrace", FLOOR, "peer"].map(str::to_owned).to_vec());
        for value in [3.0, 1.0, 2.0] {
            sheet.note(Figure::BlockLast, "millrace", value);
            sheet.note(Figure::BlockLast, FLOOR, value / 2.0);
            sheet.note(Figure::BlockLast, "peer", value * 4.0);
            sheet.note(Figure::ShareRate, "millrace", value * 100.0);
            sheet.note(Figure::ShareRate, "peer", value * 25.0);
        }
        let text = sheet.to_string();
        let row = |words: &str| {
            let found = text.lines().find(|line| line.contains(words));
            found.unwrap_or_default().to_owned()
        };
        assert_eq!(
            row("new block to the last miner"),
            "| new block to the last miner, ms | 2.00 (1.00 to 3.00) | 1.00 (0.50 to 1.50) | 2.0 × | 8.00 (4.00 to 12.0) | 4.0 × |"
        );
        assert!(row("carried through").ends_with("| 50.0 (25.0 to 75.0) | 4.0 × |"));
        let json = sheet.to_json();
        let median = &json["block_last_ms"]["peer"]["median"];
        assert_eq!(median.as_f64(), Some(8.0));
    }
}
