//! Logging: one event a line, levels from the config unless `RUST_LOG` says otherwise.

use std::io::Write;

use env_logger::{Builder, Env};
use log::Level;
use translate::{Event, Severity};

use crate::config::Log;

/// Starts logging to standard error.
pub(crate) fn start(config: &Log) {
    let default = config.level.as_str().to_ascii_lowercase();
    let timestamps = config.timestamps;
    let mut builder = Builder::from_env(Env::default().default_filter_or(default));
    builder.format(move |out, record| {
        if timestamps {
            write!(out, "{} ", out.timestamp_millis())?;
        }
        writeln!(out, "{:5} {}", record.level(), record.args())
    });
    // A second start in one process (tests) keeps the first logger.
    let _ = builder.try_init();
}

/// Writes an event of the translator.
pub(crate) fn event(event: &Event) {
    let level = match event.severity() {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warn,
        Severity::Info => Level::Info,
        Severity::Debug => Level::Debug,
    };
    log::log!(target: "millrace", level, "{event}");
}
