//! `millrace check`: tells what a config file will do, or everything that is wrong with it.

use std::path::Path;
use std::process::ExitCode;

use crate::arguments::BAD_USAGE;
use crate::config::Config;

/// Checks the config file and prints what it will do.
///
/// # Errors
/// Exit code 2 where anything is wrong with it; every problem has been printed.
pub fn check(path: &Path) -> Result<Config, ExitCode> {
    let config = Config::load(path).map_err(|error| {
        eprintln!("{error}");
        ExitCode::from(BAD_USAGE)
    })?;
    println!("{}: ok, {}", path.display(), config.summary());
    Ok(config)
}
