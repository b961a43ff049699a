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
    #[error("{file}: cannot be read: {source}")]
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
