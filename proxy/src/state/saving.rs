//! Saves what is learnt of workers, and which sessions there are, while the appliance runs and once more when it stops.

use std::time::{Duration, Instant};

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
    /// Takes the drivers as they are from then on; the last look at all of them follows its end.
    changes: Sender<Vec<Sender<Input>>>,
    task: JoinHandle<()>,
}

impl Saving {
    /// Saves every minute what these drivers know.
    pub(crate) fn start(files: Files, drivers: Vec<Sender<Input>>) -> Self {
        let (changes, later) = async_channel::bounded(1);
        let task = runtime::spawn(save(files, drivers, later));
        Self { changes, task }
    }

    /// Saves what these drivers know from now on, and nobody else.
    pub(crate) fn change(&self, drivers: Vec<Sender<Input>>) {
        // In the place of others that it has not taken: it may be waiting for the disk. Fails only where it has ended.
        let _ = self.changes.force_send(drivers);
    }

    /// Saves a last time; to be called while the drivers still run.
    pub(crate) async fn stop(self) {
        drop(self.changes);
        if runtime::within(LAST_SAVE, self.task).await.is_none() {
            log::warn!(
                "the difficulties of workers and the sessions could not be saved within {LAST_SAVE:?}"
            );
        }
    }
}

async fn save(
    mut files: Files,
    mut drivers: Vec<Sender<Input>>,
    changes: Receiver<Vec<Sender<Input>>>,
) {
    let mut last = Instant::now();
    loop {
        // Not put off by drivers that come and go.
        let left = SAVE_EVERY.saturating_sub(last.elapsed());
        let is_last = match runtime::within(left, changes.recv()).await {
            Some(Ok(now)) => {
                // What each reported last is known by its place.
                let place =
                    |driver: &Sender<Input>| drivers.iter().position(|it| it.same_channel(driver));
                files.workers.rearrange(now.iter().map(place));
                drivers = now;
                continue;
            }
            Some(Err(_)) => true,
            None => false,
        };
        last = Instant::now();
        let learnt = ask(&drivers, Input::WorkerDifficulties).await;
        let sessions = ask(&drivers, Input::Sessions).await;
        // The disk may take its time; the executor's thread has none.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StateDirectory;

    #[test]
    fn nobody_is_asked_who_has_been_replaced() {
        let name = format!("millrace-saving-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let directory = StateDirectory::open(&path).unwrap();
        let files = Files {
            workers: Workers::load(directory.clone()),
            sessions: Sessions::load(directory),
        };
        let (before, asked) = async_channel::bounded(4);
        let (after, ended) = async_channel::bounded(4);
        let saving = Saving::start(files, vec![before]);
        saving.change(vec![after.clone()]);
        saving.change(vec![after]);
        drop(ended);
        runtime::block_on(saving.stop());
        assert!(asked.is_empty() && asked.is_closed());
        std::fs::remove_dir_all(path).unwrap();
    }
}
