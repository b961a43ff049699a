//! What is wrong with a miner or a worker, so that who needs an operator stands first.

use std::time::{Duration, Instant};

use serde::Serialize;
use translate::{Meter, MinerState, Span};

/// What is wrong, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Problem {
    /// It has no connection any more.
    Offline,
    /// It is connected and finds no shares.
    Silent,
    /// Its shares are not looked at, since nearly all were invalid.
    Paused,
    /// Many of its shares are refused.
    Rejected,
    /// No upstream had work for it yet.
    WithoutWork,
    /// It finds much less than it did.
    Falling,
    /// It is connected and has not authorized.
    SettingUp,
}

/// How many of its usual pauses a miner may be silent: chance alone does that once in 160,000 shares.
const PAUSES: f64 = 12.0;
/// Silence that is never a problem.
const SHORT: Duration = Duration::from_secs(60);
/// Part of the last hour's shares that may be refused: stale ones of new blocks are far below.
const REJECTED: f64 = 0.05;
/// Shares in the last hour below which nothing is concluded from the refused ones.
const FEW: f64 = 20.0;
/// Part of the last day's hashrate below which that of the last ten minutes is a problem: five standard deviations of
/// what chance does at [`FREQUENT`].
const FALLEN: f64 = 0.6;
/// Shares per minute from which on ten minutes say enough.
const FREQUENT: f64 = 8.0;
/// Time after which the last day's hashrate is worth comparing with.
const KNOWN_AFTER: Duration = Duration::from_secs(3_600);
/// Time that setting up may take.
const SET_UP: Duration = Duration::from_secs(10);

/// What a miner or a worker is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence<'a> {
    /// `None` without a connection.
    pub(super) state: Option<MinerState>,
    pub(super) connected: Instant,
    pub(super) meter: &'a Meter,
    pub(super) shares_per_minute: f64,
}

impl Problem {
    /// All of them with their names.
    pub(super) const NAMED: [(&'static str, Self); 7] = [
        ("offline", Self::Offline),
        ("silent", Self::Silent),
        ("paused", Self::Paused),
        ("rejected", Self::Rejected),
        ("without-work", Self::WithoutWork),
        ("falling", Self::Falling),
        ("setting-up", Self::SettingUp),
    ];

    /// Gives the rank: 0 for the worst.
    pub(super) fn rank(self) -> usize {
        let mut all = Self::NAMED.iter();
        all.position(|(_, problem)| *problem == self)
            .unwrap_or_default()
    }

    /// Finds what is wrong.
    pub(super) fn find(now: Instant, of: Evidence<'_>) -> Option<Self> {
        let connected = now.saturating_duration_since(of.connected);
        match of.state {
            None => Some(Self::Offline),
            Some(MinerState::SettingUp) => (connected >= SET_UP).then_some(Self::SettingUp),
            Some(MinerState::WithoutWork) => Some(Self::WithoutWork),
            Some(MinerState::Paused) => Some(Self::Paused),
            Some(MinerState::Mining) if is_silent(now, &of) => Some(Self::Silent),
            Some(MinerState::Mining) => {
                let rejected = of.meter.rejected_lately(now, FEW);
                if rejected.is_some_and(|rejected| rejected >= REJECTED) {
                    return Some(Self::Rejected);
                }
                is_falling(now, &of).then_some(Self::Falling)
            }
        }
    }
}

fn is_silent(now: Instant, of: &Evidence<'_>) -> bool {
    // Over this connection: what a worker did over an earlier one is no word of the present one.
    let since = of.meter.last_share().max(Some(of.connected));
    let silence = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
    let usual = Duration::from_secs_f64(PAUSES * 60.0 / of.shares_per_minute.max(0.1));
    silence > usual.max(SHORT)
}

fn is_falling(now: Instant, of: &Evidence<'_>) -> bool {
    let known = |since| now.saturating_duration_since(since) >= KNOWN_AFTER;
    of.shares_per_minute >= FREQUENT
        && of.meter.begun().is_some_and(known)
        && of.meter.hashrate(now, Span::TenMinutes) < FALLEN * of.meter.hashrate(now, Span::Day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(now: Instant, state: Option<MinerState>, connected: Instant) -> Option<Problem> {
        let evidence = Evidence {
            state,
            connected,
            meter: &Meter::default(),
            shares_per_minute: 12.0,
        };
        Problem::find(now, evidence)
    }

    #[test]
    fn a_miner_that_is_silent_for_long_is_a_problem_and_a_new_one_is_none() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mining = Some(MinerState::Mining);
        assert_eq!(find(after(60), mining, start), None);
        assert_eq!(find(after(61), mining, start), Some(Problem::Silent));
        let setting_up = Some(MinerState::SettingUp);
        assert_eq!(find(after(9), setting_up, start), None);
        assert_eq!(find(after(10), setting_up, start), Some(Problem::SettingUp));
        assert_eq!(find(start, None, start), Some(Problem::Offline));
        assert_eq!(
            find(start, Some(MinerState::Paused), start),
            Some(Problem::Paused)
        );
    }

    #[test]
    fn ranks_and_names_are_those_of_the_variants() {
        assert!(Problem::NAMED.is_sorted_by_key(|(_, problem)| *problem));
        for (rank, (name, problem)) in Problem::NAMED.into_iter().enumerate() {
            assert_eq!(problem.rank(), rank);
            assert_eq!(serde_json::to_value(problem).unwrap(), name);
        }
    }
}
