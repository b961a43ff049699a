//! `[translation]`: what miners are granted and what the pool is told.

use std::time::Duration;

use toml::de::DeValue;
use translate::ChannelMode;

use super::section::{Section, expected};

/// What miners are granted and what the pool is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// Bits of the block header's version that miners may roll (BIP-0310, BIP-0320).
    pub version_mask: u32,
    /// Bytes of extranonce2, which a miner rolls by itself.
    pub extranonce2_size: u8,
    /// Longest time without a `mining.notify`: the job is then sent again with a newer ntime.
    pub keepalive: Duration,
    /// Who shares a channel of the pool.
    pub channel: ChannelMode,
    /// Threads that serve miners, each with an upstream channel of its own.
    pub shards: usize,
    /// Whether the pool is told the worker's name with every share, where it knows SV2 ext 0x0002.
    pub worker_names: bool,
}

impl Default for Translation {
    fn default() -> Self {
        Self {
            // BIP-0320's 16 bits, which every pool accepts; BIP-0323's 24 bits are refused by pools that check 16.
            version_mask: 0x1fff_e000,
            // 2^32 x 2^16 versions x 2^32 nonces for each job: years of any one machine.
            extranonce2_size: 4,
            // Half of the 60 s of silence after which firmware reconnects.
            keepalive: Duration::from_secs(30),
            channel: ChannelMode::Aggregated,
            shards: 1,
            worker_names: true,
        }
    }
}

/// The widest mask: BIP-0323's 24 bits. Others signal soft forks.
const WIDEST_MASK: u32 = 0x1fff_ffe0;

impl Translation {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let default = Self::default();
        // Firmware closes after 60 s without a notify; 50 s leaves it time to arrive.
        let keepalive = Duration::from_secs(1)..=Duration::from_secs(50);
        let read = Self {
            version_mask: section
                .read("version_mask", version_mask)
                .unwrap_or(default.version_mask),
            extranonce2_size: section.integer(
                "extranonce2_size",
                "bytes",
                default.extranonce2_size,
                4..=8,
            ),
            keepalive: section.duration("keepalive", default.keepalive, keepalive),
            channel: section.read("channel", channel).unwrap_or(default.channel),
            // 16 times what one serves is above every other limit.
            shards: section.integer("shards", "shards", default.shards, 1..=16),
            worker_names: section.flag("worker_names", default.worker_names),
        };
        section.finish();
        read
    }
}

fn channel(value: &DeValue<'_>) -> Result<ChannelMode, String> {
    match value.as_str() {
        Some("aggregated") => Ok(ChannelMode::Aggregated),
        Some("per-user") => Ok(ChannelMode::PerUser),
        Some("per-miner") => Ok(ChannelMode::PerMiner),
        _ => Err(expected(
            "\"aggregated\", \"per-user\" or \"per-miner\"",
            value,
        )),
    }
}

fn version_mask(value: &DeValue<'_>) -> Result<u32, String> {
    let text = value.as_str().filter(|text| text.len() == 8);
    let mask = text
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|text| u32::from_str_radix(text, 16).ok())
        .ok_or_else(|| expected("8 hex digits such as \"1fffe000\"", value))?;
    if mask & !WIDEST_MASK == 0 {
        Ok(mask)
    } else {
        Err(expected("no bits outside \"1fffffe0\" (BIP-0323)", value))
    }
}
