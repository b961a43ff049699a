//! Several shards: threads that serve miners, each with a channel of its own.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;
use tests::{Pool, Program, ProxyConfig, Rig, Wire};

use super::millrace;

fn sharded(pool: &Pool, shards: usize) -> Program {
    let config = ProxyConfig::new(&[pool.url()])
        .http("")
        .sections(&format!("[translation]\nshards = {shards}"));
    let proxy = Program::run(millrace(), &config);
    let _ = proxy.wait_for_logs("new block on", shards);
    proxy
}

fn host(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 5, number).into()
}

/// The part of `extranonce1` that tells the shard.
fn shard_of(subscribed: &Value) -> String {
    let extranonce1 = subscribed["result"][1].as_str().unwrap();
    extranonce1.chars().take(1).collect()
}

#[test]
fn miners_of_all_shards_mine_each_shard_on_a_channel_of_its_own() {
    let pool = Pool::start(Pool::config());
    let proxy = sharded(&pool, 2);
    let (address, http) = (proxy.address(), proxy.http());
    let mut miners: Vec<_> = (1..=16)
        .map(|number| Wire::connect_from(host(number), address))
        .collect();
    let shards: BTreeSet<_> = miners
        .iter_mut()
        .map(|miner| shard_of(&miner.set_up("farm.rig")))
        .collect();
    assert_eq!(shards, BTreeSet::from(["0".to_owned(), "1".to_owned()]));
    // One address goes to one shard, until that has many more than the other.
    let mut rigs: Vec<_> = (0..100).map(|_| Rig::start(address, "farm.rig")).collect();
    for rig in &mut rigs {
        rig.mine();
    }
    let status = http.wait_for("/api/v1/status", |status| {
        status["listeners"][0]["miners"] == 116
    });
    assert_eq!(status["listeners"].as_array().unwrap().len(), 1);
    drop((miners, rigs));
    proxy.stop();
    let stats = pool.stats_at_rest();
    assert_eq!((stats.shares_accepted, stats.connections_total), (100, 2));
    assert!(stats.shares_refused.is_empty(), "{stats:?}");
}

#[test]
fn a_miner_that_comes_back_from_its_address_finds_its_session() {
    let pool = Pool::start(Pool::config());
    let proxy = sharded(&pool, 4);
    for number in 1..=8 {
        let mut first = Wire::connect_from(host(number), proxy.address());
        let subscribed = first.set_up("farm.rig");
        let session = subscribed["result"][0][1][1].as_str().unwrap();
        // It has worked: a session without work is not kept.
        let _ = first.notification("mining.notify");
        drop(first);
        let mut again = Wire::connect_from(host(number), proxy.address());
        let resumed = again.call(&format!(
            r#"{{"id":1,"method":"mining.subscribe","params":["script","{session}"]}}"#
        ));
        assert_eq!(resumed["result"][1], subscribed["result"][1]);
    }
    proxy.stop();
}
