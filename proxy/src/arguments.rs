//! The command line of `millrace`.
//!
//! The doc comments of [`Arguments`] and its parts are what `--help` prints.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use structopt::StructOpt;
use structopt::clap::{AppSettings, ErrorKind};

use crate::config::parse_duration;

/// Exit code of bad arguments and of a bad config.
pub const BAD_USAGE: u8 = 2;

/// What stands at the end of `millrace --help`.
const AFTER_HELP: &str = "\
Miners connect to Millrace as to any Stratum V1 pool; Millrace mines for all of them
together at the Stratum V2 pool that its config file names. To see it work without a
pool or a config: millrace demo --for 30s

EXIT CODES:
    0    stopped cleanly, or nothing was wrong
    1    failed at run time
    2    bad config or arguments";

/// What stands at the end of `millrace demo --help`.
const AFTER_DEMO_HELP: &str = "\
Everything is in this one process and on loopback: a small Stratum V2 pool, the proxy,
and miners that really hash. Nothing is earned, no config is needed and nothing is left
behind. Exits with 1 if the pool accepted no share.";

/// Lets Stratum V1 miners mine at a Stratum V2 pool.
#[derive(Debug, Clone, PartialEq, Eq, StructOpt)]
#[structopt(
    name = "millrace",
    global_settings = &[
        AppSettings::VersionlessSubcommands,
        AppSettings::DisableHelpSubcommand,
        AppSettings::UnifiedHelpMessage,
    ],
    settings = &[AppSettings::SubcommandRequiredElseHelp],
    after_help = AFTER_HELP,
)]
pub enum Arguments {
    /// Runs the proxy until it gets SIGINT or SIGTERM.
    Run(Run),
    /// Checks a config file and tells every problem in it, as `file:line: key: problem`.
    Check(Check),
    /// Mines on this machine's CPU, at a small pool of its own, and shows that shares flow.
    #[structopt(after_help = AFTER_DEMO_HELP)]
    Demo(Demo),
}

/// Arguments of `millrace run`.
#[derive(Debug, Clone, PartialEq, Eq, StructOpt)]
pub struct Run {
    /// The config file; config.example.toml explains every key.
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub config: PathBuf,
}

/// Arguments of `millrace check`.
#[derive(Debug, Clone, PartialEq, Eq, StructOpt)]
pub struct Check {
    /// The config file; config.example.toml explains every key.
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub config: PathBuf,
    /// Also dials each upstream and tells how handshake, setup and channel went.
    #[structopt(long)]
    pub connect: bool,
}

/// Arguments of `millrace demo`.
#[derive(Debug, Clone, PartialEq, Eq, StructOpt)]
pub struct Demo {
    /// How many miners hash; they share the CPU's cores.
    #[structopt(long, value_name = "N", default_value = "4", parse(try_from_str = parse_miners))]
    pub miners: usize,
    /// Ends by itself after this long, such as 30s or 5m; without it, Ctrl-C ends it.
    #[structopt(long = "for", value_name = "DURATION", parse(try_from_str = parse_duration))]
    pub duration: Option<Duration>,
    /// Prints one JSON object as the last line of standard output.
    #[structopt(long)]
    pub json: bool,
}

impl Arguments {
    /// Reads the process's own command line. Prints help, version or what is wrong.
    ///
    /// # Errors
    /// The exit code where there is nothing to be done: 0 after help or version, 2 for bad arguments.
    pub fn of_process() -> Result<Self, ExitCode> {
        Self::parse(std::env::args_os()).map_err(|refusal| refusal.print())
    }

    /// Reads a command line, whose first word is the program's name.
    ///
    /// # Errors
    /// What to print instead, and the exit code.
    pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, Refusal> {
        Self::from_iter_safe(words).map_err(|error| Refusal {
            is_answer: matches!(
                error.kind,
                ErrorKind::HelpDisplayed | ErrorKind::VersionDisplayed
            ),
            text: error.message,
        })
    }
}

/// A command line that asks for nothing to be done: because it asks for help, or because it is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whether the text is what was asked for (help, version); otherwise it says what is wrong.
    pub is_answer: bool,
    /// The text to print; of a version only the end of the line is left, as clap has written the rest itself.
    pub text: String,
}

impl Refusal {
    /// Prints the text to where it belongs and returns the exit code.
    #[must_use]
    pub fn print(&self) -> ExitCode {
        if self.is_answer {
            println!("{}", self.text.trim_end());
            ExitCode::SUCCESS
        } else {
            eprintln!("{}", self.text.trim_end());
            ExitCode::from(BAD_USAGE)
        }
    }
}

/// Most miners of a demo: each hashes in earnest, and thousands on one CPU would find nothing.
const DEMO_MINERS: usize = 1_000;

fn parse_miners(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|miners| (1..=DEMO_MINERS).contains(miners))
        .ok_or_else(|| format!("expected a whole number from 1 to {DEMO_MINERS}, found \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Check, Demo, Refusal, Run};
    use std::time::Duration;

    fn parse(line: &str) -> Result<Arguments, Refusal> {
        Arguments::parse(line.split_whitespace().map(Into::into))
    }

    fn refusal(line: &str) -> Refusal {
        parse(line).unwrap_err()
    }

    #[test]
    fn every_command_reads_its_arguments() {
        let config = || "c.toml".into();
        let run = Run { config: config() };
        assert_eq!(
            parse("millrace run --config c.toml"),
            Ok(Arguments::Run(run))
        );
        for (line, connect) in [
            ("millrace check --config c.toml", false),
            ("millrace check --connect --config=c.toml", true),
        ] {
            let config = config();
            assert_eq!(parse(line), Ok(Arguments::Check(Check { config, connect })));
        }
        let demo = Demo {
            miners: 2,
            duration: Some(Duration::from_secs(30)),
            json: true,
        };
        assert_eq!(
            parse("millrace demo --miners 2 --for 30s --json"),
            Ok(Arguments::Demo(demo))
        );
    }

    #[test]
    fn a_demo_needs_no_arguments() {
        let demo = Demo {
            miners: 4,
            duration: None,
            json: false,
        };
        assert_eq!(parse("millrace demo"), Ok(Arguments::Demo(demo)));
    }

    #[test]
    fn help_is_an_answer() {
        for line in ["--help", "run --help", "check --help", "demo --help"] {
            assert!(refusal(&format!("millrace {line}")).is_answer);
        }
    }

    #[test]
    fn wrong_arguments_are_told_by_name() {
        for (line, part) in [
            ("millrace run", "--config <FILE>"),
            ("millrace mine", "mine"),
            ("millrace check --config c.toml --verbose", "--verbose"),
            ("millrace demo --for 30", "the unit is missing after \"30\""),
            ("millrace demo --miners 0", "from 1 to 1000, found \"0\""),
        ] {
            let refusal = refusal(line);
            assert!(!refusal.is_answer, "{line}");
            assert!(refusal.text.contains(part), "{line}: {}", refusal.text);
        }
    }
}
