//! The state directory: what is kept from one run to the next.
//!
//! Files here are replaced whole: written beside the old one, brought to the disk, then renamed, so that a power cut
//! leaves the old file or the new one and never half of either.

pub(crate) mod blocks;
pub(crate) mod saving;
pub(crate) mod sessions;
pub(crate) mod workers;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::config::State;

/// Why a directory cannot be the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is not there and cannot be made.
    #[error("cannot make the directory {}: {error}; {}", path.display(), advice(path, error))]
    CannotMake {
        /// The directory.
        path: PathBuf,
        /// The operating system's reason.
        error: io::Error,
    },
    /// Files cannot be written in it.
    #[error("cannot write in {}: {error}; {}", path.display(), advice(path, error))]
    CannotWrite {
        /// The directory.
        path: PathBuf,
        /// The operating system's reason.
        error: io::Error,
    },
}

/// Says what to do about a directory that cannot be used.
fn advice(path: &Path, error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "give it to the user that runs millrace, or name another"
        }
        io::ErrorKind::NotFound => "make it yourself, or name another",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room there",
        io::ErrorKind::ReadOnlyFilesystem => {
            return format!(
                "it is read-only for this process; under systemd ReadWritePaths={} in the unit opens it \
                 (systemctl edit millrace)",
                path.display()
            );
        }
        _ => "name another, or look at that disk",
    };
    words.to_owned()
}

impl StateError {
    /// Tells whether the config or the permissions are at fault; else the disk is, and may be full or read-only.
    pub(crate) fn is_of_config(&self) -> bool {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
        let (Self::CannotMake { error, .. } | Self::CannotWrite { error, .. }) = self;
        matches!(error.kind(), NotFound | PermissionDenied | NotADirectory)
    }
}

/// A directory in which files can be written.
#[derive(Debug, Clone)]
pub(crate) struct StateDirectory {
    path: PathBuf,
}

impl StateDirectory {
    /// Takes a directory, which is made where only it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        Self::open_or_make(path).map(|(directory, _)| directory)
    }

    /// Tells whether [`open`](Self::open) would do, and leaves nothing behind.
    pub(crate) fn try_out(path: &Path) -> Result<(), StateError> {
        let (directory, made) = Self::open_or_make(path)?;
        if made {
            // An empty directory that stays does no harm.
            let _ = fs::remove_dir(directory.path);
        }
        Ok(())
    }

    fn open_or_make(path: &Path) -> Result<(Self, bool), StateError> {
        let own = || path.to_owned();
        let made = match fs::create_dir(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(StateError::CannotMake { path: own(), error }),
        };
        // Permissions say less than a try does: the file system may be read-only or full.
        let probe = path.join(format!(".probe-{}", std::process::id()));
        let written = File::create(&probe).and_then(|mut file| file.write_all(b"."));
        let removed = fs::remove_file(&probe);
        match written.and(removed) {
            Ok(()) => Ok((Self { path: own() }, made)),
            Err(error) => Err(StateError::CannotWrite { path: own(), error }),
        }
    }

    /// Opens the one of a config, if any. A disk at fault, or a directory that the config does not name, gives none and a
    /// line in the log: no miner stands still for it.
    pub(crate) fn open_if_it_works(state: &State) -> Result<Option<Self>, StateError> {
        match state.directory.as_deref().map(Self::open).transpose() {
            Err(error) if !state.is_wrong(&error) => {
                log::error!("{error}; nothing is kept until the next start");
                Ok(None)
            }
            opened => opened,
        }
    }

    /// Gives where a file of this name is.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Puts a file in the place of the one that has its name; waits for the disk.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let new = self.path_of(&format!("{name}.new"));
        // Some of it is nobody else's business.
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, self.path_of(name))?;
        // The new name is in the directory, which has to reach the disk as well.
        File::open(&self.path)?.sync_all()
    }
}

#[cfg(test)]
mod tests;
