//! The body over real TCP and Noise, with our own initiator as the client.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use async_std::task::{JoinHandle, block_on, spawn};
use sv2::authority_key::{AuthorityPublicKey, AuthoritySecretKey};
use sv2::bitcoin::{BlockHash, Difficulty, Header, Target, coinbase_txid, merkle_root};
use sv2::message::Message;
use sv2::messages::common::{Common, SetupConnection};
use sv2::messages::mining::{
    Mining, NewExtendedMiningJob, OpenExtendedMiningChannel, OpenExtendedMiningChannelSuccess,
    SetNewPrevHash, SubmitSharesExtended,
};
use sv2::noise::{ACT_2_LEN, CertificateError, HandshakeError, Initiator, Transport, UnixSeconds};
use sv2::types::{B0_32, RequestId, SequenceNumber, Str0_255, U256};
use sv2_pool::{
    Channels, Limits, PoolConfig, PoolEvent, PoolHandle, PoolServer, PoolStats, ShareTarget,
};

/// A pool that runs for one test.
struct Running {
    address: SocketAddr,
    key: AuthorityPublicKey,
    handle: PoolHandle,
    task: JoinHandle<PoolStats>,
}

fn quick() -> PoolConfig {
    PoolConfig {
        share_target: ShareTarget::Difficulty(Difficulty::new(1e-9).unwrap()),
        block_interval: None,
        job_interval: None,
        ack_batch: 1,
        ..PoolConfig::default()
    }
}

impl Running {
    fn start(config: PoolConfig) -> Self {
        let server = block_on(PoolServer::bind(config)).unwrap();
        Self {
            address: server.local_addr(),
            key: server.authority_key(),
            handle: server.handle(),
            task: spawn(server.run()),
        }
    }

    fn stop(self) -> PoolStats {
        block_on(self.handle.stop()).unwrap();
        block_on(self.task)
    }

    fn stats(&self) -> PoolStats {
        block_on(self.handle.stats()).unwrap()
    }
}

/// A client that waits for what it needs: no answer within 20 s fails the test.
struct Client {
    socket: TcpStream,
    transport: Transport,
    inbox: VecDeque<Message>,
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    socket
}

fn handshake(socket: &mut TcpStream, key: AuthorityPublicKey) -> Result<Transport, HandshakeError> {
    let initiator = Initiator::new(Some(key))?;
    socket.write_all(initiator.act1()).unwrap();
    let mut act2 = [0; ACT_2_LEN];
    socket.read_exact(&mut act2).unwrap();
    let now = UnixSeconds::from(std::time::SystemTime::now());
    initiator.finish(&act2, now).map(|(transport, _)| transport)
}

impl Client {
    fn connect(pool: &Running) -> Self {
        let mut socket = connect(pool.address);
        let transport = handshake(&mut socket, pool.key).unwrap();
        Self {
            socket,
            transport,
            inbox: VecDeque::new(),
        }
    }

    fn set_up(pool: &Running) -> Self {
        let mut client = Self::connect(pool);
        let text = |text| Str0_255::new(text).unwrap();
        client.send(SetupConnection {
            protocol: 0,
            min_version: 2,
            max_version: 2,
            flags: 0,
            endpoint_host: text("127.0.0.1"),
            endpoint_port: pool.address.port(),
            vendor: text("test"),
            hardware_version: text(""),
            firmware: text(""),
            device_id: text(""),
        });
        let answer = client.take();
        assert!(matches!(
            answer,
            Message::Common(Common::SetupConnectionSuccess(_))
        ));
        client
    }

    fn send(&mut self, message: impl Into<Message>) {
        let (mut frame, mut bytes) = (Vec::new(), Vec::new());
        message.into().encode(&mut frame).unwrap();
        let encryptor = &mut self.transport.encryptor;
        encryptor.encrypt(&frame, &mut bytes).unwrap();
        self.socket.write_all(&bytes).unwrap();
    }

    fn take(&mut self) -> Message {
        self.try_take().expect("the connection ended")
    }

    /// Waits for a message; `None` where the pool closes the connection.
    fn try_take(&mut self) -> Option<Message> {
        while self.inbox.is_empty() {
            let mut buffer = [0; 4096];
            let length = self.socket.read(&mut buffer).unwrap_or(0);
            if length == 0 {
                return None;
            }
            let mut bytes = &buffer[..length];
            let decryptor = &mut self.transport.decryptor;
            while let Some(frame) = decryptor.next_frame(&mut bytes).unwrap() {
                self.inbox
                    .push_back(Message::decode(frame).unwrap().message);
            }
        }
        self.inbox.pop_front()
    }

    fn take_mining(&mut self) -> Mining {
        match self.take() {
            Message::Mining(message) => message,
            other => panic!("{} is no mining message", other.name()),
        }
    }

    fn open(&mut self) -> Work {
        self.send(OpenExtendedMiningChannel {
            request_id: RequestId(1),
            user_identity: Str0_255::new("account").unwrap(),
            nominal_hash_rate: 1e6,
            max_target: U256([0xff; 32]),
            min_extranonce_size: 8,
        });
        let Mining::OpenExtendedMiningChannelSuccess(opened) = self.take_mining() else {
            panic!("no channel");
        };
        let Mining::NewExtendedMiningJob(job) = self.take_mining() else {
            panic!("no job");
        };
        let Mining::SetNewPrevHash(tip) = self.take_mining() else {
            panic!("no block");
        };
        Work { opened, job, tip }
    }
}

struct Work {
    opened: OpenExtendedMiningChannelSuccess,
    job: NewExtendedMiningJob,
    tip: SetNewPrevHash,
}

impl Work {
    fn share(&self, nonce: u32) -> SubmitSharesExtended {
        SubmitSharesExtended {
            channel_id: self.opened.channel_id,
            sequence_number: SequenceNumber(nonce),
            job_id: self.job.job_id,
            nonce,
            ntime: self.tip.min_ntime,
            version: self.job.version,
            extranonce: B0_32::zeros(usize::from(self.opened.extranonce_size)).unwrap(),
        }
    }

    fn hash(&self, share: &SubmitSharesExtended) -> BlockHash {
        let txid = coinbase_txid(&[
            &self.job.coinbase_tx_prefix,
            &self.opened.extranonce_prefix,
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

    fn mined(&self) -> SubmitSharesExtended {
        let target = Target::from_le_bytes(self.opened.target.0);
        (0..)
            .map(|nonce| self.share(nonce))
            .find(|share| target.is_met_by(&self.hash(share)))
            .unwrap()
    }
}

/// Waits for the event that `wanted` recognises.
fn wait_for(
    events: &async_channel::Receiver<PoolEvent>,
    wanted: impl Fn(&PoolEvent) -> bool,
) -> PoolEvent {
    let found = async {
        loop {
            let event = events.recv().await.unwrap();
            if wanted(&event) {
                return event;
            }
        }
    };
    within(found)
}

fn within<T>(future: impl Future<Output = T>) -> T {
    block_on(async_std::future::timeout(Duration::from_secs(20), future)).expect("came in time")
}

#[test]
fn a_share_mined_over_the_wire_is_accepted() {
    let pool = Running::start(quick());
    let events = block_on(pool.handle.subscribe()).unwrap();
    let mut client = Client::set_up(&pool);
    let work = client.open();
    let share = work.mined();
    client.send(share.clone());
    let Mining::SubmitSharesSuccess(success) = client.take_mining() else {
        panic!("not accepted");
    };
    assert_eq!(success.new_submits_accepted_count, 1);
    let event = wait_for(&events, |event| {
        matches!(event, PoolEvent::ShareAccepted(_))
    });
    let PoolEvent::ShareAccepted(accepted) = event else {
        panic!("another event");
    };
    assert_eq!(accepted.hash, work.hash(&share));
    client.send(share);
    assert_eq!(client.take().name(), "SubmitShares.Error");
    let stats = pool.stop();
    assert_eq!(
        (stats.shares_accepted, stats.shares_refused_total()),
        (1, 1)
    );
}

#[test]
fn commands_reach_the_client() {
    let pool = Running::start(quick());
    let mut client = Client::set_up(&pool);
    client.open();
    block_on(pool.handle.new_block()).unwrap();
    assert_eq!(client.take().name(), "NewExtendedMiningJob");
    assert_eq!(client.take().name(), "SetNewPrevHash");
    block_on(pool.handle.set_target(Channels::All, Target::DIFFICULTY_1)).unwrap();
    assert_eq!(client.take().name(), "SetTarget");
    block_on(pool.handle.close_channels(Channels::All, "maintenance")).unwrap();
    assert_eq!(client.take().name(), "CloseChannel");
    block_on(pool.handle.disconnect_all()).unwrap();
    assert!(client.try_take().is_none());
    pool.stop();
}

#[test]
fn blocks_come_at_their_interval() {
    let pool = Running::start(PoolConfig {
        block_interval: Some(Duration::from_millis(50)),
        ..quick()
    });
    let mut client = Client::set_up(&pool);
    client.open();
    let mut blocks = 0;
    while blocks < 3 {
        blocks += usize::from(client.take().name() == "SetNewPrevHash");
    }
    pool.stop();
}

#[test]
fn a_client_with_another_key_finds_out_and_the_pool_lives_on() {
    let pool = Running::start(quick());
    let other = AuthoritySecretKey::generate().public_key();
    let error = handshake(&mut connect(pool.address), other).err();
    let expected = CertificateError::NotSignedByAuthority(other);
    assert_eq!(error, Some(HandshakeError::Certificate(expected)));
    Client::set_up(&pool).open();
    pool.stop();
}

#[test]
fn an_expired_certificate_can_be_shown() {
    let pool = Running::start(PoolConfig {
        certificate_validity: sv2_pool::CertificateValidity::EXPIRED,
        ..quick()
    });
    let error = handshake(&mut connect(pool.address), pool.key).err();
    assert!(matches!(
        error,
        Some(HandshakeError::Certificate(
            CertificateError::Expired { .. }
        ))
    ));
    pool.stop();
}

#[test]
fn garbage_ends_its_connection_only() {
    let pool = Running::start(quick());
    let mut client = Client::set_up(&pool);
    let work = client.open();
    // In place of a handshake: what comes back, if anything, is the pool's act, and then the end.
    let mut socket = connect(pool.address);
    let _ = socket.write_all(&[0x5a; 4096]);
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest);
    // Behind a handshake.
    let mut hostile = Client::set_up(&pool);
    hostile.socket.write_all(&[0xa5; 1000]).unwrap();
    assert!(hostile.try_take().is_none());
    // A message that ends inside a field.
    let mut cut = Client::set_up(&pool);
    let mut bytes = Vec::new();
    let frame = [0x00, 0x00, 0x13, 0x02, 0x00, 0x00, 0x01, 0x02];
    let encryptor = &mut cut.transport.encryptor;
    encryptor.encrypt(&frame, &mut bytes).unwrap();
    cut.socket.write_all(&bytes).unwrap();
    assert!(cut.try_take().is_none());
    // Nobody else noticed.
    client.send(work.mined());
    assert_eq!(client.take().name(), "SubmitShares.Success");
    pool.stop();
}

#[test]
fn a_connection_too_many_is_closed() {
    let pool = Running::start(PoolConfig {
        limits: Limits {
            max_connections: 1,
            ..Limits::default()
        },
        ..quick()
    });
    let mut first = Client::set_up(&pool);
    let mut second = Client::connect(&pool);
    assert!(second.try_take().is_none());
    first.open();
    assert_eq!(pool.stats().connections, 1);
    pool.stop();
}

#[test]
fn a_client_that_does_not_shake_hands_is_closed() {
    let pool = Running::start(PoolConfig {
        limits: Limits {
            handshake_timeout: Duration::from_millis(20),
            ..Limits::default()
        },
        ..quick()
    });
    let mut socket = connect(pool.address);
    assert_eq!(socket.read(&mut [0; 1]).unwrap(), 0);
    pool.stop();
}

#[test]
fn a_client_that_does_not_read_is_closed() {
    let pool = Running::start(PoolConfig {
        limits: Limits {
            outgoing_queue: 4,
            ..Limits::default()
        },
        ..quick()
    });
    let events = block_on(pool.handle.subscribe()).unwrap();
    let mut client = Client::set_up(&pool);
    client.open();
    // Sockets take some megabytes before a writer waits; a job takes less than a kilobyte.
    within(async {
        while pool.handle.stats().await.unwrap().connections > 0 {
            for _ in 0..1000 {
                pool.handle.new_job().await.unwrap();
            }
        }
    });
    wait_for(&events, |event| {
        matches!(event, PoolEvent::Disconnected { .. })
    });
    Client::set_up(&pool).open();
    pool.stop();
}

#[test]
fn a_stopped_pool_closes_everything_and_says_so() {
    let pool = Running::start(quick());
    let mut client = Client::set_up(&pool);
    client.open();
    let (handle, address) = (pool.handle.clone(), pool.address);
    pool.stop();
    assert!(client.try_take().is_none());
    assert!(block_on(handle.stats()).is_err());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn the_url_names_address_and_key() {
    let server = block_on(PoolServer::bind(quick())).unwrap();
    let url = server.url().to_string();
    let expected = format!(
        "stratum2+tcp://{}/{}",
        server.local_addr(),
        server.authority_key()
    );
    assert_eq!(url, expected);
}

#[test]
fn the_write_of_a_new_block_is_told_with_its_time() {
    let pool = Running::start(quick());
    let writes = block_on(pool.handle.watch_block_writes()).unwrap();
    let mut client = Client::set_up(&pool);
    let work = client.open();
    let first = within(writes.recv()).unwrap();
    assert_eq!(first.prev_hash.0, work.tip.prev_hash.0);
    let before = Instant::now();
    block_on(pool.handle.new_block()).unwrap();
    let second = within(writes.recv()).unwrap();
    assert_ne!(second.prev_hash, first.prev_hash);
    assert_eq!(second.connection, first.connection);
    assert!(second.began >= before);
    pool.stop();
}
