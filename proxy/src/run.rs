//! `millrace run`: the appliance until a signal ends it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use futures_lite::future;

use crate::appliance::{Appliance, StartError};
use crate::arguments::BAD_USAGE;
use crate::config::{Config, Log};
use crate::notify::Notify;
use crate::runtime::Signal;
use crate::sockets::Sockets;
use crate::watch::Watch;
use crate::{logging, runtime};

/// Runs the appliance of a config file.
///
/// # Errors
/// Exit code 2 for a bad config, 1 where it cannot start.
pub fn run(path: &Path) -> Result<(), ExitCode> {
    let ended = run_to_the_end(path);
    logging::finish();
    ended
}

fn run_to_the_end(path: &Path) -> Result<(), ExitCode> {
    // The config says how to log, unless it is wrong: that has to reach the log as well.
    logging::start(&Log::default());
    logging::tell_panics();
    let config = Config::load_to_run(path).map_err(|error| {
        logging::insist(&error.to_string());
        ExitCode::from(BAD_USAGE)
    })?;
    logging::change(&config.log);
    let sockets =
        Sockets::of_environment().map_err(|error| cannot_start(&StartError::Sockets(error)))?;
    runtime::use_one_thread();
    let signals = runtime::signals().map_err(|error| failed(&error))?;
    let path = path.to_owned();
    let notify = notify();
    let ended = runtime::run(async move {
        let mut appliance =
            Appliance::start_on(&config, sockets).map_err(|error| cannot_start(&error))?;
        if let Some(notify) = &notify {
            // Whether a pool gives work is no matter of ours: miners are served, and wait here if they must.
            notify.ready();
        }
        let mut watch = watch_over(&appliance, notify.as_ref());
        let signal = loop {
            let failed = async {
                appliance.failed().await;
                None
            };
            let signal = async { signals.recv().await.ok() };
            match future::or(signal, failed).await {
                Some(Signal::Stop(signal)) => break Some(signal),
                Some(Signal::Reload) => {
                    if let Some(notify) = &notify {
                        notify.reloading();
                    }
                    // A driver may end by it, and is not to be missed.
                    if let Some(watch) = watch.take() {
                        watch.stop().await;
                    }
                    appliance.reload(&path).await;
                    watch = watch_over(&appliance, notify.as_ref());
                    if let Some(notify) = &notify {
                        notify.ready();
                    }
                }
                None => break None,
            }
        };
        let reason = match signal {
            Some(signal) => format!("stopping on {signal}"),
            None => "a driver has ended by itself; stopping, to be started again".to_owned(),
        };
        let level = signal.map_or(log::Level::Error, |_| log::Level::Info);
        log::log!(level, "{reason}");
        if let Some(watch) = watch {
            watch.stop().await;
        }
        if let Some(notify) = &notify {
            notify.stopping(&reason);
        }
        for report in appliance.stop().await {
            let statistics = report.statistics;
            log::info!(
                "stopped: {} shares accepted from miners, {} new blocks seen",
                statistics.shares_accepted,
                statistics.new_blocks
            );
            for upstream in &statistics.upstreams {
                let refused: u64 = upstream.shares_rejected.values().sum();
                log::info!(
                    "{}: {} shares sent, {} accepted, {refused} refused",
                    upstream.name,
                    upstream.shares_sent,
                    upstream.shares_accepted
                );
            }
            if !statistics.miners_moved.is_empty() {
                let moved = counts(&statistics.miners_moved);
                log::info!("miners with too long an extranonce: {moved}");
            }
            if !statistics.limits_met.is_empty() {
                log::info!("limits met: {}", counts(&statistics.limits_met));
            }
        }
        signal.map(|_| ()).ok_or(ExitCode::FAILURE)
    });
    ended.unwrap_or(Err(ExitCode::FAILURE))
}

/// Watches the drivers as they are now.
fn watch_over(appliance: &Appliance, notify: Option<&Arc<Notify>>) -> Option<Watch> {
    let summary = appliance.config().log.summary;
    Watch::start(appliance.drivers(), notify.cloned(), summary)
}

/// Finds the service manager, where one wants to be told. Without it the appliance does as well.
fn notify() -> Option<Arc<Notify>> {
    match Notify::of_environment() {
        Ok(notify) => notify.map(Arc::new),
        Err(error) => {
            log::warn!("{error}");
            None
        }
    }
}

/// Words counters, each after its label.
fn counts(counters: &BTreeMap<&str, u64>) -> String {
    let words = counters.iter();
    let words: Vec<_> = words
        .map(|(label, count)| format!("{label} {count}"))
        .collect();
    words.join(", ")
}

/// Tells why it cannot start. Sockets that are not the config's make it a bad one.
fn cannot_start(error: &StartError) -> ExitCode {
    let code = failed(error);
    match error {
        StartError::Sockets(_) => ExitCode::from(BAD_USAGE),
        _ => code,
    }
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    logging::insist(&error.to_string());
    ExitCode::FAILURE
}
