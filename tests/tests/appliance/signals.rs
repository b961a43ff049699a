//! Stopping and starting: signals end the program cleanly, and the next one takes its place at once.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use sv2_pool::PoolEvent;
use tests::{Answer, PATIENCE, Pool, Program, ProxyConfig, Rig, Wire};

use super::{millrace, pool_and_proxy};

fn stops_cleanly(signal: &str) {
    let (pool, proxy) = pool_and_proxy(Pool::config());
    let mut rig = Rig::start(proxy.address(), "rig");
    rig.mine_many(20);
    // Many requests, of which some are still on their way in when the signal comes; each that was read is answered.
    let pings = 500;
    let requests: String = (0..pings)
        .map(|id| format!("{{\"id\":{id},\"method\":\"mining.ping\",\"params\":[]}}\n"))
        .collect();
    rig.wire().send(requests.as_bytes());
    assert_eq!(next_id(&mut rig), Some(0));
    proxy.signal(signal);
    let mut expected = 1;
    while let Some(id) = next_id(&mut rig) {
        assert_eq!(id, expected, "replies come whole and in order");
        expected += 1;
    }
    let ended = proxy.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("stopping on SIG{signal}")),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    pool.wait_for("closed channel", |event| {
        matches!(event, PoolEvent::ChannelClosed { .. }).then_some(())
    });
    let accepted = pool.stats().shares_accepted;
    assert_eq!(
        accepted, 20,
        "what the miner was told is accepted reaches the pool"
    );
}

/// Waits for a reply, and gives its id; `None` at the end of the connection.
fn next_id(rig: &mut Rig) -> Option<u64> {
    loop {
        let line = rig.wire().line()?;
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        if let Some(id) = value["id"].as_u64() {
            return Some(id);
        }
    }
}

#[test]
fn sigterm_stops_cleanly() {
    stops_cleanly("TERM");
}

#[test]
fn sigint_stops_cleanly() {
    stops_cleanly("INT");
}

#[test]
fn what_a_miner_sent_too_fast_is_answered_at_a_stop() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]).limit("requests_per_second = 10");
    let proxy = Program::run(millrace(), &config);
    let mut rig = Rig::start(proxy.address(), "rig");
    let requests: String = (100..130)
        .map(|id| format!("{{\"id\":{id},\"method\":\"mining.ping\"}}\n"))
        .collect();
    rig.wire().send(requests.as_bytes());
    // The others have been read, and wait for the next second.
    assert_eq!(next_id(&mut rig), Some(100));
    proxy.signal("TERM");
    let answered: Vec<_> = std::iter::from_fn(|| next_id(&mut rig)).collect();
    assert_eq!(answered, (101..130).collect::<Vec<_>>());
    assert_eq!(proxy.ended().code, Some(0));
}

#[test]
fn of_many_shares_on_their_way_at_a_stop_each_that_was_accepted_is_with_the_pool() {
    let (pool, proxy) = pool_and_proxy(Pool::config());
    let mut rigs: Vec<_> = (0..20)
        .map(|_| Rig::start(proxy.address(), "rig"))
        .collect();
    let shares: Vec<Vec<_>> = rigs
        .iter_mut()
        .map(|rig| (0..10).map(|_| rig.find()).collect())
        .collect();
    for (rig, shares) in rigs.iter_mut().zip(&shares) {
        shares.iter().for_each(|share| rig.send(share));
    }
    // All have arrived here, and hardly any is answered.
    proxy.signal("TERM");
    let mut accepted = 0;
    for rig in &mut rigs {
        while let Some(line) = rig.wire().line() {
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            accepted += u64::from(value["id"].is_u64() && value["result"] == true);
        }
    }
    assert_eq!(accepted, 200);
    assert_eq!(proxy.ended().code, Some(0));
    assert_eq!(pool.stats_at_rest().shares_accepted, accepted);
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    let pool = Pool::start(Pool::config());
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let config = ProxyConfig::new(&[pool.url()])
        .listener(address)
        .level("info");
    // A pipe takes 64 kB; its other end is open, and nobody reads.
    let unread = "F=$(mktemp -u) && mkfifo $F && exec 3<>$F 2>$F && rm $F && ";
    let proxy = Program::run_after(unread, millrace(), &config);
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "it does not listen");
        std::thread::yield_now();
    }
    // Two lines each.
    for _ in 0..600 {
        let _ = Wire::connect(address).set_up("a worker whose name is not short");
    }
    Rig::start(address, "rig").mine();
    let _ = pool.next_share();
    proxy.signal("TERM");
    assert_eq!(proxy.ended().code, Some(0));
}

#[test]
fn a_signal_while_no_pool_is_to_be_had_stops_as_cleanly() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]);
    pool.stop();
    let proxy = Program::run(millrace(), &config);
    let _rig = Rig::start(proxy.address(), "rig");
    let _ = proxy.wait_for_log("cannot connect to");
    proxy.stop();
}

#[test]
fn a_second_start_on_the_same_port_works_at_once() {
    let (pool, first) = pool_and_proxy(Pool::config());
    let address = first.address();
    let mut rig = Rig::start(address, "rig");
    rig.mine();
    // The proxy closes first, so the port's old connections linger in TIME_WAIT.
    first.stop();
    let config = ProxyConfig::new(&[pool.url()]).listener(address);
    let second = Program::run(millrace(), &config);
    let mut rig = Rig::start(second.address(), "rig");
    assert_eq!(second.address(), address);
    rig.mine();
    second.stop();
}

#[test]
fn a_killed_program_leaves_its_port_to_the_next_one() {
    let (pool, first) = pool_and_proxy(Pool::config());
    let address = first.address();
    let mut rig = Rig::start(address, "rig");
    rig.mine();
    drop(first);
    let config = ProxyConfig::new(&[pool.url()]).listener(address);
    let second = Program::run(millrace(), &config);
    let mut rig = Rig::start(second.address(), "rig");
    let share = rig.find();
    assert!(matches!(rig.submit(&share), Answer::Accepted));
    second.stop();
}

#[test]
fn a_port_in_use_is_a_failure_with_words() {
    let taken = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = taken.local_addr().unwrap();
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]).listener(address);
    let ended = Program::run(millrace(), &config).ended();
    assert_eq!(ended.code, Some(1));
    let words = format!("cannot listen on {address}");
    assert!(ended.stderr.contains(&words), "{}", ended.stderr);
}
