//! The runtime that tasks run on, and the signals by which an operator asks for something.
//!
//! Its one thread dials, watches, saves and reloads. Miners and upstreams are the drivers', each a thread of its own.

use std::future::Future;
use std::io;
use std::time::Duration;

use async_channel::Receiver;
use async_global_executor::GlobalExecutorConfig;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

pub(crate) use async_std::task::{JoinHandle, sleep, spawn};

/// Makes the executor have one thread; to be called before any task is spawned.
pub fn use_one_thread() {
    let config = GlobalExecutorConfig::default()
        .with_min_threads(1)
        .with_max_threads(1);
    async_global_executor::init_with_config(config);
}

/// Runs a future to its end on the executor's thread, while this one sleeps; `None` where it panics. A thread that runs
/// one itself takes part in waiting for the network, and would have to wake the executor's for whatever comes.
pub fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (done, end) = std::sync::mpsc::sync_channel(1);
    spawn(async move {
        // Fails only where nobody waits any more.
        let _ = done.send(future.await);
    });
    end.recv().ok()
}

/// Runs a future to its end on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    async_std::task::block_on(future)
}

/// Runs what waits for the disk on a thread of its own.
pub(crate) async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    async_std::task::spawn_blocking(work).await
}

/// Waits for a future for at most `duration`; `None` where that passed first.
pub(crate) async fn within<T>(duration: Duration, future: impl Future<Output = T>) -> Option<T> {
    async_std::future::timeout(duration, future).await.ok()
}

/// What is asked for by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The config file is to be read anew (SIGHUP).
    Reload,
    /// The process is to stop; by the signal of this name.
    Stop(&'static str),
}

/// Gives the signals that ask for something, as they come.
///
/// # Errors
/// Where the handlers cannot be installed.
pub fn signals() -> io::Result<Receiver<Signal>> {
    listen_for(&[SIGHUP, SIGINT, SIGTERM])
}

/// As [`signals`], for what has no config file: SIGHUP ends it, as it does by itself.
///
/// # Errors
/// Where the handlers cannot be installed.
pub fn stop_signals() -> io::Result<Receiver<Signal>> {
    listen_for(&[SIGINT, SIGTERM])
}

fn listen_for(wanted: &[i32]) -> io::Result<Receiver<Signal>> {
    let (sender, receiver) = async_channel::bounded(1);
    let mut signals = Signals::new(wanted)?;
    let listen = move || {
        for signal in signals.forever() {
            let signal = match signal {
                SIGHUP => Signal::Reload,
                SIGINT => Signal::Stop("SIGINT"),
                _ => Signal::Stop("SIGTERM"),
            };
            if sender.send_blocking(signal).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(listen)?;
    Ok(receiver)
}
