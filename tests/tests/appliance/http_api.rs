//! The API from outside: every answer is as its description says, and its numbers are the farm's.

use serde_json::{Value, json};
use tests::{Answer, Http, Pool, Program, ProxyConfig, Rig};

use super::millrace;

/// A farm with something of everything: two miners that work, one that is gone, a pool that is active and one that is
/// not there.
struct Farm {
    pool: Pool,
    proxy: Program,
    http: Http,
    rigs: [Rig; 2],
}

impl Farm {
    fn start() -> Self {
        let pool = Pool::start(Pool::config());
        let gone = Pool::start(Pool::config());
        let url = gone.url().to_owned();
        gone.stop();
        let config = ProxyConfig::new(&[pool.url(), &url]).http("miner_series = 1");
        let proxy = Program::run(millrace(), &config);
        let http = proxy.http();
        let _ = proxy.wait_for_log("pool0: channel open");
        let mut rigs = ["farm.rig1", "farm.rig2"].map(|name| Rig::start(proxy.address(), name));
        rigs[0].mine_many(3);
        let share = rigs[1].find();
        assert!(matches!(rigs[1].submit(&share), Answer::Accepted));
        assert!(matches!(rigs[1].submit(&share), Answer::Rejected(_)));
        let mut left = Rig::start(proxy.address(), "farm.left");
        left.mine();
        drop(left);
        let _ = proxy.wait_for_log("(\"farm.left\") closed its connection");
        let farm = Self {
            pool,
            proxy,
            http,
            rigs,
        };
        farm.settle();
        farm
    }

    /// Waits until the pool has answered everything, and what is shown is of then.
    fn settle(&self) {
        let acknowledged = |it: &Value| it["upstream_shares"]["acknowledged"] == 5;
        let _ = self.http.wait_for("/api/v1/status", acknowledged);
        let gone = |it: &Value| it["total"] == 3 && it["problems"] == json!({"offline": 1});
        let _ = self.http.wait_for("/api/v1/workers", gone);
    }
}

/// Makes a validator of the schema that the description has for an answer.
fn validator(description: &Value, path: &str, status: u16) -> jsonschema::Validator {
    let answers = &description["paths"][path]["get"]["responses"];
    let schema = &answers[status.to_string()]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{path} does not describe {status}");
    let schema = json!({
        "$ref": schema["$ref"],
        "components": description["components"],
    });
    let options = jsonschema::draft202012::options().should_validate_formats(true);
    options.build(&schema).expect("the description is a schema")
}

/// Checks an answer against the description of the API.
pub(super) fn assert_described(description: &Value, path: &str, answer: &tests::Reply) {
    let plain = path.split('?').next().unwrap();
    let validator = validator(description, plain, answer.status);
    let value = answer.json();
    let wrong = validator.iter_errors(&value);
    let wrong: Vec<_> = wrong
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{path}: {wrong:#?} in {value:#}");
}

#[test]
fn every_answer_is_as_the_description_says() {
    let farm = Farm::start();
    let description = farm.http.json("/api/v1/openapi.json");
    let schemas = description["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        assert!(jsonschema::draft202012::meta::is_valid(schema), "{name}");
    }
    let mut asked = 0;
    for (path, operation) in description["paths"].as_object().unwrap() {
        if ["/metrics", "/api/v1/openapi.json"].contains(&path.as_str()) {
            continue;
        }
        let answer = farm.http.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert_described(&description, path, &answer);
        let refused = farm.http.get(&format!("{path}?nonsense=1"));
        assert_eq!(refused.status, 400, "{path}");
        assert_described(&description, path, &refused);
        let parameters = operation["get"]["parameters"].as_array();
        for parameter in parameters.into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            let schema = &parameter["schema"];
            let text = schema["type"] == "string" && schema["enum"].is_null();
            let bounds = || vec![schema["minimum"].clone(), schema["maximum"].clone()];
            let values = schema["enum"].as_array().cloned();
            let values = match text {
                true => vec![json!("x")],
                false => values.unwrap_or_else(bounds),
            };
            for value in values {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                let path = format!("{path}?{name}={value}");
                let answer = farm.http.get(&path);
                assert_eq!(answer.status, 200, "{path}: {}", answer.body);
                assert_described(&description, &path, &answer);
                asked += 1;
            }
        }
    }
    assert!(asked > 50, "{asked}");
    farm.proxy.stop();
}

#[test]
fn every_kind_of_row_that_is_described_is_seen() {
    let farm = Farm::start();
    for (path, rows, count) in [
        ("/api/v1/miners", "miners", 2),
        ("/api/v1/workers", "workers", 3),
        ("/api/v1/upstreams", "upstreams", 2),
        ("/api/v1/jobs", "jobs", 1),
    ] {
        let answer = farm.http.json(path);
        assert_eq!(answer[rows].as_array().unwrap().len(), count, "{path}");
    }
    let answer = farm.http.wait_for("/api/v1/upstreams", |answer| {
        answer["upstreams"][1]["last_failure"].is_object()
    });
    let gone = &answer["upstreams"][1];
    assert_eq!(gone["active"], false);
    assert!(gone["connection_attempts"].as_u64().unwrap() > 0);
    let failures = &gone["connection_failures"]["connection-lost"];
    assert!(failures.as_u64().unwrap() > 0);
    let list = farm.http.get("/api/v1/").body;
    let description = farm.http.json("/api/v1/openapi.json");
    for path in description["paths"].as_object().unwrap().keys() {
        assert!(list.contains(path), "{path} is not in the list");
    }
    farm.proxy.stop();
}

#[test]
fn the_numbers_are_the_farms() {
    let mut farm = Farm::start();
    let status = farm.http.json("/api/v1/status");
    let miners = json!({"connected": 2, "mining": 2, "connections": 3});
    assert_eq!(status["miners"], miners);
    let shares = &status["shares"];
    assert_eq!(shares["submitted"], 6);
    assert_eq!(shares["accepted"], 5);
    assert_eq!(shares["rejected_by_reason"], json!({"duplicate": 1}));
    assert_eq!(status["upstream_shares"]["sent"], 5);
    let workers = farm.http.json("/api/v1/workers");
    let [gone, first, second] = workers["workers"].as_array().unwrap().as_slice() else {
        panic!("three workers, not {workers:#}")
    };
    assert_eq!(gone["worker"], "farm.left");
    assert_eq!(gone["problem"], "offline");
    assert_eq!(gone["left_reason"], "left");
    assert_eq!(gone["connections_ended"], 1);
    assert_eq!(gone["shares_accepted"], 1);
    // Equal in trouble: the one with more hashrate first.
    assert_eq!(first["worker"], "farm.rig1");
    assert_eq!(first["shares_accepted"], 3);
    assert_eq!(second["worker"], "farm.rig2");
    assert_eq!(second["shares_rejected"], 1);
    let back = Rig::start(farm.proxy.address(), "farm.left");
    let whole = farm.http.wait_for("/api/v1/workers?search=LEFT", |it| {
        it["workers"][0]["connections"] == 1
    });
    assert_eq!(whole["workers"][0]["shares_accepted"], 1);
    assert_eq!(whole["workers"][0]["left"], Value::Null);
    farm.pool.new_block();
    farm.rigs[0].wait_for_clean_job();
    let begins_block = |job: &Value| job["new_block"] == true && job["miners"] == 3;
    let jobs = |answer: &Value| answer["jobs"].as_array().cloned().unwrap_or_default();
    let answer = farm.http.wait_for("/api/v1/jobs", |answer| {
        jobs(answer).iter().any(begins_block)
    });
    let job = jobs(&answer).into_iter().find(begins_block).unwrap();
    assert_eq!(job["clean"], true);
    let height = job["height"].as_u64();
    assert!(height.is_some_and(|height| height > 0), "{job:#}");
    drop(back);
    farm.proxy.stop();
}

#[test]
fn miners_are_searched_sorted_and_paged() {
    let farm = Farm::start();
    let names = |query: &str| -> Vec<String> {
        let answer = farm.http.json(&format!("/api/v1/miners?{query}"));
        let rows = answer["miners"].as_array().unwrap().iter();
        let names = rows.map(|row| row["worker"].as_str().unwrap().to_owned());
        names.collect()
    };
    for (query, expected) in [
        ("sort=worker", ["farm.rig1", "farm.rig2"]),
        ("sort=worker&order=desc", ["farm.rig2", "farm.rig1"]),
        ("sort=accepted", ["farm.rig1", "farm.rig2"]),
        ("sort=rejected", ["farm.rig2", "farm.rig1"]),
        ("sort=last_share", ["farm.rig2", "farm.rig1"]),
        ("sort=connected&order=asc", ["farm.rig1", "farm.rig2"]),
        ("search=127.0.0.1&sort=worker", ["farm.rig1", "farm.rig2"]),
    ] {
        assert_eq!(names(query), expected, "{query}");
    }
    assert_eq!(names("sort=worker&limit=1&offset=1"), ["farm.rig2"]);
    assert_eq!(names("search=RIG2"), ["farm.rig2"]);
    assert!(names("problem=any").is_empty() && names("search=nobody").is_empty());
    let page = farm.http.json("/api/v1/miners?limit=1&search=rig1");
    assert_eq!(page["total"], 2);
    assert_eq!(page["matching"], 1);
    let series = "millrace_miner_shares_accepted_total{worker=\"farm.rig1\"}";
    assert_eq!(farm.http.metric(series), Some(3.0), "one has series");
    let series = "millrace_miner_shares_accepted_total{worker=\"farm.rig2\"}";
    assert_eq!(farm.http.metric(series), None);
    farm.proxy.stop();
}

#[test]
fn events_are_the_logs_and_numbered() {
    let farm = Farm::start();
    let all = farm.http.json("/api/v1/events");
    let events = all["events"].as_array().unwrap();
    let numbers = events.iter().map(|it| it["number"].as_u64().unwrap());
    let numbers: Vec<_> = numbers.collect();
    assert!(numbers.is_sorted_by(|a, b| a > b), "the newest first");
    let text = |kind: &str| {
        let event = events.iter().find(|event| event["kind"] == kind);
        event.unwrap()["text"].as_str().unwrap()
    };
    assert!(farm.proxy.log().contains(text("upstream-ready")));
    assert!(text("miner-left").contains("farm.left"));
    let last = numbers[0];
    farm.pool.new_block();
    let path = format!("/api/v1/events?after={last}&kind=new-block");
    let some = |it: &Value| it["events"].as_array().is_some_and(|it| !it.is_empty());
    let newer = farm.http.wait_for(&path, some);
    assert!(newer["events"][0]["number"].as_u64().unwrap() > last);
    let errors = farm.http.json("/api/v1/events?severity=error");
    assert_eq!(errors["events"], json!([]));
    farm.proxy.stop();
}
