//! What a [`PoolHandle`](crate::PoolHandle) can ask of the pool.

use async_channel::Sender;
use sv2::bitcoin::Target;
use sv2::message::Message;
use sv2::types::{B0_32, ChannelId};

use crate::event::{BlockWrite, PoolEvent};
use crate::faults::Faults;
use crate::job::GivenJob;
use crate::outbox::ConnectionId;
use crate::statistics::PoolStats;

/// Which channels a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// Every channel of every connection.
    All,
    /// One channel.
    One(ConnectionId, ChannelId),
}

impl Channels {
    pub(crate) fn include(self, connection: ConnectionId, channel: ChannelId) -> bool {
        match self {
            Self::All => true,
            Self::One(one, id) => (one, id) == (connection, channel),
        }
    }
}

/// A command on its way to the driver.
#[derive(Debug)]
pub(crate) enum Command {
    NewBlock,
    NewJob,
    Deal(Box<GivenJob>),
    SetTarget(Channels, Target),
    SetExtranoncePrefix(Channels, B0_32),
    CloseChannels(Channels, String),
    Send(Message),
    SetFaults(Faults),
    DisconnectAll(String),
    Subscribe(Sender<PoolEvent>),
    WatchBlockWrites(Sender<BlockWrite>),
    Stats(Sender<PoolStats>),
    Stop,
}
