//! The programs under test for programs that test them by hand: built in their own profile, with what they have
//! compiled already.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Builds `millrace` or `sv2-pool` in the profile of this program, and gives its path in cargo's words; `None` where
/// cargo cannot.
#[must_use]
pub fn build(program: &str) -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--package", "tests", "--bin"])
        .arg(format!("{program}-under-test"))
        .args(["--message-format", "json-render-diagnostics"])
        .args((!cfg!(debug_assertions)).then_some("--release"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit());
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let programs = messages.filter_map(|message| {
        let program = message.get("executable")?.as_str()?;
        Some(PathBuf::from(program))
    });
    programs.reduce(|_, newest| newest)
}
