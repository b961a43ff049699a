//! `[outage]`: what happens while no upstream is to be had.

use std::time::Duration;

use super::section::{Section, duration_within, expected};

/// What happens while no upstream is to be had. Listeners stay open throughout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// How long miners are held without work before they are let go, so that their own backup pools take over; `None`
    /// holds them for ever.
    pub release_after: Option<Duration>,
}

impl Default for Outage {
    fn default() -> Self {
        // Longer than a pool's restart, shorter than a farm's patience: the miners' own backup pools earn meanwhile.
        Self {
            release_after: Some(Duration::from_secs(600)),
        }
    }
}

impl Outage {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let default = Self::default();
        let bounds = Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600);
        let release_after = section.read("release_after", |value| match value.as_str() {
            Some("never") => Ok(None),
            Some(_) => duration_within(value, &bounds)
                .map(Some)
                .map_err(|text| format!("{text}; \"never\" holds miners for ever")),
            None => Err(expected("a duration such as \"10m\", or \"never\"", value)),
        });
        section.finish();
        Self {
            release_after: release_after.unwrap_or(default.release_after),
        }
    }
}
