//! Everything that can be set, with defaults that resemble a pool on mainnet.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use sv2::authority_key::AuthoritySecretKey;
use sv2::bitcoin::{Difficulty, Hashrate, Target, VersionMask};
use sv2::tlv::WORKER_SPECIFIC_HASHRATE_TRACKING;
use sv2::types::{B0_32, ExtensionType};

use crate::coinbase;
use crate::faults::Faults;
use crate::job::GivenJob;

/// Settings of a pool.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Key that signs the certificate; `None` makes one at start.
    pub authority_secret: Option<AuthoritySecretKey>,
    /// When the certificate is valid.
    pub certificate_validity: CertificateValidity,
    /// Target of a channel, before its `max_target` is honoured.
    pub share_target: ShareTarget,
    /// Extranonce prefix of the first channel. Each further channel that lives at the same time counts the
    /// last bytes up by one.
    pub extranonce_prefix: B0_32,
    /// Bytes of extranonce granted to every channel; who asks for more is refused.
    pub extranonce_size: u16,
    /// Whether jobs are dealt to the group channel or to each channel.
    pub addressing: Addressing,
    /// Time between new blocks; `None` for none but on command.
    pub block_interval: Option<Duration>,
    /// Time between jobs on the same block; `None` for none but on command.
    pub job_interval: Option<Duration>,
    /// How long before a new block its future job is sent.
    pub future_job_lead: Duration,
    /// How long after a new block the job with transactions follows the empty one.
    pub fuller_job_delay: Duration,
    /// Height of the first block to be mined, from 32,768 to 8,000,000.
    pub height: u32,
    /// The network's target in compact form.
    pub nbits: u32,
    /// Hashes in the merkle path of a job with transactions; at most 255.
    pub merkle_branches: u8,
    /// Version of the jobs.
    pub version: u32,
    /// Whether jobs allow version rolling; if not, `REQUIRES_FIXED_VERSION` is announced.
    pub version_rolling_allowed: bool,
    /// Version bits that a share may roll where its job allows it.
    pub version_mask: VersionMask,
    /// How far a share's ntime may be ahead of its job.
    pub ntime_limit: NtimeLimit,
    /// Accepted shares that one `SubmitShares.Success` acknowledges; 10 as the reference pool.
    pub ack_batch: u32,
    /// Time after which a smaller batch is acknowledged; `None` leaves it waiting, as the reference pool does.
    pub ack_interval: Option<Duration>,
    /// Extensions granted on request.
    pub supported_extensions: Vec<ExtensionType>,
    /// Extensions without which a request is refused.
    pub required_extensions: Vec<ExtensionType>,
    /// Text in every coinbase, up to 75 bytes and what the script has room for.
    pub pool_tag: String,
    /// Seed of the jobs' random parts.
    pub seed: u64,
    /// Seed of the block hashes: pools with the same seed and height agree on the chain.
    pub chain_seed: u64,
    /// A job to deal as it is, instead of made ones, until the first new block.
    pub given_job: Option<GivenJob>,
    /// Whether a share that solves a block starts the next one.
    pub advance_on_block: bool,
    /// Bounds of everything that could grow.
    pub limits: Limits,
    /// What the pool does wrong on purpose.
    pub faults: Faults,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            authority_secret: None,
            certificate_validity: CertificateValidity::default(),
            share_target: ShareTarget::default(),
            extranonce_prefix: B0_32::new(b"ML\0\0\0\0\0\0").unwrap_or_default(),
            extranonce_size: 16,
            addressing: Addressing::default(),
            block_interval: Some(Duration::from_secs(600)),
            job_interval: Some(Duration::from_secs(30)),
            future_job_lead: Duration::from_secs(2),
            fuller_job_delay: Duration::from_secs(1),
            height: 925_000,
            nbits: 0x1701_e2a0,
            merkle_branches: 12,
            version: 0x2000_0000,
            version_rolling_allowed: true,
            version_mask: VersionMask::BIP_0320,
            ntime_limit: NtimeLimit::default(),
            ack_batch: 10,
            ack_interval: None,
            supported_extensions: vec![WORKER_SPECIFIC_HASHRATE_TRACKING],
            required_extensions: Vec::new(),
            pool_tag: "/Millrace test pool/".into(),
            seed: 1,
            chain_seed: 1,
            given_job: None,
            advance_on_block: true,
            limits: Limits::default(),
            faults: Faults::default(),
        }
    }
}

impl PoolConfig {
    /// Tells how long the whole extranonce of a channel is, in bytes.
    #[must_use]
    pub fn extranonce_len(&self) -> usize {
        self.extranonce_prefix.len() + usize::from(self.extranonce_size)
    }

    /// Checks what the protocol bounds.
    ///
    /// # Errors
    /// The first setting that no pool could have.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.extranonce_len() > B0_32::MAX_LEN {
            return Err(ConfigError::ExtranonceTooLong(self.extranonce_len()));
        }
        let script_sig = coinbase::script_sig_len(&self.pool_tag, self.extranonce_len());
        if script_sig > coinbase::MAX_SCRIPT_SIG_LEN {
            return Err(ConfigError::ScriptSigTooLong(script_sig));
        }
        if self.pool_tag.len() > coinbase::MAX_TAG_LEN {
            return Err(ConfigError::TagTooLong(self.pool_tag.len()));
        }
        if !coinbase::HEIGHTS.contains(&self.height) {
            return Err(ConfigError::HeightOutOfRange(self.height));
        }
        if self.ack_batch == 0 {
            return Err(ConfigError::EmptyBatches);
        }
        match Target::from_compact(self.nbits) {
            Ok(target) if target != Target::ZERO => Ok(()),
            _ => Err(ConfigError::NotATarget(self.nbits)),
        }
    }
}

/// A setting that no pool could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Prefix and size exceed what the protocol carries.
    #[error("extranonce prefix and size make {0} bytes, and 32 are the most")]
    ExtranonceTooLong(usize),
    /// The coinbase would break consensus.
    #[error("the coinbase's script would have {0} bytes, and 100 are the most")]
    ScriptSigTooLong(usize),
    /// The tag does not fit one plain push.
    #[error("the pool's tag has {0} bytes, and 75 are the most")]
    TagTooLong(usize),
    /// The height's push would not have three bytes.
    #[error("height {0} is not between 32768 and 8000000")]
    HeightOutOfRange(u32),
    /// Shares would never be acknowledged.
    #[error("a batch of acknowledged shares needs at least one")]
    EmptyBatches,
    /// No hash can meet the network's target.
    #[error("nbits {0:08x} is the compact form of no target")]
    NotATarget(u32),
}

/// How the target of a channel is chosen, before its `max_target` is honoured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ShareTarget {
    /// The same difficulty for every channel.
    Difficulty(Difficulty),
    /// From the channel's nominal hashrate, as the reference pool does: 0 h/s gets the easiest target.
    SharesPerMinute(f64),
}

impl Default for ShareTarget {
    /// Gives a share about every four million hashes: one a second for a CPU core.
    fn default() -> Self {
        Self::Difficulty(Difficulty::new(0.001).unwrap_or(Difficulty::ONE))
    }
}

impl ShareTarget {
    /// Chooses for a channel of `hashrate`.
    #[must_use]
    pub fn choose(self, hashrate: Hashrate) -> Target {
        match self {
            Self::Difficulty(difficulty) => Target::from_difficulty(difficulty),
            Self::SharesPerMinute(rate) => {
                Target::from_hashrate(hashrate, rate).unwrap_or(Target::MAX)
            }
        }
    }
}

/// Where jobs and new blocks are addressed (SV2 §5.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addressing {
    /// One message to the group channel of a connection. A channel whose extranonce has another length than
    /// its group's gets its own all the same.
    Group,
    /// One message to each channel.
    #[default]
    Channel,
}

/// How far a share's ntime may be ahead of its job's min_ntime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NtimeLimit {
    /// By this many seconds, whenever the share comes.
    Ahead(u32),
    /// By the seconds since the job became active and this slack, as SV2 §5.3.11 has it.
    Elapsed {
        /// Seconds allowed for clocks that differ.
        slack: u32,
    },
}

impl Default for NtimeLimit {
    /// Two hours: what the network allows a block to be ahead.
    fn default() -> Self {
        Self::Ahead(7200)
    }
}

/// Validity of the certificate, in seconds relative to the pool's start. A restart renews it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateValidity {
    /// First second.
    pub from: i64,
    /// Last second.
    pub until: i64,
}

impl CertificateValidity {
    /// A certificate that expired an hour before the pool's start.
    pub const EXPIRED: Self = Self {
        from: -86_400,
        until: -3_600,
    };
}

impl Default for CertificateValidity {
    /// From an hour ago, for clocks that lag, for 30 days: longer than any test run.
    fn default() -> Self {
        Self {
            from: -3_600,
            until: 30 * 86_400,
        }
    }
}

/// Bounds of everything that could grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; more are closed on arrival.
    pub max_connections: usize,
    /// Channels of one connection; more are refused.
    pub max_channels: usize,
    /// Jobs remembered per channel. The oldest are forgotten first: their shares are then for an unknown job.
    pub max_jobs: usize,
    /// Shares remembered per channel and block to find duplicates. A channel that exceeds it has a target far
    /// too easy for its hashrate; its connection is closed.
    pub max_seen_shares: usize,
    /// Workers counted by name; the others are counted together.
    pub max_workers: usize,
    /// Messages that wait to be written to one connection; more close it.
    pub outgoing_queue: usize,
    /// Messages of all connections that wait for the pool; more make their senders wait.
    pub incoming_queue: usize,
    /// Events that wait for one subscriber; more are dropped and counted.
    pub event_queue: usize,
    /// Time for the Noise handshake.
    pub handshake_timeout: Duration,
    /// Time from the handshake to `SetupConnection`.
    pub setup_timeout: Duration,
    /// Time for one write.
    pub write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1_000,
            max_channels: 1_000,
            max_jobs: 64,
            // 100,000 hashes of 32 bytes: some 5 MB for one channel.
            max_seen_shares: 100_000,
            max_workers: 10_000,
            outgoing_queue: 1_024,
            incoming_queue: 1_024,
            event_queue: 16_384,
            handshake_timeout: Duration::from_secs(10),
            setup_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut PoolConfig)) -> Result<(), ConfigError> {
        let mut config = PoolConfig::default();
        change(&mut config);
        config.check()
    }

    #[test]
    fn the_default_can_be() {
        assert_eq!(check(|_| ()), Ok(()));
    }

    #[test]
    fn what_the_protocol_or_consensus_forbids_is_an_error() {
        let long = |length| "x".repeat(length);
        assert_eq!(
            check(|c| c.extranonce_size = 25),
            Err(ConfigError::ExtranonceTooLong(33))
        );
        assert_eq!(
            check(|c| c.pool_tag = long(71)),
            Err(ConfigError::ScriptSigTooLong(101))
        );
        let tag = check(|c| {
            c.pool_tag = long(76);
            c.extranonce_size = 0;
        });
        assert_eq!(tag, Err(ConfigError::TagTooLong(76)));
        assert_eq!(
            check(|c| c.height = 1),
            Err(ConfigError::HeightOutOfRange(1))
        );
        assert_eq!(check(|c| c.ack_batch = 0), Err(ConfigError::EmptyBatches));
        assert_eq!(check(|c| c.nbits = 0), Err(ConfigError::NotATarget(0)));
    }
}
