//! A made-up farm of some hundred machines as the API would tell of it: a day of hashrate with a dip, two pools, and a few
//! machines in trouble. The same every time but for the clock.

use serde_json::{Map, Value, json};

use super::{ago, now};

/// Machines of the farm.
const MACHINES: u32 = 416;
/// How long it has run, in s: longer than what is kept of its hashrate.
const RUNS: f64 = 3.2 * 86_400.0;
const DAY: f64 = 86_400.0;
const TERA: f64 = 1e12;
/// Kinds of machines: firmware, what it says of itself, and hashrate in TH/s.
const KINDS: [(&str, &str, f64); 4] = [
    ("Antminer", "bmminer/2.0.0", 110.0),
    ("Whatsminer", "btminer/3.4.0", 134.0),
    ("Braiins OS", "bosminer-plus-tuner/0.9", 96.0),
    ("LuxOS", "luxminer/2025.4", 188.0),
];
/// What is wrong, worst first, and with which machine.
const TROUBLES: [(&str, u32); 5] = [
    ("offline", 57),
    ("offline", 301),
    ("silent", 118),
    ("rejected", 212),
    ("falling", 33),
];
/// An event's age in minutes, severity, kind and words.
const EVENTS: [(f64, &str, &str, &str); 8] = [
    (
        4.0,
        "info",
        "new-block",
        "primary: new block on 00000000000000000000a3f1c7, height 924310",
    ),
    (
        11.0,
        "info",
        "miner-closed",
        "10.1.2.58:41022 (\"hall1.rack03-18\"): closed: silent for 10 minutes",
    ),
    (
        13.5,
        "info",
        "new-block",
        "primary: new block on 000000000000000000017be402, height 924309",
    ),
    (
        26.0,
        "warning",
        "limit-met",
        "10.1.11.13 met invalid_shares_pause: nearly all of its shares are invalid",
    ),
    (
        190.0,
        "error",
        "block-found",
        "a block was found by \"hall2.rack05-12\" and sent to primary",
    ),
    (
        548.0,
        "info",
        "upstream-ready",
        "primary: channel open at difficulty 524288, 16 bytes of extranonce, with worker names",
    ),
    (
        566.0,
        "warning",
        "upstream-failed",
        "primary: connection lost: connection reset by peer",
    ),
    (
        566.1,
        "info",
        "new-block",
        "backup: new block on 00000000000000000000d90c1b, height 924251",
    ),
];

/// A made-up farm.
#[derive(Debug)]
pub struct Scene {
    troubles: &'static [(&'static str, u32)],
    /// How long ago a solved block was kept, in s.
    kept: Option<f64>,
}

impl Scene {
    /// Makes a farm in which all is well.
    #[must_use]
    pub fn well() -> Self {
        Self {
            troubles: &[],
            kept: None,
        }
    }

    /// Makes a farm in which all is well but for a block that was kept so long ago, in s.
    #[must_use]
    pub fn with_a_block_kept(seconds: f64) -> Self {
        Self {
            kept: Some(seconds),
            ..Self::well()
        }
    }

    /// Makes a farm with a few machines in trouble.
    #[must_use]
    pub fn troubled() -> Self {
        Self {
            troubles: &TROUBLES,
            kept: None,
        }
    }

    /// Answers what is asked of the API; `None` where it is no path that the page asks for.
    #[must_use]
    pub fn answer(&self, target: &str) -> Option<Value> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parameter = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(given, _)| *given == name)
                .map(|(_, value)| value)
        };
        let number = |name| parameter(name).and_then(|value| value.parse().ok());
        match path.strip_prefix("/api/v1/")? {
            "status" => Some(self.status()),
            "upstreams" => Some(upstreams()),
            "hashrate" => Some(hashrate(number("step").unwrap_or(5))),
            "workers" => Some(self.workers(
                number("offset").unwrap_or(0),
                number("limit").unwrap_or(100),
            )),
            "events" => Some(events(number("after"))),
            _ => None,
        }
    }

    fn status(&self) -> Value {
        let rate = farm_rate(0.0);
        let hashrate = json!({
            "estimated": rate, "1m": rate * 1.004, "10m": rate, "1h": farm_rate(1_800.0), "24h": farm_rate(0.5 * DAY),
        });
        json!({
            "time": ago(0.0), "version": env!("CARGO_PKG_VERSION"), "started": ago(RUNS), "ready": true,
            "outage_since": null, "troubles": [], "active_upstreams": ["primary"], "hashrate": hashrate,
            "miners": {"connected": MACHINES - 2, "mining": MACHINES - 2, "connections": 611},
            "listeners": [{"address": "0.0.0.0:3333", "miners": MACHINES - 2, "connections": 611}],
            "shares": {
                "submitted": 22_950_841, "accepted": 22_935_406, "rejected": 15_435,
                "rejected_by_reason": {"stale": 9_022, "low-difficulty": 4_310, "duplicate": 2_103},
                "rejected_ratio_1h": 0.000_66,
            },
            "upstream_shares": {
                "sent": 1_148_211, "acknowledged": 1_148_102, "rejected": 61, "pending": 5, "unanswered": 43,
            },
            "jobs": 9_331, "new_blocks": 459, "keepalives": 12, "blocks_found": 1, "outages": 0,
            "blocks_kept": u8::from(self.kept.is_some()), "last_block_kept": self.kept.map(ago),
            "upstream_switches": {"start": 1, "failed": 1, "preferred": 1}, "limits_met": {}, "sessions_resumed": 36,
            "process": {"resident_memory_bytes": 9_200_000, "cpu_seconds": 811.0, "open_fds": 431, "max_fds": 524_288},
        })
    }

    fn workers(&self, offset: u32, limit: u32) -> Value {
        let troubled = self
            .troubles
            .iter()
            .map(|(problem, number)| (Some(*problem), *number));
        let well =
            (1..=MACHINES).filter(|number| self.troubles.iter().all(|(_, other)| other != number));
        let all = troubled.chain(well.map(|number| (None, number)));
        let rows: Vec<_> = all
            .skip(offset as usize)
            .take(limit as usize)
            .map(|(problem, number)| worker(problem, number))
            .collect();
        let mut problems = Map::new();
        for (problem, _) in self.troubles {
            let count = problems.get(*problem).and_then(Value::as_u64).unwrap_or(0);
            problems.insert((*problem).into(), json!(count + 1));
        }
        json!({
            "time": ago(0.0), "total": MACHINES, "matching": MACHINES, "offset": offset, "problems": problems,
            "workers": rows,
        })
    }
}

/// Gives a number from 0 to 1 that looks like chance.
fn chance(seed: f64) -> f64 {
    (seed * 12.989_8)
        .sin()
        .mul_add(43_758.545_3, 0.0)
        .rem_euclid(1.0)
}

/// Gives what the farm hashed so many seconds ago: it breathes with the day, and lost a hall for twenty minutes.
fn farm_rate(seconds: f64) -> f64 {
    let machines = (1..=MACHINES)
        .map(|number| kind(number).2 * TERA)
        .sum::<f64>();
    let breath = 0.985 + 0.012 * (seconds / DAY * std::f64::consts::TAU).cos();
    let noise = 0.012 * (chance((seconds / 60.0).floor()) - 0.5);
    let hours = seconds / 3_600.0;
    let hall = if (9.1..9.45).contains(&hours) {
        0.55
    } else {
        1.0
    };
    machines * (breath + noise) * hall
}

fn kind(number: u32) -> (&'static str, &'static str, f64) {
    KINDS[number as usize / 20 % KINDS.len()]
}

fn worker(problem: Option<&str>, number: u32) -> Value {
    let (firmware, client, tera) = kind(number);
    let offline = problem == Some("offline");
    let rate = tera * TERA * (0.96 + 0.08 * chance(f64::from(number)));
    let lately = match problem {
        Some("offline" | "silent") => 0.0,
        Some("falling") => 0.46,
        _ => 0.97 + 0.06 * chance(f64::from(number) + 0.5),
    };
    let accepted = 54_000 + number * 37 % 2_900;
    let rejected = if problem == Some("rejected") {
        4_800
    } else {
        number * 7 % 40
    };
    let quiet = match problem {
        Some("offline") => 660.0 + f64::from(number),
        Some("silent") => 540.0,
        _ => 1.0 + 9.0 * chance(f64::from(number)),
    };
    let left = offline.then(|| ago(quiet - 5.0));
    let address = format!(
        "10.1.{}.{}:{}",
        number / 20,
        number % 20 + 2,
        40_000 + number
    );
    json!({
        "worker": format!("hall{}.rack{:02}-{:02}", number / 208 + 1, number / 20 % 10 + 1, number % 20 + 1),
        "connections": u32::from(!offline), "connections_ended": u32::from(offline), "addresses": [address],
        "client": client, "firmware": firmware, "problem": problem, "since": ago(RUNS - 60.0), "left": left,
        "left_reason": offline.then_some("left"), "difficulty": 65_536.0, "last_share": ago(quiet),
        "hashrate_1m": rate * lately, "hashrate_10m": rate * lately, "hashrate_1h": rate, "hashrate_24h": rate,
        "shares_accepted": accepted, "shares_rejected": rejected,
        "shares_rejected_by_reason": {"low-difficulty": rejected},
        "rejected_ratio_1h": f64::from(rejected) / f64::from(accepted + rejected),
    })
}

fn upstreams() -> Value {
    let upstream = |name: &str, active: bool| {
        let (sent, acknowledged) = if active {
            (1_131_704, 1_131_595)
        } else {
            (16_507, 16_507)
        };
        let failure = json!({"time": ago(566.0 * 60.0), "reason": "connection lost: connection reset by peer"});
        let rate = if active { farm_rate(1_800.0) } else { 0.0 };
        json!({
            "name": name, "listeners": ["0.0.0.0:3333"], "state": if active { "active" } else { "warm" },
            "active": active, "gives_work": true, "since": ago(if active { 548.0 * 60.0 } else { RUNS }),
            "retry_at": null, "connection_attempts": 1, "connection_failures": {},
            "last_failure": if active { failure } else { Value::Null }, "channels_opened": 1, "own_channels": 0,
            "difficulty": 524_288.0, "shares_sent": sent, "shares_acknowledged": acknowledged,
            "shares_rejected": if active { 61 } else { 0 },
            "shares_rejected_by_code": if active { json!({"stale-share": 61}) } else { json!({}) },
            "shares_pending": if active { 5 } else { 0 }, "shares_unanswered": if active { 43 } else { 0 },
            "work_acknowledged": 1e12, "work_credited": 1_000_000_000_000_u64, "hashrate_acknowledged_10m": rate,
            "hashrate_acknowledged_1h": rate, "hashrate_acknowledged_24h": rate, "mean_answer_seconds": 0.038,
            "blocks_late": 0, "blocks_kept": 0, "extranonce_refusals": 0,
        })
    };
    json!({"time": ago(0.0), "upstreams": [upstream("primary", true), upstream("backup", false)]})
}

fn hashrate(minutes: u32) -> Value {
    let step = f64::from(minutes) * 60.0;
    // Steps begin where they did when the farm began.
    let passed = now().as_secs_f64().rem_euclid(step);
    let steps = (DAY / step).floor();
    let ages: Vec<f64> = std::iter::successors(Some(passed + steps * step), |age| Some(age - step))
        .take_while(|age| *age > step)
        .collect();
    let rates: Vec<f64> = ages.iter().map(|age| farm_rate(*age)).collect();
    let column = |number: u32| vec![number; ages.len()];
    json!({
        "time": ago(0.0), "start": ago(ages[0]), "step_seconds": minutes * 60, "hashrate": rates,
        "miners": column(MACHINES - 2), "shares_accepted": column(minutes * 4_980),
        "shares_rejected": column(minutes * 3),
    })
}

fn events(after: Option<u32>) -> Value {
    // Nothing happens while it is looked at.
    let told = EVENTS
        .iter()
        .filter(|_| after.is_none_or(|after| after == 0));
    let rows = told.enumerate().map(|(index, (minutes, severity, kind, text))| {
        json!({
            "number": 1_000 - index, "time": ago(minutes * 60.0), "severity": severity, "kind": kind, "text": text,
        })
    });
    json!({"time": ago(0.0), "events": rows.collect::<Vec<_>>()})
}
