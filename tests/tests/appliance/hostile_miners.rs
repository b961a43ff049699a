//! What miners must not do: each gets the answer or the close that it should, and a good one beside them loses nothing.

use serde_json::{Value, json};
use tests::{Pool, Program, ProxyConfig, Rig, Usage, Wire};

use super::{millrace, pool_and_proxy};

/// Most that a proxy may grow while it serves one miner that does not read, in bytes: its queues are bounded by some
/// kilobytes, the rest is the allocator's.
const MOST_GROWTH: u64 = 32 << 20;

/// A connection that has configured, subscribed and authorized as `w`.
fn set_up(proxy: &Program) -> Wire {
    let mut wire = Wire::connect(proxy.address());
    wire.call(
        r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"1fffe000"}]}"#,
    );
    wire.set_up("w");
    wire
}

fn submit(parameters: &Value) -> String {
    json!({"id": 4, "method": "mining.submit", "params": parameters}).to_string()
}

/// Sends a line, and checks the error, code and words, that comes back.
fn answers(wire: &mut Wire, line: &str, code: i64, words: &str) {
    let sent: Value = serde_json::from_str(line).unwrap();
    let expected = json!({"id": sent["id"], "result": null, "error": [code, words, null]});
    assert_eq!(wire.call(line), expected, "{line}");
}

#[test]
fn wrong_requests_are_answered_and_the_connection_stays() {
    let (pool, proxy) = pool_and_proxy(Pool::config());
    let mut wire = set_up(&proxy);
    let job = wire.notification("mining.notify")[0].clone();
    for (line, code, words) in [
        (
            r#"{"id":5,"method":"mining.fly","params":[]}"#,
            -3,
            r#"method "mining.fly" is not known here"#,
        ),
        (
            r#"{"id":"six","method":"mining.fly"}"#,
            -3,
            r#"method "mining.fly" is not known here"#,
        ),
        (
            r#"{"id":7}"#,
            -3,
            "object has neither a method nor a result",
        ),
        (
            r#"{"id":8,"method":9,"params":[]}"#,
            -3,
            "method is not text",
        ),
        (
            r#"{"id":9,"method":"mining.submit","params":"x"}"#,
            20,
            "params is not an array",
        ),
        (
            r#"{"id":9,"method":"mining.authorize","params":[]}"#,
            20,
            "1 parameters are needed, not 0",
        ),
    ] {
        answers(&mut wire, line, code, words);
    }
    for (parameters, code, words) in [
        (json!([]), 20, "5 parameters are needed, not 0"),
        (
            json!(["w", job, "00000000"]),
            20,
            "5 parameters are needed, not 3",
        ),
        (
            json!(["w", job, "0000000x", "00000000", "00000000"]),
            20,
            "parameter 3 (extranonce2) is not hex",
        ),
        (
            json!(["w", job, "00000000", "zz", "00000000"]),
            20,
            "parameter 4 (ntime) is not hex",
        ),
        (
            json!(["w", job, "00000000", "00000000", []]),
            20,
            "parameter 5 (nonce) is not hex",
        ),
        (
            json!(["w", job, "000000", "65000000", "00000000"]),
            20,
            "extranonce2 has 3 bytes, not 4",
        ),
        (
            json!(["w", job, "0000000000", "65000000", "00000000"]),
            20,
            "extranonce2 has 5 bytes, not 4",
        ),
        (
            json!(["w", "7fffffff", "00000000", "65000000", "00000000"]),
            21,
            "job not found",
        ),
        (
            json!(["w", "no such job", "00000000", "65000000", "00000000"]),
            21,
            "job not found",
        ),
        (
            json!(["other", job, "00000000", "65000000", "00000000"]),
            24,
            "worker is not authorized on this connection",
        ),
    ] {
        answers(&mut wire, &submit(&parameters), code, words);
    }
    assert_eq!(
        wire.call(r#"{"id":1,"method":"mining.ping"}"#)["result"],
        "pong"
    );
    proxy.stop();
    assert_eq!(
        pool.stats_at_rest().shares_accepted + pool.stats_at_rest().shares_refused_total(),
        0
    );
}

#[test]
fn wrong_times_and_version_bits_are_refused_with_words() {
    let (_pool, proxy) = pool_and_proxy(Pool::config());
    let mut wire = set_up(&proxy);
    let notify = wire.notification("mining.notify");
    let (job, ntime) = (&notify[0], notify[7].as_str().unwrap());
    let now = u32::from_str_radix(ntime, 16).unwrap();
    let outside = json!(["w", job, "00000000", ntime, "00000000", "00000001"]);
    let words = "version bits 00000001 are outside the mask 1fffe000";
    answers(&mut wire, &submit(&outside), 20, words);
    for ntime in [now - 1_000_000, now + 10_000] {
        let parameters = json!(["w", job, "00000000", format!("{ntime:08x}"), "00000000"]);
        let answer = wire.call(&submit(&parameters));
        let words = format!("ntime {ntime:08x} is ");
        assert_eq!(answer["error"][0], 20, "{answer}");
        assert!(
            answer["error"][1].as_str().unwrap().starts_with(&words),
            "{answer}"
        );
    }
    let mut plain = Wire::connect(proxy.address());
    plain.set_up("w");
    let job = plain.notification("mining.notify")[0].clone();
    let rolled = json!(["w", job, "00000000", ntime, "00000000", "00002000"]);
    let words = "version bits without mining.configure of version-rolling";
    answers(&mut plain, &submit(&rolled), 20, words);
    proxy.stop();
}

#[test]
fn shares_before_subscribe_and_authorize_are_refused() {
    let (_pool, proxy) = pool_and_proxy(Pool::config());
    let mut wire = Wire::connect(proxy.address());
    let share = submit(&json!(["w", "1", "00000000", "65000000", "00000000"]));
    answers(&mut wire, &share, 25, "not subscribed");
    wire.call(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    answers(
        &mut wire,
        &share,
        24,
        "worker is not authorized on this connection",
    );
    proxy.stop();
}

#[test]
fn requests_arrive_in_any_pieces() {
    let (_pool, proxy) = pool_and_proxy(Pool::config());
    let mut wire = Wire::connect(proxy.address());
    for byte in "{\"id\":1,\"method\":\"mining.ping\"}\r\n".bytes() {
        wire.send(&[byte]);
    }
    assert_eq!(wire.value()["result"], "pong");
    wire.send(b"\n\r\n{\"id\":2,\"method\":\"mining.ping\"}\n{\"id\":3,\"method\":\"client.get_version\"}\n");
    assert_eq!(
        [wire.value(), wire.value()].map(|value| value["id"].as_u64()),
        [Some(2), Some(3)]
    );
    proxy.stop();
}

#[test]
fn lines_that_cannot_be_answered_close_the_connection_and_the_log_says_why() {
    let (pool, proxy) = pool_and_proxy(Pool::config());
    let mut good = Rig::start(proxy.address(), "good");
    good.mine();
    let mut binary: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    binary.push(b'\n');
    let too_long = vec![b'x'; 10_000];
    let cases: [(&[u8], &str); 5] = [
        (&binary, "line is not JSON at byte 1"),
        (b"GET / HTTP/1.1\r\n", "line is not JSON at byte 1"),
        (b"[1,2,3]\n", "line is not a JSON object"),
        (
            b"{\"id\":{\"deep\":1},\"method\":\"mining.ping\"}\n",
            "id is neither",
        ),
        (&too_long, "8192"),
    ];
    for (count, (bytes, words)) in (1..).zip(cases) {
        let mut wire = Wire::connect(proxy.address());
        wire.send(bytes);
        wire.wait_for_close();
        // The warning is told once per address; each close has a line of its own at debug.
        let line = proxy.wait_for_logs("): sent a line that cannot be answered", count);
        assert!(line.contains(words), "{line}");
        good.mine();
    }
    let mut half = Wire::connect(proxy.address());
    half.send(b"{\"id\":1,\"method\":\"mining.subs");
    half.close();
    let _ = proxy.wait_for_log("its connection");
    good.mine();
    proxy.stop();
    assert_eq!(pool.stats_at_rest().shares_accepted, 7);
}

#[test]
fn a_connection_that_the_network_loses_is_told_apart_from_one_that_is_closed() {
    let (_pool, proxy) = pool_and_proxy(Pool::config());
    let set_up = |worker: &str| {
        let mut wire = Wire::connect(proxy.address());
        wire.set_up(worker);
        wire
    };
    set_up("cut").reset();
    let line = proxy.wait_for_log("lost its connection");
    assert!(
        line.contains("(\"cut\") lost its connection: Connection reset"),
        "{line}"
    );
    set_up("ended").finish_sending();
    let _ = proxy.wait_for_log("(\"ended\") closed its connection");
    proxy.stop();
}

#[test]
fn the_last_reply_of_a_miner_goes_out_though_another_takes_its_place_at_once() {
    const PING: &str = r#"{"id":1,"method":"mining.ping","params":[]}"#;
    let (_pool, proxy) = pool_and_proxy(Pool::config());
    let mut bad = Wire::connect(proxy.address());
    assert_eq!(bad.call(PING)["result"], "pong");
    // When it goes on it finds all of this at once.
    proxy.signal("STOP");
    bad.send(format!("{PING}\n[1,2,3]\n").as_bytes());
    let mut next = Wire::connect(proxy.address());
    proxy.signal("CONT");
    assert_eq!(bad.value()["result"], "pong");
    bad.wait_for_close();
    assert_eq!(next.call(PING)["result"], "pong");
    proxy.stop();
}

#[test]
fn what_a_miner_asked_before_it_stopped_sending_is_answered() {
    let (_pool, proxy) = pool_and_proxy(Pool::config());
    let mut wire = Wire::connect(proxy.address());
    wire.send(b"{\"id\":1,\"method\":\"mining.ping\"}\n");
    wire.finish_sending();
    assert_eq!(wire.value()["result"], "pong");
    wire.wait_for_close();
    proxy.stop();
}

#[test]
fn silent_connections_are_closed_while_a_good_miner_mines() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]).limit("setup_timeout = \"5s\"");
    let proxy = Program::run(millrace(), &config);
    let mut good = Rig::start(proxy.address(), "good");
    good.mine();
    let mut silent: Vec<_> = (0..100).map(|_| Wire::connect(proxy.address())).collect();
    good.mine();
    silent.iter_mut().for_each(Wire::wait_for_close);
    let _ = proxy.wait_for_logs("did not subscribe and authorize within 5 s", 100);
    good.mine();
    proxy.stop();
    assert_eq!(pool.stats_at_rest().shares_accepted, 3);
}

#[test]
fn no_more_miners_are_taken_than_the_config_allows() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]).limit("max_miners = 2");
    let proxy = Program::run(millrace(), &config);
    let mut first = Rig::start(proxy.address(), "first");
    let second = Rig::start(proxy.address(), "second");
    let mut third = Wire::connect(proxy.address());
    third.wait_for_close();
    let line = proxy.wait_for_log("limits.max_miners");
    assert!(line.contains("2 miners are connected"), "{line}");
    drop(second);
    let _ = proxy.wait_for_log("its connection");
    Rig::start(proxy.address(), "fourth").mine();
    first.mine();
    proxy.stop();
}

#[test]
fn a_miner_that_leaves_its_jobs_unread_is_closed_and_memory_stays() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()])
        .limit("write_timeout = \"1s\"")
        .level("info");
    let proxy = Program::run(millrace(), &config);
    let mut good = Rig::start(proxy.address(), "good");
    let mut deaf = Wire::connect(proxy.address());
    deaf.set_up("deaf");
    good.mine();
    let before = Usage::of(proxy.id());
    let mut jobs = 0;
    while proxy.count_log("has read nothing for 1 s") == 0 {
        pool.new_job();
        good.wait_for_job();
        jobs += 1;
        assert!(
            jobs < 100_000,
            "a miner that does not read is served for ever"
        );
    }
    good.mine();
    let after = Usage::of(proxy.id());
    if let (Some(before), Some(after)) = (before, after) {
        assert!(
            after.resident_bytes < before.resident_bytes + MOST_GROWTH,
            "{before:?} {after:?}"
        );
    }
    proxy.stop();
    assert_eq!(pool.stats_at_rest().shares_accepted, 2);
}

#[test]
fn a_miner_that_leaves_its_replies_unread_is_closed_and_memory_stays() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()])
        .limit("pending_bytes = 16384")
        .level("info");
    let proxy = Program::run(millrace(), &config);
    let mut good = Rig::start(proxy.address(), "good");
    good.mine();
    let before = Usage::of(proxy.id());
    let mut deaf = Wire::connect(proxy.address());
    let requests = "{\"id\":1,\"method\":\"mining.fly\",\"params\":[]}\n".repeat(100);
    let mut sent = 0;
    while deaf.try_send(requests.as_bytes()).is_ok() {
        sent += 1;
        assert!(
            sent < 100_000,
            "a miner that does not read is answered for ever"
        );
    }
    let line = proxy.wait_for_log("does not read");
    assert!(line.contains("bytes wait"), "{line}");
    good.mine();
    let after = Usage::of(proxy.id());
    if let (Some(before), Some(after)) = (before, after) {
        assert!(
            after.resident_bytes < before.resident_bytes + MOST_GROWTH,
            "{before:?} {after:?}"
        );
    }
    proxy.stop();
}

#[test]
fn miners_that_flood_slow_nobody_down_for_good() {
    let (pool, proxy) = pool_and_proxy(Pool::config());
    let mut good = Rig::start(proxy.address(), "good");
    let address = proxy.address();
    let flooders: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let mut wire = Wire::connect(address);
                for _ in 0..200 {
                    let requests =
                        "{\"id\":1,\"method\":\"mining.submit\",\"params\":[]}\n".repeat(20);
                    wire.send(requests.as_bytes());
                    (0..20).for_each(|_| assert!(wire.line().is_some()));
                }
            })
        })
        .collect();
    good.mine_many(20);
    for flooder in flooders {
        flooder.join().unwrap();
    }
    good.mine();
    proxy.stop();
    assert_eq!(pool.stats_at_rest().shares_accepted, 21);
}
