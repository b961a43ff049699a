//! Saves what is learnt of workers, and which sessions there are, while the appliance runs and once more when it stops.

use std::time::Duration;

use async_channel::{Receiver, Sender};

use super::sessions::Sessions;
use super::workers::Workers;
use crate::driver::Input;
use crate::runtime::{self, JoinHandle};

/// How often the file is written where anything changed: what a power cut may cost.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Longest wait for the disk when the process stops.
const LAST_SAVE: Duration = Duration::from_secs(5);

/// What is saved.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) workers: Workers,
    pub(crate) sessions: Sessions,
}

/// The task that saves.
#[derive(Debug)]
pub(crate) struct Saving {
    /// Takes drivers that are started later; the last look at all of them follows its end.
    more: Sender<Sender<Input>>,
    task: JoinHandle<()>,
}

impl Saving {
    /// Saves every minute what these drivers know.
    pub(crate) fn start(files: Files, drivers: Vec<Sender<Input>>) -> Self {
        let (more, later) = async_channel::bounded(1);
        let task = runtime::spawn(save(files, drivers, later));
        Self { more, task }
    }

    /// Saves also what this driver knows.
    pub(crate) async fn add(&self, driver: Sender<Input>) {
        // Fails only where the task has ended.
        let _ = self.more.send(driver).await;
    }

    /// Saves a last time; to be called while the drivers still run.
    pub(crate) async fn stop(self) {
        drop(self.more);
        if runtime::within(LAST_SAVE, self.task).await.is_none() {
            log::warn!(
                "the difficulties of workers and the sessions could not be saved within {LAST_SAVE:?}"
            );
        }
    }
}

async fn save(mut files: Files, mut drivers: Vec<Sender<Input>>, later: Receiver<Sender<Input>>) {
    loop {
        let is_last = match runtime::within(SAVE_EVERY, later.recv()).await {
            Some(Ok(driver)) => {
                // Always at the end: what each reported last is known by its place.
                drivers.push(driver);
                continue;
            }
            Some(Err(_)) => true,
            None => false,
        };
        let learnt = ask(&drivers, Input::WorkerDifficulties).await;
        let sessions = ask(&drivers, Input::Sessions).await;
        // The disk may take its time; the drivers' thread has none.
        let saved = runtime::unblock(move || {
            files.workers.save(learnt);
            files.sessions.save(sessions);
            files
        });
        files = saved.await;
        if is_last {
            return;
        }
    }
}

/// Asks each driver for what it knows; one that has ended knows nothing.
pub(crate) async fn ask<T: Default>(
    drivers: &[Sender<Input>],
    question: fn(Sender<T>) -> Input,
) -> Vec<T> {
    let mut all = Vec::new();
    for driver in drivers {
        let (asker, answer) = async_channel::bounded(1);
        let asked = driver.send(question(asker)).await;
        let known = match asked {
            Ok(()) => answer.recv().await.unwrap_or_default(),
            Err(_) => T::default(),
        };
        all.push(known);
    }
    all
}
