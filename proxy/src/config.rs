//! The config file: TOML in, plain typed data out, or every problem at once.
//!
//! `document` and `section` read TOML with the position of every value, the file named after each section interprets
//! its keys and holds their defaults, and `report` collects what is wrong. A value is never read half: there is a
//! [`Config`] only where nothing is wrong. The keys are explained in `config.example.toml`.

mod change;
mod difficulty;
mod document;
mod duration;
mod http;
mod limits;
mod listener;
mod log;
mod outage;
mod problem;
mod report;
mod section;
mod state;
mod suggestion;
mod summary;
mod translation;
mod upstream;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use self::change::Change;
pub(crate) use self::change::{Differences, Refused, Source};
pub use self::difficulty::Difficulty;
pub use self::duration::{DurationError, format_duration, parse_duration};
pub use self::http::{Http, Token};
pub use self::limits::Limits;
pub use self::listener::Listener;
pub use self::log::{Log, Timestamps};
pub use self::outage::Outage;
pub use self::problem::{ConfigError, Problem};
pub use self::state::State;
pub use self::summary::Summary;
pub use self::translation::Translation;
pub use self::upstream::Upstream;

use self::document::Document;
use self::listener::Surroundings;
use self::report::Report;
use crate::state::{StateDirectory, StateError};

/// Everything that an operator decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Ports for miners; at least one.
    pub listeners: Vec<Listener>,
    /// Servers to mine at, in order of preference; at least one.
    pub upstreams: Vec<Upstream>,
    /// How hard the miners' shares are.
    pub difficulty: Difficulty,
    /// What happens while no upstream is to be had.
    pub outage: Outage,
    /// What miners are granted and what the pool is told.
    pub translation: Translation,
    /// Every bound of the program.
    pub limits: Limits,
    /// What is kept from one run to the next.
    pub state: State,
    /// Where the API, the metrics and the probes are served.
    pub http: Http,
    /// How much is logged, and how.
    pub log: Log,
}

/// Largest config file, in bytes: a thousand upstreams with comments, and no device by mistake.
const FILE_MAX: u64 = 1 << 20;

impl Config {
    /// Reads a config file, and tries whether the state directory can be used.
    ///
    /// # Errors
    /// Every problem of the file at once, or why it cannot be read.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_where(path, |_, _| true)
    }

    /// As [`load`](Self::load), but a disk that is full, read-only or broken is not held against the config, nor is a
    /// directory that it does not name: mining goes on without it.
    ///
    /// # Errors
    /// Every problem of the file at once, or why it cannot be read.
    pub fn load_to_run(path: &Path) -> Result<Self, ConfigError> {
        Self::load_where(path, State::is_wrong)
    }

    /// As [`load_to_run`](Self::load_to_run), with the text, so that more can be said of it.
    pub(crate) fn load_with_source(path: &Path) -> Result<(Self, Source), ConfigError> {
        Self::load_all(path, State::is_wrong)
    }

    /// Reads a config file; `counts` tells which faults of the state directory make it a wrong one.
    fn load_where(
        path: &Path,
        counts: fn(&State, &StateError) -> bool,
    ) -> Result<Self, ConfigError> {
        Self::load_all(path, counts).map(|(config, _)| config)
    }

    fn load_all(
        path: &Path,
        counts: fn(&State, &StateError) -> bool,
    ) -> Result<(Self, Source), ConfigError> {
        let file = path.display().to_string();
        let mut bytes = Vec::new();
        let read =
            File::open(path).and_then(|open| open.take(FILE_MAX + 1).read_to_end(&mut bytes));
        match read {
            Err(source) => Err(ConfigError::Unreadable { file, source }),
            Ok(length) if u64::try_from(length).is_ok_and(|length| length > FILE_MAX) => {
                Err(ConfigError::TooLarge {
                    file,
                    limit: FILE_MAX,
                })
            }
            Ok(_) => match String::from_utf8(bytes) {
                Ok(text) => {
                    let mut config = Self::parse(&file, &text)?;
                    let made = std::env::var_os("STATE_DIRECTORY");
                    config.state.settle(made.as_deref());
                    let source = Source { file, text };
                    config.check_state(&source, counts)?;
                    Ok((config, source))
                }
                Err(error) => Err(not_utf8(file, &error)),
            },
        }
    }

    /// Reads a config from its text, whatever the environment says; `file` is its name in the problems.
    ///
    /// # Errors
    /// Every problem of the text at once.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let mut report = Report::default();
        let config = Self::read(text, &mut report);
        let problems = report.into_problems(text);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(ConfigError::Wrong {
                file: file.to_owned(),
                problems,
            }),
        }
    }

    /// Lists every key that a config file may hold, as `section.key`.
    #[must_use]
    pub fn keys() -> Vec<String> {
        let mut report = Report::default();
        Self::read("", &mut report);
        let is_section = |name: &String| report.known().any(|(section, _)| section == name);
        report
            .known()
            .map(|(section, key)| format!("{section}.{key}"))
            .filter(|name| !is_section(name))
            .collect()
    }

    /// Displays what this config makes the appliance do, in a few lines.
    #[must_use]
    pub fn summary(&self) -> Summary<'_> {
        Summary(self)
    }

    /// Tries whether files can be written in the state directory.
    fn check_state(
        &self,
        source: &Source,
        counts: fn(&State, &StateError) -> bool,
    ) -> Result<(), ConfigError> {
        let directory = self.state.directory.as_deref();
        let tried = directory.map_or(Ok(()), StateDirectory::try_out);
        match tried {
            Err(error) if counts(&self.state, &error) => {
                let words = match self.state.is_automatic {
                    true => format!("{error} (it is named by STATE_DIRECTORY)"),
                    false => error.to_string(),
                };
                let refused = Refused::only("state", "directory", &words);
                Err(source.refuse(&[refused]))
            }
            _ => Ok(()),
        }
    }

    fn read(text: &str, report: &mut Report) -> Option<Self> {
        let mut document = Document::parse(text, report);
        let mut names = Vec::new();
        let upstreams = document.each("upstream", report, |section| {
            Upstream::read(section, &mut names)
        });
        let http = Http::read(document.section("http", report));
        let (difficulty, sound) = Difficulty::read(document.section("difficulty", report));
        let mut around = Surroundings {
            upstreams: &names,
            difficulty: (&difficulty, sound),
            taken: http
                .address
                .map(|address| (address, "[http]"))
                .into_iter()
                .collect(),
        };
        let listeners = document.each("listener", report, |section| {
            Listener::read(section, &mut around)
        });
        let outage = Outage::read(document.section("outage", report));
        let translation = Translation::read(document.section("translation", report));
        let limits = Limits::read(document.section("limits", report));
        let state = State::read(document.section("state", report));
        let log = Log::read(document.section("log", report));
        document.finish(report);
        Some(Self {
            listeners: listeners.into_iter().collect::<Option<_>>()?,
            upstreams: upstreams.into_iter().collect::<Option<_>>()?,
            difficulty,
            outage,
            translation,
            limits,
            state,
            http,
            log,
        })
    }
}

fn not_utf8(file: String, error: &std::string::FromUtf8Error) -> ConfigError {
    let before = error
        .as_bytes()
        .iter()
        .take(error.utf8_error().valid_up_to());
    let problem = Problem {
        line: 1 + before.filter(|byte| **byte == b'\n').count(),
        key: None,
        text: "not UTF-8: save the file in that encoding".to_owned(),
    };
    ConfigError::Wrong {
        file,
        problems: vec![problem],
    }
}
