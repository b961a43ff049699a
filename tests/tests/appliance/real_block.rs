//! A block of the Bitcoin network once more: dealt as a job by the pool, handed in by a miner, found by the pool.

use std::net::{Ipv4Addr, SocketAddr};

use async_std::task::block_on;
use millrace::appliance::Appliance;
use millrace::config::{self, Config, Listener, Upstream};
use serde_json::Value;
use sv2::bitcoin::{BlockHash, Difficulty};
use sv2::types::{B0_32, B0_64K, U256};
use sv2_pool::{GivenJob, PoolConfig, PoolEvent, ShareTarget, Tip};
use tests::{Pool, Wire};

use super::judge::Judge;

fn block() -> Value {
    let folder = std::env::var("MILLRACE_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/vectors").into());
    let text = std::fs::read_to_string(format!("{folder}/real_blocks.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let blocks = file
        .as_array()
        .or_else(|| file["blocks"].as_array())
        .unwrap();
    let block = blocks.iter().find(|block| block["name"] == "mainnet");
    block.unwrap().clone()
}

fn bytes(hex: &Value) -> Vec<u8> {
    sv1::hex::decode(hex.as_str().unwrap().as_bytes()).unwrap()
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}

fn given_job(block: &Value) -> GivenJob {
    let path = block["merkle_path"].as_array().unwrap();
    let path: Vec<_> = path
        .iter()
        .map(|hash| U256(bytes(hash).try_into().unwrap()))
        .collect();
    GivenJob {
        tip: Tip {
            prev_hash: BlockHash(bytes(&block["prev_hash"]).try_into().unwrap()),
            nbits: number(&block["nbits"]),
            min_ntime: number(&block["ntime"]),
        },
        // What the miner rolled is not in the job.
        version: 0x2000_0000,
        version_rolling_allowed: true,
        merkle_path: path.try_into().unwrap(),
        coinbase_tx_prefix: B0_64K::try_from(bytes(&block["coinbase_tx_prefix"])).unwrap(),
        coinbase_tx_suffix: B0_64K::try_from(bytes(&block["coinbase_tx_suffix"])).unwrap(),
    }
}

/// As a miner sends it: the bits within the mask.
fn version_bits(block: &Value) -> u32 {
    number(&block["version"]) & 0x1fff_e000
}

fn proxy_config(pool: &Pool) -> Config {
    let difficulty = config::Difficulty {
        start: Some(1.0),
        ..config::Difficulty::default()
    };
    Config {
        listeners: vec![Listener {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            upstreams: vec![0],
            user: Default::default(),
            difficulty: difficulty.clone(),
        }],
        upstreams: vec![Upstream {
            name: "pool".into(),
            url: pool.url().parse().unwrap(),
            user: "farm".into(),
        }],
        difficulty,
        outage: config::Outage::default(),
        translation: config::Translation::default(),
        limits: config::Limits::default(),
        state: config::State::default(),
        http: config::Http {
            address: None,
            ..config::Http::default()
        },
        log: config::Log::default(),
    }
}

#[test]
fn the_share_that_solved_a_block_of_the_bitcoin_network_solves_it_again() {
    let block = block();
    let job = given_job(&block);
    let version = number(&block["version"]);
    let rolled_outside = (version ^ job.version) & !0x1fff_e000;
    let pool = Pool::start(PoolConfig {
        given_job: Some(GivenJob {
            version: job.version ^ rolled_outside,
            ..job
        }),
        extranonce_prefix: B0_32::new(&bytes(&block["extranonce_prefix"])).unwrap(),
        extranonce_size: 8,
        share_target: ShareTarget::Difficulty(Difficulty::new(1000.0).unwrap()),
        ..Pool::config()
    });
    let appliance = block_on(async { Appliance::start_at_slot(&proxy_config(&pool), 0x7807_0000) });
    let appliance = appliance.unwrap();
    let mut miner = Wire::connect(appliance.addresses()[0]);

    let configured = miner.call(
        r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff","version-rolling.min-bit-count":16}]}"#,
    );
    assert_eq!(configured["result"]["version-rolling.mask"], "1fffe000");
    let subscribed = miner.set_up("farm.rig1");
    assert_eq!(subscribed["result"][1], "78070000");
    assert_eq!(subscribed["result"][2], 4);
    let notify = miner.notification("mining.notify");
    let [ntime, nonce, bits] = [
        number(&block["ntime"]),
        number(&block["nonce"]),
        version_bits(&block),
    ];
    let submit = format!(
        r#"{{"id":9,"method":"mining.submit","params":["farm.rig1",{},"00000000","{ntime:08x}","{nonce:08x}","{bits:08x}"]}}"#,
        notify[0]
    );
    let answer = miner.call(&submit);
    assert_eq!(answer["result"], true, "{answer}");

    let share = pool.next_share();
    Judge::default().judge(&share).unwrap();
    assert_eq!(share.header.to_vec(), bytes(&block["header"]));
    let (hash, worker) = pool.wait_for("block", |event| match event {
        PoolEvent::BlockFound { hash, worker, .. } => Some((hash, worker)),
        _ => None,
    });
    assert_eq!(hash.to_string(), block["block_hash"].as_str().unwrap());
    assert_eq!(worker, "rig1");
    let reports = block_on(appliance.stop());
    assert_eq!(reports[0].statistics.blocks_found, 1);
}
