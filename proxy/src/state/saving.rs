//! Saves what is learnt of workers while the appliance runs, and once more when it stops.

use std::time::Duration;

use async_channel::{Receiver, Sender};

use super::workers::{Difficulties, Workers};
use crate::driver::Input;
use crate::runtime::{self, JoinHandle};

/// How often the file is written where anything changed: what a power cut may cost.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Longest wait for the disk when the process stops.
const LAST_SAVE: Duration = Duration::from_secs(5);

/// The task that saves.
#[derive(Debug)]
pub(crate) struct Saving {
    stop: Sender<()>,
    task: JoinHandle<()>,
}

impl Saving {
    /// Saves every minute what these drivers know.
    pub(crate) fn start(workers: Workers, drivers: Vec<Sender<Input>>) -> Self {
        let (stop, stopped) = async_channel::bounded(1);
        let task = runtime::spawn(save(workers, drivers, stopped));
        Self { stop, task }
    }

    /// Saves a last time; to be called while the drivers still run.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        if runtime::within(LAST_SAVE, self.task).await.is_none() {
            log::warn!("the difficulties of workers could not be saved within {LAST_SAVE:?}");
        }
    }
}

async fn save(mut workers: Workers, drivers: Vec<Sender<Input>>, stopped: Receiver<()>) {
    loop {
        let is_last = runtime::within(SAVE_EVERY, stopped.recv()).await.is_some();
        let learnt = ask(&drivers).await;
        // The disk may take its time; the drivers' thread has none.
        let saved = runtime::unblock(move || {
            workers.save(learnt);
            workers
        });
        workers = saved.await;
        if is_last {
            return;
        }
    }
}

/// Asks each driver for what it knows; one that has ended knows nothing.
async fn ask(drivers: &[Sender<Input>]) -> Vec<Difficulties> {
    let mut all = Vec::new();
    for driver in drivers {
        let (asker, answer) = async_channel::bounded(1);
        let asked = driver.send(Input::WorkerDifficulties(asker)).await;
        let known = match asked {
            Ok(()) => answer.recv().await.unwrap_or_default(),
            Err(_) => Difficulties::new(),
        };
        all.push(known);
    }
    all
}
