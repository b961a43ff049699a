//! Opening, changing and closing channels at the client's wish (SV2 §5.3.2 to §5.3.9).

use std::time::Instant;

use sv2::bitcoin::{Hashrate, Target};
use sv2::messages::mining::{
    CloseChannel, OpenExtendedMiningChannel, OpenExtendedMiningChannelSuccess,
    OpenMiningChannelError, OpenStandardMiningChannel, SetCustomMiningJob, SetCustomMiningJobError,
    SetTarget, UpdateChannel, UpdateChannelError,
};
use sv2::types::{B0_32, ChannelId, RequestId, Str0_255, U256};

use super::Connection;
use crate::channel::Channel;
use crate::event::PoolEvent;
use crate::pool::Shared;

impl Connection {
    pub(super) fn open_extended(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        open: OpenExtendedMiningChannel,
    ) {
        match self.new_channel(shared, &open) {
            Ok(channel) => self.welcome(shared, now, &open, channel),
            Err(code) => self.refuse(shared, open.request_id, &code, open.min_extranonce_size),
        }
    }

    pub(super) fn refuse_standard(&self, shared: &mut Shared, open: &OpenStandardMiningChannel) {
        let code = "standard-channels-not-supported";
        self.refuse(shared, open.request_id, code, 0);
    }

    pub(super) fn refuse_custom_job(&self, shared: &mut Shared, job: &SetCustomMiningJob) {
        let error = SetCustomMiningJobError {
            channel_id: job.channel_id,
            request_id: job.request_id,
            error_code: Str0_255::truncated("jd-not-supported"),
        };
        shared.outbox.send(self.id, error);
    }

    pub(super) fn update_channel(&mut self, shared: &mut Shared, update: &UpdateChannel) {
        if let Err(code) = self.try_update(shared, update) {
            let error = UpdateChannelError {
                channel_id: update.channel_id,
                error_code: Str0_255::truncated(code),
            };
            shared.outbox.send(self.id, error);
        }
    }

    pub(super) fn close_channel(&mut self, shared: &mut Shared, close: &CloseChannel) {
        let is_group = Some(close.channel_id) == self.group;
        let closed: Vec<ChannelId> = (self.channels.keys().copied())
            .filter(|id| is_group || *id == close.channel_id)
            .collect();
        for channel_id in closed {
            self.remove_channel(shared, channel_id);
            shared.outbox.event(|| PoolEvent::ChannelClosed {
                connection: self.id,
                channel_id,
                reason_code: close.reason_code.clone(),
            });
        }
    }

    /// Forgets a channel and frees its prefix.
    pub(super) fn remove_channel(&mut self, shared: &mut Shared, channel_id: ChannelId) {
        if let Some(channel) = self.channels.remove(&channel_id) {
            shared.prefixes.give_back(&channel.extranonce_prefix);
        }
    }

    fn new_channel(
        &self,
        shared: &mut Shared,
        open: &OpenExtendedMiningChannel,
    ) -> Result<Channel, String> {
        if let Some(code) = &shared.config.faults.refuse_channels {
            return Err(code.clone());
        }
        if open.min_extranonce_size > shared.config.extranonce_size {
            return Err("min-extranonce-size-too-large".into());
        }
        let hashrate =
            Hashrate::from_f32(open.nominal_hash_rate).map_err(|_| "invalid-nominal-hashrate")?;
        let max_target = Target::from_le_bytes(open.max_target.0);
        if max_target == Target::ZERO {
            return Err("max-target-out-of-range".into());
        }
        if self.channels.len() >= shared.config.limits.max_channels {
            return Err("too-many-channels".into());
        }
        let prefix = shared.prefixes.take().ok_or("no-extranonce-space-left")?;
        let user_identity = open.user_identity.clone();
        Ok(Channel::new(
            &shared.config,
            user_identity,
            hashrate,
            max_target,
            prefix,
        ))
    }

    fn welcome(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        open: &OpenExtendedMiningChannel,
        channel: Channel,
    ) {
        let group_channel_id = self.group();
        let channel_id = self.take_channel_id();
        let success = OpenExtendedMiningChannelSuccess {
            request_id: open.request_id,
            channel_id,
            target: U256(channel.target.to_le_bytes()),
            extranonce_size: channel.extranonce_size,
            extranonce_prefix: channel.extranonce_prefix,
            group_channel_id,
        };
        shared.outbox.send(self.id, success);
        shared.outbox.event(|| PoolEvent::ChannelOpened {
            connection: self.id,
            channel_id,
            user_identity: channel.user_identity.clone(),
            nominal_hash_rate: open.nominal_hash_rate,
            extranonce_prefix: channel.extranonce_prefix,
            extranonce_size: channel.extranonce_size,
            target: channel.target,
        });
        shared.stats.channels_total += 1;
        self.channels.insert(channel_id, channel);
        self.start_work(shared, now, channel_id);
    }

    fn refuse(&self, shared: &mut Shared, request_id: RequestId, code: &str, size: u16) {
        let error = OpenMiningChannelError {
            request_id,
            error_code: Str0_255::truncated(code),
        };
        shared.outbox.send(self.id, error);
        let refused = &mut shared.stats.channels_refused;
        *refused.entry(code.to_owned()).or_default() += 1;
        shared.outbox.event(|| PoolEvent::ChannelRefused {
            connection: self.id,
            error_code: code.to_owned(),
            min_extranonce_size: size,
        });
    }

    /// Follows the client's wish at once where it asks for a lower target, as SV2 §5.3.7 demands; a higher one
    /// is followed as far as the pool's own choice goes.
    fn try_update(
        &mut self,
        shared: &mut Shared,
        update: &UpdateChannel,
    ) -> Result<(), &'static str> {
        let channel_id = update.channel_id;
        let channel = self.channels.get_mut(&channel_id);
        let channel = channel.ok_or("invalid-channel-id")?;
        let hashrate =
            Hashrate::from_f32(update.nominal_hash_rate).map_err(|_| "invalid-nominal-hashrate")?;
        let max_target = Target::from_le_bytes(update.maximum_target.0);
        if max_target == Target::ZERO {
            return Err("max-target-out-of-range");
        }
        channel.hashrate = hashrate;
        channel.max_target = max_target;
        let changed = channel.retarget(&shared.config);
        let target = channel.target;
        if changed.is_some() {
            let message = SetTarget {
                channel_id,
                maximum_target: U256(target.to_le_bytes()),
            };
            shared.outbox.send(self.id, message);
        }
        shared.outbox.event(|| PoolEvent::ChannelUpdated {
            connection: self.id,
            channel_id,
            nominal_hash_rate: update.nominal_hash_rate,
            target,
        });
        Ok(())
    }

    fn group(&mut self) -> ChannelId {
        match self.group {
            Some(group) => group,
            None => {
                let group = self.take_channel_id();
                *self.group.insert(group)
            }
        }
    }

    /// Channels and their group share one name space; numbers are never used twice within a connection.
    fn take_channel_id(&mut self) -> ChannelId {
        let channel_id = ChannelId(self.next_channel_id);
        self.next_channel_id = self.next_channel_id.wrapping_add(1);
        channel_id
    }

    /// Gives a channel another prefix, for jobs dealt later (SV2 §5.3.10); `false` where that is taken.
    pub(super) fn replace_prefix(
        &mut self,
        shared: &mut Shared,
        channel_id: ChannelId,
        prefix: B0_32,
    ) -> bool {
        let Some(channel) = self.channels.get_mut(&channel_id) else {
            return false;
        };
        let whole = prefix.len() + usize::from(channel.extranonce_size);
        if whole > B0_32::MAX_LEN || !shared.prefixes.claim(prefix) {
            return false;
        }
        shared.prefixes.give_back(&channel.extranonce_prefix);
        channel.extranonce_prefix = prefix;
        true
    }
}
