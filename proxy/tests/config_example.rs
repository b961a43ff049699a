//! `config.example.toml` tells the truth: it parses, it has every key, and the defaults it shows are the program's. What a
//! reload does with each key is documented, and so is what is counted.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use millrace::config::Config;
use translate::Refusal;

const EXAMPLE: &str = include_str!("../../config.example.toml");

/// The key of a line `# key = value`, which shows a default.
fn shown_default(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix("# ")?.split_once(" = ")?;
    let is_key = key
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_key.then_some(key)
}

/// The example with every shown default switched on.
fn with_defaults_on() -> String {
    EXAMPLE
        .lines()
        .map(|line| {
            let shown = shown_default(line).and_then(|_| line.strip_prefix("# "));
            format!("{}\n", shown.unwrap_or(line))
        })
        .collect()
}

/// Every key of the example, switched on or not, as `section.key`.
fn example_keys() -> Vec<String> {
    let mut section = "";
    let mut keys = Vec::new();
    for line in EXAMPLE.lines() {
        let set = line
            .split_once(" = ")
            .map(|(key, _)| key)
            .filter(|_| !line.starts_with('#'));
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if let Some(key) = set.or_else(|| shown_default(line)) {
            keys.push(format!("{section}.{key}"));
        }
    }
    keys
}

#[test]
fn the_example_is_a_good_config() {
    let config = Config::parse("config.example.toml", EXAMPLE).unwrap();
    assert_eq!((config.listeners.len(), config.upstreams.len()), (1, 1));
}

#[test]
fn the_defaults_that_the_example_shows_are_the_programs() {
    let plain = Config::parse("plain", EXAMPLE).unwrap();
    let switched_on =
        Config::parse("switched on", &with_defaults_on()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(switched_on, plain);
}

#[test]
fn the_example_has_every_key_once_and_no_other() {
    let keys = example_keys();
    let unique: BTreeSet<String> = keys.iter().cloned().collect();
    assert_eq!(unique.len(), keys.len(), "a key stands twice: {keys:?}");
    assert_eq!(unique, Config::keys().into_iter().collect());
}

#[test]
fn the_example_has_a_line_above_every_key() {
    let mut explained = false;
    for line in EXAMPLE.lines() {
        let is_key =
            shown_default(line).is_some() || (!line.starts_with('#') && line.contains(" = "));
        assert!(!is_key || explained, "no explanation above: {line}");
        explained = !line.is_empty() && !line.starts_with('[');
    }
}

#[test]
fn every_cut_of_the_example_is_a_config_or_a_list_of_problems() {
    let whole: String = with_defaults_on()
        .split_inclusive('\n')
        .filter(|line| !line.starts_with('#'))
        .collect();
    for (cut, _) in whole.char_indices() {
        let text = &whole[..cut];
        if let Err(error) = Config::parse("f", text) {
            for line in error.to_string().lines() {
                let number = line
                    .strip_prefix("f:")
                    .and_then(|rest| rest.split_once(": "));
                let number: usize = number.unwrap().0.parse().unwrap();
                assert!(number <= text.lines().count() + 1, "cut at {cut}: {line}");
            }
        }
    }
}

#[test]
fn what_a_reload_does_is_documented_for_every_key() {
    let documented = include_str!("../../docs/operating.md");
    let (_, reload) = documented.split_once("## Changing the config").unwrap();
    let missing: Vec<_> = Config::keys()
        .into_iter()
        .filter(|key| !reload.contains(&format!("`{key}`")))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn every_reason_to_refuse_a_share_is_documented() {
    let documented = include_str!("../../docs/operating.md");
    let labels = Refusal::LABELS.into_iter();
    let missing: Vec<_> = labels
        .filter(|label| !documented.contains(&format!("`{label}`")))
        .collect();
    assert_eq!(missing, [""; 0]);
}
