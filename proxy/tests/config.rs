//! Bad configs and the exact lines that they get.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use millrace::config::{Config, Difficulty, Limits, Outage, Translation};

const KEY: &str = "9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh";

/// A good config of six lines; what is put below it starts at line 7.
const GOOD: &str = r#"[[listener]]
address = "0.0.0.0:3333"
[[upstream]]
name = "primary"
url = "stratum2+tcp://pool.example.com:34254/KEY"
user = "account"
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse("f", &text.replace("KEY", KEY)).map_err(|error| error.to_string())
}

/// Asserts that `extra` below the good config gets exactly these lines.
#[track_caller]
fn assert_below(extra: &str, lines: &[&str]) {
    assert_whole(&format!("{GOOD}{extra}"), lines);
}

#[track_caller]
fn assert_whole(text: &str, lines: &[&str]) {
    let told = parse(text).map_or_else(|told| told, |_| "a good config".to_owned());
    assert_eq!(told, lines.join("\n"));
}

#[test]
fn a_short_config_has_every_default() {
    let config = parse(GOOD).unwrap();
    let [listener] = &config.listeners[..] else {
        panic!("{:?}", config.listeners)
    };
    assert_eq!(listener.address, SocketAddr::from(([0, 0, 0, 0], 3333)));
    assert_eq!(listener.upstreams, [0]);
    assert_eq!(config.upstreams[0].url.host, "pool.example.com");
    assert!(config.upstreams[0].url.authority_key.is_some());
    assert_eq!(config.difficulty, Difficulty::default());
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.translation, Translation::default());
}

#[test]
fn values_are_read_in_their_units() {
    let extra = r#"
        [difficulty]
        shares_per_minute = 0.5
        start = 1_000
        min = 0.3
        max = 1e6
        [outage]
        release_after = "never"
        [translation]
        version_mask = "1FFFFFE0"
        [limits]
        http_connections = 0x40
        idle_timeout = "2h"
        [http]
        address = ""
    "#;
    let config = parse(&format!("{GOOD}{extra}")).unwrap();
    let difficulty = Difficulty {
        shares_per_minute: 0.5,
        start: Some(512.0),
        min: 0.25,
        asked_min: 0.25,
        max: Some(524_288.0),
        vardiff: true,
    };
    assert_eq!(config.difficulty, difficulty);
    assert_eq!(
        config.outage,
        Outage {
            release_after: None
        }
    );
    assert_eq!(config.translation.version_mask, 0x1fff_ffe0);
    assert_eq!(config.limits.http_connections, 64);
    assert_eq!(config.limits.idle_timeout, Duration::from_secs(7_200));
    assert_eq!(config.http.address, None);
}

#[test]
fn a_listener_names_its_upstreams_in_its_own_order() {
    let extra = r#"
        [[upstream]]
        name = "backup"
        url = "stratum2+tcp://[::1]:34254/KEY"
        user = "account"
        [[listener]]
        address = "[::]:3333"
        upstreams = ["backup", "primary"]
        [[listener]]
        address = "127.0.0.1:0"
        [[listener]]
        address = "127.0.0.1:0"
    "#;
    let config = parse(&format!("{GOOD}{extra}")).unwrap();
    let upstreams: Vec<&[usize]> = config
        .listeners
        .iter()
        .map(|listener| &listener.upstreams[..])
        .collect();
    assert_eq!(upstreams, [&[0, 1], &[1, 0], &[0, 1], &[0, 1]]);
}

#[test]
fn an_empty_file_says_what_to_add() {
    assert_whole(
        "",
        &[
            "f:1: upstream: missing; add at least one [[upstream]]",
            "f:1: listener: missing; add at least one [[listener]]",
        ],
    );
}

#[test]
fn single_and_double_brackets_are_told_apart() {
    assert_whole(
        "[listener]\naddress = \"x\"\n[upstream]\nname = \"x\"\n[[log]]\n",
        &[
            "f:1: listener: write [[listener]], in double brackets: there may be several",
            "f:2: listener.address: expected an IP address and port such as \"0.0.0.0:3333\", found \"x\"",
            "f:3: upstream: write [[upstream]], in double brackets: there may be several",
            "f:3: upstream.url: missing; write stratum2+tcp://host:port/KEY as the pool publishes it",
            "f:3: upstream.user: missing; write the pool account that is to be paid",
            "f:5: log: write [log], in single brackets: there is only one",
        ],
    );
}

#[test]
fn what_is_no_section_says_so() {
    assert_whole(
        "listener = []\nupstream = [1]\nhttp = 8330\nlevel = \"info\"\n",
        &[
            "f:1: listener: missing; add at least one [[listener]]",
            "f:2: upstream: expected a section [[upstream]], found 1",
            "f:3: http: expected a section [http], found 8330",
            "f:4: level: stands above every section; it belongs below [log]",
        ],
    );
}

#[test]
fn an_unknown_key_says_what_it_may_have_been_meant_to_be() {
    assert_below(
        "password = \"x\"\naddress = \"x\"\n[dificulty]\n[log]\nlevle = \"info\"\nshares_per_minute = 5\n[foo]\n",
        &[
            "f:7: upstream.password: unknown key; [[upstream]] takes name, url, user",
            "f:8: upstream.address: unknown key here; it belongs to [http] or [[listener]]",
            "f:9: dificulty: unknown section; did you mean [difficulty]?",
            "f:11: log.levle: unknown key; did you mean `level`?",
            "f:12: log.shares_per_minute: unknown key here; it belongs to [difficulty] or [listener.difficulty]",
            "f:13: foo: unknown; a config file has [difficulty], [http], [limits], [[listener]], \
             [listener.difficulty], [log], [outage], [state], [translation], [[upstream]]",
        ],
    );
}

#[test]
fn every_wrong_listener_is_told() {
    assert_below(
        r#"[[listener]]
address = "127.0.0.1:3333"
upstreams = ["other", "primary", "primary"]
[[listener]]
address = "localhost:3333"
upstreams = []
[[listener]]
upstreams = [1]
[[listener]]
address = 3333
upstreams = "primary"
[[listener]]
address = "127.0.0.1:8330"
"#,
        &[
            "f:8: listener.address: 127.0.0.1:3333 is taken by a listener above (0.0.0.0:3333): choose another port",
            "f:9: listener.upstreams: no upstream is named \"other\"; there is primary",
            "f:9: listener.upstreams: \"primary\" is listed twice",
            "f:11: listener.address: expected an IP address and port such as \"0.0.0.0:3333\", found \"localhost:3333\"",
            "f:12: listener.upstreams: is empty: name an upstream, or leave the key out for all of them",
            "f:13: listener.address: missing; write where miners connect, such as \"0.0.0.0:3333\"",
            "f:14: listener.upstreams: expected a list of upstream names such as [\"primary\", \"backup\"], found 1 in it",
            "f:16: listener.address: expected an IP address and port such as \"0.0.0.0:3333\", found 3333",
            "f:17: listener.upstreams: expected a list of upstream names such as [\"primary\", \"backup\"], \
             found \"primary\"",
            "f:19: listener.address: 127.0.0.1:8330 is taken by [http] (127.0.0.1:8330): choose another port",
        ],
    );
}

#[test]
fn every_wrong_upstream_is_told() {
    let long = "x".repeat(256);
    assert_below(
        &format!(
            r#"[[upstream]]
name = "primary"
url = "stratum+tcp://x:1"
user = ""
[[upstream]]
[[upstream]]
name = "a b"
url = "stratum2+tcp://x:1"
user = 5
[[upstream]]
name = "third"
url = "stratum2+tcp://x/KEY"
user = "a\nb"
[[upstream]]
name = ""
url = ""
user = "{long}"
"#
        ),
        &[
            "f:8: upstream.name: \"primary\" is the name of an upstream above: write another one",
            "f:9: upstream.url: this is a Stratum V1 URL: ask the pool for its Stratum V2 URL, \
             stratum2+tcp://host:port/KEY",
            "f:10: upstream.user: expected the pool account that is to be paid, found \"\"",
            "f:11: upstream.name: missing; write a short name such as \"primary\"",
            "f:11: upstream.url: missing; write stratum2+tcp://host:port/KEY as the pool publishes it",
            "f:11: upstream.user: missing; write the pool account that is to be paid",
            "f:13: upstream.name: expected a name of 1 to 32 letters, digits, \"-\", \"_\" or \".\", found \"a b\"",
            "f:14: upstream.url: the authority key is missing, and without it anybody on the way can take the hashrate: \
             add /KEY after the port, as the pool publishes it",
            "f:15: upstream.user: expected the pool account that is to be paid, found 5",
            "f:18: upstream.url: the URL has no port, and there is no usual one: write stratum2+tcp://host:port/KEY",
            "f:19: upstream.user: expected an account without control characters, found \"a\\nb\"",
            "f:21: upstream.name: expected a name of 1 to 32 letters, digits, \"-\", \"_\" or \".\", found \"\"",
            "f:22: upstream.url: expected a URL: stratum2+tcp://host:port/KEY, found \"\"",
            "f:23: upstream.user: is 256 bytes long: at most 255 fit",
        ],
    );
}

#[test]
fn difficulties_are_numbers_above_zero() {
    assert_below(
        "[difficulty]\nshares_per_minute = 0\nstart = \"fast\"\nmin = 0\nmax = inf\nvardiff = 1\n",
        &[
            "f:8: difficulty.shares_per_minute: expected a number from 0.1 to 600, found 0",
            "f:9: difficulty.start: expected \"measured\" or a difficulty above 0, from 2^-32 to 2^63, found \"fast\"",
            "f:10: difficulty.min: expected \"usual\" or a difficulty above 0, from 2^-32 to 2^63, found 0",
            "f:11: difficulty.max: expected \"none\" or a difficulty above 0, from 2^-32 to 2^63, found inf",
            "f:12: difficulty.vardiff: expected true or false, found 1",
        ],
    );
}

#[test]
fn difficulties_agree_with_each_other() {
    for (extra, line) in [
        (
            "min = 4\nmax = 2",
            "f:9: difficulty.max: max 2 is below min 4: raise max or lower min",
        ),
        (
            "start = 0.5",
            "f:8: difficulty.start: start 0.5 is below min 1: raise start or lower min",
        ),
        (
            "max = 64\nstart = 128",
            "f:9: difficulty.start: start 128 is above max 64: lower start or raise max",
        ),
        (
            "min = 2\nvardiff = false",
            "f:9: difficulty.vardiff: false holds every miner at start, and start is not set: set start to a number",
        ),
    ] {
        assert_below(&format!("[difficulty]\n{extra}\n"), &[line]);
    }
}

#[test]
fn a_listener_has_a_difficulty_and_names_of_its_own() {
    let text = r#"
        [difficulty]
        shares_per_minute = 6
        max = 4096
        min = 2
        [[listener]]
        address = "127.0.0.1:1"
        user = "hall2-{worker}@{ip}"
        difficulty = { start = 100, max = "none" }
        [[listener]]
        address = "127.0.0.1:2"
        [listener.difficulty]
        min = "usual"
        start = 8
        vardiff = false
    "#;
    let config = parse(&format!("{GOOD}{text}")).unwrap();
    let [plain, large, small] = &config.listeners[..] else {
        panic!("{:?}", config.listeners)
    };
    assert_eq!(plain.difficulty, config.difficulty);
    assert_eq!(plain.user.to_string(), "{worker}");
    assert_eq!(large.user.to_string(), "hall2-{worker}@{ip}");
    let over = Difficulty {
        start: Some(64.0),
        max: None,
        ..config.difficulty.clone()
    };
    assert_eq!(large.difficulty, over);
    let usual = Difficulty::default();
    let over = Difficulty {
        start: Some(8.0),
        min: usual.min,
        asked_min: usual.asked_min,
        vardiff: false,
        ..config.difficulty.clone()
    };
    assert_eq!(small.difficulty, over);
    let summary = config.summary().to_string();
    for line in [
        "\n    the pool sees each as hall2-{worker}@{ip}\n    difficulty 64 at first,",
        "\n    difficulty 8 at first and for good,",
    ] {
        assert!(summary.contains(line), "{summary}");
    }
}

#[test]
fn every_wrong_user_template_and_difficulty_of_a_listener_is_told() {
    let above = "[difficulty]\nmin = 4\nmax = 64\n";
    let long = "x".repeat(256);
    for (lines, told) in [
        (
            "user = \"{rig}\"",
            "12: listener.user: expected a name with placeholders such as \"{worker}\", found \"{rig}\": \
             {rig} is no placeholder; there are {user}, {worker}, {ip} and {port}",
        ),
        (
            "user = \"{worker\"",
            "12: listener.user: expected a name with placeholders such as \"{worker}\", found \"{worker\": \
             a brace has no other one; placeholders are {user}, {worker}, {ip} and {port}",
        ),
        (
            "user = \"\"",
            "12: listener.user: expected a name with placeholders such as \"{worker}\", found \"\"",
        ),
        (
            "user = \"a\\tb\"",
            "12: listener.user: expected a name with placeholders such as \"{worker}\" and no control characters, \
             found \"a\\tb\"",
        ),
        (
            &format!("user = \"{long}\""),
            "12: listener.user: is 256 bytes long: at most 255 fit",
        ),
        (
            "difficulty = 5",
            "12: listener.difficulty: expected a section [listener.difficulty], found 5",
        ),
        (
            "[[listener.difficulty]]\nstart = 5",
            "12: listener.difficulty: write [listener.difficulty], in single brackets: there is only one",
        ),
        (
            "dificulty = { start = 5 }",
            "12: listener.dificulty: unknown key; did you mean `difficulty`?",
        ),
        (
            "[listener.difficulty]\nstrat = 5",
            "13: listener.difficulty.strat: unknown key; did you mean `start`?",
        ),
        (
            "difficulty = { start = \"fast\" }",
            "12: listener.difficulty.start: expected \"measured\" or a difficulty above 0, from 2^-32 to 2^63, \
             found \"fast\"",
        ),
        (
            "[listener.difficulty]\nmin = 128",
            "13: listener.difficulty.min: max 64 of [difficulty] is below min 128: raise max or lower min",
        ),
        (
            "[listener.difficulty]\nstart = 2",
            "13: listener.difficulty.start: start 2 is below min 4 of [difficulty]: raise start or lower min",
        ),
        (
            "[listener.difficulty]\n\nmax = 8\nstart = 16",
            "15: listener.difficulty.start: start 16 is above max 8: lower start or raise max",
        ),
        (
            "[listener.difficulty]\nvardiff = false",
            "13: listener.difficulty.vardiff: false holds every miner at start, and start is not set: \
             set start to a number",
        ),
    ] {
        let listener = "[[listener]]\naddress = \"127.0.0.1:1\"\n";
        assert_below(
            &format!("{above}{listener}{lines}\n"),
            &[&format!("f:{told}")],
        );
    }
    assert_below(
        "[difficulty]\nmin = 4\nmax = 2\n[[listener]]\naddress = \"127.0.0.1:1\"\ndifficulty = { start = 1 }\n",
        &["f:9: difficulty.max: max 2 is below min 4: raise max or lower min"],
    );
}

#[test]
fn limits_have_bounds_and_units() {
    assert_below(
        r#"[limits]
max_miners = -1
line_bytes = 99999999999999999999
http_connections = 2.5
setup_timeout = "0s"
idle_timeout = "5 days"
write_timeout = "30"
retry_min = "soon"
retry_max = 5
"#,
        &[
            "f:8: limits.max_miners: expected a whole number of miners from 1 to 1000000, found -1",
            "f:9: limits.line_bytes: expected a whole number of bytes from 1024 to 1048576, found 99999999999999999999",
            "f:10: limits.http_connections: expected a whole number of connections from 1 to 10000, found 2.5",
            "f:11: limits.setup_timeout: expected a duration from \"100ms\" to \"1h\", found \"0s\"",
            "f:12: limits.idle_timeout: unknown unit \"days\" in \"5 days\": write ms, s, m or h",
            "f:13: limits.write_timeout: the unit is missing after \"30\": write ms, s, m or h, such as \"30s\"",
            "f:14: limits.retry_min: expected a whole number and a unit such as \"30s\", found \"soon\"",
            "f:15: limits.retry_max: expected a duration from \"100ms\" to \"1h\", found 5",
        ],
    );
    assert_below(
        r#"[limits]
max_miners_per_address = 0
requests_per_second = 9
invalid_shares_pause = 101
invalid_shares_ban = "never"
pause = "2h"
ban = 600
"#,
        &[
            "f:8: limits.max_miners_per_address: expected a whole number of miners from 1 to 1000000, found 0",
            "f:9: limits.requests_per_second: expected a whole number of requests from 10 to 1000000, found 9",
            "f:10: limits.invalid_shares_pause: expected a whole percentage from 1 to 100, or \"off\", found 101",
            "f:11: limits.invalid_shares_ban: expected a whole percentage from 1 to 100, or \"off\", found \"never\"",
            "f:12: limits.pause: expected a duration from \"100ms\" to \"1h\", found \"2h\"",
            "f:13: limits.ban: expected a duration from \"100ms\" to \"168h\", found 600",
        ],
    );
    assert_below(
        "[limits]\nretry_min = \"31s\"\n",
        &[
            "f:7: limits.retry_max: retry_max is shorter than retry_min: raise retry_max or lower retry_min",
        ],
    );
}

#[test]
fn the_other_sections_say_what_they_take() {
    assert_below(
        r#"[outage]
release_after = "0s"
[translation]
version_mask = "ffffffff"
extranonce2_size = 3
keepalive = "60s"
worker_names = "yes"
[http]
address = "8330"
token = "too short"
miner_series = -1
[log]
level = "loud"
timestamps = 0
[state]
directory = "state"
"#,
        &[
            "f:8: outage.release_after: expected a duration from \"1s\" to \"168h\", found \"0s\"; \
             \"never\" holds miners for ever",
            "f:10: translation.version_mask: expected no bits outside \"1fffffe0\" (BIP-0323), found \"ffffffff\"",
            "f:11: translation.extranonce2_size: expected a whole number of bytes from 4 to 8, found 3",
            "f:12: translation.keepalive: expected a duration from \"1s\" to \"50s\", found \"60s\"",
            "f:13: translation.worker_names: expected true or false, found \"yes\"",
            "f:15: http.address: expected an IP address and port such as \"127.0.0.1:8330\", found \"8330\"; \"\" is off",
            "f:16: http.token: expected a secret of 16 to 255 characters without spaces, found one of 9",
            "f:17: http.miner_series: expected a whole number of miners from 0 to 1000, found -1",
            "f:19: log.level: expected \"error\", \"warn\", \"info\", \"debug\", \"trace\" or \"off\", found \"loud\"",
            "f:20: log.timestamps: expected true, false or \"auto\", found 0",
            "f:22: state.directory: expected an absolute path such as \"/var/lib/millrace\", found \"state\"; \
             \"\" keeps nothing, and \"auto\" is the directory that systemd names",
        ],
    );
    assert_below(
        "[outage]\nrelease_after = 600\n[translation]\nversion_mask = \"+1fffe00\"\n",
        &[
            "f:8: outage.release_after: expected a duration such as \"10m\", or \"never\", found 600",
            "f:10: translation.version_mask: expected 8 hex digits such as \"1fffe000\", found \"+1fffe00\"",
        ],
    );
}

#[test]
fn beyond_loopback_a_token_is_required() {
    assert_below(
        "[http]\naddress = \"0.0.0.0:8330\"\n",
        &[
            "f:7: http.token: missing: 0.0.0.0:8330 can be seen from the network; write a secret of at least 16 \
             characters that clients are to show",
        ],
    );
    for good in [
        "address = \"0.0.0.0:8330\"\ntoken = \"0123456789abcdef\"",
        "address = \"[::1]:8330\"",
        "address = \"127.0.0.2:8330\"\ntoken = \"\"",
    ] {
        assert!(parse(&format!("{GOOD}[http]\n{good}\n")).is_ok(), "{good}");
    }
    let config = parse(&format!("{GOOD}[http]\ntoken = \"0123456789abcdef\"\n")).unwrap();
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
}

#[test]
fn broken_toml_says_what_to_write_on_every_line() {
    assert_below(
        r#"[log]
level = info # as ever
timestamps =
[http]
address = 127.0.0.1:8330
[outage]
release_after = 10m
[limits]
pending_bytes = 1
pending_bytes = 2
max_miners = 0
"#,
        &[
            "f:8: info is neither a number nor true or false; if it is text, write \"info\"",
            "f:9: the value after = is missing",
            "f:11: 127.0.0.1:8330 is neither a number nor true or false; if it is text, write \"127.0.0.1:8330\"",
            "f:13: 10m is neither a number nor true or false; if it is text, write \"10m\"",
            "f:15: limits.pending_bytes: expected a whole number of bytes from 16384 to 16777216, found 1",
            "f:16: pending_bytes is there twice: remove one",
            "f:17: limits.max_miners: expected a whole number of miners from 1 to 1000000, found 0",
        ],
    );
}

#[test]
fn a_header_that_is_broken_does_not_make_good_lines_look_wrong() {
    assert_whole(
        "[[listener]\naddress = \"0.0.0.0:3333\"\n[log]\nlevel = \"info\"\n",
        &["f:1: unclosed array table, expected `]`"],
    );
}

#[test]
fn a_long_wrong_value_is_cut() {
    let told = parse(&format!("{GOOD}[log]\nlevel = \"{}\"\n", "é".repeat(500))).unwrap_err();
    assert!(
        told.ends_with(&format!("found \"{}…\"", "é".repeat(60))),
        "{told}"
    );
}
