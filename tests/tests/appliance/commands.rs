//! The command line: `check`, `demo`, exit codes and what stands where.

use std::net::TcpListener;

use serde_json::Value;
use sv2_pool::PoolConfig;
use tests::{Ended, Pool, Program, ProxyConfig};

use super::millrace;

fn check_connect(urls: &[&str]) -> Ended {
    let text = ProxyConfig::new(urls).text();
    Program::with_config(millrace(), &text, &["check", "--connect", "--config"]).ended()
}

#[test]
fn check_connect_tells_what_a_good_pool_grants() {
    let pool = Pool::start(Pool::config());
    let ended = check_connect(&[pool.url()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = ended.stdout.lines().last().unwrap();
    assert!(
        line.starts_with("pool0: ok, handshake and setup done"),
        "{line}"
    );
    assert!(line.contains("16 bytes of extranonce"), "{line}");
    assert!(line.contains("the pool sees worker names"), "{line}");
}

#[test]
fn check_connect_fails_at_a_wrong_authority_key() {
    let pool = Pool::start(Pool::config());
    let other = Pool::start(Pool::config());
    let (_, key) = other.url().rsplit_once('/').unwrap();
    let (place, _) = pool.url().rsplit_once('/').unwrap();
    let ended = check_connect(&[&format!("{place}/{key}"), other.url()]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let [.., wrong, right] = ended.stdout.lines().collect::<Vec<_>>()[..] else {
        panic!("{ended:?}")
    };
    assert!(wrong.starts_with("pool0: FAILED, "), "{wrong}");
    assert!(
        wrong.contains("certificate") && wrong.contains(key) && wrong.contains("; compare the KEY"),
        "{wrong}"
    );
    assert!(right.starts_with("pool1: ok, "), "{right}");
}

#[test]
fn check_connect_fails_where_nobody_listens() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let pool = Pool::start(Pool::config());
    let (_, key) = pool.url().rsplit_once('/').unwrap();
    let ended = check_connect(&[&format!("stratum2+tcp://127.0.0.1:{port}/{key}")]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let words = format!("pool0: FAILED, cannot connect to 127.0.0.1:{port}");
    assert!(ended.stdout.contains(&words), "{ended:?}");
}

#[test]
fn check_connect_fails_where_the_pool_refuses_the_channel() {
    let mut config = Pool::config();
    config.faults.refuse_channels = Some("unknown-user".into());
    let pool = Pool::start(config);
    let ended = check_connect(&[pool.url()]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("unknown-user"), "{ended:?}");
}

#[test]
fn check_connect_warns_of_an_extranonce_too_small_for_the_usual_layout() {
    let pool = Pool::start(PoolConfig {
        extranonce_size: 6,
        ..Pool::config()
    });
    let ended = check_connect(&[pool.url()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let warning = "pool0: WARNING, gives 6 bytes of extranonce, where 8 are wanted: ";
    assert!(ended.stdout.contains(warning), "{ended:?}");
}

#[test]
fn check_connect_fails_where_the_extranonce_is_too_small() {
    let pool = Pool::start(PoolConfig {
        extranonce_size: 4,
        ..Pool::config()
    });
    let ended = check_connect(&[pool.url()]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("extranonce"), "{ended:?}");
}

#[test]
fn run_tells_every_problem_of_a_config_and_exits_with_2() {
    let text = "[[listener]]\naddress = \"nowhere\"\n\n[limits]\nqueu = 5\nretry_min = \"soon\"\n";
    for command in ["run", "check"] {
        let ended = Program::with_config(millrace(), text, &[command, "--config"]).ended();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        for problem in [
            "millrace.toml:2: listener.address: ",
            "millrace.toml:5: limits.queu: ",
            "millrace.toml:6: limits.retry_min: ",
            "upstream",
        ] {
            assert!(
                ended.stderr.contains(problem),
                "{problem}: {}",
                ended.stderr
            );
        }
    }
}

#[test]
fn wrong_arguments_exit_with_2() {
    for arguments in [&["mine"][..], &["run"], &["demo", "--for", "soon"]] {
        let ended = Program::with_arguments(millrace(), arguments).ended();
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
    }
}

/// Reads the figures that a demo ended with.
fn figures(ended: &Ended) -> Value {
    let last = ended.stdout.lines().last().unwrap();
    serde_json::from_str(last).unwrap_or_else(|_| panic!("{ended:?}"))
}

#[test]
fn the_demo_shows_shares_and_ends_with_figures() {
    let demo = Program::with_arguments(millrace(), &["demo", "--miners", "2", "--json"]);
    demo.wait_for_output(|line| {
        let (_, pool) = line.split_once("| by the pool ").unwrap_or_default();
        pool.starts_with(|digit| ('1'..='9').contains(&digit))
    });
    demo.signal("INT");
    let ended = demo.ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let figures = figures(&ended);
    let figure = |key: &str| {
        let figure = figures[key].as_u64();
        figure.unwrap_or_else(|| panic!("{key}: {figures}"))
    };
    assert_eq!(figure("miners"), 2);
    assert!(figure("shares_accepted") > 0, "{figures}");
    assert!(figure("upstream_shares_accepted") > 0, "{figures}");
    assert!(figure("upstream_shares_sent") >= figure("upstream_shares_accepted"));
    assert!(figure("shares_submitted") >= figure("shares_accepted"));
    assert!(figure("jobs") > 0 && figure("new_blocks") > 0, "{figures}");
    for key in ["shares_rejected", "upstream_shares_rejected"] {
        let mut reasons = figures[key].as_object().unwrap().keys();
        assert!(
            reasons.all(|reason| reason.starts_with("stale")),
            "{figures}"
        );
    }
}

#[test]
fn the_demo_ends_by_itself_and_fails_only_without_shares() {
    let arguments = ["demo", "--for", "2s", "--miners", "1", "--json"];
    let ended = Program::with_arguments(millrace(), &arguments).ended();
    let figures = figures(&ended);
    assert!(
        figures["duration_seconds"].as_f64().unwrap() >= 2.0,
        "{figures}"
    );
    let accepted = figures["upstream_shares_accepted"].as_u64().unwrap();
    assert_eq!(ended.code, Some(i32::from(accepted == 0)), "{ended:?}");
}
