//! The command line of `sv2-pool`.

use std::net::SocketAddr;
use std::time::Duration;

use structopt::StructOpt;
use sv2::authority_key::AuthoritySecretKey;
use sv2::bitcoin::{Difficulty, Target, VersionMask};
use sv2::types::B0_32;
use sv2_pool::{Addressing, NtimeLimit, PoolConfig, ShareTarget};

/// A small Stratum V2 pool.
///
/// This is a test instrument for farms and developers, not a pool to mine on: its jobs look like a real pool's,
/// its blocks are made up, and nobody is paid. The first line of standard output is the URL for clients.
#[derive(Debug, StructOpt)]
#[structopt(name = "sv2-pool")]
pub(crate) struct Arguments {
    /// Address and port to listen on; port 0 takes a free one
    #[structopt(long, default_value = "127.0.0.1:34254")]
    listen: SocketAddr,
    /// Secret authority key in base58check; a new one by default
    #[structopt(long, value_name = "key")]
    authority_secret: Option<AuthoritySecretKey>,
    /// Share difficulty of every channel; 0.001 by default
    #[structopt(long, value_name = "difficulty", parse(try_from_str = difficulty), conflicts_with = "shares-per-minute")]
    share_difficulty: Option<Difficulty>,
    /// Choose each channel's difficulty from its announced hashrate instead
    #[structopt(long, value_name = "rate", parse(try_from_str = rate))]
    shares_per_minute: Option<f64>,
    /// Extranonce prefix of the first channel; further ones count up
    #[structopt(long, value_name = "hex", parse(try_from_str = extranonce))]
    extranonce_prefix: Option<B0_32>,
    /// Bytes of extranonce granted to a channel
    #[structopt(long, default_value = "16", value_name = "bytes")]
    extranonce_size: u16,
    /// Time between jobs on a block, or "never"
    #[structopt(long, default_value = "30s", parse(try_from_str = interval))]
    job_interval: Interval,
    /// Time between blocks, or "never"
    #[structopt(long, default_value = "10m", parse(try_from_str = interval))]
    block_interval: Interval,
    /// Difficulty of the network; about mainnet's by default
    #[structopt(long, value_name = "difficulty", parse(try_from_str = difficulty))]
    network_difficulty: Option<Difficulty>,
    /// Shares that one acknowledgement covers
    #[structopt(long, default_value = "10", value_name = "shares")]
    ack_batch: u32,
    /// Time after which fewer shares are acknowledged; never by default
    #[structopt(long, default_value = "never", parse(try_from_str = interval))]
    ack_interval: Interval,
    /// Deal jobs to the group channel instead of each channel
    #[structopt(long)]
    group: bool,
    /// Do not allow version rolling
    #[structopt(long)]
    fixed_version: bool,
    /// Version bits that shares may roll
    #[structopt(long, value_name = "hex", parse(try_from_str = mask))]
    version_mask: Option<VersionMask>,
    /// Refuse an ntime that runs ahead of real time by more than this many seconds
    #[structopt(long, value_name = "seconds")]
    strict_ntime: Option<u32>,
    /// Leave RequestExtensions unanswered
    #[structopt(long)]
    silent_on_extensions: bool,
    /// Seed of the jobs' random parts
    #[structopt(long, default_value = "1")]
    seed: u64,
    /// Seed of the chain: pools with the same one agree on its blocks
    #[structopt(long, default_value = "1")]
    chain_seed: u64,
    /// End after this time (30s, 10m, 1h)
    #[structopt(long = "for", value_name = "time", parse(try_from_str = duration))]
    pub(crate) run_for: Option<Duration>,
    /// Print the summary as a JSON object, as the last line
    #[structopt(long)]
    pub(crate) json: bool,
}

impl Arguments {
    /// Makes the pool's configuration.
    pub(crate) fn config(&self) -> PoolConfig {
        let mut config = PoolConfig {
            listen: self.listen,
            authority_secret: self.authority_secret.clone(),
            extranonce_size: self.extranonce_size,
            job_interval: self.job_interval.0,
            block_interval: self.block_interval.0,
            ack_batch: self.ack_batch,
            ack_interval: self.ack_interval.0,
            version_rolling_allowed: !self.fixed_version,
            seed: self.seed,
            chain_seed: self.chain_seed,
            ..PoolConfig::default()
        };
        if let Some(rate) = self.shares_per_minute {
            config.share_target = ShareTarget::SharesPerMinute(rate);
        }
        if let Some(difficulty) = self.share_difficulty {
            config.share_target = ShareTarget::Difficulty(difficulty);
        }
        if let Some(prefix) = self.extranonce_prefix {
            config.extranonce_prefix = prefix;
        }
        if let Some(difficulty) = self.network_difficulty {
            config.nbits = Target::from_difficulty(difficulty).to_compact();
        }
        if let Some(mask) = self.version_mask {
            config.version_mask = mask;
        }
        if let Some(slack) = self.strict_ntime {
            config.ntime_limit = NtimeLimit::Elapsed { slack };
        }
        if self.group {
            config.addressing = Addressing::Group;
        }
        config.faults.silent_on_extensions = self.silent_on_extensions;
        config
    }
}

/// A time between events, or none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interval(Option<Duration>);

fn interval(text: &str) -> Result<Interval, String> {
    match text {
        "never" => Ok(Interval(None)),
        _ => duration(text).map(|time| Interval(Some(time))),
    }
}

/// Reads `500ms`, `30s`, `10m` or `1h`; more than nothing.
fn duration(text: &str) -> Result<Duration, String> {
    let error = || format!("\"{text}\" is no time like 30s, 10m or 1h");
    let unit_at = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text
        .split_at_checked(unit_at.unwrap_or(0))
        .ok_or_else(error)?;
    let number: u64 = number.parse().map_err(|_| error())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(error()),
    };
    let time = number.checked_mul(milliseconds).filter(|time| *time > 0);
    // A hundred years and more would overflow the clock.
    let time = time.filter(|time| *time < 100 * 365 * 24 * 3_600_000);
    time.map(Duration::from_millis).ok_or_else(error)
}

fn difficulty(text: &str) -> Result<Difficulty, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| format!("\"{text}\" is no number"))?;
    Difficulty::new(number).map_err(|error| error.to_string())
}

fn rate(text: &str) -> Result<f64, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| format!("\"{text}\" is no number"))?;
    match number.is_finite() && number > 0.0 {
        true => Ok(number),
        false => Err(format!("{number} is no rate above 0")),
    }
}

fn mask(text: &str) -> Result<VersionMask, String> {
    let bits = u32::from_str_radix(text, 16);
    let bits = bits.map_err(|_| format!("\"{text}\" is no mask of 8 hex digits"))?;
    Ok(VersionMask::new(bits))
}

fn extranonce(text: &str) -> Result<B0_32, String> {
    let error = || format!("\"{text}\" is no hex");
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || !text.len().is_multiple_of(2) {
        return Err(error());
    }
    let bytes: Result<Vec<u8>, _> = (0..text.len() / 2)
        .filter_map(|index| text.get(2 * index..2 * index + 2))
        .map(|pair| u8::from_str_radix(pair, 16))
        .collect();
    B0_32::new(&bytes.map_err(|_| error())?).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(interval("never"), Ok(Interval(None)));
        for wrong in [
            "",
            "s",
            "30",
            "0s",
            "-1s",
            "1d",
            "99999999999999999999h",
            "9999999h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn extranonces_are_hex_of_at_most_32_bytes() {
        assert_eq!(extranonce("00ff").unwrap()[..], [0x00, 0xff]);
        assert!(extranonce("").unwrap().is_empty());
        for wrong in ["0", "0g", "ää", "+1"] {
            assert!(extranonce(wrong).is_err(), "{wrong}");
        }
        assert!(extranonce(&"00".repeat(33)).is_err());
    }

    #[test]
    fn the_defaults_are_a_pool_that_can_be() {
        let arguments = Arguments::from_iter(["sv2-pool"]);
        assert_eq!(arguments.config().check(), Ok(()));
    }
}
