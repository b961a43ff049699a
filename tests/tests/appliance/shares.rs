//! Shares flow: from miners that hash, through the proxy, to the pool, and are valid in everybody's eyes.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_std::task::block_on;
use serde_json::json;
use sv1_miner::{Miner, MinerConfig};
use sv2::bitcoin::{BlockHash, Difficulty};
use sv2::types::{B0_32, Seq0_255};
use sv2_pool::{AcceptedShare, Addressing, Channels, PoolConfig, ShareTarget};
use tests::{Answer, Pool, Program, ProxyConfig, Rig, Wire};

use super::judge::Judge;
use super::{millrace, pool_and_proxy};

/// Difficulty at which a wrong share does not pass by luck: one in a million does.
const MILLION_HASHES: f64 = 1.0 / 4_096.0;

fn worker(share: &AcceptedShare) -> String {
    share.worker.as_ref().unwrap().to_string()
}

#[test]
fn cpu_miners_shares_reach_the_pool_under_their_workers_names() {
    let difficulty = 1.0 / 16_384.0;
    let pool = Pool::start(PoolConfig {
        share_target: ShareTarget::Difficulty(Difficulty::new(difficulty).unwrap()),
        ..Pool::config()
    });
    let config = ProxyConfig::new(&[pool.url()]).difficulty(difficulty);
    let proxy = Program::run(millrace(), &config);
    let address = proxy.address().to_string();
    let miners = ["farm.rig1", "farm.rig2"].map(|name| {
        Miner::spawn(MinerConfig {
            intensity: 20,
            ..MinerConfig::new(address.clone(), name)
        })
    });
    let mut judge = Judge::default();
    let mut workers = BTreeSet::new();
    let mut shares = 0;
    while workers.len() < 2 || shares < 10 {
        let share = pool.next_share();
        judge.judge(&share).unwrap();
        workers.insert(worker(&share));
        shares += 1;
    }
    assert_eq!(workers, BTreeSet::from(["rig1".into(), "rig2".into()]));
    for miner in miners {
        let stats = block_on(miner.stop());
        assert!(stats.shares_accepted > 0);
        assert_eq!(
            (stats.rejected(), stats.connections_lost),
            (0, 0),
            "{stats:?}"
        );
    }
    proxy.stop();
    assert_eq!(pool.stats_at_rest().shares_refused_total(), 0);
}

/// Mines over new jobs, a new block, a change of the target and of the extranonce prefix.
fn mine_through_everything(config: PoolConfig) {
    let (pool, proxy) = pool_and_proxy(config);
    let mut rigs = ["rig1", "rig2"].map(|name| Rig::start(proxy.address(), name));
    let mut judge = Judge::default();
    let mut mine = |rigs: &mut [Rig]| {
        for (rig, name) in rigs.iter_mut().zip(["rig1", "rig2"]) {
            for _ in 0..3 {
                rig.mine();
                let share = pool.next_share();
                assert_eq!(worker(&share), name);
                judge.judge(&share).unwrap();
            }
        }
    };
    mine(&mut rigs);
    pool.new_job();
    rigs.iter_mut().for_each(|rig| drop(rig.wait_for_job()));
    mine(&mut rigs);
    pool.new_block();
    rigs.iter_mut()
        .for_each(|rig| drop(rig.wait_for_clean_job()));
    mine(&mut rigs);
    let prefix = B0_32::new(b"OTHERPFX").unwrap();
    block_on(pool.handle.set_extranonce_prefix(Channels::All, prefix)).unwrap();
    pool.new_job();
    rigs.iter_mut().for_each(|rig| drop(rig.wait_for_job()));
    mine(&mut rigs);
    proxy.stop();
    assert_eq!(pool.stats_at_rest().shares_accepted, 24);
}

#[test]
fn shares_flow_over_jobs_blocks_and_prefixes() {
    mine_through_everything(Pool::config());
}

#[test]
fn shares_flow_where_jobs_are_addressed_to_the_group() {
    mine_through_everything(PoolConfig {
        addressing: Addressing::Group,
        ..Pool::config()
    });
}

#[test]
fn shares_flow_where_the_extranonce_is_as_small_as_it_may_be() {
    for extranonce_size in [8, 7, 6] {
        mine_through_everything(PoolConfig {
            extranonce_size,
            ..Pool::config()
        });
    }
}

#[test]
fn a_miner_that_rolls_no_version_is_served_beside_one_that_does() {
    let (pool, proxy) = pool_and_proxy(Pool::config());
    let mut rolling = Rig::start(proxy.address(), "rolling");
    let mut plain = Rig::start_rolling(proxy.address(), "plain", None);
    let mut judge = Judge::default();
    for _ in 0..3 {
        rolling.mine();
        let rolled = pool.next_share();
        judge.judge(&rolled).unwrap();
        plain.mine();
        let share = pool.next_share();
        judge.judge(&share).unwrap();
        assert_eq!(share.share.version, share.job.version);
        assert_ne!(rolled.share.version, rolled.job.version);
    }
    proxy.stop();
}

#[test]
fn versions_are_not_rolled_where_the_pool_allows_none() {
    let (pool, proxy) = pool_and_proxy(PoolConfig {
        version_rolling_allowed: false,
        ..Pool::config()
    });
    let mut rig = Rig::start(proxy.address(), "rig");
    rig.work();
    for _ in 0..3 {
        rig.mine();
        let share = pool.next_share();
        Judge::default().judge(&share).unwrap();
        assert_eq!(share.share.version, share.job.version);
    }
    proxy.stop();
}

#[test]
fn a_share_is_refused_the_second_time_and_after_a_new_block() {
    let (pool, proxy) = pool_and_proxy(Pool::config());
    let mut rig = Rig::start(proxy.address(), "rig");
    let work = rig.work();
    let share = rig.find();
    assert!(matches!(rig.submit(&share), Answer::Accepted));
    let Answer::Rejected(error) = rig.submit(&share) else {
        panic!("accepted twice")
    };
    assert_eq!((error.code, &*error.message), (22, "duplicate share"));
    pool.next_share();
    pool.new_block();
    rig.wait_for_clean_job();
    let late = rig.find_on(&work);
    let Answer::Rejected(error) = rig.submit(&late) else {
        panic!("accepted though stale")
    };
    assert_eq!(error.code, 21);
    assert!(error.message.starts_with("stale"), "{}", error.message);
    rig.mine();
    proxy.stop();
    let stats = pool.stats_at_rest();
    assert_eq!(
        (stats.shares_accepted, stats.shares_refused_total()),
        (2, 0)
    );
}

#[test]
fn the_second_judge_refuses_what_is_wrong() {
    let pool = Pool::start(PoolConfig {
        share_target: ShareTarget::Difficulty(Difficulty::new(MILLION_HASHES).unwrap()),
        ..Pool::config()
    });
    let config = ProxyConfig::new(&[pool.url()]).difficulty(MILLION_HASHES);
    let proxy = Program::run(millrace(), &config);
    let mut rig = Rig::start(proxy.address(), "rig");
    rig.mine();
    let good = pool.next_share();
    let mut judge = Judge::default();
    judge.judge(&good).unwrap();
    let again = judge.judge(&good).unwrap_err();
    assert!(again.contains("Duplicate"), "{again}");
    let wrong = |spoil: &dyn Fn(&mut AcceptedShare)| {
        let mut share = good.clone();
        spoil(&mut share);
        Judge::default().judge(&share).unwrap_err()
    };
    let below_target = [
        wrong(&|share| share.share.nonce = share.share.nonce.swap_bytes()),
        wrong(&|share| share.share.version ^= 1 << 13),
        wrong(&|share| share.share.ntime += 1),
        wrong(&|share| share.share.extranonce = reversed(&share.share.extranonce)),
        wrong(&|share| share.extranonce_prefix = reversed(&share.extranonce_prefix)),
        wrong(&|share| share.tip.prev_hash = turned(share.tip.prev_hash)),
        wrong(&|share| Arc::make_mut(&mut share.job).merkle_path = turned_path(share)),
    ];
    for error in below_target {
        assert!(error.contains("DoesNotMeetTarget"), "{error}");
    }
    let rolled = wrong(&|share| share.share.version ^= 1);
    assert!(rolled.contains("Invalid("), "{rolled}");
    let early = wrong(&|share| share.share.ntime = share.min_ntime - 1);
    assert!(early.contains("Invalid("), "{early}");
    let short = wrong(&|share| share.share.extranonce = B0_32::new(&[0; 7]).unwrap());
    assert!(short.contains("BadExtranonceSize"), "{short}");
    let elsewhere = wrong(&|share| share.hash = turned(share.hash));
    assert!(elsewhere.contains("is not"), "{elsewhere}");
}

fn reversed(bytes: &B0_32) -> B0_32 {
    let bytes: Vec<_> = bytes.iter().rev().copied().collect();
    B0_32::new(&bytes).unwrap()
}

fn turned(BlockHash(mut hash): BlockHash) -> BlockHash {
    hash.reverse();
    BlockHash(hash)
}

fn turned_path(share: &AcceptedShare) -> Seq0_255<sv2::types::U256> {
    let mut path = share.job.merkle_path.to_vec();
    path.reverse();
    path.try_into().unwrap()
}

#[test]
fn shares_are_refused_as_stale_only_after_the_new_block_was_told() {
    let (pool, proxy) = pool_and_proxy(Pool::config());
    let mut wire = Wire::connect(proxy.address());
    wire.set_up("w");
    let mut job = wire.notification("mining.notify")[0].clone();
    for _ in 0..20 {
        let share = json!({"id": 4, "method": "mining.submit", "params": ["w", job, "00000000", "00000000", "00000000"]});
        let shares = 500;
        wire.send(format!("{share}\n").repeat(shares).as_bytes());
        pool.new_block();
        let (mut replies, mut told) = (0, false);
        while replies < shares || !told {
            let line = wire.value();
            if line["method"] == "mining.notify" {
                job = line["params"][0].clone();
                told = true;
            } else if line["id"] == 4 {
                replies += 1;
                assert!(told || line["error"][0] != 21, "{line}");
            }
        }
    }
    proxy.stop();
}
