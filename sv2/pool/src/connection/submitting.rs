//! Shares: judged, counted, answered (SV2 §5.3.11 to §5.3.14).

use std::time::Instant;

use sv2::messages::mining::{SubmitSharesError, SubmitSharesExtended, SubmitSharesStandard};
use sv2::tlv::{Tlvs, UserIdentity, WORKER_SPECIFIC_HASHRATE_TRACKING};
use sv2::types::{ChannelId, SequenceNumber, Str0_255};

use super::Connection;
use crate::channel::Accepted;
use crate::event::{AcceptedShare, PoolEvent};
use crate::pool::Shared;
use crate::share::Refusal;

/// Name under which shares for unknown channels are counted.
const NO_CHANNEL: &str = "(no channel)";

impl Connection {
    pub(super) fn submit(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        share: SubmitSharesExtended,
        tlvs: &Tlvs,
    ) {
        // A TLV field of an extension that was not negotiated means nothing.
        let worker = (self.has_extension(WORKER_SPECIFIC_HASHRATE_TRACKING))
            .then(|| tlvs.user_identity())
            .flatten();
        let Some(channel) = self.channels.get_mut(&share.channel_id) else {
            let (channel_id, number) = (share.channel_id, share.sequence_number);
            let refusal = Refusal::UnknownChannel;
            self.refuse_share(shared, channel_id, number, NO_CHANNEL, refusal);
            return;
        };
        if channel.has_seen_too_many() {
            let reason = "more shares on one block than can be told from duplicates";
            shared.outbox.disconnect(self.id, reason);
            return;
        }
        let name = match worker {
            Some(worker) => printable(&worker),
            None => channel.user_identity.to_string(),
        };
        match channel.submit(now, &share) {
            Ok(accepted) => self.accept(shared, now, share, accepted, worker, &name),
            Err(refusal) => {
                let (channel_id, number) = (share.channel_id, share.sequence_number);
                self.refuse_share(shared, channel_id, number, &name, refusal);
            }
        }
    }

    /// Every channel here is extended.
    pub(super) fn refuse_standard_share(&self, shared: &mut Shared, share: &SubmitSharesStandard) {
        let name = (self.channels.get(&share.channel_id)).map_or_else(
            || NO_CHANNEL.into(),
            |channel| channel.user_identity.to_string(),
        );
        let refusal = Refusal::UnknownChannel;
        self.refuse_share(
            shared,
            share.channel_id,
            share.sequence_number,
            &name,
            refusal,
        );
    }

    /// Acknowledges what waits on every channel.
    pub(crate) fn flush_acknowledgements(&mut self, shared: &mut Shared) {
        let ids: Vec<ChannelId> = self.channels.keys().copied().collect();
        for channel_id in ids {
            self.acknowledge(shared, channel_id);
        }
    }

    fn accept(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        share: SubmitSharesExtended,
        accepted: Accepted,
        worker: Option<UserIdentity>,
        name: &str,
    ) {
        let max_workers = shared.config.limits.max_workers;
        shared
            .stats
            .count_accepted(name, accepted.target, max_workers);
        let (channel_id, number) = (share.channel_id, share.sequence_number);
        let is_block = accepted.solution.is_block;
        let hash = accepted.solution.hash;
        let difficulty = accepted.target.difficulty();
        if let Some(channel) = self.channels.get_mut(&channel_id) {
            channel.batch.add(number, difficulty);
            let batch_is_full = channel.batch.count() >= shared.config.ack_batch;
            self.tell(shared, share, accepted, worker, name);
            if batch_is_full || is_block {
                self.acknowledge(shared, channel_id);
            } else {
                shared.arm_acknowledgement(now);
            }
        }
        if is_block {
            log::warn!("block {hash} found by {name}");
            shared.stats.blocks_found += 1;
            shared.found_block = Some(hash);
        }
    }

    fn acknowledge(&mut self, shared: &mut Shared, channel_id: ChannelId) {
        if shared.config.faults.never_acknowledge {
            return;
        }
        let channel = self.channels.get_mut(&channel_id);
        if let Some(success) = channel.and_then(|channel| channel.batch.take(channel_id)) {
            let count = u64::from(success.new_submits_accepted_count);
            shared.stats.shares_acknowledged += count;
            shared.outbox.send(self.id, success);
        }
    }

    fn tell(
        &self,
        shared: &mut Shared,
        share: SubmitSharesExtended,
        accepted: Accepted,
        worker: Option<UserIdentity>,
        name: &str,
    ) {
        if !shared.outbox.events_wanted {
            return;
        }
        let Some(channel) = self.channels.get(&share.channel_id) else {
            return;
        };
        let solution = accepted.solution;
        let share = AcceptedShare {
            connection: self.id,
            user_identity: channel.user_identity.clone(),
            worker,
            share,
            job: accepted.job,
            min_ntime: accepted.min_ntime,
            tip: accepted.tip,
            extranonce_prefix: accepted.extranonce_prefix,
            extranonce_size: channel.extranonce_size,
            target: accepted.target,
            header: solution.header,
            hash: solution.hash,
            is_block: solution.is_block,
        };
        let (hash, header) = (share.hash, share.header);
        shared.outbox.event(|| PoolEvent::ShareAccepted(share));
        if solution.is_block {
            shared.outbox.event(|| PoolEvent::BlockFound {
                hash,
                coinbase_tx: solution.coinbase_tx,
                header,
                worker: name.to_owned(),
            });
        }
    }

    fn refuse_share(
        &self,
        shared: &mut Shared,
        channel_id: ChannelId,
        sequence_number: SequenceNumber,
        name: &str,
        refusal: Refusal,
    ) {
        log::debug!(
            "connection {}: share {sequence_number} of {name} refused: {refusal}",
            self.id
        );
        let max_workers = shared.config.limits.max_workers;
        shared.stats.count_refused(name, refusal, max_workers);
        let error = SubmitSharesError {
            channel_id,
            sequence_number,
            error_code: Str0_255::truncated(refusal.code()),
        };
        shared.outbox.send(self.id, error);
        shared.outbox.event(|| PoolEvent::ShareRefused {
            connection: self.id,
            channel_id,
            sequence_number,
            refusal,
        });
    }
}

/// Shows a name with its control characters escaped: it is printed and logged.
fn printable(worker: &UserIdentity) -> String {
    Str0_255::from_bytes(worker.as_bytes()).map_or_else(|_| String::new(), |name| name.to_string())
}
