//! The end of a program that tests: its report, what is wrong, and the exit code that follows.

use std::fmt::Display;
use std::process::ExitCode;

use serde_json::Value;

/// Prints a report and its problems, and as the last line the object for programs where one is asked for; exit code 1
/// where there is a problem.
#[must_use]
pub fn conclude(report: &impl Display, problems: &[String], json: Option<Value>) -> ExitCode {
    println!("{report}");
    for problem in problems {
        println!("PROBLEM: {problem}");
    }
    if let Some(json) = json {
        println!("{json}");
    }
    match problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
