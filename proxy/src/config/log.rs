//! `[log]`: how much is logged, and how.

use std::time::Duration;

use log::LevelFilter;

use super::section::{Section, duration_within, expected};

/// How much is logged, and how. The environment variable `RUST_LOG` comes before `level`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least severe level that is written.
    pub level: LevelFilter,
    /// Whether each line starts with the time.
    pub timestamps: Timestamps,
    /// How often a line sums up how things are; `None` never.
    pub summary: Option<Duration>,
}

/// Whether each line starts with the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// Unless the log goes to the journal, which adds its own.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: LevelFilter::Info,
            timestamps: Timestamps::Auto,
            // A night of them is read in a minute.
            summary: Some(Duration::from_secs(300)),
        }
    }
}

impl Log {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let default = Self::default();
        let level = section.read("level", |value| {
            let level = value.as_str().and_then(|text| text.parse().ok());
            let what = "\"error\", \"warn\", \"info\", \"debug\", \"trace\" or \"off\"";
            level.ok_or_else(|| expected(what, value))
        });
        let timestamps = section.read("timestamps", |value| {
            match (value.as_str(), value.as_bool()) {
                (Some("auto"), _) => Ok(Timestamps::Auto),
                (_, Some(true)) => Ok(Timestamps::On),
                (_, Some(false)) => Ok(Timestamps::Off),
                _ => Err(expected("true, false or \"auto\"", value)),
            }
        });
        let bounds = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
        let summary = section.read("summary", |value| match value.as_str() {
            Some("off") => Ok(None),
            Some(_) => duration_within(value, &bounds)
                .map(Some)
                .map_err(|text| format!("{text}; \"off\" is never")),
            None => Err(expected("a duration such as \"5m\", or \"off\"", value)),
        });
        section.finish();
        Self {
            level: level.unwrap_or(default.level),
            timestamps: timestamps.unwrap_or(default.timestamps),
            summary: summary.unwrap_or(default.summary),
        }
    }
}
