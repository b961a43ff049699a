//! HTTP from outside: the probes, who is let in, and what the metrics say beside what the pool says.

use std::io::{Read, Write};
use std::net::Shutdown;

use tests::{Answer, Http, Pool, Program, ProxyConfig, Rig};

use super::millrace;

const TOKEN: &str = "0123456789abcdef";

fn start(pool: &Pool, lines: &str) -> (Program, Http) {
    let config = ProxyConfig::new(&[pool.url()]).http(lines);
    let proxy = Program::run(millrace(), &config);
    let http = proxy.http();
    let _ = proxy.wait_for_log("channel open");
    (proxy, http)
}

#[test]
fn the_metrics_say_what_the_miners_and_the_pool_say() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    let mut rigs = ["farm.rig1", "farm.rig2"].map(|name| Rig::start(proxy.address(), name));
    for rig in &mut rigs {
        rig.mine_many(5);
        let share = rig.find();
        assert!(matches!(rig.submit(&share), Answer::Accepted));
        assert!(matches!(rig.submit(&share), Answer::Rejected(_)));
    }
    let sent = "millrace_upstream_shares_sent_total{upstream=\"pool0\"}";
    let acknowledged = "millrace_upstream_shares_acknowledged_total{upstream=\"pool0\"}";
    let pending = "millrace_upstream_shares_pending{upstream=\"pool0\"}";
    let page = http.wait_for_metrics(|page| page.metric(acknowledged) == Some(12.0));
    let metric = |series: &str| {
        let value = page.metric(series);
        value.unwrap_or_else(|| panic!("no {series} in {}", page.body))
    };
    assert_eq!(metric(sent), metric(acknowledged) + metric(pending));
    assert_eq!(metric("millrace_shares_submitted_total"), 14.0);
    assert_eq!(metric("millrace_shares_accepted_total"), 12.0);
    let duplicates = "millrace_shares_rejected_total{reason=\"duplicate\"}";
    assert_eq!(metric(duplicates), 2.0);
    assert_eq!(metric("millrace_miners_mining"), 2.0);
    assert_eq!(metric("millrace_share_reply_seconds_count"), 14.0);
    let answers = "millrace_upstream_answer_seconds_count{upstream=\"pool0\"}";
    assert_eq!(metric(answers), 12.0);
    let active = "millrace_upstream_state{upstream=\"pool0\",state=\"active\"}";
    assert_eq!(metric(active), 1.0);
    let hashes = metric("millrace_accepted_hashes_total");
    assert!((hashes - 12.0 * 4_096.0).abs() < 1.0, "{hashes}");
    let listener = format!(
        "millrace_listener_miners{{listener=\"{}\"}}",
        proxy.address()
    );
    assert_eq!(metric(&listener), 2.0);
    proxy.stop();
    assert_eq!(pool.stats_at_rest().shares_accepted, 12);
}

#[test]
fn both_text_formats_are_served_and_name_the_same_series() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    let old = http.get("/metrics");
    let asked = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let new = http.get_with("/metrics", asked);
    let content_type = |reply: &tests::Reply| reply.header("content-type").map(str::to_owned);
    let expected = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(content_type(&old).as_deref(), Some(expected));
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(content_type(&new).as_deref(), Some(expected));
    assert!(new.body.ends_with("\n# EOF\n"));
    assert!(
        !old.body.contains("# EOF") && old.body.contains("# TYPE millrace_jobs_total counter\n")
    );
    let series = |page: &str| -> Vec<String> {
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        let names = samples.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()));
        names.collect()
    };
    assert_eq!(series(&old.body), series(&new.body));
    proxy.stop();
}

#[test]
fn it_is_healthy_without_a_pool_and_ready_with_one() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]).http("");
    let (_, settings) = pool.stop();
    let proxy = Program::run(millrace(), &config);
    let http = proxy.http();
    assert_eq!(http.get("/healthz").status, 200);
    let unready = http.get("/readyz");
    assert_eq!(unready.status, 503);
    assert_eq!(unready.json()["reason"], "no upstream gives work");
    let pool = Pool::start(settings);
    let _ = proxy.wait_for_log("channel open");
    let status = http.wait_for("/api/v1/status", |status| status["ready"] == true);
    assert_eq!(status["active_upstreams"][0], "pool0");
    assert_eq!(http.get("/readyz").status, 200);
    proxy.stop();
    drop(pool);
}

#[test]
fn only_who_shows_the_token_may_read() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, &format!("token = \"{TOKEN}\""));
    for path in ["/", "/metrics", "/api/v1/status", "/nothing"] {
        let refused = http.get(path);
        assert_eq!(refused.status, 401, "{path}");
        let asks = refused.header("www-authenticate").unwrap();
        assert!(asks.starts_with("Basic realm="), "{asks}");
        assert!(refused.json()["error"].as_str().unwrap().contains("token"));
        assert!(!refused.body.contains(TOKEN));
    }
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(http.get_with("/metrics", &bearer).status, 200);
    // The browser's form of anybody:0123456789abcdef.
    let basic = "Authorization: Basic YW55Ym9keTowMTIzNDU2Nzg5YWJjZGVm\r\n";
    assert_eq!(http.get_with("/api/v1/status", basic).status, 200);
    assert_eq!(http.get("/healthz").status, 200, "probes need none");
    let log = proxy.stop().stderr;
    assert!(!log.contains(TOKEN), "{log}");
}

#[test]
fn a_page_under_a_name_of_its_own_cannot_read_through_a_browser() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    let by = |host: &str| {
        http.ask(&format!(
            "GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        ))
    };
    assert_eq!(by("rebound.example.com").status, 403);
    assert_eq!(by("localhost").status, 200);
    proxy.stop();
}

#[test]
fn nothing_but_get_and_head_is_served_and_errors_have_words() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    let ask = |method: &str, path: &str| {
        let host = http.address();
        let rest = "Connection: close\r\nContent-Length: 0\r\n";
        http.ask(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{rest}\r\n"
        ))
    };
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "NONSENSE"] {
        let refused = ask(method, "/api/v1/status");
        assert_eq!(refused.status, 405, "{method}");
        assert_eq!(refused.header("allow"), Some("GET, HEAD"));
    }
    let head = ask("HEAD", "/metrics");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for (path, status, words) in [
        ("/nothing", 404, "there is nothing at /nothing"),
        (
            "/api/v1/miners?limit=0",
            400,
            "a whole number from 1 to 1000",
        ),
        (
            "/api/v1/miners?limit=1&limit=1",
            400,
            "limit is given twice",
        ),
        (
            "/api/v1/workers?sort=name",
            400,
            "sort: expected one of problems, worker",
        ),
        (
            "/api/v1/events?severity=loud",
            400,
            "one of error, warning, info",
        ),
        ("/api/v1/status?x=1", 400, "there is no parameter \"x\""),
    ] {
        let refused = http.get(path);
        assert_eq!(refused.status, status, "{path}");
        let error = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(words), "{path}: {error}");
    }
    proxy.stop();
}

#[test]
fn connections_past_the_limit_are_closed_and_silent_ones_make_room() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()])
        .http("")
        .limit("http_connections = 2")
        .limit("http_timeout = \"1s\"");
    let proxy = Program::run(millrace(), &config);
    let http = proxy.http();
    let mut held = [http.connect(), http.connect()];
    held[1].write_all(b"GET /metrics HTTP/1.1\r\nHo").unwrap();
    let _ = proxy.wait_for_log("serving http on");
    let mut third = http.connect();
    let mut nothing = Vec::new();
    // Closed, or reset where what it sent was not read.
    let _ = third.read_to_end(&mut nothing);
    assert!(nothing.is_empty());
    for stream in &mut held {
        let _ = stream.read_to_end(&mut nothing);
        assert!(nothing.is_empty(), "what is no request has no answer");
    }
    assert_eq!(http.get("/healthz").status, 200, "there is room again");
    proxy.stop();
}

#[test]
fn a_port_that_is_taken_is_told_as_a_listeners() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let pool = Pool::start(Pool::config());
    let text = ProxyConfig::new(&[pool.url()]).http("").text();
    let text = text.replace(
        "[http]\naddress = \"127.0.0.1:0\"",
        &format!("[http]\naddress = \"{address}\""),
    );
    let ended = Program::with_config(millrace(), &text, &["run", "--config"]).ended();
    assert_eq!(ended.code, Some(1));
    let words = format!("cannot listen on {address}: ");
    assert!(ended.stderr.contains(&words), "{}", ended.stderr);
}

#[test]
fn who_asks_and_then_sends_no_more_is_answered() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    for _ in 0..20 {
        let mut stream = http.connect();
        let request = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    proxy.stop();
}

#[test]
fn requests_that_are_no_http_end_their_connection_and_nothing_else() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    for request in [
        "\u{0}\u{1}\r\n\r\n",
        "GET\r\n\r\n",
        "{\"id\":1}\n\r\n\r\n",
        &long,
    ] {
        let mut stream = http.connect();
        // It may be closed before all is sent.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{answer}");
    }
    assert_eq!(http.get("/healthz").status, 200);
    proxy.stop();
}
