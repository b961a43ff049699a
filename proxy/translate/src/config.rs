//! What the operator decides for the brain.

use std::time::Duration;

use sv2::bitcoin::{Difficulty, VersionMask};

/// Decisions that the [`Translator`](crate::Translator) is made with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Upstreams in order of preference; at least one.
    pub upstreams: Vec<UpstreamConfig>,
    /// How hard the miners' work is.
    pub difficulty: DifficultyPolicy,
    /// Version bits that miners may roll (BIP-0310), unless a job forbids rolling.
    pub version_mask: VersionMask,
    /// Bytes of extranonce that a miner rolls itself, 4 to 8.
    pub extranonce2_size: u8,
    /// Longest silence towards a miner; a notify with a new time ends it.
    pub keepalive: Duration,
    /// Whether SV2 ext 0x0002 is asked for, so that the pool sees worker names.
    pub worker_names: bool,
    /// Time within which a miner must have subscribed and authorized.
    pub setup_timeout: Duration,
    /// Longest silence of a miner.
    pub idle_timeout: Duration,
    /// Time within which an upstream must answer each step of the set-up.
    pub upstream_setup_timeout: Duration,
    /// First pause before an upstream is dialled again.
    pub retry_min: Duration,
    /// Longest pause before an upstream is dialled again.
    pub retry_max: Duration,
    /// Most miners at once.
    pub max_miners: usize,
    /// The first slot handed out; 0 but for tests that replay a known block.
    pub first_slot: u32,
    /// Makes session ids unguessable and pauses uneven; from the system's randomness, once per start.
    pub seed: [u8; 32],
}

/// One upstream, as far as the brain is concerned.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// The operator's name for it, in logs.
    pub name: String,
    /// `user_identity` of the channel.
    pub user: String,
    /// Host that is dialled, for `SetupConnection`.
    pub host: String,
    /// Port that is dialled, for `SetupConnection`.
    pub port: u16,
}

/// How hard the miners' work is.
#[derive(Debug, Clone, Copy)]
pub struct DifficultyPolicy {
    /// Shares that each miner should send per minute.
    pub shares_per_minute: f64,
    /// Difficulty of a miner that asked for none; found by measuring where `None`.
    pub start: Option<Difficulty>,
    /// Lowest difficulty that a miner gets.
    pub min: Difficulty,
    /// Highest difficulty that a miner gets.
    pub max: Option<Difficulty>,
    /// Whether the difficulty follows the measured hashrate.
    pub vardiff: bool,
}

/// Where measuring starts: an S21 sends two shares a second at first, a Bitaxe one in a minute.
const MEASURING_START: f64 = 16_384.0;

impl DifficultyPolicy {
    /// Brings a wish within bounds, rounded down to a power of two.
    pub(crate) fn clamp(&self, wish: Difficulty) -> Difficulty {
        let most = self.max.unwrap_or(Difficulty::MAX);
        wish.min(most).max(self.min).floor_power_of_two()
    }

    /// The difficulty of a miner that nothing is known of.
    pub(crate) fn start(&self) -> Difficulty {
        let start = Difficulty::new(MEASURING_START).unwrap_or(Difficulty::ONE);
        self.clamp(self.start.unwrap_or(start))
    }
}
