//! `[log]`: how much is logged, and how.

use log::LevelFilter;

use super::section::{Section, expected};

/// How much is logged, and how. The environment variable `RUST_LOG` comes before `level`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least severe level that is written.
    pub level: LevelFilter,
    /// Whether each line starts with the time; a journal adds its own.
    pub timestamps: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: LevelFilter::Info,
            timestamps: true,
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
        let timestamps = section.flag("timestamps", default.timestamps);
        section.finish();
        Self {
            level: level.unwrap_or(default.level),
            timestamps,
        }
    }
}
