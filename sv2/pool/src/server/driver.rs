//! The task that owns the pool: inputs go in, outputs are done, timers are kept.

use std::collections::HashMap;
use std::net::Shutdown;
use std::time::Instant;

use async_channel::{Receiver, Sender, TrySendError};
use async_std::future;
use sv2::message::Message;

use super::{Input, Link};
use crate::command::Command;
use crate::event::{BlockWrite, PoolEvent};
use crate::outbox::{ConnectionId, Output};
use crate::pool::Pool;
use crate::statistics::PoolStats;

/// The pool and its ends of all connections.
pub(super) struct Driver {
    pool: Pool,
    inputs: Receiver<Input>,
    links: HashMap<ConnectionId, Link>,
    subscribers: Vec<Sender<PoolEvent>>,
    block_watchers: Vec<Sender<BlockWrite>>,
    events_dropped: u64,
    stopping: bool,
}

impl Driver {
    pub(super) fn new(pool: Pool, inputs: Receiver<Input>) -> Self {
        Self {
            pool,
            inputs,
            links: HashMap::new(),
            subscribers: Vec::new(),
            block_watchers: Vec::new(),
            events_dropped: 0,
            stopping: false,
        }
    }

    /// Runs until it is told to stop, or nobody is left who could.
    pub(super) async fn run(mut self) -> PoolStats {
        while !self.stopping {
            let input = self.next_input().await;
            let now = Instant::now();
            match input {
                Some(Ok(input)) => self.take(now, input),
                Some(Err(())) => break,
                None => {}
            }
            // A busy queue must not starve the timers.
            if self.pool.poll_timeout().is_some_and(|due| due <= now) {
                self.pool.handle_timeout(now);
            }
            self.do_outputs();
        }
        self.inputs.close();
        for link in self.links.values() {
            close(link);
        }
        self.stats()
    }

    /// Waits for an input; `None` where a timer was due first.
    async fn next_input(&self) -> Option<Result<Input, ()>> {
        let input = async { self.inputs.recv().await.map_err(|_| ()) };
        let Some(due) = self.pool.poll_timeout() else {
            return Some(input.await);
        };
        let wait = due.saturating_duration_since(Instant::now());
        future::timeout(wait, input).await.ok()
    }

    fn take(&mut self, now: Instant, input: Input) {
        match input {
            Input::Connected(link, reply) => self.connect(now, link, &reply),
            Input::Message(id, received) => self.pool.handle_message(now, id, received),
            Input::Disconnected(id, reason) => self.disconnect(id, &reason),
            Input::BlockWrite(write) => self.tell_of_write(write),
            Input::Command(command) => self.command(now, command),
        }
    }

    fn connect(&mut self, now: Instant, link: Link, reply: &Sender<ConnectionId>) {
        let Some(id) = self.pool.handle_connected(now) else {
            log::warn!("{} is one connection too many", link.peer);
            close(&link);
            return;
        };
        log::info!("connection {id} from {}", link.peer);
        self.links.insert(id, link);
        // A reader that is gone already says so by itself.
        let _ = reply.try_send(id);
    }

    fn disconnect(&mut self, id: ConnectionId, reason: &str) {
        if self.links.remove(&id).is_some() {
            log::info!("connection {id} ended: {reason}");
            self.pool.handle_disconnected(id);
        }
    }

    fn do_outputs(&mut self) {
        while let Some(output) = self.pool.poll_output() {
            match output {
                Output::Send(id, message) => self.send(id, message),
                // Dropping the link lets the writer finish what is queued, and then close.
                Output::Disconnect(id, reason) => self.disconnect(id, &reason),
                Output::Event(event) => self.publish(&event),
            }
        }
    }

    fn send(&mut self, id: ConnectionId, message: Message) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        log::trace!("connection {id}: send {}", message.name());
        if let Err(error) = link.messages.try_send(message) {
            let reason = match error {
                TrySendError::Full(_) => "it does not read what it is sent",
                TrySendError::Closed(_) => "its writer is gone",
            };
            close(link);
            self.disconnect(id, reason);
        }
    }

    fn publish(&mut self, event: &PoolEvent) {
        let mut dropped = 0;
        self.subscribers
            .retain(|subscriber| match subscriber.try_send(event.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    dropped += 1;
                    true
                }
                Err(TrySendError::Closed(_)) => false,
            });
        self.events_dropped += dropped;
        self.pool.set_events_wanted(!self.subscribers.is_empty());
    }

    fn tell_of_write(&mut self, write: BlockWrite) {
        self.block_watchers
            .retain(|watcher| !matches!(watcher.try_send(write), Err(TrySendError::Closed(_))));
    }

    fn command(&mut self, now: Instant, command: Command) {
        let pool = &mut self.pool;
        match command {
            Command::NewBlock => pool.new_block(now),
            Command::NewJob => pool.new_job(now),
            Command::Deal(job) => pool.deal(now, *job),
            Command::SetTarget(which, target) => pool.set_target(which, target),
            Command::SetExtranoncePrefix(which, prefix) => {
                pool.set_extranonce_prefix(which, prefix);
            }
            Command::CloseChannels(which, reason) => pool.close_channels(which, &reason),
            Command::Send(message) => pool.send(&message),
            Command::SetFaults(faults) => pool.set_faults(faults),
            Command::DisconnectAll(reason) => pool.disconnect_all(&reason),
            Command::Subscribe(subscriber) => {
                self.subscribers.push(subscriber);
                pool.set_events_wanted(true);
            }
            Command::WatchBlockWrites(watcher) => self.block_watchers.push(watcher),
            Command::Stats(reply) => {
                // Whoever asked may have stopped waiting.
                let _ = reply.try_send(self.stats());
            }
            Command::Stop => self.stopping = true,
        }
    }

    fn stats(&self) -> PoolStats {
        PoolStats {
            events_dropped: self.events_dropped,
            ..self.pool.stats()
        }
    }
}

fn close(link: &Link) {
    // An error means that the socket is closed already.
    let _ = link.socket.shutdown(Shutdown::Both);
}
