//! Watches the drivers: asks each how things are, tells the service manager, and sums up in the log.
//!
//! The service manager's watchdog is fed by the drivers' answers alone: where one of them does not turn any more, its
//! miners are served only after a new start.

mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::Sender;
use translate::Statistics;

use crate::driver::Input;
use crate::notify::Notify;
use crate::runtime::{self, JoinHandle};

use self::words::Counts;

/// How often the drivers are asked, so that what the service manager knows is as old at the most.
const LOOK: Duration = Duration::from_secs(5);
/// How often figures are told anew where nothing else has changed.
const FIGURES: Duration = Duration::from_secs(60);

/// The task that watches.
#[derive(Debug)]
pub(crate) struct Watch {
    task: JoinHandle<()>,
}

impl Watch {
    /// Watches these drivers from now on, and sums up so often; `None` where nobody wants to know.
    pub(crate) fn start(
        drivers: Vec<Sender<Input>>,
        notify: Option<Arc<Notify>>,
        summary: Option<Duration>,
    ) -> Option<Self> {
        let wanted = notify.is_some() || summary.is_some();
        wanted.then(|| Self {
            task: runtime::spawn(watch(drivers, Told::new(notify), summary)),
        })
    }

    /// Ends it: nobody is told anything more.
    pub(crate) async fn stop(self) {
        self.task.cancel().await;
    }
}

async fn watch(drivers: Vec<Sender<Input>>, mut told: Told, summary: Option<Duration>) {
    let look = told.look().min(summary.unwrap_or(LOOK));
    // What was before is not what has happened since: this may be another watch than the first.
    let mut summed: Option<(Instant, Counts)> = None;
    loop {
        let begun = Instant::now();
        match runtime::within(look, ask(&drivers)).await.flatten() {
            Some(seen) => {
                let now = Instant::now();
                told.tell(now, &seen);
                let (at, before) = summed.get_or_insert_with(|| (now, Counts::of(&seen)));
                let since = now.saturating_duration_since(*at);
                // The look that is nearest to the time.
                if summary.is_some_and(|summary| since + look / 2 >= summary) {
                    let counts = Counts::of(&seen);
                    log::info!("{}", words::summary(&seen, before, &counts, since));
                    (*at, *before) = (now, counts);
                }
            }
            None => told.tell_of_silence(),
        }
        runtime::sleep(look.saturating_sub(begun.elapsed())).await;
    }
}

/// Asks each driver; `None` where one has ended.
async fn ask(drivers: &[Sender<Input>]) -> Option<Vec<Statistics>> {
    let mut seen = Vec::new();
    for driver in drivers {
        let (asker, answer) = async_channel::bounded(1);
        driver.send(Input::Statistics(asker)).await.ok()?;
        seen.push(answer.recv().await.ok()?);
    }
    Some(seen)
}

/// What the service manager was told.
#[derive(Debug)]
struct Told {
    notify: Option<Arc<Notify>>,
    /// How things were, without figures.
    state: String,
    at: Option<Instant>,
}

impl Told {
    fn new(notify: Option<Arc<Notify>>) -> Self {
        Self {
            notify,
            state: String::new(),
            at: None,
        }
    }

    /// Gives how often to ask: twice in the time that the service manager waits, as it recommends.
    fn look(&self) -> Duration {
        let watchdog = self.notify.as_ref().and_then(|notify| notify.watchdog());
        watchdog.map_or(LOOK, |watchdog| LOOK.min(watchdog / 2))
    }

    /// Tells that all drivers have answered, and how things are where that is news.
    fn tell(&mut self, now: Instant, seen: &[Statistics]) {
        let Some(notify) = &self.notify else { return };
        notify.alive();
        let state = words::state(seen);
        let lately = |at| now.saturating_duration_since(at) < FIGURES;
        if state != self.state || !self.at.is_some_and(lately) {
            notify.status(&words::status(now, seen, &state));
            (self.state, self.at) = (state, Some(now));
        }
    }

    /// Tells that a driver has not answered. That is no sign of life.
    fn tell_of_silence(&mut self) {
        let state = "a driver does not answer";
        if self.state != state {
            log::error!("{state}: some miners are not served");
            if let Some(notify) = &self.notify {
                notify.status(state);
            }
            state.clone_into(&mut self.state);
        }
    }
}

#[cfg(test)]
mod tests;
