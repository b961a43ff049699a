//! The miner and the farm over TCP, against a small server that judges every share itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use sha2::{Digest, Sha256};
use sv1::{
    ConfigureReply, Extranonce1, Incoming, JobId, LineDecoder, MAX_CALL_LINE, Notify, RejectCode,
    Request, Submit, SubscribeReply, notification, parse_call, reply,
};
use sv1_miner::{Farm, FarmConfig, Miner, MinerConfig};

/// About one hash in 2^10 is a share.
const DIFFICULTY: f64 = 1.0 / (1 << 22) as f64;

/// What the server tells the test.
#[derive(Debug, PartialEq)]
enum News {
    Connected { session_id: Option<Box<str>> },
    Accepted { user: Box<str> },
    Refused(&'static str),
}

/// What the server does with a connection after so many accepted shares.
#[derive(Clone, Copy)]
enum After {
    GoOn,
    Close(usize),
    AskToReconnect(usize),
}

fn job() -> Notify {
    Notify {
        job_id: JobId::new("j1").unwrap(),
        prev_hash: std::array::from_fn(|index| u8::try_from(index).unwrap()),
        coinb1: vec![1; 50].into(),
        coinb2: vec![2; 60].into(),
        merkle_path: vec![[3; 32], [4; 32]],
        version: 0x2000_0000,
        nbits: 0x1d00_ffff,
        ntime: 1_700_000_000,
        clean_jobs: true,
    }
}

/// Starts a server; its threads end with the connections that the test closes.
fn server(after: After) -> (String, Receiver<News>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (news, told) = channel();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let news = news.clone();
            // Only the first connection meets a special end.
            let after = if number == 0 { after } else { After::GoOn };
            thread::spawn(move || serve(stream.unwrap(), number, after, &news));
        }
    });
    (address, told)
}

fn serve(mut stream: TcpStream, number: usize, after: After, news: &Sender<News>) {
    let extranonce1 = Extranonce1::new(&u32::try_from(number).unwrap().to_be_bytes()).unwrap();
    let mut decoder = LineDecoder::new(MAX_CALL_LINE);
    let mut buffer = [0; 4096];
    let mut seen = HashSet::new();
    loop {
        let Ok(length @ 1..) = stream.read(&mut buffer) else {
            return;
        };
        let mut chunk = &buffer[..length];
        let mut out = Vec::new();
        while let Some(line) = decoder.next_line(&mut chunk) {
            let Ok(Incoming::Call { id, request }) = parse_call(line.unwrap()) else {
                panic!()
            };
            match request {
                Request::Configure(configure) => {
                    ConfigureReply::granting(&configure, 0x1fff_e000).encode_into(&id, &mut out);
                }
                Request::Subscribe(subscribe) => {
                    let session_id = format!("session{number}").into();
                    let reply = SubscribeReply {
                        session_id,
                        extranonce1,
                        extranonce2_size: 4,
                    };
                    reply.encode_into(&id, &mut out);
                    let session_id = subscribe.session_id;
                    let _ = news.send(News::Connected { session_id });
                }
                Request::Authorize { .. } => {
                    reply::result_true(&mut out, &id);
                    notification::set_difficulty(&mut out, DIFFICULTY);
                    out.extend(job().encode());
                }
                Request::Submit(submit) => match judge(&submit, &extranonce1) {
                    Ok(header) if seen.insert(header) => {
                        reply::result_true(&mut out, &id);
                        let _ = news.send(News::Accepted {
                            user: submit.worker,
                        });
                    }
                    Ok(_) => {
                        reply::error(&mut out, &id, RejectCode::Duplicate, "duplicate");
                        let _ = news.send(News::Refused("duplicate"));
                    }
                    Err(reason) => {
                        reply::error(&mut out, &id, RejectCode::Other, reason);
                        let _ = news.send(News::Refused(reason));
                    }
                },
                _ => reply::result_true(&mut out, &id),
            }
        }
        match after {
            After::Close(shares) if seen.len() >= shares => return,
            After::AskToReconnect(shares) if seen.len() >= shares => {
                notification::reconnect(&mut out, None);
            }
            _ => {}
        }
        if stream.write_all(&out).is_err() {
            return;
        }
    }
}

fn sha256d(data: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(data)).into()
}

/// Judges a share as a server would, with nothing of the miner's own code.
fn judge(submit: &Submit, extranonce1: &Extranonce1) -> Result<[u8; 80], &'static str> {
    let job = job();
    let bits = submit.version_bits.ok_or("no version bits")?;
    if submit.job_id != job.job_id {
        return Err("unknown job");
    }
    if submit.extranonce2.as_bytes().len() != 4 {
        return Err("wrong extranonce2 length");
    }
    if bits & !0x1fff_e000 != 0 {
        return Err("bits outside the mask");
    }
    if !(job.ntime..job.ntime + 600).contains(&submit.ntime) {
        return Err("ntime out of range");
    }
    let parts = [
        &job.coinb1,
        extranonce1.as_bytes(),
        submit.extranonce2.as_bytes(),
        &job.coinb2,
    ];
    let mut root = sha256d(&parts.concat());
    for branch in job.merkle_path {
        root = sha256d(&[root, branch].concat());
    }
    let mut header = [0; 80];
    let version = job.version & !0x1fff_e000 | bits;
    header[..4].copy_from_slice(&version.to_le_bytes());
    header[4..36].copy_from_slice(&job.prev_hash);
    header[36..68].copy_from_slice(&root);
    header[68..72].copy_from_slice(&submit.ntime.to_le_bytes());
    header[72..76].copy_from_slice(&job.nbits.to_le_bytes());
    header[76..].copy_from_slice(&submit.nonce.to_le_bytes());
    // The target at 2^-22 is 0xffff * 2^(208 + 22): ten zero bits and sixteen ones.
    let hash = sha256d(&header);
    let top = u32::from_be_bytes([hash[31], hash[30], hash[29], hash[28]]);
    match top >> 6 <= 0xffff && top >> 22 == 0 {
        true => Ok(header),
        false => Err("above the target"),
    }
}

/// Waits for so many accepted shares, and returns who found them.
fn accepted(told: &Receiver<News>, count: usize) -> Vec<Box<str>> {
    let mut users = Vec::new();
    while users.len() < count {
        match told.recv().unwrap() {
            News::Accepted { user } => users.push(user),
            News::Connected { .. } => {}
            News::Refused(reason) => panic!("refused: {reason}"),
        }
    }
    users
}

#[test]
fn a_miner_finds_shares_that_a_server_accepts() {
    let (address, told) = server(After::GoOn);
    let config = MinerConfig {
        threads: 2,
        intensity: 50,
        ..MinerConfig::new(address, "farm.rig1")
    };
    let miner = Miner::spawn(config);
    let users = accepted(&told, 200);
    assert!(users.iter().all(|user| &**user == "farm.rig1"));
    let stats = async_std::task::block_on(miner.stop());
    assert_eq!(
        (stats.connections, stats.connections_lost, stats.connected),
        (1, 0, 0)
    );
    assert_eq!((stats.jobs, stats.clean_jobs, stats.rejected()), (1, 1, 0));
    assert!(stats.shares_submitted >= 200 && stats.shares_found >= stats.shares_submitted);
    assert_eq!(
        stats.shares_accepted, stats.shares_submitted,
        "verdicts are waited for"
    );
    assert!(stats.hashes > 0 && stats.difficulty == DIFFICULTY);
}

#[test]
fn a_miner_comes_back_and_resumes_when_the_server_closes() {
    let (address, told) = server(After::Close(10));
    let miner = Miner::spawn(MinerConfig::new(address, "farm.rig1"));
    assert_eq!(told.recv(), Ok(News::Connected { session_id: None }));
    let mut before = 0;
    let session_id = loop {
        match told.recv().unwrap() {
            News::Accepted { .. } => before += 1,
            News::Connected { session_id } => break session_id,
            News::Refused(reason) => panic!("refused: {reason}"),
        }
    };
    assert_eq!(session_id.as_deref(), Some("session0"));
    assert!(before >= 10);
    accepted(&told, 10);
    let stats = async_std::task::block_on(miner.stop());
    assert_eq!((stats.connections, stats.connections_lost), (2, 1));
}

#[test]
fn a_miner_reconnects_when_it_is_asked_to() {
    let (address, told) = server(After::AskToReconnect(10));
    let miner = Miner::spawn(MinerConfig::new(address, "farm.rig1"));
    assert_eq!(told.recv(), Ok(News::Connected { session_id: None }));
    while !matches!(told.recv().unwrap(), News::Connected { .. }) {}
    accepted(&told, 10);
    let stats = async_std::task::block_on(miner.stop());
    assert_eq!((stats.connections, stats.connections_lost), (2, 0));
}

#[test]
fn a_miner_without_a_server_can_be_stopped() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let miner = Miner::spawn(MinerConfig::new(closed.to_string(), "farm.rig1"));
    let stats = async_std::task::block_on(miner.stop());
    assert_eq!(stats.connections, 0);
}

#[test]
fn every_miner_of_a_farm_finds_its_shares() {
    let (address, told) = server(After::GoOn);
    let farm = Farm::spawn(&FarmConfig {
        shares_per_minute: 600.0,
        connects_per_second: 10_000.0,
        ..FarmConfig::new(address, 20)
    });
    let users = accepted(&told, 400);
    let distinct: HashSet<_> = users.iter().collect();
    assert_eq!(distinct.len(), 20);
    let (stats, spread) = async_std::task::block_on(farm.stop());
    assert_eq!(
        (stats.connections, stats.connections_lost, stats.rejected()),
        (20, 0, 0)
    );
    assert_eq!(stats.clean_jobs, 20);
    // The first job of a connection says nothing about how fast a new one spreads.
    assert_eq!(spread.arrivals, 0);
    assert!(stats.shares_submitted >= 400);
    assert_eq!(
        stats.shares_accepted, stats.shares_submitted,
        "verdicts are waited for"
    );
}
