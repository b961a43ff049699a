//! What trials came to, as a table for people and an object for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::{Outcome, Trial};

/// Least part of the farm's work that the second pool is to credit.
const LEAST_CREDIT: f64 = 0.9;
/// Window in s below which chance alone can take the credit below that.
const LEAST_WINDOW: u64 = 60;

/// The outcomes of some trials.
#[derive(Debug, Clone)]
pub struct Report {
    /// How they were made.
    pub trial: Trial,
    /// One for each event.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// Tells everything that is wrong; nothing where no miner noticed anything.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let each = self.outcomes.iter();
        each.flat_map(|outcome| self.problems_of(outcome)).collect()
    }

    fn problems_of(&self, outcome: &Outcome) -> Vec<String> {
        let poor = outcome.credited < LEAST_CREDIT && self.trial.window.as_secs() >= LEAST_WINDOW;
        // However short the window, a farm that works finds something.
        let nothing = outcome.credited <= 0.0;
        let idle = outcome.minerd_accepted == Some(0);
        [
            (outcome.connections_lost > 0, "connections were lost"),
            (
                outcome.to_last_miner.is_none(),
                "not every miner got work of the other pool",
            ),
            (poor, "the other pool credited less than 90 % of the work"),
            (nothing, "the other pool credited nothing"),
            (idle, "minerd had no share accepted"),
            (
                outcome.returned == Some(false),
                "the miners did not go back",
            ),
            (
                !outcome.refused_by_backup.is_empty(),
                "the other pool refused shares",
            ),
        ]
        .into_iter()
        .filter(|(wrong, _)| *wrong)
        .map(|(_, words)| format!("{}: {words}", outcome.event.words()))
        .collect()
    }

    /// Gives the figures for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let outcomes: Vec<Value> = self.outcomes.iter().map(outcome_json).collect();
        json!({
            "miners": self.trial.miners,
            "window_seconds": self.trial.window.as_secs_f64(),
            "outage_seconds": self.trial.outage.as_secs_f64(),
            "outcomes": outcomes,
            "problems": self.problems(),
        })
    }
}

fn outcome_json(outcome: &Outcome) -> Value {
    json!({
        "event": outcome.event.words(),
        "miners": outcome.miners,
        "connections_lost": outcome.connections_lost,
        "seconds_to_last_miner": outcome.to_last_miner.map(|time| time.as_secs_f64()),
        "shares_refused": outcome.refused,
        "shares_unanswered": outcome.unanswered,
        "shares_refused_by_backup": outcome.refused_by_backup,
        "credited_fraction": outcome.credited,
        "minerd_accepted": outcome.minerd_accepted,
        "returned": outcome.returned,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = self.trial.window.as_secs();
        writeln!(
            f,
            "| event | connections lost | to the last miner | refused at the miner | without an answer | credited in {window} s |\n\
             |---|---|---|---|---|---|"
        )?;
        for outcome in &self.outcomes {
            let time = match outcome.to_last_miner {
                Some(time) => format!("{time:.1?}"),
                None => "never".to_owned(),
            };
            writeln!(
                f,
                "| {} | {} of {} | {time} | {} | {} | {:.0} % |",
                outcome.event.words(),
                outcome.connections_lost,
                outcome.miners,
                reasons(&outcome.refused),
                outcome.unanswered,
                outcome.credited * 100.0
            )?;
        }
        Ok(())
    }
}

fn reasons(refused: &BTreeMap<String, u64>) -> String {
    let each = refused
        .iter()
        .map(|(reason, count)| format!("{count} × {reason}"));
    match refused.is_empty() {
        true => "none".to_owned(),
        false => each.collect::<Vec<_>>().join(", "),
    }
}
