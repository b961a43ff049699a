//! `millrace check` and bad arguments, from outside: what is printed where, and the exit code.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::{Command, Output};

fn millrace(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_millrace"))
        .env_remove("STATE_DIRECTORY")
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// Writes a config of this test's own and returns its path.
fn config(name: &str, content: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_good_config_is_told_in_short_and_exits_0() {
    let path = config("good.toml", include_bytes!("../../config.example.toml"));
    let output = millrace(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert_eq!(
        lines,
        [
            &format!("{}: ok, 1 listener, 1 upstream", path.display()),
            "  miners on 0.0.0.0:3333 mine at primary (pool.example.com:34254) as account",
            "  difficulty measured at first, then for 12 shares per minute, from 1 up",
            "  without an upstream miners are held for 10m, then let go",
            "  at most 20000 miners",
            "  no state is kept unless systemd names a directory (STATE_DIRECTORY), as its unit does",
            "  http on 127.0.0.1:8330 for everybody on this machine",
        ]
    );
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn where_state_is_kept_is_told() {
    let example = include_str!("../../config.example.toml");
    let directory = env!("CARGO_TARGET_TMPDIR");
    for (line, told) in [
        (
            "",
            format!("state is kept in {directory} (STATE_DIRECTORY)"),
        ),
        ("directory = \"\"", "no state is kept: after a".to_owned()),
    ] {
        let content = example.replace("# directory = \"auto\"", line);
        let path = config("state.toml", content.as_bytes());
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(["check", "--config", path.to_str().unwrap()]);
        let output = command.env("STATE_DIRECTORY", directory).output().unwrap();
        assert!(text(&output.stdout).contains(&told), "{output:?}");
    }
}

#[test]
fn limits_on_miners_are_told_to_be_of_each_set_of_listeners() {
    let example = include_str!("../../config.example.toml");
    let second = "[[upstream]]\nname = \"second\"\nuser = \"b\"\nurl = \"stratum2+tcp://b.example.com:1/9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh\"\n\
                  [[listener]]\naddress = \"127.0.0.1:1\"\nupstreams = [\"second\"]\n";
    let path = config("sets.toml", format!("{example}\n{second}").as_bytes());
    let output = millrace(&["check", "--config", path.to_str().unwrap()]);
    let told = text(&output.stdout);
    let words = "at most 20000 miners for each set of listeners with the same upstreams";
    assert!(told.contains(words), "{told}{}", text(&output.stderr));
}

#[test]
fn every_problem_is_told_with_the_files_name_and_exits_2() {
    let path = config("bad.toml", b"[[listener]]\nadress = \"0.0.0.0:3333\"\n");
    let file = path.display();
    let problems = [
        format!("{file}:1: upstream: missing; add at least one [[upstream]]"),
        format!(
            "{file}:1: listener.address: missing; write where miners connect, such as \"0.0.0.0:3333\""
        ),
        format!("{file}:2: listener.adress: unknown key; did you mean `address`?"),
    ];
    let output = millrace(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    let lines: Vec<&str> = text(&output.stderr).lines().collect();
    assert_eq!(lines, problems);
    // To the log each is an error, whatever is to be logged.
    for wanted in ["info", "off", "translate=debug"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(["run", "--config", path.to_str().unwrap()]);
        let output = command.env("RUST_LOG", wanted).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(text(&output.stdout), "");
        let log = text(&output.stderr);
        assert_eq!(log.lines().count(), problems.len(), "{wanted}: {log}");
        for (line, problem) in log.lines().zip(&problems) {
            assert!(
                line.ends_with(&format!("ERROR {problem}")),
                "{wanted}: {line}"
            );
        }
    }
}

#[test]
fn a_file_that_is_no_text_or_not_there_exits_2() {
    let binary = config("binary.toml", b"[log]\nlevel = \"\xff\"\n");
    let large = config("large.toml", &vec![b'#'; (1 << 20) + 1]);
    let absent = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("absent.toml");
    for (path, problem) in [
        (&binary, ":2: not UTF-8: save the file in that encoding"),
        (
            &large,
            ": is larger than 1048576 bytes, which no config file is",
        ),
        (
            &absent,
            ": cannot be read: No such file or directory (os error 2)",
        ),
    ] {
        let output = millrace(&["check", "--config", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        let told = text(&output.stderr).trim_end();
        assert_eq!(told, format!("{}{problem}", path.display()));
    }
}

#[test]
fn bad_arguments_exit_2_and_help_and_version_exit_0() {
    for arguments in [&[][..], &["mine"], &["run"], &["demo", "--for", "30"]] {
        let output = millrace(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
    let help = millrace(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("millrace <SUBCOMMAND>"));
    let version = millrace(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    let expected = concat!("millrace ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(text(&version.stdout), expected);
}
