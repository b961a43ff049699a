//! `millrace check`: tells what a config file will do, or everything that is wrong with it.

use std::path::Path;
use std::process::ExitCode;

use crate::arguments::BAD_USAGE;
use crate::config::{Config, ConfigError};

/// Reads the config file to run by it; prints every problem of a wrong one. A disk at fault is none.
///
/// # Errors
/// Exit code 2 where there is no config to go on with.
pub fn load_to_run(path: &Path) -> Result<Config, ExitCode> {
    Config::load_to_run(path).map_err(refused)
}

/// Checks the config file and prints what it will do.
///
/// # Errors
/// Exit code 2 where anything is wrong with it; every problem has been printed.
pub fn check(path: &Path) -> Result<Config, ExitCode> {
    let config = Config::load(path).map_err(refused)?;
    println!("{}: ok, {}", path.display(), config.summary());
    Ok(config)
}

fn refused(error: ConfigError) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(BAD_USAGE)
}
