//! What is told of each key that differs, and what is refused.

use super::*;

const KEY: &str = "9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh";

/// A config with one listener and upstreams of these names; `more` are further sections.
fn config(listener: &str, upstreams: &[&str], more: &str) -> String {
    let mut text = format!("[[listener]]\naddress = \"127.0.0.1:3333\"\n{listener}\n");
    for name in upstreams {
        text += &format!(
            "[[upstream]]\nname = \"{name}\"\nurl = \"stratum2+tcp://{name}.example.com:1/{KEY}\"\nuser = \"farm\"\n"
        );
    }
    text + more
}

fn parse(text: &str) -> Config {
    Config::parse("farm.toml", text).unwrap()
}

fn differences(before: &str, after: &str) -> Differences {
    Differences::between(&parse(before), &parse(after))
}

/// What is told, in the words of the log.
fn told(before: &str, after: &str) -> Vec<String> {
    let found = differences(before, after);
    assert!(found.refused.is_empty(), "{:?}", found.refused);
    found.changes.iter().map(ToString::to_string).collect()
}

/// What is told where a section is added to a usual config.
fn told_of(more: &str) -> Vec<String> {
    let usual = config("", &["primary"], "");
    told(&usual, &config("", &["primary"], more))
}

fn refused_of(more: &str) -> Vec<(&'static str, &'static str)> {
    let usual = config("", &["primary"], "");
    let found = differences(&usual, &config("", &["primary"], more));
    let refused = found.refused.iter();
    refused
        .map(|refused| (refused.section, refused.key))
        .collect()
}

/// A value of each key of the sections that there is one of, other than its default; and whether it can be applied.
const OTHERS: [(&str, &str, bool); 43] = [
    ("difficulty.shares_per_minute", "6", true),
    ("difficulty.start", "1024", true),
    ("difficulty.min", "2", true),
    ("difficulty.max", "4096", true),
    ("difficulty.vardiff", "false\nstart = 1024", true),
    ("outage.release_after", "\"never\"", true),
    ("translation.version_mask", "\"1fffffe0\"", true),
    ("translation.extranonce2_size", "8", false),
    ("translation.keepalive", "\"20s\"", true),
    ("translation.channel", "\"per-user\"", false),
    ("translation.worker_names", "false", true),
    ("limits.max_miners", "100", true),
    ("limits.max_channels", "100", true),
    ("limits.max_miners_per_address", "100", true),
    ("limits.requests_per_second", "100", true),
    ("limits.invalid_shares_pause", "50", true),
    ("limits.pause", "\"20s\"", true),
    ("limits.invalid_shares_ban", "\"off\"", true),
    ("limits.ban", "\"20s\"", true),
    ("limits.line_bytes", "16384", true),
    ("limits.pending_bytes", "65536", true),
    ("translation.shards", "2", false),
    ("limits.setup_timeout", "\"20s\"", true),
    ("limits.idle_timeout", "\"20s\"", true),
    ("limits.write_timeout", "\"20s\"", true),
    ("limits.upstream_connect_timeout", "\"20s\"", true),
    ("limits.upstream_setup_timeout", "\"20s\"", true),
    ("limits.upstream_probe_after", "\"20s\"", true),
    ("limits.upstream_probe_timeout", "\"20s\"", true),
    ("limits.upstream_block_grace", "\"20s\"", true),
    ("limits.http_connections", "10", true),
    ("limits.http_timeout", "\"20s\"", true),
    ("limits.retry_min", "\"2s\"", true),
    ("limits.retry_max", "\"20s\"", true),
    ("state.directory", "\"/var/lib/other\"", false),
    ("http.address", "\"127.0.0.1:8331\"", true),
    ("http.token", "\"0123456789abcdef\"", true),
    ("http.miner_series", "10", true),
    ("log.level", "\"debug\"", true),
    ("log.timestamps", "false", true),
    ("log.summary", "\"1m\"", true),
    ("upstream.user", "\"other\"", true),
    ("listener.user", "\"{user}\"", true),
];

#[test]
fn every_key_is_told_or_refused_when_it_changes() {
    for (name, value, applies) in OTHERS {
        let (section, key) = name.split_once('.').unwrap();
        if ["upstream", "listener"].contains(&section) {
            continue;
        }
        let more = format!("[{section}]\n{key} = {value}\n");
        if applies {
            let told = told_of(&more);
            let its = told
                .iter()
                .filter(|told| told.starts_with(&format!("{name} ")));
            assert_eq!(its.count(), 1, "{name}: {told:?}");
        } else {
            assert_eq!(refused_of(&more), [(section, key)]);
        }
    }
}

#[test]
fn no_key_is_left_out_here() {
    let tested = |name: &String| OTHERS.iter().any(|(tested, ..)| tested == name);
    // Those of listeners and upstreams have tests of their own.
    let of_lists = |name: &String| name.starts_with("listener.") || name.starts_with("upstream.");
    let keys = Config::keys().into_iter();
    let missing: Vec<_> = keys.filter(|it| !tested(it) && !of_lists(it)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn an_unchanged_config_has_no_differences() {
    let usual = config("", &["primary", "backup"], "");
    assert_eq!(differences(&usual, &usual), Differences::default());
    let other_words = usual.replace("[[listener]]", "# a comment\n[[listener]]");
    assert_eq!(differences(&usual, &other_words), Differences::default());
}

#[test]
fn a_change_tells_what_was_and_what_is_and_for_whom() {
    assert_eq!(
        told_of("[difficulty]\nstart = 4096\nmax = 65536\n[limits]\nline_bytes = 16384\n"),
        [
            "difficulty.start measured → 4096 (for miners that come from now on)",
            "difficulty.max none → 65536",
            "limits.line_bytes 8192 → 16384 (for connections from now on)",
        ]
    );
    assert_eq!(
        told_of("[outage]\nrelease_after = \"never\"\n"),
        ["outage.release_after 10m → never"]
    );
}

#[test]
fn a_fixed_start_is_for_everybody() {
    assert_eq!(
        told_of("[difficulty]\nstart = 4096\nvardiff = false\n"),
        [
            "difficulty.start measured → 4096",
            "difficulty.vardiff true → false"
        ]
    );
}

#[test]
fn a_token_is_never_told() {
    let set = told_of("[http]\ntoken = \"0123456789abcdef\"\n");
    assert_eq!(set, ["http.token set"]);
    let one = config("", &["primary"], "[http]\ntoken = \"0123456789abcdef\"\n");
    let other = config("", &["primary"], "[http]\ntoken = \"fedcba9876543210\"\n");
    assert_eq!(told(&one, &other), ["http.token changed"]);
    assert_eq!(
        told(&one, &config("", &["primary"], "")),
        ["http.token taken away"]
    );
}

#[test]
fn upstreams_come_go_and_change_places() {
    let two = config("", &["primary", "backup"], "");
    assert_eq!(
        told(&config("", &["primary"], ""), &two),
        ["upstream backup added"]
    );
    assert_eq!(
        told(&two, &config("", &["backup"], "")),
        ["upstream primary removed (its miners leave as soon as another has work)"]
    );
    assert_eq!(
        told(&two, &config("", &["backup", "third", "primary"], "")),
        [
            "upstream third added",
            "order of upstreams primary, backup → backup, primary"
        ]
    );
    let other = two.replacen("user = \"farm\"", "user = \"other\"", 1);
    assert_eq!(told(&two, &other), ["upstream primary user farm → other"]);
}

#[test]
fn listeners_come_and_go_and_have_keys_of_their_own() {
    let one = config("", &["primary", "backup"], "");
    let two = format!("{one}[[listener]]\naddress = \"127.0.0.1:4444\"\n");
    assert_eq!(told(&one, &two), ["listener 127.0.0.1:4444 opened"]);
    assert_eq!(
        told(&two, &one),
        ["listener 127.0.0.1:4444 closed (its miners stay)"]
    );
    let own = "user = \"{user}\"\nupstreams = [\"backup\"]\ndifficulty = { max = 64 }";
    assert_eq!(
        told(&one, &config(own, &["primary", "backup"], "")),
        [
            "listener 127.0.0.1:3333 upstreams primary, backup → backup",
            "listener 127.0.0.1:3333 user {worker} → {user}",
            "listener 127.0.0.1:3333 difficulty.max none → 64",
        ]
    );
}

#[test]
fn what_a_listener_takes_over_from_the_sections_is_told_once() {
    let before = config("", &["primary"], "");
    let after = config("", &["primary", "backup"], "[difficulty]\nmax = 64\n");
    assert_eq!(
        told(&before, &after),
        ["upstream backup added", "difficulty.max none → 64"]
    );
}

#[test]
fn a_refusal_is_worded_as_check_does_with_its_line() {
    let text = config("", &["primary"], "[translation]\nshards = 2\n");
    let found = differences(&config("", &["primary"], ""), &text);
    let source = Source {
        file: "farm.toml".into(),
        text,
    };
    assert_eq!(
        source.refuse(&found.refused).to_string(),
        "farm.toml:9: translation.shards: the threads are started with the program; restart to change it"
    );
    let second = Refused {
        place: 1,
        ..Refused::only("listener", "address", "is taken")
    };
    let text = "[[listener]]\naddress = \"1\"\n[[listener]]\nuser = \"\"\naddress = \"2\"\n";
    let source = Source {
        file: "farm.toml".into(),
        text: text.into(),
    };
    assert_eq!(
        source.refuse(&[second]).to_string(),
        "farm.toml:5: listener.address: is taken"
    );
}
