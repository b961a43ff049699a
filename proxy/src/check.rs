//! `millrace check`: tells what a config file will do, or everything that is wrong with it.

use std::path::Path;
use std::process::ExitCode;

use crate::arguments::BAD_USAGE;
use crate::config::{Config, ConfigError};

/// Reads the config file; prints every problem of a wrong one.
///
/// # Errors
/// Exit code 2 where there is no config to go on with.
pub fn load(path: &Path) -> Result<Config, ExitCode> {
    Config::load(path).map_err(|error: ConfigError| {
        eprintln!("{error}");
        ExitCode::from(BAD_USAGE)
    })
}

/// Checks the config file and prints what it will do.
///
/// # Errors
/// Exit code 2 where anything is wrong with it; every problem has been printed.
pub fn check(path: &Path) -> Result<Config, ExitCode> {
    let config = load(path)?;
    println!("{}: ok, {}", path.display(), config.summary());
    Ok(config)
}
