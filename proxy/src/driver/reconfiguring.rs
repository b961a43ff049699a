//! A driver that goes on under another config.

use std::time::Instant;

use async_channel::Sender;
use translate::ListenerId;

use super::Driver;
use super::upstreams::Upstream;
use crate::config::Limits;
use crate::listener::Listener;
use crate::poller::Source;
use crate::upstream::Place;

/// Another config, as far as a driver is concerned.
#[derive(Debug)]
pub(crate) struct Reconfiguration {
    pub(crate) brain: translate::Config,
    /// Where the upstreams are, in the brain's order.
    pub(crate) places: Vec<Place>,
    pub(crate) limits: Limits,
    pub(crate) doors: Doors,
}

/// Ports that close and open; none where another shard lets miners in.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    pub(crate) closes: Vec<ListenerId>,
    pub(crate) opens: Vec<Listener>,
}

impl Driver {
    /// Follows another config, and tells `done` so. What the translator wants done because of it comes afterwards, as
    /// always.
    pub(super) fn reconfigure(&mut self, now: Instant, other: Reconfiguration, done: &Sender<()>) {
        self.dealer.change_most(other.brain.max_miners);
        let ids = self.translator.reconfigure(now, other.brain);
        for (id, place) in ids.into_iter().zip(other.places) {
            while self.upstreams.len() <= id.0 {
                self.upstreams.push(Upstream::new(place.clone()));
            }
            if let Some(upstream) = self.upstreams.get_mut(id.0) {
                upstream.move_to(place);
            }
        }
        self.limits = other.limits;
        let Doors { closes, opens } = other.doors;
        self.listeners.retain(|it| !closes.contains(&it.id));
        for listener in opens {
            self.open(listener);
        }
        // Who asked may have gone.
        let _ = done.try_send(());
    }

    fn open(&mut self, listener: Listener) {
        let source = Source::Listener(listener.id.0);
        match self.poller.add(listener.socket(), source) {
            Ok(()) => self.listeners.push(listener),
            Err(error) => log::error!("a new port cannot be waited for: {error}"),
        }
    }
}
