//! What an upstream dealt, reckoned by the rules of SV2 §5.3 alone from the messages that were handed over: the
//! measure for what miners are given and what their shares are worth. Nothing of the proxy's code has a part in it.

use std::collections::BTreeMap;
use std::rc::Rc;

use sv1_miner::Target;
use sv1_miner::hash::double_sha256;
use sv2::messages::mining::{
    Mining, NewExtendedMiningJob, OpenExtendedMiningChannelSuccess, SetNewPrevHash,
    SubmitSharesExtended,
};
use sv2::types::ChannelId;

/// A job that became active, with all that its shares are judged by.
#[derive(Debug)]
pub(super) struct Dealt {
    pub(super) upstream: usize,
    pub(super) attempt: u64,
    pub(super) job_id: u32,
    pub(super) version: u32,
    pub(super) rolling_allowed: bool,
    pub(super) merkle_path: Vec<[u8; 32]>,
    /// coinbase_tx_prefix ‖ extranonce_prefix.
    pub(super) coinbase_start: Vec<u8>,
    pub(super) coinbase_end: Vec<u8>,
    /// Bytes of extranonce between the two.
    pub(super) extranonce_size: usize,
    pub(super) prev_hash: [u8; 32],
    pub(super) nbits: u32,
    pub(super) min_ntime: u32,
    /// The channel's target as the job became active (SV2 §5.3.21).
    pub(super) target: Target,
    pub(super) network_target: Target,
    /// Counts the blocks of the channel.
    pub(super) block: u64,
}

impl Dealt {
    /// The hash of the header that a submitted share makes.
    pub(super) fn hash_of(&self, share: &SubmitSharesExtended) -> [u8; 32] {
        let coinbase = [
            &self.coinbase_start,
            &share.extranonce[..],
            &self.coinbase_end,
        ]
        .concat();
        let root = self.merkle_path.iter();
        let root = root.fold(double_sha256(&coinbase), |root, branch| {
            double_sha256([root, *branch].as_flattened())
        });
        let header = [
            &share.version.to_le_bytes()[..],
            &self.prev_hash,
            &root,
            &share.ntime.to_le_bytes(),
            &self.nbits.to_le_bytes(),
            &share.nonce.to_le_bytes(),
        ];
        double_sha256(&header.concat())
    }

    /// Tells whether a notify is of this job: the same to the byte, but for what is ours to choose.
    pub(super) fn is_in(&self, notify: &sv1::Notify) -> bool {
        let start = &self.coinbase_start;
        let ours = notify.coinb1.strip_prefix(&start[..]);
        // Zeros, and behind them what may be a slot's.
        let zeros = ours.map(|ours| ours.split_last().map_or(ours, |(_, zeros)| zeros));
        zeros.is_some_and(|zeros| zeros.iter().all(|byte| *byte == 0))
            && *notify.coinb2 == *self.coinbase_end
            && notify.prev_hash == self.prev_hash
            && notify.merkle_path == self.merkle_path
            && notify.version == self.version
            && notify.nbits == self.nbits
    }

    /// The bytes of the extranonce that stand before the miner's.
    pub(super) fn padding<'a>(&self, notify: &'a sv1::Notify) -> &'a [u8] {
        notify
            .coinb1
            .get(self.coinbase_start.len()..)
            .unwrap_or_default()
    }
}

/// A channel as the server's messages describe it.
#[derive(Debug)]
pub(super) struct View {
    upstream: usize,
    attempt: u64,
    channel: ChannelId,
    group: ChannelId,
    prefix: Vec<u8>,
    size: usize,
    target: Target,
    fixed_version: bool,
    future: BTreeMap<u32, NewExtendedMiningJob>,
    prefixes: BTreeMap<u32, Vec<u8>>,
    tip: Option<([u8; 32], u32)>,
    block: u64,
    current: Option<Rc<Dealt>>,
}

impl View {
    pub(super) fn new(
        (upstream, attempt): (usize, u64),
        success: &OpenExtendedMiningChannelSuccess,
        fixed_version: bool,
    ) -> Self {
        Self {
            upstream,
            attempt,
            channel: success.channel_id,
            group: success.group_channel_id,
            prefix: success.extranonce_prefix.to_vec(),
            size: usize::from(success.extranonce_size),
            target: target(success.target.0),
            fixed_version,
            future: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            tip: None,
            block: 0,
            current: None,
        }
    }

    pub(super) fn channel(&self) -> ChannelId {
        self.channel
    }

    /// Bytes of extranonce that are ours.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn group(&self) -> ChannelId {
        self.group
    }

    pub(super) fn block(&self) -> u64 {
        self.block
    }

    pub(super) fn current(&self) -> Option<&Rc<Dealt>> {
        self.current.as_ref()
    }

    /// Takes a message; gives the job that became active with it.
    pub(super) fn take(&mut self, message: &Mining) -> Option<Rc<Dealt>> {
        let here = |channel: ChannelId| channel == self.channel || channel == self.group;
        match message {
            Mining::NewExtendedMiningJob(job) if here(job.channel_id) => return self.take_job(job),
            Mining::SetNewPrevHash(tip) if here(tip.channel_id) => return self.take_tip(tip),
            Mining::SetTarget(set) if here(set.channel_id) => {
                self.target = target(set.maximum_target.0);
            }
            Mining::SetExtranoncePrefix(set) if set.channel_id == self.channel => {
                self.prefix = set.extranonce_prefix.to_vec();
            }
            Mining::SetGroupChannel(set) if set.channel_ids.contains(&self.channel) => {
                self.group = set.group_channel_id;
            }
            _ => {}
        }
        None
    }

    fn take_job(&mut self, job: &NewExtendedMiningJob) -> Option<Rc<Dealt>> {
        if let Some(min_ntime) = job.min_ntime {
            let prefix = self.prefix.clone();
            return self.activate(job, &prefix, min_ntime);
        }
        self.future.insert(job.job_id.0, job.clone());
        self.prefixes.insert(job.job_id.0, self.prefix.clone());
        None
    }

    fn take_tip(&mut self, tip: &SetNewPrevHash) -> Option<Rc<Dealt>> {
        let job = self.future.remove(&tip.job_id.0)?;
        let prefix = self.prefixes.remove(&tip.job_id.0)?;
        self.future.clear();
        self.prefixes.clear();
        self.tip = Some((tip.prev_hash.0, tip.nbits));
        self.block += 1;
        self.activate(&job, &prefix, tip.min_ntime)
    }

    fn activate(
        &mut self,
        job: &NewExtendedMiningJob,
        prefix: &[u8],
        min_ntime: u32,
    ) -> Option<Rc<Dealt>> {
        let (prev_hash, nbits) = self.tip?;
        let network = sv2::bitcoin::Target::from_compact(nbits).ok()?;
        let dealt = Rc::new(Dealt {
            upstream: self.upstream,
            attempt: self.attempt,
            job_id: job.job_id.0,
            version: job.version,
            rolling_allowed: job.version_rolling_allowed && !self.fixed_version,
            merkle_path: job.merkle_path.iter().map(|hash| hash.0).collect(),
            coinbase_start: [&job.coinbase_tx_prefix[..], prefix].concat(),
            coinbase_end: job.coinbase_tx_suffix.to_vec(),
            extranonce_size: self.size,
            prev_hash,
            nbits,
            min_ntime,
            target: self.target,
            network_target: Target::from_be_bytes(network.to_be_bytes()),
            block: self.block,
        });
        self.current = Some(Rc::clone(&dealt));
        Some(dealt)
    }
}

/// Targets stand little-endian in messages.
fn target(mut bytes: [u8; 32]) -> Target {
    bytes.reverse();
    Target::from_be_bytes(bytes)
}
