//! What the pool wants done: messages to send, connections to close, events to tell.

use std::collections::VecDeque;
use std::fmt;

use sv2::message::Message;

use crate::event::PoolEvent;

/// A connection, as the pool numbers it; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something for the body to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a message.
    Send(ConnectionId, Message),
    /// Send what is queued, then close.
    Disconnect(ConnectionId, String),
    /// Tell subscribers.
    Event(Box<PoolEvent>),
}

/// Collects outputs in order. What one input can add is bounded by connections and channels, and the body
/// takes everything before it hands in the next.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Output>,
    /// Whether anybody wants events; they are not even made otherwise.
    pub(crate) events_wanted: bool,
    /// Whether nothing is sent at all ([`Faults::silent`](crate::Faults::silent)).
    pub(crate) silent: bool,
}

impl Outbox {
    pub(crate) fn send(&mut self, connection: ConnectionId, message: impl Into<Message>) {
        if !self.silent {
            self.queue
                .push_back(Output::Send(connection, message.into()));
        }
    }

    pub(crate) fn disconnect(&mut self, connection: ConnectionId, reason: impl Into<String>) {
        self.queue
            .push_back(Output::Disconnect(connection, reason.into()));
    }

    pub(crate) fn event(&mut self, event: impl FnOnce() -> PoolEvent) {
        if self.events_wanted {
            self.queue.push_back(Output::Event(Box::new(event())));
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }
}
