//! What goes wrong with an upstream, by culprit.

use sv2::types::{ChannelId, JobId};

/// Why a connection to an upstream ended. Each is followed by a pause and another attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The network or the Noise handshake; in the body's words.
    #[error("{0}")]
    ConnectionLost(String),
    /// A step of the set-up was not answered in time.
    #[error("no answer to {0} in time")]
    NoAnswer(&'static str),
    /// The server does not want us.
    #[error("refused the connection: {error_code} (flags {flags:#010b})")]
    SetupRefused {
        /// The server's reason.
        error_code: String,
        /// Features that it does not support.
        flags: u32,
    },
    /// The server speaks another version of the protocol.
    #[error("speaks protocol version {0}, not 2")]
    OtherProtocolVersion(u16),
    /// The server insists on extensions that we do not know.
    #[error("insists on extensions that are not supported here: {0:?}")]
    ExtensionsRequired(Vec<u16>),
    /// The server opens no channel for us.
    #[error("refused to open a channel: {0}")]
    ChannelRefused(String),
    /// The channel's extranonce has no room for our miners.
    #[error("gives {granted} bytes of extranonce where {needed} are needed")]
    TooLittleExtranonce {
        /// Bytes that the server gives.
        granted: u16,
        /// Bytes of the shortest slot and extranonce2.
        needed: u16,
    },
    /// The server opens no channel with any extranonce that we could work with.
    #[error("refused {asked} bytes of extranonce even, where {needed} are needed")]
    ExtranonceRefused {
        /// Bytes that were asked for last.
        asked: u16,
        /// Bytes for slot and extranonce2.
        needed: u16,
    },
    /// The channel is open and there is nothing to work on.
    #[error("opened a channel and dealt no job")]
    NoJob,
    /// The connection is open and nothing comes, though we asked for it.
    #[error("silent for {0} s, also when asked for a sign of life")]
    Silent(u64),
    /// The server closed the channel.
    #[error("closed the channel: {0}")]
    ChannelClosed(String),
    /// The server asked us to connect anew.
    #[error("asked us to reconnect")]
    Reconnect,
    /// The server did what it must not do now.
    #[error("broke the protocol: {0}")]
    Violation(#[from] Violation),
    /// It is not in the configuration any more.
    #[error("the config has it no longer")]
    Removed,
    /// Its miners left, or the farm moved to another upstream.
    #[error("no miner works on this channel any more")]
    NotNeeded,
    /// We are going down.
    #[error("the proxy stops")]
    Stopping,
}

impl Fault {
    /// Tells whether the server gives us no channel that miners can work on.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::SetupRefused { .. }
                | Self::ChannelRefused(_)
                | Self::TooLittleExtranonce { .. }
                | Self::ExtranonceRefused { .. }
        )
    }

    /// Gives the label under which it is counted.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::ConnectionLost(_) => "connection-lost",
            Self::NoAnswer(_) => "no-answer",
            Self::SetupRefused { .. }
            | Self::OtherProtocolVersion(_)
            | Self::ExtensionsRequired(_) => "setup-refused",
            Self::ChannelRefused(_) => "channel-refused",
            Self::TooLittleExtranonce { .. } | Self::ExtranonceRefused { .. } => {
                "too-little-extranonce"
            }
            Self::NoJob => "no-job",
            Self::Silent(_) => "silent",
            Self::ChannelClosed(_) => "channel-closed",
            Self::Reconnect => "reconnect",
            Self::Violation(_) => "violation",
            Self::Removed => "removed",
            Self::NotNeeded => "not-needed",
            Self::Stopping => "stopping",
        }
    }
}

/// What a server must not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A message that has no place in the state that the connection is in.
    #[error("{message} before {expected}")]
    UnexpectedMessage {
        /// What came.
        message: &'static str,
        /// What had to come first.
        expected: &'static str,
    },
    /// A message for a channel that never was.
    #[error("{message} for channel {channel}, which never was")]
    UnknownChannel {
        /// What came.
        message: &'static str,
        /// The channel.
        channel: ChannelId,
    },
    /// A new block that names no future job.
    #[error("SetNewPrevHash names job {0}, which is no future job")]
    PrevHashForUnknownJob(JobId),
    /// A job to be worked on before any block was named.
    #[error("job {0} is active before any SetNewPrevHash")]
    JobWithoutPrevHash(JobId),
    /// A network target that is none.
    #[error("nbits {0:08x} is no target")]
    InvalidNbits(u32),
    /// A merkle path longer than a block can have.
    #[error("job {job} has a merkle path of {length} hashes")]
    MerklePathTooLong {
        /// The job.
        job: JobId,
        /// Hashes in its path.
        length: usize,
    },
    /// A coinbase longer than any firmware takes.
    #[error("job {job} has a coinbase of {length} bytes")]
    CoinbaseTooLong {
        /// The job.
        job: JobId,
        /// Bytes before and behind the extranonce.
        length: usize,
    },
    /// An extranonce that cannot be.
    #[error("extranonce of {prefix} bytes fixed and {size} ours exceeds 32")]
    ExtranonceTooLong {
        /// Bytes of the prefix.
        prefix: usize,
        /// Bytes that are ours.
        size: u16,
    },
}
