//! What can be wrong with a config file, and how it is told: `file:line: key: problem`, one line per problem, all at once.

use std::fmt;
use std::io;

/// One thing wrong in a config file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1.
    pub line: usize,
    /// The key as `section.key`, or only the section; `None` where the text is not TOML.
    pub key: Option<String>,
    /// What was expected, what was found, and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.line)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// Why there is no [`Config`](super::Config): exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is missing, not permitted, or no regular file.
    #[error("{file}: cannot be read: {source}{}", advice(source))]
    Unreadable {
        /// The path as the user gave it.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is larger than any config file is.
    #[error("{file}: is larger than {limit} bytes, which no config file is")]
    TooLarge {
        /// The path as the user gave it.
        file: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file was read and is wrong; every problem is listed, in the order of the file.
    #[error("{}", Listing { file, problems })]
    Wrong {
        /// The path as the user gave it.
        file: String,
        /// At least one problem.
        problems: Vec<Problem>,
    },
}

/// Says what to do about a file that cannot be read, where that is not plain.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; whoever runs millrace must be able to read it: for the service, which is the user millrace, \
             `systemd-tmpfiles --create millrace.conf` sees to that"
        }
        _ => "",
    }
}

/// Puts the file's name before each problem.
struct Listing<'a> {
    file: &'a str,
    problems: &'a [Problem],
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{problem}", self.file)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_may_not_be_read_is_told_with_what_to_do() {
        let told = |kind: io::ErrorKind| {
            let file = "/etc/millrace/config.toml".to_owned();
            let source = io::Error::from(kind);
            ConfigError::Unreadable { file, source }.to_string()
        };
        let denied = told(io::ErrorKind::PermissionDenied);
        assert!(
            denied.ends_with("`systemd-tmpfiles --create millrace.conf` sees to that"),
            "{denied}"
        );
        let missing = told(io::ErrorKind::NotFound);
        assert!(!missing.contains(';'), "{missing}");
    }
}
