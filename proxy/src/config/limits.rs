//! `[limits]`: every bound of the program, so that nothing a peer sends, at any speed, takes it down.

use std::time::Duration;

use toml::de::DeValue;
use translate::GuardPolicy;

use super::section::{Section, expected, number};

/// Every bound of the program. Sizes are per miner where not said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Miners connected at once, over the listeners that share a driver: those with the same upstreams in the same order.
    /// Further connections are closed at once.
    pub max_miners: usize,
    /// Channels of single accounts or miners at once; whoever comes later shares the farm's.
    pub max_channels: usize,
    /// Limits on miners that are broken or mean harm.
    pub guard: GuardPolicy,
    /// Requests read from a connection within a second; what it sends beyond waits in its socket.
    pub requests_per_second: u32,
    /// Longest Sv1 line accepted from a miner, in bytes without the newline.
    pub line_bytes: usize,
    /// Bytes kept for a miner that does not read, besides its newest work; beyond, it is closed.
    pub pending_bytes: usize,
    /// Time for a miner to subscribe and authorize.
    pub setup_timeout: Duration,
    /// Time without any line from a miner before it is closed.
    pub idle_timeout: Duration,
    /// Time for which a miner may leave its socket full before it is closed.
    pub write_timeout: Duration,
    /// Time for an upstream's name to resolve and its TCP connection to open. All its addresses are tried within it,
    /// so that one that is dead costs 250 ms.
    pub upstream_connect_timeout: Duration,
    /// Time for an upstream's noise handshake, setup and channel, each.
    pub upstream_setup_timeout: Duration,
    /// Silence of an upstream with miners after which it is asked for a sign of life.
    pub upstream_probe_after: Duration,
    /// Time for its answer; then it is left for another.
    pub upstream_probe_timeout: Duration,
    /// Time that an upstream may take to a block that another has announced.
    pub upstream_block_grace: Duration,
    /// Connections to the HTTP server at once; further ones are closed at once.
    pub http_connections: usize,
    /// Time for an HTTP client to send its next request, and to take in the answer.
    pub http_timeout: Duration,
    /// Wait before an upstream is tried again after its first failure; doubled for each further one, with jitter.
    pub retry_min: Duration,
    /// Longest wait between two tries of an upstream, however often it failed.
    pub retry_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Twice the farm that one small core is meant for; 20,000 x ~2 kB = 40 MB.
            max_miners: 20_000,
            // Each is a connection to the pool: what a pool takes from one address before it thinks of an attack.
            max_channels: 1_000,
            guard: GuardPolicy {
                // Three quarters of the default max_miners: a farm behind one NAT address fits, and leaves room for others.
                max_miners_per_address: 15_000,
                // Firmware that errs has a share refused now and then; ten refused to one accepted is broken or hostile.
                invalid_shares_pause: Some(90),
                // 50 shares judged per pause: five a second at most, a millionth of what one core judges.
                pause: Duration::from_secs(10),
                // Nearly nothing but invalid shares, through ten pauses.
                invalid_shares_ban: Some(95),
                // Costs a flood its point, and an operator who repaired a machine a cup of coffee.
                ban: Duration::from_secs(600),
            },
            // A miner sends one in five seconds, a proxy with 10,000 behind it 2,000 a second.
            requests_per_second: 2_000,
            // A submit is at most 400 bytes, the longest configure known under 1 kB.
            line_bytes: 8_192,
            // A job with the largest coinbase known (32 kB of hex); 20,000 miners that all stop reading hold 655 MB,
            // and as much again where the newest work of each is of that size.
            pending_bytes: 32_768,
            // Firmware takes milliseconds; a storm of reconnects after a power cut takes seconds.
            setup_timeout: Duration::from_secs(60),
            // More than a hundred times the mean interval of 12 shares per minute.
            idle_timeout: Duration::from_secs(600),
            // Longer than any pause of a network that recovers.
            write_timeout: Duration::from_secs(30),
            // Three SYNs (at 0, 1 and 3 s) and their answers.
            upstream_connect_timeout: Duration::from_secs(10),
            // Each is one round trip; the rest is for a pool that 1,000 farms return to at once.
            upstream_setup_timeout: Duration::from_secs(10),
            // Together 13 s: a pool that hangs costs a quarter of a minute's work at most, and one that deals a job every
            // half minute and is silent in between is asked six times a minute.
            upstream_probe_after: Duration::from_secs(8),
            // A packet lost twice and the pool's slowest moment.
            upstream_probe_timeout: Duration::from_secs(5),
            // Blocks reach well-connected pools within two seconds of each other. The upstream pays for work on the old
            // block as long as it does not know the new one, so patience costs the farm nothing.
            upstream_block_grace: Duration::from_secs(10),
            // A dashboard takes up to six, a scraper one; 64 with the longest answers hold 30 MB.
            http_connections: 64,
            // Longer than the pause between two looks of a dashboard; a scraper may have to connect anew.
            http_timeout: Duration::from_secs(60),
            // Soon enough for a restarted pool; slow enough not to be a flood when 1,000 farms return.
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
        }
    }
}

/// Shortest timeout: what a local network needs in any case.
const SHORT: Duration = Duration::from_millis(100);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

impl Limits {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let mut limits = Self::default();
        limits.read_sizes(&mut section);
        limits.read_times(&mut section);
        if section.is_sound() && limits.retry_max < limits.retry_min {
            let text = "retry_max is shorter than retry_min: raise retry_max or lower retry_min";
            section.mismatch("retry_max", text.to_owned());
        }
        section.finish();
        limits
    }

    fn read_sizes(&mut self, section: &mut Section<'_, '_>) {
        self.max_miners = section.integer("max_miners", "miners", self.max_miners, 1..=1_000_000);
        self.max_channels =
            section.integer("max_channels", "channels", self.max_channels, 1..=100_000);
        let guard = &mut self.guard;
        guard.max_miners_per_address = section.integer(
            "max_miners_per_address",
            "miners",
            guard.max_miners_per_address,
            1..=1_000_000,
        );
        self.requests_per_second = section.integer(
            "requests_per_second",
            "requests",
            self.requests_per_second,
            10..=1_000_000,
        );
        let mut share = |key, value: &mut Option<u8>| {
            *value = section.read(key, percentage_or_off).unwrap_or(*value);
        };
        share("invalid_shares_pause", &mut guard.invalid_shares_pause);
        share("invalid_shares_ban", &mut guard.invalid_shares_ban);
        self.line_bytes =
            section.integer("line_bytes", "bytes", self.line_bytes, 1_024..=1_048_576);
        // At least one job of the largest size has to fit.
        let pending = 16_384..=16_777_216;
        self.pending_bytes = section.integer("pending_bytes", "bytes", self.pending_bytes, pending);
        let connections = self.http_connections;
        self.http_connections =
            section.integer("http_connections", "connections", connections, 1..=10_000);
    }

    fn read_times(&mut self, section: &mut Section<'_, '_>) {
        let mut read = |key, value: &mut Duration, most| {
            *value = section.duration(key, *value, SHORT..=most);
        };
        read("pause", &mut self.guard.pause, HOUR);
        read("ban", &mut self.guard.ban, 7 * DAY);
        read("setup_timeout", &mut self.setup_timeout, HOUR);
        read("idle_timeout", &mut self.idle_timeout, DAY);
        read("write_timeout", &mut self.write_timeout, HOUR);
        read(
            "upstream_connect_timeout",
            &mut self.upstream_connect_timeout,
            10 * MINUTE,
        );
        read(
            "upstream_setup_timeout",
            &mut self.upstream_setup_timeout,
            10 * MINUTE,
        );
        read(
            "upstream_probe_after",
            &mut self.upstream_probe_after,
            10 * MINUTE,
        );
        read(
            "upstream_probe_timeout",
            &mut self.upstream_probe_timeout,
            10 * MINUTE,
        );
        read(
            "upstream_block_grace",
            &mut self.upstream_block_grace,
            10 * MINUTE,
        );
        read("http_timeout", &mut self.http_timeout, HOUR);
        read("retry_min", &mut self.retry_min, HOUR);
        read("retry_max", &mut self.retry_max, HOUR);
    }
}

/// Reads a percentage from 1 to 100, or `"off"`.
fn percentage_or_off(value: &DeValue<'_>) -> Result<Option<u8>, String> {
    if value.as_str() == Some("off") {
        return Ok(None);
    }
    let whole = (1..=100).find(|percent| number(value) == Some(f64::from(*percent)));
    whole
        .map(Some)
        .ok_or_else(|| expected("a whole percentage from 1 to 100, or \"off\"", value))
}
