//! What is worth a line in the log, in words that can be read at three in the morning.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sv2::bitcoin::{BlockHash, Difficulty, Hashrate};

use crate::guard::Limit;
use crate::output::CloseReason;
use crate::refusal::Refusal;
use crate::upstream::Fault;
use crate::upstreams::Switch;

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nobody must miss it.
    Error,
    /// Something is not as it should be.
    Warning,
    /// The course of things.
    Info,
    /// For those who look closely.
    Debug,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A miner solved a block.
    BlockFound {
        /// The block's hash.
        hash: BlockHash,
        /// The worker who found it.
        worker: String,
        /// The upstream that it went to.
        upstream: String,
    },
    /// A miner solved a block that its upstream may not have.
    BlockKept {
        /// The block's hash.
        hash: BlockHash,
        /// The worker who found it.
        worker: String,
        /// The upstream whose job it is.
        upstream: String,
        /// Whether it was sent, and never answered.
        sent: bool,
    },
    /// A channel is open.
    UpstreamReady {
        /// The upstream.
        upstream: String,
        /// Difficulty of the channel.
        difficulty: Difficulty,
        /// Bytes of extranonce that the channel gives us.
        extranonce_size: u16,
        /// Whether the pool sees worker names.
        worker_names: bool,
    },
    /// An upstream failed.
    UpstreamFailed {
        /// The upstream.
        upstream: String,
        /// What went wrong.
        fault: Fault,
        /// Shares sent on this connection that were never answered.
        unanswered: u64,
        /// Pause before the next attempt; `None` where there is none, because it is no longer configured.
        retry_in: Option<Duration>,
    },
    /// An upstream was silent for long and is asked for a sign of life.
    UpstreamProbed {
        /// The upstream.
        upstream: String,
        /// For how long nothing came.
        silence: Duration,
    },
    /// An upstream has missed a block that another announced.
    UpstreamLate {
        /// The upstream.
        upstream: String,
        /// The one that announced it.
        other: String,
        /// The block.
        block: BlockHash,
        /// Whether miners worked for it, so that they move.
        is_active: bool,
    },
    /// A new block began.
    NewBlock {
        /// The upstream that announced it.
        upstream: String,
        /// Hash of the block that is built on.
        prev_hash: BlockHash,
        /// Difficulty of the network.
        network_difficulty: Difficulty,
        /// Miners that got the work.
        miners: usize,
    },
    /// The miners work for another upstream from now on.
    MinersMoved {
        /// That upstream.
        upstream: String,
        /// Miners that got its work.
        miners: usize,
        /// Why; `None` for those whose own channel has work there.
        cause: Option<Switch>,
    },
    /// Miners whose extranonce was too long for the upstream that they work for from now on.
    MinersNarrowed {
        /// The upstream.
        upstream: String,
        /// Bytes of extranonce that it gives.
        extranonce_size: u16,
        /// Miners that were told a shorter extranonce and go on.
        told: u64,
        /// Miners that were asked to connect anew.
        asked_to_reconnect: u64,
        /// Miners that were closed.
        closed: u64,
    },
    /// A new job within the block.
    NewJob {
        /// The upstream that dealt it.
        upstream: String,
        /// Miners that got the work.
        miners: usize,
    },
    /// The channel's target changed.
    TargetSet {
        /// The upstream.
        upstream: String,
        /// The new target as a difficulty.
        difficulty: Difficulty,
    },
    /// The pool was told of our hashrate.
    HashrateAnnounced {
        /// The upstream.
        upstream: String,
        /// Expected hashrate.
        hashrate: Hashrate,
    },
    /// The pool refused a share that we found good.
    ShareRefusedUpstream {
        /// The upstream.
        upstream: String,
        /// Its error code.
        error_code: String,
    },
    /// The upstream said something that changes nothing but should be known.
    UpstreamRemark {
        /// The upstream.
        upstream: String,
        /// What, in words.
        remark: String,
    },
    /// A changed config was applied.
    ConfigChanged {
        /// What differs, key by key, without secrets.
        changes: String,
    },
    /// A changed config was not applied.
    ConfigRefused {
        /// What is wrong with it.
        problems: String,
    },
    /// A miner subscribed and authorized.
    MinerReady {
        /// Its address.
        peer: SocketAddr,
        /// The name that it authorized with.
        worker: String,
        /// What it says of itself.
        user_agent: String,
        /// The firmware that it is known for.
        firmware: Option<&'static str>,
        /// Difficulty that it starts with.
        difficulty: Difficulty,
    },
    /// A miner's difficulty changed.
    DifficultyChanged {
        /// The worker.
        worker: String,
        /// Before.
        from: Difficulty,
        /// Now.
        to: Difficulty,
    },
    /// A miner's share was refused.
    ShareRefused {
        /// The worker, or the address before it authorized.
        worker: String,
        /// Why.
        refusal: Refusal,
    },
    /// A limit on miners was met; once for an address within a minute.
    LimitMet {
        /// The address.
        address: IpAddr,
        /// The limit.
        limit: Limit,
        /// How often it was met there without a word since the last time.
        unsaid: u64,
    },
    /// We closed a miner's connection.
    MinerClosed {
        /// Its address.
        peer: SocketAddr,
        /// The worker, where it had authorized.
        worker: String,
        /// Why.
        reason: CloseReason,
    },
    /// A miner's connection ended by itself.
    MinerLeft {
        /// Its address.
        peer: SocketAddr,
        /// The worker, where it had authorized.
        worker: String,
        /// How the network lost it, where the miner did not close it in order.
        lost: Option<String>,
    },
}

impl Severity {
    /// Gives its name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl Event {
    /// Gives the label of its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BlockFound { .. } => "block-found",
            Self::BlockKept { .. } => "block-kept",
            Self::UpstreamReady { .. } => "upstream-ready",
            Self::UpstreamFailed { .. } => "upstream-failed",
            Self::UpstreamProbed { .. } => "upstream-probed",
            Self::UpstreamLate { .. } => "upstream-late",
            Self::NewBlock { .. } => "new-block",
            Self::MinersMoved { .. } => "miners-moved",
            Self::MinersNarrowed { .. } => "miners-narrowed",
            Self::NewJob { .. } => "new-job",
            Self::TargetSet { .. } => "target-set",
            Self::HashrateAnnounced { .. } => "hashrate-announced",
            Self::ShareRefusedUpstream { .. } => "share-refused-upstream",
            Self::UpstreamRemark { .. } => "upstream-remark",
            Self::ConfigChanged { .. } => "config-changed",
            Self::ConfigRefused { .. } => "config-refused",
            Self::MinerReady { .. } => "miner-ready",
            Self::DifficultyChanged { .. } => "difficulty-changed",
            Self::ShareRefused { .. } => "share-refused",
            Self::LimitMet { .. } => "limit-met",
            Self::MinerClosed { .. } => "miner-closed",
            Self::MinerLeft { .. } => "miner-left",
        }
    }

    /// Tells whether it is about one miner, of which there may be thousands at once.
    #[must_use]
    pub fn is_about_a_miner(&self) -> bool {
        matches!(
            self,
            Self::MinerReady { .. }
                | Self::DifficultyChanged { .. }
                | Self::ShareRefused { .. }
                | Self::LimitMet { .. }
                | Self::MinerClosed { .. }
                | Self::MinerLeft { .. }
        )
    }

    /// Tells how much the event matters.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::BlockFound { .. } | Self::BlockKept { .. } => Severity::Error,
            Self::UpstreamFailed { .. }
            | Self::ShareRefusedUpstream { .. }
            | Self::UpstreamRemark { .. }
            | Self::UpstreamLate { .. }
            | Self::MinersNarrowed { .. }
            | Self::ConfigRefused { .. }
            | Self::LimitMet { .. } => Severity::Warning,
            Self::UpstreamReady { .. }
            | Self::NewBlock { .. }
            | Self::MinersMoved { .. }
            | Self::ConfigChanged { .. }
            | Self::MinerReady { .. } => Severity::Info,
            // What is told once a minute for an address is not repeated for each connection that nobody knows, nor for
            // each of an address that is banned.
            Self::MinerClosed { worker, reason, .. }
                if reason.is_ban() || worker.is_empty() && reason.label().is_some() =>
            {
                Severity::Debug
            }
            // Who never mined is nobody.
            Self::MinerLeft { worker, .. } if worker.is_empty() => Severity::Debug,
            Self::MinerClosed { .. } | Self::MinerLeft { .. } => Severity::Info,
            Self::NewJob { .. }
            | Self::TargetSet { .. }
            | Self::UpstreamProbed { .. }
            | Self::HashrateAnnounced { .. }
            | Self::DifficultyChanged { .. }
            | Self::ShareRefused { .. } => Severity::Debug,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockFound {
                hash,
                worker,
                upstream,
            } => {
                write!(f, "BLOCK FOUND: {hash} by {worker:?}, sent to {upstream}")
            }
            Self::BlockKept {
                hash,
                worker,
                upstream,
                sent,
            } => {
                let why = match sent {
                    true => "was sent it and never answered",
                    false => "was not connected",
                };
                write!(
                    f,
                    "BLOCK KEPT: {hash} by {worker:?} for {upstream}, which {why}"
                )
            }
            Self::NewBlock {
                upstream,
                prev_hash,
                network_difficulty,
                miners,
            } => {
                let difficulty = network_difficulty.to_f64();
                write!(
                    f,
                    "{upstream}: new block on {prev_hash}, network difficulty {difficulty:.3e}, to {miners} miners"
                )
            }
            Self::MinersMoved {
                upstream,
                miners,
                cause,
            } => {
                write!(f, "{upstream}: {miners} miners work for it from now on: ")?;
                match cause {
                    Some(cause) => write!(f, "{cause}"),
                    None => f.write_str("a channel of their own has work"),
                }
            }
            Self::NewJob { upstream, miners } => {
                write!(f, "{upstream}: new job to {miners} miners")
            }
            Self::MinerReady {
                peer,
                worker,
                user_agent,
                firmware,
                difficulty,
            } => {
                write!(f, "{worker:?} mines from {peer} with {user_agent:?}")?;
                if let Some(firmware) = firmware {
                    write!(f, " ({firmware})")?;
                }
                write!(f, " at difficulty {difficulty}")
            }
            Self::DifficultyChanged { worker, from, to } => {
                write!(f, "{worker:?}: difficulty {from} becomes {to}")
            }
            Self::ShareRefused { worker, refusal } => {
                write!(f, "{worker:?}: share refused: {refusal}")
            }
            Self::LimitMet { .. } => self.fmt_limit(f),
            Self::ConfigChanged { changes } => write!(f, "config reloaded: {changes}"),
            Self::ConfigRefused { problems } => {
                write!(f, "config not reloaded, the old one goes on: {problems}")
            }
            Self::MinerClosed {
                peer,
                worker,
                reason,
            } => write!(f, "closed {peer} ({worker:?}): {reason}"),
            Self::MinerLeft {
                peer,
                worker,
                lost: Some(how),
            } => write!(f, "{peer} ({worker:?}) lost its connection: {how}"),
            Self::MinerLeft { peer, worker, .. } => {
                write!(f, "{peer} ({worker:?}) closed its connection")
            }
            Self::UpstreamReady { .. }
            | Self::UpstreamFailed { .. }
            | Self::UpstreamProbed { .. }
            | Self::UpstreamLate { .. }
            | Self::TargetSet { .. }
            | Self::MinersNarrowed { .. }
            | Self::HashrateAnnounced { .. }
            | Self::ShareRefusedUpstream { .. }
            | Self::UpstreamRemark { .. } => self.fmt_upstream(f),
        }
    }
}

impl Event {
    fn fmt_upstream(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpstreamReady {
                upstream,
                difficulty,
                extranonce_size,
                worker_names,
            } => {
                let names = if *worker_names { "with" } else { "without" };
                write!(
                    f,
                    "{upstream}: channel open at difficulty {difficulty}, \
                     {extranonce_size} bytes of extranonce, {names} worker names"
                )
            }
            Self::UpstreamFailed {
                upstream,
                fault,
                unanswered,
                retry_in,
            } => {
                write!(f, "{upstream}: {fault}; ")?;
                if *unanswered > 0 {
                    write!(f, "{unanswered} shares stay unanswered; ")?;
                }
                match retry_in {
                    Some(pause) => write!(f, "next attempt in {:.1} s", pause.as_secs_f64()),
                    None => f.write_str("the config has it no longer"),
                }
            }
            Self::UpstreamProbed { upstream, silence } => {
                let seconds = silence.as_secs();
                write!(
                    f,
                    "{upstream}: silent for {seconds} s, asked for a sign of life"
                )
            }
            Self::UpstreamLate {
                upstream,
                other,
                block,
                is_active,
            } => {
                write!(
                    f,
                    "{upstream}: is late with block {block}, announced by {other}"
                )?;
                match is_active {
                    true => f.write_str("; its miners move as long as it is"),
                    false => Ok(()),
                }
            }
            Self::MinersNarrowed {
                upstream,
                extranonce_size,
                told,
                asked_to_reconnect,
                closed,
            } => {
                write!(
                    f,
                    "{upstream}: gives {extranonce_size} bytes of extranonce, too few for miners that had work: \
                     {told} were told a shorter one, {asked_to_reconnect} were asked to connect anew, {closed} closed"
                )
            }
            Self::TargetSet {
                upstream,
                difficulty,
            } => {
                write!(f, "{upstream}: difficulty of later jobs is {difficulty}")
            }
            Self::HashrateAnnounced { upstream, hashrate } => {
                write!(f, "{upstream}: told that we have {hashrate}")
            }
            Self::ShareRefusedUpstream {
                upstream,
                error_code,
            } => {
                write!(
                    f,
                    "{upstream}: refused a share that we found good: {error_code}"
                )
            }
            Self::UpstreamRemark { upstream, remark } => write!(f, "{upstream}: {remark}"),
            _ => Ok(()),
        }
    }

    fn fmt_limit(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::LimitMet {
            address,
            limit,
            unsaid,
        } = self
        else {
            return Ok(());
        };
        write!(f, "{address}: {limit}")?;
        match unsaid {
            0 => Ok(()),
            unsaid => write!(f, "; {unsaid} more times before"),
        }
    }
}
