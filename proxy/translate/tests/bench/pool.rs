//! A scripted pool: its messages, and what was sent to it.

use sv2::bitcoin::{Difficulty, Target};
use sv2::message::Message;
use sv2::messages::common::SetupConnectionSuccess;
use sv2::messages::extensions::RequestExtensionsSuccess;
use sv2::messages::mining::{
    Mining, NewExtendedMiningJob, OpenExtendedMiningChannel, OpenExtendedMiningChannelSuccess,
    OpenMiningChannelError, SetNewPrevHash,
};
use sv2::tlv::{UserIdentity, WORKER_SPECIFIC_HASHRATE_TRACKING};
use sv2::types::{B0_32, ChannelId, JobId, RequestId, Str0_255, U256};
use translate::Fault;

/// The header time of jobs in stories.
pub const NTIME: u32 = 1_700_000_000;
/// A network so hard that no share solves a block.
pub const HARD: u32 = 0x1703_4219;
/// A network in which every second hash solves a block.
pub const REGTEST: u32 = 0x207f_ffff;

/// A scripted pool.
pub struct Pool {
    pub dialled: bool,
    pub dials: usize,
    pub redirect: Option<(String, u16)>,
    pub sent: Vec<(Message, Option<UserIdentity>)>,
    pub hung_up: Vec<Fault>,
    /// Requests for a sign of life; answered unless it hangs.
    pub probes: Vec<OpenExtendedMiningChannel>,
    pub hangs: bool,
    /// What the next channel is like.
    pub channel: u32,
    pub group: u32,
    pub extranonce_prefix: Vec<u8>,
    pub extranonce_size: u16,
    pub target: [u8; 32],
}

impl Pool {
    pub(super) fn new(index: usize) -> Self {
        let number = u8::try_from(index).unwrap();
        Self {
            dialled: false,
            dials: 0,
            redirect: None,
            sent: Vec::new(),
            hung_up: Vec::new(),
            probes: Vec::new(),
            hangs: false,
            channel: 100 + u32::from(number),
            group: 1,
            extranonce_prefix: vec![0xa0 + number; 6],
            extranonce_size: 8,
            target: difficulty_target(super::EASY),
        }
    }

    pub(super) fn dial(&mut self, redirect: Option<(String, u16)>) {
        assert!(!self.dialled, "no second connection beside the first");
        self.dialled = true;
        self.dials += 1;
        self.redirect = redirect;
    }

    pub(super) fn hang_up(&mut self, reason: Fault) {
        assert!(self.dialled, "only a connection that was dialled ends");
        self.dialled = false;
        self.hung_up.push(reason);
    }

    /// Takes a message; a request for a sign of life is answered as pools do.
    pub(super) fn receive(
        &mut self,
        message: Message,
        worker: Option<UserIdentity>,
    ) -> Option<Message> {
        match message {
            Message::Mining(Mining::OpenExtendedMiningChannel(open))
                if open.min_extranonce_size > 32 =>
            {
                let answer = OpenMiningChannelError {
                    request_id: open.request_id,
                    error_code: Str0_255::truncated("min-extranonce-size-too-large"),
                };
                self.probes.push(open);
                (!self.hangs).then(|| answer.into())
            }
            message => {
                self.sent.push((message, worker));
                None
            }
        }
    }

    pub fn open_success(&self) -> OpenExtendedMiningChannelSuccess {
        OpenExtendedMiningChannelSuccess {
            request_id: RequestId(1),
            channel_id: ChannelId(self.channel),
            target: U256(self.target),
            extranonce_size: self.extranonce_size,
            extranonce_prefix: B0_32::new(&self.extranonce_prefix).unwrap(),
            group_channel_id: ChannelId(self.group),
        }
    }
}

pub fn setup_success() -> SetupConnectionSuccess {
    SetupConnectionSuccess {
        used_version: 2,
        flags: 0,
    }
}

pub fn extensions_success() -> RequestExtensionsSuccess {
    RequestExtensionsSuccess {
        request_id: 1,
        supported_extensions: vec![WORKER_SPECIFIC_HASHRATE_TRACKING].try_into().unwrap(),
    }
}

/// A job whose coinbase tells its number.
pub fn job(channel: u32, id: u32, min_ntime: Option<u32>) -> NewExtendedMiningJob {
    let prefix = [b"coinbase start ".as_slice(), &id.to_le_bytes()].concat();
    NewExtendedMiningJob {
        channel_id: ChannelId(channel),
        job_id: JobId(id),
        min_ntime,
        version: 0x2000_0000,
        version_rolling_allowed: true,
        merkle_path: vec![U256([0x11; 32]), U256([0x22; 32])].try_into().unwrap(),
        coinbase_tx_prefix: prefix.try_into().unwrap(),
        coinbase_tx_suffix: b"coinbase end".to_vec().try_into().unwrap(),
    }
}

/// A block on top of hash `block block …`.
pub fn prev_hash(channel: u32, job: u32, block: u32) -> SetNewPrevHash {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&block.to_le_bytes());
    SetNewPrevHash {
        channel_id: ChannelId(channel),
        job_id: JobId(job),
        prev_hash: U256(hash),
        min_ntime: NTIME + job,
        nbits: HARD,
    }
}

/// The target of a difficulty, as the wire has it.
pub fn difficulty_target(difficulty: f64) -> [u8; 32] {
    Target::from_difficulty(Difficulty::new(difficulty).unwrap()).to_le_bytes()
}
