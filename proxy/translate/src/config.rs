//! What the operator decides for the brain.

use std::sync::Arc;
use std::time::Duration;

use sv2::bitcoin::{Difficulty, VersionMask};

use crate::guard::GuardPolicy;
use crate::session::KeptSession;
use crate::worker::UserTemplate;

/// Highest difficulty that a miner gets by asking: a dozen shares a minute at it are the hashrate of the whole
/// network (10^21 h/s), so whoever asks for more means something else.
const MAX_ASKED: f64 = (1_u64 << 40) as f64;

/// Decisions that the [`Translator`](crate::Translator) is made with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Upstreams in order of preference; at least one.
    pub upstreams: Vec<UpstreamConfig>,
    /// How hard the miners' work is, where their listener does not say.
    pub difficulty: DifficultyPolicy,
    /// Ports for miners; a [`ListenerId`] is a place here.
    pub listeners: Vec<ListenerConfig>,
    /// Last known difficulties of workers from an earlier run, those noted last at the end.
    pub worker_difficulties: Vec<(Box<str>, Difficulty)>,
    /// What [`Translator::sessions`](crate::Translator::sessions) gave in an earlier run: their miners find their slots.
    pub sessions: Vec<KeptSession>,
    /// Version bits that miners may roll (BIP-0310), unless a job forbids rolling.
    pub version_mask: VersionMask,
    /// Bytes of extranonce that a miner rolls itself, 4 to 8.
    pub extranonce2_size: u8,
    /// Who shares a channel.
    pub channel: ChannelMode,
    /// Most channels of single accounts or miners; whoever comes later mines on the farm's.
    pub max_channels: usize,
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
    /// Silence of an upstream with miners after which it is asked for a sign of life; three times that without miners.
    pub upstream_probe_after: Duration,
    /// Time within which it must give one; then it is left for another.
    pub upstream_probe_timeout: Duration,
    /// How long an upstream may take to a block that another has announced.
    pub upstream_block_grace: Duration,
    /// First pause before an upstream is dialled again.
    pub retry_min: Duration,
    /// Longest pause before an upstream is dialled again.
    pub retry_max: Duration,
    /// How long miners are held without any upstream before they are let go; `None` holds them for ever.
    pub release_after: Option<Duration>,
    /// Most miners at once.
    pub max_miners: usize,
    /// Limits on miners that are broken or mean harm.
    pub guard: GuardPolicy,
    /// The first slot of four bytes handed out; 0, which stands for the first that no layout shares, but for tests that
    /// replay a known block.
    pub first_slot: u32,
    /// The first slot of two bytes handed out, of 65,536 on a channel; 0 but for tests of what comes after the last.
    pub first_narrow_slot: u16,
    /// Makes session ids unguessable and pauses uneven; from the system's randomness, once per start.
    pub seed: [u8; 32],
}

/// Who shares an extended channel of the active upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChannelMode {
    /// All miners share the farm's.
    #[default]
    Aggregated,
    /// Each account, the part of a user name before its first dot, has one on a connection of its own; `user_identity`
    /// is the account.
    PerUser,
    /// Each miner has one on a connection of its own; `user_identity` is the upstream's user, a dot and the worker.
    PerMiner,
}

/// One upstream, as far as the brain is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// The operator's name for it, in logs.
    pub name: String,
    /// `user_identity` of the channel.
    pub user: String,
    /// Host that is dialled, for `SetupConnection`.
    pub host: String,
    /// Port that is dialled, for `SetupConnection`.
    pub port: u16,
    /// Bytes of the key that proves it (SV2 §4.7), where there is one: a server with another key is another one.
    pub authority_key: Option<[u8; 32]>,
}

/// The port that a miner came in on, by its place in the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub usize);

/// One port for miners, as far as the brain is concerned.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenerConfig {
    /// How hard its miners' work is.
    pub difficulty: DifficultyPolicy,
    /// What the pool is told as a worker's name.
    pub user: UserTemplate,
}

impl Config {
    /// Gives each listener; one that nobody configured is as the rest of the configuration says.
    pub(crate) fn shared_listeners(&self) -> (Arc<ListenerConfig>, Vec<Arc<ListenerConfig>>) {
        let usual = ListenerConfig {
            difficulty: self.difficulty,
            user: UserTemplate::default(),
        };
        let listeners = self.listeners.iter().cloned().map(Arc::new);
        (Arc::new(usual), listeners.collect())
    }
}

/// How hard the miners' work is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DifficultyPolicy {
    /// Shares that each miner should send per minute.
    pub shares_per_minute: f64,
    /// Difficulty of a miner that asked for none; found by measuring where `None`.
    pub start: Option<Difficulty>,
    /// Lowest difficulty that a miner gets.
    pub min: Difficulty,
    /// Lowest difficulty that a miner gets that asked for one below `min`; above `min` it means nothing.
    pub asked_min: Difficulty,
    /// Highest difficulty that a miner gets.
    pub max: Option<Difficulty>,
    /// Whether the difficulty follows the measured hashrate.
    pub vardiff: bool,
}

/// Where measuring starts: an S21 sends two shares a second at first, a Bitaxe one in a minute.
const MEASURING_START: f64 = 16_384.0;

impl DifficultyPolicy {
    /// Brings a wish within bounds, rounded down to a power of two, or up where it would fall below the lowest.
    pub(crate) fn clamp(&self, wish: Difficulty) -> Difficulty {
        let most = self.most();
        let floor = wish.min(most).max(self.min).floor_power_of_two();
        let doubled = Difficulty::new(floor.to_f64() * 2.0).unwrap_or(floor);
        match floor < self.min && doubled <= most {
            true => doubled,
            false => floor,
        }
    }

    /// The highest difficulty that a miner gets, whoever asks for it.
    pub(crate) fn most(&self) -> Difficulty {
        let asked = Difficulty::new(MAX_ASKED).unwrap_or(Difficulty::MAX);
        self.max.unwrap_or(asked)
    }

    /// The difficulty of a miner that nothing is known of.
    pub(crate) fn start(&self) -> Difficulty {
        let start = Difficulty::new(MEASURING_START).unwrap_or(Difficulty::ONE);
        self.clamp(self.start.unwrap_or(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clamped(min: f64, max: Option<f64>, wish: f64) -> f64 {
        let difficulty = |value| Difficulty::new(value).unwrap();
        let policy = DifficultyPolicy {
            shares_per_minute: 12.0,
            start: None,
            min: difficulty(min),
            asked_min: difficulty(min),
            max: max.map(difficulty),
            vardiff: true,
        };
        policy.clamp(difficulty(wish)).to_f64()
    }

    #[test]
    fn a_wish_becomes_a_power_of_two_within_the_bounds() {
        assert_eq!(clamped(1.0, None, 5_000.0), 4_096.0);
        assert_eq!(clamped(1.0, None, 0.3), 1.0);
        assert_eq!(clamped(0.001, None, 0.3), 0.25);
        assert_eq!(clamped(1.0, Some(10_000.0), 1e9), 8_192.0);
    }

    #[test]
    fn a_minimum_between_two_powers_of_two_is_kept() {
        assert_eq!(clamped(3.0, None, 1.0), 4.0);
        assert_eq!(clamped(3.0, Some(3.0), 1.0), 2.0, "nothing lies between");
    }

    #[test]
    fn no_wish_is_harder_than_the_whole_network() {
        assert_eq!(clamped(1.0, None, f64::MAX), MAX_ASKED);
    }
}
