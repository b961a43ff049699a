//! The alert rules and the dashboard that come with the appliance, against the metrics that it serves.
//!
//! What needs Prometheus's own `promtool` is ignored unless asked for; `tests/run` asks where it is installed.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::{Answer, Pool, Program, ProxyConfig, Rig};

use super::millrace;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(directory().join(name)).unwrap()
}

/// The metrics of a proxy that has seen something of everything: two pools of which one is gone, shares of both kinds,
/// and a miner with series of its own.
fn metrics() -> String {
    let pool = Pool::start(Pool::config());
    let gone = Pool::start(Pool::config());
    let url = gone.url().to_owned();
    gone.stop();
    let config = ProxyConfig::new(&[pool.url(), &url]).http("miner_series = 1");
    let proxy = Program::run(millrace(), &config);
    let http = proxy.http();
    let _ = proxy.wait_for_log("pool0: channel open");
    let mut rig = Rig::start(proxy.address(), "farm.rig");
    let share = rig.find();
    assert!(matches!(rig.submit(&share), Answer::Accepted));
    assert!(matches!(rig.submit(&share), Answer::Rejected(_)));
    let failed = "millrace_upstream_connection_failures_total{upstream=\"pool1\"";
    let page = http.wait_for_metrics(|page| {
        page.metric("millrace_shares_submitted_total") == Some(2.0) && page.body.contains(failed)
    });
    proxy.stop();
    page.body
}

/// Gives the names of families, each under all names that a query can have for it.
fn served(page: &str) -> BTreeSet<String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = types.flat_map(|line| match line.split_once(' ').unwrap() {
        (name, "histogram") => ["_bucket", "_sum", "_count"]
            .map(|suffix| format!("{name}{suffix}"))
            .to_vec(),
        (name, _) => vec![name.to_owned()],
    });
    names.collect()
}

/// Gives every word of a text that begins as our metrics do.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("millrace_"));
    ours.map(str::to_owned).collect()
}

#[test]
fn alerts_and_dashboard_ask_only_for_metrics_that_are_served() {
    let page = metrics();
    let served = served(&page);
    for file in ["alerts.yml", "alerts.test.yml", "grafana.json"] {
        let named = named(&read(file));
        assert!(named.len() > 10, "{file} names {named:?}");
        let missing: Vec<_> = named.difference(&served).collect();
        assert!(
            missing.is_empty(),
            "{file} asks for {missing:?}, which is not served"
        );
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do_and_is_tested_both_ways() {
    let (rules, tests) = (read("alerts.yml"), read("alerts.test.yml"));
    let mut alerts = rules.split("- alert: ");
    assert!(alerts.next().is_some_and(|head| head.contains("groups:")));
    let mut count = 0;
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        for part in [
            "expr: ",
            "for: ",
            "severity: ",
            "summary: ",
            "description: ",
        ] {
            assert!(alert.contains(part), "{name} has no {part}");
        }
        let named = format!("alertname=\"{name}\"");
        let mut samples = tests.split("- expr: ").filter(|it| it.contains(&named));
        assert!(samples.clone().any(|it| it.contains("value: 1")), "{name}");
        assert!(samples.any(|it| it.contains("exp_samples: []")), "{name}");
        count += 1;
    }
    assert!(count >= 8, "{count}");
}

#[test]
fn the_dashboard_has_a_place_and_a_query_for_each_panel() {
    let dashboard: Value = serde_json::from_str(&read("grafana.json")).unwrap();
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + w <= 24, "{title} is too wide");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{title} covers another panel");
        }
        if panel["type"] != "row" {
            let targets = panel["targets"].as_array().unwrap();
            let has_query =
                |target: &Value| target["expr"].as_str().is_some_and(|it| it.len() > 10);
            assert!(
                !targets.is_empty() && targets.iter().all(has_query),
                "{title}"
            );
        }
    }
}

/// Runs promtool with this input; it has to find nothing wrong.
fn promtool(arguments: &[&str], input: &str) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(directory())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed (Debian's package prometheus)");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(output.status.success(), "{}", said.join("\n"));
}

#[test]
#[ignore = "needs promtool"]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    promtool(&["check", "metrics"], &metrics());
}

#[test]
#[ignore = "needs promtool"]
fn promtool_finds_nothing_wrong_with_the_alerts() {
    promtool(&["check", "rules", "--lint-fatal", "alerts.yml"], "");
}

#[test]
#[ignore = "needs promtool"]
fn each_alert_fires_when_it_must_and_is_silent_otherwise() {
    promtool(&["test", "rules", "alerts.test.yml"], "");
}

/// The queries of the dashboard, as rules that promtool can read.
#[test]
#[ignore = "needs promtool"]
fn promtool_reads_every_query_of_the_dashboard() {
    let dashboard: Value = serde_json::from_str(&read("grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let annotations = dashboard["annotations"]["list"].as_array().unwrap();
    let queries = targets
        .chain(annotations)
        .map(|it| it["expr"].as_str().unwrap());
    let rules: Vec<_> = queries
        .enumerate()
        .map(|(place, query)| {
            let query = query.replace("$__rate_interval", "5m");
            serde_json::json!({ "record": format!("dashboard:{place}"), "expr": query })
        })
        .collect();
    assert!(rules.len() > 20, "{rules:?}");
    // JSON is YAML.
    let rules = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    let file = std::env::temp_dir().join(format!("millrace-dashboard-{}.yml", std::process::id()));
    std::fs::write(&file, rules.to_string()).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()], "");
    std::fs::remove_file(file).unwrap();
}
