//! `[state]`: what is kept from one run to the next.

use std::path::{Path, PathBuf};

use super::section::{Section, expected};

/// Longest path, in bytes: what Linux takes (`PATH_MAX`), with room for file names.
const PATH_MAX: usize = 4_000;

/// What is kept from one run to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Where files are written; `None` keeps nothing.
    pub directory: Option<PathBuf>,
}

impl State {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let directory = section.read("directory", |value| match value.as_str() {
            Some("") => Ok(None),
            Some(path)
                if Path::new(path).is_absolute()
                    && path.len() <= PATH_MAX
                    && !path.contains('\0') =>
            {
                Ok(Some(PathBuf::from(path)))
            }
            _ => Err(format!(
                "{}; \"\" keeps nothing",
                expected("an absolute path such as \"/var/lib/millrace\"", value)
            )),
        });
        section.finish();
        Self {
            directory: directory.flatten(),
        }
    }
}
