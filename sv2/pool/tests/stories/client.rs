//! A scripted client, and the world that it lives in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sv2::bitcoin::{BlockHash, coinbase_txid};
use sv2::bitcoin::{Difficulty, Header, Target, merkle_root};
use sv2::message::{Message, Received};
use sv2::messages::common::{Common, SetupConnection};
use sv2::messages::extensions::RequestExtensions;
use sv2::messages::mining::{
    Mining, NewExtendedMiningJob, OpenExtendedMiningChannel, OpenExtendedMiningChannelSuccess,
    SetNewPrevHash, SubmitSharesExtended,
};
use sv2::tlv::{Tlvs, UserIdentity};
use sv2::types::{
    B0_32, ChannelId, ExtensionType, RequestId, Seq0_64K, SequenceNumber, Str0_255, U256,
};
use sv2_pool::{ConnectionId, Output, Pool, PoolConfig, PoolEvent, ShareTarget};

/// Seconds since epoch at which every story starts.
pub(crate) const START: u32 = 1_800_000_000;

/// A pool on a virtual clock.
pub(crate) struct World {
    pub(crate) pool: Pool,
    pub(crate) now: Instant,
    pub(crate) events: Vec<PoolEvent>,
    pub(crate) disconnected: Vec<(ConnectionId, String)>,
    sent: Vec<(ConnectionId, Message)>,
}

/// A client of it.
pub(crate) struct Client {
    pub(crate) id: ConnectionId,
    pub(crate) inbox: VecDeque<Message>,
    next_number: u32,
}

/// Work that a client could mine on.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) job: NewExtendedMiningJob,
    pub(crate) tip: SetNewPrevHash,
    pub(crate) extranonce_prefix: B0_32,
    pub(crate) extranonce_size: u16,
}

/// A pool whose shares are found with a handful of hashes, and whose time stands still.
pub(crate) fn quick() -> PoolConfig {
    PoolConfig {
        share_target: ShareTarget::Difficulty(Difficulty::new(1e-9).unwrap()),
        block_interval: None,
        job_interval: None,
        ack_batch: 1,
        ..PoolConfig::default()
    }
}

pub(crate) fn text(text: &str) -> Str0_255 {
    Str0_255::new(text).unwrap()
}

pub(crate) fn target(difficulty: f64) -> Target {
    Target::from_difficulty(Difficulty::new(difficulty).unwrap())
}

pub(crate) fn setup(flags: u32) -> SetupConnection {
    SetupConnection {
        protocol: 0,
        min_version: 2,
        max_version: 2,
        flags,
        endpoint_host: text("127.0.0.1"),
        endpoint_port: 34254,
        vendor: text("story"),
        hardware_version: text(""),
        firmware: text(""),
        device_id: text(""),
    }
}

pub(crate) fn open(max_target: Target) -> OpenExtendedMiningChannel {
    OpenExtendedMiningChannel {
        request_id: RequestId(7),
        user_identity: text("account"),
        nominal_hash_rate: 1e6,
        max_target: U256(max_target.to_le_bytes()),
        min_extranonce_size: 8,
    }
}

impl World {
    pub(crate) fn new(config: PoolConfig) -> Self {
        let now = Instant::now();
        let mut pool = Pool::new(config, now, START).unwrap();
        pool.set_events_wanted(true);
        Self {
            pool,
            now,
            events: Vec::new(),
            disconnected: Vec::new(),
            sent: Vec::new(),
        }
    }

    pub(crate) fn connect(&mut self) -> Client {
        Client {
            id: self.pool.handle_connected(self.now).unwrap(),
            inbox: VecDeque::new(),
            next_number: 0,
        }
    }

    /// Connects and sets up.
    pub(crate) fn set_up(&mut self) -> Client {
        let mut client = self.connect();
        client.send(self, setup(0));
        assert!(matches!(
            client.take(),
            Message::Common(Common::SetupConnectionSuccess(_))
        ));
        client
    }

    /// Connects, sets up, and opens a channel.
    pub(crate) fn mine(&mut self) -> (Client, ChannelId, Work) {
        let mut client = self.set_up();
        let success = client.open(self, open(Target::MAX));
        let work = client.first_work(&success);
        (client, success.channel_id, work)
    }

    /// Lets time pass, doing what is due on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.pool.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.pool.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.pool.poll_output() {
            match output {
                Output::Send(id, message) => self.sent.push((id, message)),
                Output::Disconnect(id, reason) => {
                    self.pool.handle_disconnected(id);
                    self.disconnected.push((id, reason));
                }
                Output::Event(event) => self.events.push(*event),
            }
        }
    }
}

impl Client {
    pub(crate) fn send(&mut self, world: &mut World, message: impl Into<Message>) {
        self.send_with(world, message, None);
    }

    pub(crate) fn send_with(
        &mut self,
        world: &mut World,
        message: impl Into<Message>,
        worker: Option<&str>,
    ) {
        let mut tlvs = Vec::new();
        if let Some(worker) = worker {
            UserIdentity::new(worker).unwrap().encode(&mut tlvs);
        }
        let received = Received {
            message: message.into(),
            tlvs: Tlvs::new(&tlvs).unwrap(),
        };
        world.pool.handle_message(world.now, self.id, received);
        self.receive(world);
    }

    /// Moves what was sent to this client into its inbox.
    pub(crate) fn receive(&mut self, world: &mut World) {
        world.drain();
        let (mine, others) = std::mem::take(&mut world.sent)
            .into_iter()
            .partition(|(id, _)| *id == self.id);
        world.sent = others;
        self.inbox
            .extend(mine.into_iter().map(|(_, message)| message));
    }

    pub(crate) fn take(&mut self) -> Message {
        self.inbox.pop_front().expect("a message should have come")
    }

    pub(crate) fn take_mining(&mut self) -> Mining {
        match self.take() {
            Message::Mining(message) => message,
            other => panic!("{} is no mining message", other.name()),
        }
    }

    pub(crate) fn take_names(&mut self) -> Vec<&'static str> {
        self.inbox.drain(..).map(|message| message.name()).collect()
    }

    pub(crate) fn take_job(&mut self) -> NewExtendedMiningJob {
        match self.take_mining() {
            Mining::NewExtendedMiningJob(job) => job,
            other => panic!("{} is no job", other.name()),
        }
    }

    pub(crate) fn take_prev_hash(&mut self) -> SetNewPrevHash {
        match self.take_mining() {
            Mining::SetNewPrevHash(tip) => tip,
            other => panic!("{} is no new block", other.name()),
        }
    }

    pub(crate) fn open(
        &mut self,
        world: &mut World,
        open: OpenExtendedMiningChannel,
    ) -> OpenExtendedMiningChannelSuccess {
        self.send(world, open);
        match self.take_mining() {
            Mining::OpenExtendedMiningChannelSuccess(success) => success,
            other => panic!("{} is no open channel", other.name()),
        }
    }

    pub(crate) fn first_work(&mut self, opened: &OpenExtendedMiningChannelSuccess) -> Work {
        let work = Work {
            job: self.take_job(),
            tip: self.take_prev_hash(),
            extranonce_prefix: opened.extranonce_prefix,
            extranonce_size: opened.extranonce_size,
        };
        assert_eq!(work.job.min_ntime, None);
        assert_eq!(work.job.job_id, work.tip.job_id);
        work
    }

    pub(crate) fn request_extensions(&mut self, world: &mut World, extensions: &[u16]) {
        let extensions: Vec<_> = extensions.iter().copied().map(ExtensionType).collect();
        let request = RequestExtensions {
            request_id: 3,
            requested_extensions: Seq0_64K::try_from(extensions).unwrap(),
        };
        self.send(world, request);
    }

    /// Numbers a share and sends it; gives the answers.
    pub(crate) fn submit(
        &mut self,
        world: &mut World,
        mut share: SubmitSharesExtended,
    ) -> Vec<Mining> {
        share.sequence_number = SequenceNumber(self.next_number);
        self.next_number += 1;
        self.send(world, share);
        std::iter::from_fn(|| (!self.inbox.is_empty()).then(|| self.take_mining())).collect()
    }

    /// Sends a share that must be refused; gives the error code.
    pub(crate) fn refused(&mut self, world: &mut World, share: SubmitSharesExtended) -> String {
        match self.submit(world, share).as_slice() {
            [Mining::SubmitSharesError(error)] => error.error_code.to_string(),
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Sends a share that must be accepted and acknowledged at once.
    pub(crate) fn accepted(&mut self, world: &mut World, share: SubmitSharesExtended) {
        match self.submit(world, share).as_slice() {
            [Mining::SubmitSharesSuccess(_), ..] => {}
            other => panic!("not accepted: {other:?}"),
        }
    }
}

impl Work {
    /// A share whose hash has yet to be looked for.
    pub(crate) fn share(&self, nonce: u32) -> SubmitSharesExtended {
        SubmitSharesExtended {
            channel_id: self.job.channel_id,
            sequence_number: SequenceNumber(0),
            job_id: self.job.job_id,
            nonce,
            ntime: self.job.min_ntime.unwrap_or(self.tip.min_ntime),
            version: self.job.version,
            extranonce: B0_32::zeros(usize::from(self.extranonce_size)).unwrap(),
        }
    }

    pub(crate) fn hash(&self, share: &SubmitSharesExtended) -> BlockHash {
        let txid = coinbase_txid(&[
            &self.job.coinbase_tx_prefix,
            &self.extranonce_prefix,
            &share.extranonce,
            &self.job.coinbase_tx_suffix,
        ]);
        let header = Header {
            version: share.version,
            prev_hash: BlockHash(self.tip.prev_hash.0),
            merkle_root: merkle_root(txid, self.job.merkle_path.iter().map(|hash| &hash.0)),
            ntime: share.ntime,
            nbits: self.tip.nbits,
            nonce: share.nonce,
        };
        header.hash()
    }

    /// Looks for the `which`th share that fulfils a wish.
    pub(crate) fn find(
        &self,
        which: usize,
        wish: impl Fn(&BlockHash) -> bool,
    ) -> SubmitSharesExtended {
        (0..)
            .map(|nonce| self.share(nonce))
            .filter(|share| wish(&self.hash(share)))
            .nth(which)
            .unwrap()
    }

    /// A share of at least `target`; `which` makes them different.
    pub(crate) fn mined(&self, which: usize, target: Target) -> SubmitSharesExtended {
        self.find(which, |hash| target.is_met_by(hash))
    }
}
