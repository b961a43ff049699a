//! How things are, in words and figures: for `systemctl status`, and the line that the log has every few minutes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sv2::bitcoin::Hashrate;
use translate::{HASHES_PER_DIFFICULTY, Meter, Span, Statistics};

use crate::config::format_duration;

const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// What has been counted so far, over all drivers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counts {
    accepted: u64,
    work: f64,
    refused: BTreeMap<&'static str, u64>,
    /// Shares sent to each upstream, and those that it acknowledged.
    upstreams: BTreeMap<String, (u64, u64)>,
}

impl Counts {
    pub(super) fn of(seen: &[Statistics]) -> Self {
        let mut counts = Self::default();
        for statistics in seen {
            counts.accepted += statistics.shares_accepted;
            counts.work += statistics.work_accepted;
            for (reason, count) in &statistics.shares_rejected {
                *counts.refused.entry(reason).or_default() += count;
            }
            for upstream in &statistics.upstreams {
                let (sent, acknowledged) =
                    counts.upstreams.entry(upstream.name.clone()).or_default();
                *sent += upstream.shares_sent;
                *acknowledged += upstream.shares_accepted;
            }
        }
        counts
    }
}

/// Tells which upstream the miners work for.
pub(super) fn state(seen: &[Statistics]) -> String {
    let active = |statistics: &&Statistics| statistics.upstreams.iter().any(|it| it.active);
    let working = seen.iter().filter(active).count();
    let upstreams = seen.iter().flat_map(|statistics| &statistics.upstreams);
    let mut names: Vec<_> = upstreams
        .filter(|upstream| upstream.active)
        .map(|upstream| &*upstream.name)
        .collect();
    names.sort_unstable();
    names.dedup();
    let names = names.join(", ");
    match seen.len() - working {
        0 => format!("working for {names}"),
        _ if working == 0 => "no pool gives work".to_owned(),
        idle => format!(
            "working for {names}; no pool gives work to {idle} of {} shards",
            seen.len()
        ),
    }
}

/// Tells how things are now; `state` is [`state`]'s.
pub(super) fn status(now: Instant, seen: &[Statistics], state: &str) -> String {
    let mut meter = Meter::default();
    seen.iter().for_each(|it| meter.add(&it.meter));
    let hashrate = meter.hashrate(now, Span::TenMinutes);
    format!("{} at {}, {state}", miners(seen), hashrate_words(hashrate))
}

/// Sums up what happened between two counts.
pub(super) fn summary(
    seen: &[Statistics],
    before: &Counts,
    after: &Counts,
    passed: Duration,
) -> String {
    let work = (after.work - before.work).max(0.0);
    let hashrate = work * HASHES_PER_DIFFICULTY / passed.as_secs_f64().max(1.0);
    // Parts of a second are of no interest.
    let span = format_duration(Duration::from_secs((passed + HALF_A_SECOND).as_secs()));
    let mut words = format!(
        "{} at {}, {}; in the last {span} {} accepted, {}",
        miners(seen),
        hashrate_words(hashrate),
        state(seen),
        counted(after.accepted.saturating_sub(before.accepted), "share"),
        refused(before, after),
    );
    for (name, (sent, acknowledged)) in &after.upstreams {
        let (sent_before, acknowledged_before) =
            before.upstreams.get(name).copied().unwrap_or_default();
        let sent = sent.saturating_sub(sent_before);
        let acknowledged = acknowledged.saturating_sub(acknowledged_before);
        if sent > 0 || acknowledged > 0 {
            words += &format!("; {name} was sent {sent} and acknowledged {acknowledged}");
        }
    }
    words
}

/// Words refusals with their reasons, the most frequent first.
fn refused(before: &Counts, after: &Counts) -> String {
    let since = |(reason, count): (&&'static str, &u64)| {
        let before = before.refused.get(reason).copied().unwrap_or_default();
        (count.saturating_sub(before), *reason)
    };
    let mut refused: Vec<_> = after.refused.iter().map(since).collect();
    refused.retain(|(count, _)| *count > 0);
    refused.sort_unstable_by(|a, b| b.cmp(a));
    let total: u64 = refused.iter().map(|(count, _)| count).sum();
    let reasons: Vec<_> = refused
        .iter()
        .map(|(count, reason)| format!("{count} {reason}"))
        .collect();
    match total {
        0 => "none refused".to_owned(),
        total => format!("{total} refused ({})", reasons.join(", ")),
    }
}

fn miners(seen: &[Statistics]) -> String {
    counted(seen.iter().map(|it| it.miners_mining).sum(), "miner")
}

fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn hashrate_words(hashes_per_second: f64) -> String {
    Hashrate::new(hashes_per_second)
        .unwrap_or(Hashrate::ZERO)
        .to_string()
}

#[cfg(test)]
mod tests {
    use translate::UpstreamStatistics;

    use super::*;

    fn upstream(name: &str, active: bool, (sent, acknowledged): (u64, u64)) -> UpstreamStatistics {
        UpstreamStatistics {
            name: name.into(),
            active,
            shares_sent: sent,
            shares_accepted: acknowledged,
            ..UpstreamStatistics::default()
        }
    }

    fn farm(miners: u64, upstreams: Vec<UpstreamStatistics>) -> Statistics {
        Statistics {
            miners_mining: miners,
            upstreams,
            ..Statistics::default()
        }
    }

    #[test]
    fn the_state_names_the_upstream_that_miners_work_for() {
        let works = farm(
            1,
            vec![upstream("b", true, (0, 0)), upstream("c", false, (0, 0))],
        );
        let other = farm(1, vec![upstream("a", true, (0, 0))]);
        let idle = farm(1, vec![upstream("a", false, (0, 0))]);
        assert_eq!(state(std::slice::from_ref(&works)), "working for b");
        assert_eq!(state(&[works.clone(), other]), "working for a, b");
        assert_eq!(state(std::slice::from_ref(&idle)), "no pool gives work");
        assert_eq!(
            state(&[works, idle]),
            "working for b; no pool gives work to 1 of 2 shards"
        );
    }

    #[test]
    fn the_status_says_who_mines_and_how_much() {
        let farm = [farm(1, vec![upstream("a", true, (0, 0))])];
        let words = status(Instant::now(), &farm, &state(&farm));
        assert_eq!(words, "1 miner at 0.00 H/s, working for a");
    }

    #[test]
    fn a_summary_is_about_what_happened_since_the_last_one() {
        let mut seen = [farm(
            300,
            vec![upstream("a", false, (40, 30)), upstream("b", true, (10, 9))],
        )];
        seen[0].shares_accepted = 100;
        seen[0].work_accepted = 600.0;
        seen[0].shares_rejected.insert("stale", 3);
        let before = Counts::of(&seen);
        assert_eq!(
            summary(&seen, &Counts::default(), &before, Duration::from_secs(60)),
            "300 miners at 42.95 GH/s, working for b; in the last 1m 100 shares accepted, 3 refused (3 stale); \
             a was sent 40 and acknowledged 30; b was sent 10 and acknowledged 9"
        );
        seen[0].shares_accepted = 101;
        seen[0].shares_rejected.insert("stale", 4);
        seen[0].shares_rejected.insert("duplicate", 7);
        seen[0].upstreams[0].shares_accepted = 38;
        let passed = Duration::from_millis(300_004);
        assert_eq!(
            summary(&seen, &before, &Counts::of(&seen), passed),
            "300 miners at 0.00 H/s, working for b; in the last 5m 1 share accepted, 8 refused (7 duplicate, 1 stale); \
             a was sent 0 and acknowledged 8"
        );
        assert_eq!(
            summary(&seen, &Counts::of(&seen), &Counts::of(&seen), passed),
            "300 miners at 0.00 H/s, working for b; in the last 5m 0 shares accepted, none refused"
        );
    }
}
