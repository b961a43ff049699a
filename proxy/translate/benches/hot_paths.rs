//! The paths that a farm's every second runs on, without sockets: a share, a job, a fan-out, a set-up, a frame.
//!
//! `cargo bench -p translate` measures them; `-- --save-baseline before` and `-- --baseline before` compare.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a bench"
)]

#[path = "../tests/bench/mod.rs"]
mod bench;

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use bench::{AUTHORIZE, Bench, CONFIGURE, NTIME, SUBSCRIBE, difficulty, difficulty_target, job};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sv1::parse_call;
use sv2::authority_key::AuthoritySecretKey;
use sv2::message::Message;
use sv2::noise::{Certificate, FrameEncryptor, Initiator, KeyPair, Responder, UnixSeconds};
use translate::{Config, GuardPolicy, ListenerId, MinerId, Output};

/// So low that every hash meets it: what is measured is the judgement, not the search.
const ANY_HASH: f64 = 1.0 / 8_589_934_592.0;
const FARM: usize = 10_000;

fn config() -> Config {
    let mut config = bench::config();
    config.difficulty.start = Some(difficulty(ANY_HASH));
    config.difficulty.min = difficulty(ANY_HASH);
    config.difficulty.asked_min = difficulty(ANY_HASH);
    config.max_miners = FARM + 1;
    config.guard = GuardPolicy {
        max_miners_per_address: FARM + 1,
        ..config.guard
    };
    config
}

/// A farm with an open channel and a job, for which any hash is a share.
fn farm() -> Bench {
    let mut farm = Bench::new(config());
    farm.pools[0].target = difficulty_target(ANY_HASH);
    farm.open(0);
    farm.deal_block(0, 1);
    farm
}

/// Lets a miner in past the bench's own bookkeeping, which costs more than what is measured.
fn set_up(farm: &mut Bench, number: usize, replies: &mut Vec<u8>) -> MinerId {
    let number = u32::try_from(number).unwrap();
    let peer = SocketAddr::from((number.to_be_bytes(), 4_028));
    let id = farm
        .brain
        .handle_miner_connected(farm.now, peer, ListenerId(0));
    let id = id.unwrap();
    for line in [CONFIGURE, SUBSCRIBE, AUTHORIZE] {
        let request = parse_call(line.as_bytes()).unwrap();
        farm.brain.handle_incoming(farm.now, id, request, replies);
    }
    id
}

/// Does nothing with what the translator wants done, but for touching the bytes; gives how many works were dealt.
fn drain(farm: &mut Bench) -> usize {
    let outputs = std::iter::from_fn(|| farm.brain.poll_output());
    let bytes = |output: Output| match output {
        Output::Deliver { delivery, .. } => usize::from(delivery.lines().count() > 0),
        _ => 0,
    };
    outputs.map(bytes).sum()
}

/// An encryptor of a connection whose handshake is done.
fn encryptor() -> FrameEncryptor {
    let (authority, own) = (AuthoritySecretKey::generate(), KeyPair::generate());
    let (from, now, until) = (UnixSeconds(0), UnixSeconds(1), UnixSeconds(2));
    let certificate = Certificate::sign(&authority, &own.x_only_public_key(), from, until);
    let initiator = Initiator::new(None).unwrap();
    let responder = Responder::new(&own, certificate);
    let (act_2, _) = responder.respond(initiator.act1()).unwrap();
    initiator.finish(&act_2, now).unwrap().0.encryptor
}

fn share(criterion: &mut Criterion) {
    let mut farm = farm();
    let rig = farm.start_miner("farm.rig");
    let work = farm.rigs[rig].work();
    let (job_id, ntime) = (work.job_id.to_string(), work.ntime);
    let (id, mut nonce) = (farm.rigs[rig].id, 0_u32);
    let (mut replies, mut frame, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    let mut encryptor = encryptor();
    let mut sent = 0_u64;
    criterion.bench_function("share line to verdict and encrypted frame", |bencher| {
        let line = || {
            nonce += 1;
            format!(
                r#"{{"id":9,"method":"mining.submit","params":["farm.rig","{job_id}","00000000","{ntime:08x}","{nonce:08x}","00002000"]}}"#
            )
        };
        let judge = |line: String| {
            // A miner that floods would be raised.
            farm.now += Duration::from_millis(200);
            replies.clear();
            let request = parse_call(line.as_bytes()).unwrap();
            farm.brain
                .handle_incoming(farm.now, id, request, &mut replies);
            while let Some(output) = farm.brain.poll_output() {
                if let Output::Send {
                    message, worker, ..
                } = output
                {
                    frame.clear();
                    bytes.clear();
                    message.encode_with(worker.as_ref(), &mut frame).unwrap();
                    encryptor.encrypt(&frame, &mut bytes).unwrap();
                    sent += 1;
                }
            }
            black_box(&bytes);
        };
        bencher.iter_batched(line, judge, BatchSize::SmallInput);
    });
    let statistics = farm.statistics();
    assert_eq!(
        (statistics.shares_accepted, sent),
        (u64::from(nonce), u64::from(nonce)),
        "every share was good, and sent: {:?}",
        statistics.shares_rejected
    );
}

fn parse(criterion: &mut Criterion) {
    let line = br#"{"id":9,"method":"mining.submit","params":["farm.rig","1f","00000000","65000000","0000abcd","00002000"]}"#;
    criterion.bench_function("share line to request", |bencher| {
        bencher.iter(|| parse_call(black_box(line)).unwrap());
    });
}

fn encrypt(criterion: &mut Criterion) {
    let mut farm = farm();
    let rig = farm.start_miner("farm.rig");
    farm.sent(0);
    farm.mine(rig);
    let message: Message = farm.shares(0).remove(0).0.into();
    let (mut frame, mut bytes) = (Vec::new(), Vec::new());
    message.encode(&mut frame).unwrap();
    let mut encryptor = encryptor();
    criterion.bench_function("frame of a share encrypted", |bencher| {
        bencher.iter(|| {
            bytes.clear();
            encryptor.encrypt(black_box(&frame), &mut bytes).unwrap();
        });
    });
}

/// A job for a farm: of one miner it is the making of the notify bytes, of many the fan-out.
fn jobs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("job to deliveries, miners");
    for miners in [1, FARM] {
        let mut farm = farm();
        let mut replies = Vec::new();
        for number in 0..miners {
            set_up(&mut farm, number, &mut replies);
            replies.clear();
        }
        drain(&mut farm);
        let (channel, mut number) = (farm.pools[0].channel, 1);
        group.throughput(Throughput::Elements(miners as u64));
        group.bench_function(miners.to_string(), |bencher| {
            bencher.iter(|| {
                number += 1;
                let message = job(channel, number, Some(NTIME)).into();
                let upstream = translate::UpstreamId(0);
                farm.brain.handle_message(farm.now, upstream, message);
                assert_eq!(drain(&mut farm), miners);
            });
        });
    }
}

fn session(criterion: &mut Criterion) {
    let (mut farm, mut number, mut replies) = (farm(), 0, Vec::new());
    criterion.bench_function("set-up of a miner, from connect to work", |bencher| {
        bencher.iter(|| {
            number += 1;
            replies.clear();
            let id = set_up(&mut farm, number, &mut replies);
            assert_eq!(drain(&mut farm), 1);
            farm.brain.handle_miner_left(farm.now, id, None);
            drain(&mut farm);
            // A slot rests before it is handed out again.
            farm.now += Duration::from_secs(1);
        });
    });
}

criterion_group!(hot_paths, share, parse, encrypt, jobs, session);
criterion_main!(hot_paths);
