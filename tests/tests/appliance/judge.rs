//! A second judge of shares: the reference implementation's server-side channel, so that one wrong byte order cannot
//! pass on both of our own sides.

use std::collections::HashMap;

use binary_sv2::{Seq0255Owned, Sv2OptionOwned, U256Owned};
use bitcoin::hashes::Hash;
use channels_sv2::extranonce_manager::{AllocatedExtranoncePrefix, ExtranonceAllocator};
use channels_sv2::server::extended::ExtendedChannel;
use channels_sv2::server::jobs::extended::ExtendedJob;
use channels_sv2::server::share_accounting::ShareValidationResult;
use mining_sv2::{NewExtendedMiningJobOwned, SubmitSharesExtendedOwned};
use sv2_pool::AcceptedShare;
use template_distribution_sv2::{NewTemplateOwned, SetNewPrevHashOwned};

/// The reference implementation's channels, one for each job.
#[derive(Default)]
pub(crate) struct Judge {
    channels: HashMap<(u64, u32, u32), ExtendedChannel>,
}

impl Judge {
    /// Judges a share that our pool accepted. It must be valid there too, with the same hash, and new.
    pub(crate) fn judge(&mut self, accepted: &AcceptedShare) -> Result<(), String> {
        let share = &accepted.share;
        let key = (accepted.connection.0, share.channel_id.0, share.job_id.0);
        let channel = self
            .channels
            .entry(key)
            .or_insert_with(|| channel(accepted));
        let submitted = SubmitSharesExtendedOwned {
            channel_id: share.channel_id.0,
            sequence_number: share.sequence_number.0,
            job_id: share.job_id.0,
            nonce: share.nonce,
            ntime: share.ntime,
            version: share.version,
            extranonce: share.extranonce.to_vec().try_into().unwrap(),
        };
        let (hash, is_block) = match channel.validate_share(submitted) {
            Ok(ShareValidationResult::Valid(hash)) => (hash, false),
            Ok(ShareValidationResult::BlockFound(hash, ..)) => (hash, true),
            Err(error) => return Err(format!("{error:?}")),
        };
        if hash.to_byte_array() != accepted.hash.0 {
            return Err(format!("hash {hash} is not {}", accepted.hash));
        }
        match is_block == accepted.is_block {
            true => Ok(()),
            false => Err(format!("a block: {is_block}")),
        }
    }
}

/// Opens a channel whose only job is the share's.
fn channel(accepted: &AcceptedShare) -> ExtendedChannel {
    let target = bitcoin::Target::from_le_bytes(accepted.target.to_le_bytes());
    let channel_id = accepted.share.channel_id.0;
    let mut channel = ExtendedChannel::new_for_pool(
        channel_id,
        "farm".into(),
        prefix(&accepted.extranonce_prefix),
        target,
        1.0,
        true,
        accepted.extranonce_size,
        10,
        60.0,
        String::new(),
        None,
    )
    .unwrap();
    channel.set_target(target).unwrap();
    channel.on_group_channel_job(job(accepted)).unwrap();
    channel
        .on_set_new_prev_hash(SetNewPrevHashOwned {
            template_id: 1,
            prev_hash: accepted.tip.prev_hash.0.into(),
            header_timestamp: accepted.min_ntime,
            n_bits: accepted.tip.nbits,
            target: [0xff; 32].into(),
        })
        .unwrap();
    channel
}

fn job(accepted: &AcceptedShare) -> ExtendedJob {
    let job = &accepted.job;
    let path: Vec<U256Owned> = job.merkle_path.iter().map(|hash| hash.0.into()).collect();
    let merkle_path: Seq0255Owned<U256Owned> = path.try_into().unwrap();
    let (prefix, suffix) = (
        job.coinbase_tx_prefix.to_vec(),
        job.coinbase_tx_suffix.to_vec(),
    );
    let template = NewTemplateOwned {
        template_id: 1,
        future_template: true,
        version: job.version,
        coinbase_tx_version: 2,
        coinbase_prefix: Vec::new().try_into().unwrap(),
        coinbase_tx_input_sequence: u32::MAX,
        coinbase_tx_value_remaining: 0,
        coinbase_tx_outputs_count: 0,
        coinbase_tx_outputs: Vec::new().try_into().unwrap(),
        coinbase_tx_locktime: 0,
        merkle_path: merkle_path.clone(),
    };
    let message = NewExtendedMiningJobOwned {
        channel_id: accepted.share.channel_id.0,
        job_id: job.job_id.0,
        min_ntime: Sv2OptionOwned::new(None),
        version: job.version,
        version_rolling_allowed: job.version_rolling_allowed,
        merkle_path,
        coinbase_tx_prefix: prefix.clone().try_into().unwrap(),
        coinbase_tx_suffix: suffix.clone().try_into().unwrap(),
    };
    let own = accepted.extranonce_prefix.to_vec();
    ExtendedJob::from_template(template, own, Vec::new(), prefix, suffix, message).unwrap()
}

/// Their channels take no prefix but from their allocator, which counts the last byte up from 0.
fn prefix(bytes: &[u8]) -> AllocatedExtranoncePrefix {
    let (_, leading) = bytes.split_last().unwrap();
    let mut allocator = ExtranonceAllocator::new(leading.to_vec(), 32, 256).unwrap();
    let mut earlier = Vec::new();
    loop {
        let allocated = allocator.allocate_extended(0).unwrap();
        if allocated.as_bytes() == bytes {
            return allocated;
        }
        earlier.push(allocated);
    }
}
