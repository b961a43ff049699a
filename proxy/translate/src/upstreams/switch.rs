//! Why miners work for another upstream.

use std::fmt;

/// Why miners work for another upstream than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// It is the first of all.
    Start,
    /// The one before had no work any more.
    Failed,
    /// The one before missed a block.
    Late,
    /// The configuration does not have the one before any more.
    Config,
    /// A preferred one is back.
    Preferred,
}

impl Switch {
    /// Gives the label under which such changes are counted.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Failed => "failed",
            Self::Late => "late",
            Self::Config => "config",
            Self::Preferred => "preferred",
        }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "it is the first with work",
            Self::Failed => "the one before failed",
            Self::Late => "the one before is late with a block",
            Self::Config => "the one before is not in the config any more",
            Self::Preferred => "it is preferred and healthy",
        })
    }
}
