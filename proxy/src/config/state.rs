//! `[state]`: what is kept from one run to the next.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::section::{Section, expected};
use crate::state::StateError;

/// Longest path, in bytes: what Linux takes (`PATH_MAX`), with room for file names.
const PATH_MAX: usize = 4_000;

/// What is kept from one run to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Where files are written; `None` keeps nothing.
    pub directory: Option<PathBuf>,
    /// Whether the file leaves it to the service manager to name the directory.
    pub is_automatic: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            directory: None,
            is_automatic: true,
        }
    }
}

impl State {
    /// Reads the section; it does not look into the environment, see [`settle`](Self::settle).
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let directory = section.read("directory", |value| match value.as_str() {
            Some("auto") => Ok(Self::default()),
            Some("") => Ok(Self::of(None)),
            Some(path) if is_usable(Path::new(path)) => Ok(Self::of(Some(path.into()))),
            _ => Err(format!(
                "{}; \"\" keeps nothing, and \"auto\" is the directory that systemd names",
                expected("an absolute path such as \"/var/lib/millrace\"", value)
            )),
        });
        section.finish();
        directory.unwrap_or_default()
    }

    /// Tells whether the config is at fault where its directory cannot be used. Nobody wrote an automatic one down.
    pub(crate) fn is_wrong(&self, error: &StateError) -> bool {
        !self.is_automatic && error.is_of_config()
    }

    fn of(directory: Option<PathBuf>) -> Self {
        Self {
            directory,
            is_automatic: false,
        }
    }

    /// Takes the first of the directories that systemd made for the service, as its `STATE_DIRECTORY` lists them, where
    /// the file leaves it to it.
    pub(super) fn settle(&mut self, made: Option<&OsStr>) {
        if self.is_automatic {
            let first = made.and_then(|made| made.as_bytes().split(|byte| *byte == b':').next());
            let first = first.map(|first| Path::new(OsStr::from_bytes(first)));
            self.directory = first.filter(|it| is_usable(it)).map(Path::to_owned);
        }
    }
}

fn is_usable(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    path.is_absolute() && bytes.len() <= PATH_MAX && !bytes.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(mut state: State, made: Option<&str>) -> Option<PathBuf> {
        state.settle(made.map(OsStr::new));
        state.directory
    }

    #[test]
    fn the_first_directory_of_systemd_counts_where_the_file_names_none() {
        for (made, directory) in [
            (Some("/var/lib/millrace"), Some("/var/lib/millrace")),
            (Some("/a:/b"), Some("/a")),
            (Some(""), None),
            (Some("relative"), None),
            (None, None),
        ] {
            let expected = directory.map(PathBuf::from);
            assert_eq!(settled(State::default(), made), expected, "{made:?}");
        }
    }

    #[test]
    fn what_the_file_names_counts_before_systemds() {
        let made = Some("/var/lib/millrace");
        assert_eq!(settled(State::of(None), made), None);
        let own = Some(PathBuf::from("/own"));
        assert_eq!(settled(State::of(own.clone()), made), own);
    }
}
