//! What pools must not do: the connection is closed, the log says what and why, it is retried, miners stay connected,
//! and when a good pool appears in that place work flows.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use async_std::task::block_on;
use sv1_miner::{Farm, FarmConfig};
use sv2::authority_key::AuthoritySecretKey;
use sv2::message::Message;
use sv2::messages::common::Reconnect;
use sv2::messages::mining::{NewExtendedMiningJob, SetNewPrevHash};
use sv2::noise::{ACT_1_LEN, ACT_2_LEN, Certificate, KeyPair, Responder, Transport, UnixSeconds};
use sv2::types::{B0_64K, ChannelId, JobId, Str0_255, U256};
use sv2_pool::{CertificateValidity, PoolConfig, PoolEvent};
use tests::{Line, PATIENCE, Pool, Program, ProxyConfig, Rig, Switchboard, Wire};

use super::{millrace, pool_and_proxy};

/// Length of an encrypted frame header.
const HEADER: usize = 22;

/// Puts a bad line where the proxy looks for the pool: it must say `words` and try again, keep its miner, and mine as
/// soon as the line leads to the pool.
fn refuses(pool: &Pool, bad: Line, words: &str) {
    refuses_within("2s", pool, bad, words);
}

/// As [`refuses`], with the time that the proxy gives a pool: short where silence is what is tried.
fn refuses_within(timeout: &str, pool: &Pool, bad: Line, words: &str) {
    let board = Switchboard::new(bad);
    let config = ProxyConfig::new(&[&board.url(pool.url())])
        .limit(&format!("upstream_connect_timeout = \"{timeout}\""))
        .limit(&format!("upstream_setup_timeout = \"{timeout}\""));
    let proxy = Program::run(millrace(), &config);
    let mut rig = Rig::start(proxy.address(), "rig");
    let line = proxy.wait_for_logs(words, 2);
    assert!(
        line.contains("pool0: ") && line.contains("next attempt in"),
        "{line}"
    );
    board.switch(Line::To(pool.address()));
    rig.mine();
    pool.next_share();
    proxy.stop();
}

/// Answers the Noise handshake with a certificate of the pool's authority.
fn shake_hands(stream: &mut TcpStream, authority: &AuthoritySecretKey) -> Option<Transport> {
    let mut act_1 = [0; ACT_1_LEN];
    stream.read_exact(&mut act_1).ok()?;
    let keys = KeyPair::generate();
    let own = keys.x_only_public_key();
    let certificate = Certificate::sign(authority, &own, UnixSeconds(0), UnixSeconds::MAX);
    let (act_2, transport) = Responder::new(&keys, certificate).respond(&act_1).unwrap();
    stream.write_all(&act_2).ok()?;
    Some(transport)
}

/// Reads on until the other side ends the connection.
fn listen_on(mut stream: TcpStream) {
    while matches!(stream.read(&mut [0; 1024]), Ok(1..)) {}
}

/// A script that shakes hands like the pool and then sends the first `length` bytes of an encrypted frame.
fn sends_frame(config: &PoolConfig, frame: Vec<u8>, length: usize) -> Line {
    let authority = config.authority_secret.clone().unwrap();
    Line::script(move |mut stream| {
        let Some(mut transport) = shake_hands(&mut stream, &authority) else {
            return;
        };
        let mut bytes = Vec::new();
        transport.encryptor.encrypt(&frame, &mut bytes).unwrap();
        bytes.truncate(length);
        // The proxy may close before it has all.
        let _ = stream.write_all(&bytes);
        listen_on(stream);
    })
}

#[test]
fn a_pool_with_another_authority_key_is_refused() {
    let pool = Pool::start(Pool::config());
    let impostor = Pool::start(Pool::config());
    let (_, key) = pool.url().rsplit_once('/').unwrap();
    let words = format!("certificate is not signed by the authority key {key}");
    refuses(&pool, Line::To(impostor.address()), &words);
    assert_eq!(impostor.stats().channels_total, 0);
}

#[test]
fn an_expired_certificate_is_refused() {
    let config = Pool::config();
    let expired = Pool::start(PoolConfig {
        certificate_validity: CertificateValidity::EXPIRED,
        ..config.clone()
    });
    let pool = Pool::start(config);
    refuses(&pool, Line::To(expired.address()), "certificate expired");
}

#[test]
fn garbage_in_place_of_act_2_is_refused() {
    let pool = Pool::start(Pool::config());
    let garbage = Line::script(|mut stream| {
        let _ = stream.write_all(&[0x42; ACT_2_LEN]);
        listen_on(stream);
    });
    refuses(&pool, garbage, "Noise handshake: ");
}

#[test]
fn a_web_server_is_no_pool() {
    let pool = Pool::start(Pool::config());
    let web = Line::script(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        let _ = stream.shutdown(Shutdown::Write);
        listen_on(stream);
    });
    refuses(
        &pool,
        web,
        "closed by the upstream during the Noise handshake",
    );
}

#[test]
fn one_flipped_bit_in_act_2_is_noticed() {
    let pool = Pool::start(Pool::config());
    let line = Line::FlipAt(pool.address(), ACT_2_LEN - 1);
    refuses(&pool, line, "Noise handshake: ");
}

#[test]
fn one_flipped_bit_in_a_frames_header_is_noticed() {
    let pool = Pool::start(Pool::config());
    let line = Line::FlipAt(pool.address(), ACT_2_LEN + 3);
    refuses(&pool, line, "received what cannot be decrypted: ");
}

#[test]
fn one_flipped_bit_in_a_frames_payload_is_noticed() {
    let pool = Pool::start(Pool::config());
    let line = Line::FlipAt(pool.address(), ACT_2_LEN + HEADER + 2);
    refuses(&pool, line, "received what cannot be decrypted: ");
}

#[test]
fn a_frame_that_ends_in_its_middle_is_named() {
    let pool = Pool::start(Pool::config());
    let line = Line::CutAt(pool.address(), ACT_2_LEN + HEADER + 2);
    refuses(&pool, line, "in the middle of a frame");
}

#[test]
fn a_handshake_that_ends_in_its_middle_is_named() {
    let pool = Pool::start(Pool::config());
    let line = Line::CutAt(pool.address(), 100);
    refuses(
        &pool,
        line,
        "closed by the upstream during the Noise handshake",
    );
}

#[test]
fn a_frame_of_16_megabytes_is_refused_at_its_header() {
    let config = Pool::config();
    let mut frame = vec![0, 0, 0x01, 0xff, 0xff, 0xff];
    frame.resize(6 + 0x00ff_ffff, 0);
    let line = sends_frame(&config, frame, HEADER);
    refuses(&Pool::start(config), line, "16777215");
}

#[test]
fn a_frame_that_is_no_message_is_refused() {
    let config = Pool::config();
    // SetupConnection.Success with three bytes of six.
    let frame = vec![0, 0, 0x01, 3, 0, 0, 2, 0, 0];
    let line = sends_frame(&config, frame, usize::MAX);
    refuses(
        &Pool::start(config),
        line,
        "received a frame that is no message: ",
    );
}

#[test]
fn a_message_out_of_turn_is_refused() {
    let config = Pool::config();
    let mut frame = Vec::new();
    job_for(ChannelId(1)).encode(&mut frame).unwrap();
    let line = sends_frame(&config, frame, usize::MAX);
    refuses(&Pool::start(config), line, "broke the protocol: ");
}

#[test]
fn check_connect_follows_a_pool_that_sends_us_elsewhere() {
    let config = Pool::config();
    let pool = Pool::start(config.clone());
    let reconnect = Reconnect {
        new_host: Str0_255::truncated(&pool.address().ip().to_string()),
        new_port: pool.address().port(),
    };
    let mut frame = Vec::new();
    Message::from(reconnect).encode(&mut frame).unwrap();
    let board = Switchboard::new(sends_frame(&config, frame, usize::MAX));
    let text = ProxyConfig::new(&[&board.url(pool.url())]).text();
    let ended =
        Program::with_config(millrace(), &text, &["check", "--connect", "--config"]).ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("pool0: ok, "), "{ended:?}");
}

#[test]
fn silence_in_the_handshake_is_given_up() {
    let pool = Pool::start(Pool::config());
    refuses_within(
        "300ms",
        &pool,
        Line::script(listen_on),
        "no answer to the Noise handshake within",
    );
}

#[test]
fn silence_after_the_handshake_is_given_up() {
    let mut config = Pool::config();
    let good = Pool::start(config.clone());
    config.faults.silent = true;
    let silent = Pool::start(config);
    refuses_within(
        "300ms",
        &good,
        Line::To(silent.address()),
        "no answer to SetupConnection in time",
    );
}

#[test]
fn refusals_are_told_in_the_pools_words() {
    let mut config = Pool::config();
    let good = Pool::start(config.clone());
    config.faults.refuse_setup = Some("protocol-version-mismatch".into());
    let refusing = Pool::start(config.clone());
    refuses(
        &good,
        Line::To(refusing.address()),
        "protocol-version-mismatch",
    );
    config.faults.refuse_setup = None;
    config.faults.refuse_channels = Some("unknown-user".into());
    let refusing = Pool::start(config);
    refuses(&good, Line::To(refusing.address()), "unknown-user");
}

fn job_for(channel_id: ChannelId) -> Message {
    NewExtendedMiningJob {
        channel_id,
        job_id: JobId(4_000_000_000),
        min_ntime: None,
        version: 0x2000_0000,
        version_rolling_allowed: true,
        merkle_path: Vec::new().try_into().unwrap(),
        coinbase_tx_prefix: B0_64K::try_from(vec![1; 50]).unwrap(),
        coinbase_tx_suffix: B0_64K::try_from(vec![2; 50]).unwrap(),
    }
    .into()
}

/// Breaks the protocol in the middle of the work: the miner must have clean work soon, on a new connection.
fn recovers_from(message: impl Fn(ChannelId) -> Message, words: &str) {
    let (pool, proxy) = pool_and_proxy(Pool::config());
    let mut rig = Rig::start(proxy.address(), "rig");
    rig.mine();
    let channel = pool.next_share().share.channel_id;
    block_on(pool.handle.send(message(channel))).unwrap();
    let line = proxy.wait_for_log(words);
    assert!(line.contains("next attempt in"), "{line}");
    rig.wait_for_clean_job();
    rig.mine();
    pool.wait_for("second channel", |event| {
        matches!(event, PoolEvent::ShareAccepted(_)).then_some(())
    });
    assert_eq!(pool.stats().connections_total, 2);
    proxy.stop();
}

#[test]
fn a_job_for_a_channel_that_never_was_ends_the_connection() {
    recovers_from(
        |_| job_for(ChannelId(777)),
        "NewExtendedMiningJob for channel 777, which never was",
    );
}

#[test]
fn a_new_block_without_its_job_ends_the_connection() {
    recovers_from(
        |channel_id| {
            SetNewPrevHash {
                channel_id,
                job_id: JobId(4_000_000_000),
                prev_hash: U256([7; 32]),
                min_ntime: 1_700_000_000,
                nbits: 0x1701_e2a0,
            }
            .into()
        },
        "names job 4000000000, which is no future job",
    );
}

#[test]
fn a_bit_flipped_on_the_way_ends_the_connection_and_no_miners() {
    let pool = Pool::start(Pool::config());
    // Far enough for the set-up and the first jobs, near enough for a few more.
    let board = Switchboard::new(Line::FlipAt(pool.address(), 20_000));
    let proxy = Program::run(millrace(), &ProxyConfig::new(&[&board.url(pool.url())]));
    let mut rig = Rig::start(proxy.address(), "rig");
    rig.mine();
    pool.next_share();
    let mut blocks = 0;
    while proxy.count_log("received what cannot be decrypted") == 0 {
        pool.new_block();
        rig.wait_for_clean_job();
        blocks += 1;
        assert!(blocks < 1_000, "the flipped bit was not noticed");
    }
    board.switch(Line::To(pool.address()));
    rig.wait_for_clean_job();
    rig.mine();
    proxy.stop();
}

#[test]
fn a_pool_that_deals_jobs_faster_than_they_can_be_written_starves_nobody() {
    const MINERS: usize = 600;
    let config = PoolConfig {
        job_interval: Some(Duration::from_micros(500)),
        ..Pool::config()
    };
    let (_pool, proxy) = pool_and_proxy(config);
    let farm = Farm::spawn(&FarmConfig {
        shares_per_minute: 6.0,
        connects_per_second: 1_000.0,
        ..FarmConfig::new(proxy.address().to_string(), MINERS)
    });
    let deadline = Instant::now() + PATIENCE;
    while farm.stats().connected < MINERS as u64 {
        assert!(Instant::now() < deadline, "{:?}", farm.stats());
        std::thread::yield_now();
    }
    let mut wire = Wire::connect(proxy.address());
    let _ = wire.set_up("newcomer");
    let ping = r#"{"id":9,"method":"mining.ping","params":[]}"#;
    assert_eq!(wire.call(ping)["result"], "pong");
    let (stats, _) = block_on(farm.stop());
    assert_eq!(stats.connections_lost, 0, "{stats:?}");
    proxy.stop();
}
