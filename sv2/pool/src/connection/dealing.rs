//! What goes out to the channels of a connection: jobs, blocks, targets, prefixes, and closes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use sv2::bitcoin::Target;
use sv2::messages::mining::{
    CloseChannel, NewExtendedMiningJob, SetExtranoncePrefix, SetNewPrevHash, SetTarget,
};
use sv2::types::{B0_32, ChannelId, JobId, Str0_255, U256};

use super::Connection;
use crate::command::Channels;
use crate::config::Addressing;
use crate::job::{Job, Template, Tip};
use crate::pool::Shared;

impl Connection {
    /// Gives a new channel its first work: a job on the present block, and the next block's where that was
    /// sent ahead already.
    pub(super) fn start_work(&mut self, shared: &mut Shared, now: Instant, channel_id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&channel_id) else {
            return;
        };
        let length = channel.extranonce_len();
        let first = Arc::new(shared.make_present_job().job(length));
        let tip = shared.dealer.tip();
        let ahead = shared.dealer.pending().map(|next| next.job(length));
        channel.add_future(first.clone());
        channel.activate(now, first.job_id, tip);
        shared.outbox.send(self.id, deal(channel_id, &first, None));
        let prev_hash = new_prev_hash(channel_id, first.job_id, tip);
        shared.outbox.send(self.id, prev_hash);
        if let Some(next) = ahead {
            shared.outbox.send(self.id, deal(channel_id, &next, None));
            channel.add_future(Arc::new(next));
        }
    }

    /// Deals a job that waits for its block.
    pub(crate) fn deal_future(&mut self, shared: &mut Shared, template: &Template) {
        self.deal(shared, template, None, |channel, job| {
            channel.add_future(job);
        });
    }

    /// Deals a job on the present block.
    pub(crate) fn deal_active(&mut self, shared: &mut Shared, now: Instant, template: &Template) {
        let tip = shared.dealer.tip();
        // A given job may be of another time than ours.
        let min_ntime = shared.dealer.unix_time(now).max(tip.min_ntime);
        self.deal(shared, template, Some(min_ntime), |channel, job| {
            channel.add_active(now, job, tip, min_ntime);
        });
    }

    /// Starts a block with a job that was dealt before.
    pub(crate) fn start_block(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        job_id: JobId,
        tip: Tip,
    ) {
        for channel in self.channels.values_mut() {
            channel.activate(now, job_id, tip);
        }
        for addressee in self.addressees(shared) {
            let message = new_prev_hash(addressee, job_id, tip);
            shared.outbox.send(self.id, message);
        }
    }

    /// Sets a target in place of the configured choice, as far as `max_target` allows.
    pub(crate) fn set_target(&mut self, shared: &mut Shared, which: Channels, target: Target) {
        let mut targets = Vec::new();
        for (channel_id, channel) in &mut self.channels {
            if which.include(self.id, *channel_id) {
                channel.commanded_target = Some(target);
                channel.retarget(&shared.config);
                targets.push((*channel_id, channel.target));
            }
        }
        let group = self.group.filter(|_| self.is_addressed_as_group(shared));
        let is_one_target = targets.windows(2).all(|pair| match pair {
            [(_, one), (_, other)] => one == other,
            _ => true,
        });
        if let (Some(group), Channels::All, true) = (group, which, is_one_target) {
            targets = targets
                .first()
                .map(|first| (group, first.1))
                .into_iter()
                .collect();
        }
        for (channel_id, target) in targets {
            let maximum_target = U256(target.to_le_bytes());
            let message = SetTarget {
                channel_id,
                maximum_target,
            };
            shared.outbox.send(self.id, message);
        }
    }

    /// Gives a channel another prefix; one that is taken, or too long, is passed over.
    pub(crate) fn set_extranonce_prefix(
        &mut self,
        shared: &mut Shared,
        which: Channels,
        prefix: B0_32,
    ) {
        let ids: Vec<ChannelId> = self.included(which);
        for channel_id in ids {
            if !self.replace_prefix(shared, channel_id, prefix) {
                log::warn!("extranonce prefix {prefix} is taken or does not fit");
                continue;
            }
            let message = SetExtranoncePrefix {
                channel_id,
                extranonce_prefix: prefix,
            };
            shared.outbox.send(self.id, message);
        }
    }

    /// Closes channels, all of them by their group where jobs go to it too.
    pub(crate) fn close_channels(&mut self, shared: &mut Shared, which: Channels, reason: &str) {
        let ids = self.included(which);
        let close = |channel_id| CloseChannel {
            channel_id,
            reason_code: Str0_255::truncated(reason),
        };
        match self.group.filter(|_| self.is_addressed_as_group(shared)) {
            Some(group) if which == Channels::All => shared.outbox.send(self.id, close(group)),
            _ => {
                for channel_id in &ids {
                    shared.outbox.send(self.id, close(*channel_id));
                }
            }
        }
        for channel_id in ids {
            self.remove_channel(shared, channel_id);
        }
    }

    fn included(&self, which: Channels) -> Vec<ChannelId> {
        (self.channels.keys().copied())
            .filter(|channel_id| which.include(self.id, *channel_id))
            .collect()
    }

    fn deal(
        &mut self,
        shared: &mut Shared,
        template: &Template,
        min_ntime: Option<u32>,
        keep: impl Fn(&mut crate::channel::Channel, Arc<Job>),
    ) {
        let group = self.group.filter(|_| self.is_addressed_as_group(shared));
        let mut jobs: BTreeMap<usize, Arc<Job>> = BTreeMap::new();
        for (channel_id, channel) in &mut self.channels {
            let length = channel.extranonce_len();
            let first_of_length = !jobs.contains_key(&length);
            let job = jobs
                .entry(length)
                .or_insert_with(|| Arc::new(template.job(length)))
                .clone();
            let addressee = group.unwrap_or(*channel_id);
            if group.is_none() || first_of_length {
                let message = deal(addressee, &job, min_ntime);
                shared.outbox.send(self.id, message);
            }
            keep(channel, job);
        }
    }

    fn addressees(&self, shared: &Shared) -> Vec<ChannelId> {
        match self.group.filter(|_| self.is_addressed_as_group(shared)) {
            Some(group) => vec![group],
            None => self.channels.keys().copied().collect(),
        }
    }

    /// A group's channels must have extranonces of one length (SV2 §5.2.3).
    fn is_addressed_as_group(&self, shared: &Shared) -> bool {
        let usual = shared.config.extranonce_len();
        shared.config.addressing == Addressing::Group
            && !self.channels.is_empty()
            && self.channels().all(|c| c.extranonce_len() == usual)
    }
}

fn deal(channel_id: ChannelId, job: &Job, min_ntime: Option<u32>) -> NewExtendedMiningJob {
    NewExtendedMiningJob {
        channel_id,
        job_id: job.job_id,
        min_ntime,
        version: job.version,
        version_rolling_allowed: job.version_rolling_allowed,
        merkle_path: job.merkle_path.clone(),
        coinbase_tx_prefix: job.coinbase_tx_prefix.clone(),
        coinbase_tx_suffix: job.coinbase_tx_suffix.clone(),
    }
}

fn new_prev_hash(channel_id: ChannelId, job_id: JobId, tip: Tip) -> SetNewPrevHash {
    SetNewPrevHash {
        channel_id,
        job_id,
        prev_hash: U256(tip.prev_hash.0),
        min_ntime: tip.min_ntime,
        nbits: tip.nbits,
    }
}
