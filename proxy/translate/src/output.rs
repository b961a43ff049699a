//! What the body is told to do.

use std::sync::Arc;

use sv2::message::Message;
use sv2::tlv::UserIdentity;

use crate::event::Event;
use crate::kept_block::KeptBlock;
use crate::miners::MinerId;
use crate::upstream::{Fault, UpstreamId};
use crate::work::Notify;

/// One thing to do; they are to be done in order.
#[derive(Debug)]
pub enum Output {
    /// Give a miner work. A miner that does not read needs only the newest, see [`Delivery::supersede`].
    Deliver {
        /// Who gets it.
        miner: MinerId,
        /// What.
        delivery: Delivery,
    },
    /// Close a miner's connection after its replies went out.
    CloseMiner {
        /// Whose.
        miner: MinerId,
        /// Why, for the log.
        reason: CloseReason,
    },
    /// Ask a miner to close its connection and dial the same place again (SV1 client.reconnect), behind all that went
    /// out to it before.
    Reconnect {
        /// Whom.
        miner: MinerId,
        /// Whether its firmware needs host and port to be named: the address that the miner is connected to.
        names_place: bool,
    },
    /// Connect to an upstream, with the Noise handshake, then call
    /// [`Translator::handle_upstream_connected`](crate::Translator::handle_upstream_connected), or
    /// [`handle_upstream_lost`](crate::Translator::handle_upstream_lost) with what went wrong.
    Dial {
        /// Which. One behind the configured upstreams is a connection of a single account or miner; its id may be
        /// another's once it was hung up on.
        upstream: UpstreamId,
        /// The configured upstream whose place and authority key it is.
        configured: UpstreamId,
        /// Where to, when it is not the configured place: the upstream sent `Reconnect`. The authority key stays.
        redirect: Option<(String, u16)>,
    },
    /// Send a message to an upstream.
    Send {
        /// Where to.
        upstream: UpstreamId,
        /// What.
        message: Message,
        /// The worker's name to put on it (SV2 ext 0x0002).
        worker: Option<UserIdentity>,
    },
    /// End an upstream's connection once what was sent before has gone out.
    HangUp {
        /// Which.
        upstream: UpstreamId,
        /// Why.
        reason: Fault,
    },
    /// Keep a solved block that its upstream may not have.
    KeepBlock(Box<KeptBlock>),
    /// Something worth a line in the log.
    Event(Event),
}

/// The lines that bring a miner to new work, to be written in the order of the fields.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// SV1 mining.set_extranonce, where it changed; the notify behind it is clean and the first that it counts for.
    pub extranonce: Option<Arc<[u8]>>,
    /// BIP-0310 mining.set_version_mask, where it changed.
    pub version_mask: Option<Arc<[u8]>>,
    /// SV1 mining.set_difficulty, where it changed.
    pub difficulty: Option<Arc<[u8]>>,
    /// SV1 mining.notify, both forms.
    pub notify: Arc<Notify>,
    /// Which form: whether all earlier jobs are void.
    pub clean_jobs: bool,
}

impl Delivery {
    /// Takes the place of `older`, which was never written: what it announced must not be lost.
    pub fn supersede(&mut self, older: Self) {
        self.clean_jobs |= older.clean_jobs;
        if self.extranonce.is_none() {
            self.extranonce = older.extranonce;
        }
        if self.difficulty.is_none() {
            self.difficulty = older.difficulty;
        }
        if self.version_mask.is_none() {
            self.version_mask = older.version_mask;
        }
    }

    /// Gives the lines in the order in which they are to be written.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let before = [
            self.extranonce.as_deref(),
            self.version_mask.as_deref(),
            self.difficulty.as_deref(),
        ];
        before
            .into_iter()
            .flatten()
            .chain([self.notify.line(self.clean_jobs)])
    }
}

/// Why a miner's connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// It did not subscribe and authorize in time.
    #[error("did not subscribe and authorize within {0} s")]
    SetupTimeout(u64),
    /// It sent nothing for too long.
    #[error("sent nothing for {0} s")]
    Idle(u64),
    /// It sent what is no Stratum V1, in a way that cannot be answered.
    #[error("sent a line that cannot be answered: {0}")]
    UnanswerableLine(String),
    /// It does not take in what is written to it; in the body's words.
    #[error("{0}")]
    NotReading(String),
    /// No upstream gave work for so long that its own backup pools serve it better.
    #[error("let go: no upstream has given work for {0} s")]
    NoUpstream(u64),
    /// Its address is banned.
    #[error("banned for {0} s: nearly all shares from its address are invalid")]
    Banned(u64),
    /// The miner came back over another connection and resumed its session there.
    #[error("the miner resumed its session over another connection")]
    SessionResumed,
    /// Its extranonce is too long for the only upstream that has work, and it cannot be given another.
    #[error(
        "its extranonce does not fit into the {0} bytes that the upstream gives, and it takes no other"
    )]
    ExtranonceTooLong(u16),
    /// The config has its port no longer, nor any other with the same upstreams.
    #[error("let go: the config has its port no longer, nor another one with the same upstreams")]
    PortClosed,
    /// We are going down.
    #[error("the proxy stops")]
    Stopping,
}

impl CloseReason {
    /// Gives it in a word or two.
    #[must_use]
    pub fn short(&self) -> &'static str {
        match self {
            Self::SetupTimeout(_) => "setup-timeout",
            Self::Idle(_) => "idle",
            Self::UnanswerableLine(_) => "unanswerable-line",
            Self::NotReading(_) => "not-reading",
            Self::NoUpstream(_) => "no-upstream",
            Self::Banned(_) => "banned",
            Self::SessionResumed => "session-resumed",
            Self::ExtranonceTooLong(_) => "extranonce-too-long",
            Self::PortClosed => "port-closed",
            Self::Stopping => "stopping",
        }
    }

    /// Gives the label under which it is counted as a limit that was met; none where it is not a limit of its own.
    #[must_use]
    pub fn label(&self) -> Option<&'static str> {
        match self {
            Self::SetupTimeout(_)
            | Self::Idle(_)
            | Self::UnanswerableLine(_)
            | Self::NotReading(_) => Some(self.short()),
            // A ban is told and counted as such, once for all connections that it closes.
            Self::Banned(_)
            | Self::NoUpstream(_)
            | Self::SessionResumed
            | Self::ExtranonceTooLong(_)
            | Self::PortClosed
            | Self::Stopping => None,
        }
    }

    /// Tells whether it is the address's fault rather than this connection's.
    pub(crate) fn is_ban(&self) -> bool {
        matches!(self, Self::Banned(_))
    }
}
