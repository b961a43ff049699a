//! Shares: accepted, refused for the right reason, acknowledged, counted.

use std::time::Duration;

use sv2::bitcoin::{BlockHash, Difficulty, Target};
use sv2::messages::mining::{Mining, SubmitSharesStandard};
use sv2::types::{B0_32, JobId, SequenceNumber, U256};
use sv2_pool::{GivenJob, Limits, NtimeLimit, PoolConfig, PoolEvent, ShareTarget, Tip};

use crate::client::{World, quick, target};

fn easy() -> Target {
    target(1e-9)
}

#[test]
fn a_good_share_is_accepted_and_told_with_everything_it_was_judged_by() {
    let mut world = World::new(quick());
    let (mut client, channel_id, work) = world.mine();
    let share = work.mined(0, easy());
    client.accepted(&mut world, share.clone());
    let Some(PoolEvent::ShareAccepted(accepted)) = world.events.last() else {
        panic!("not told");
    };
    assert_eq!(accepted.hash, work.hash(&share));
    assert_eq!(accepted.share.channel_id, channel_id);
    assert_eq!(accepted.extranonce_prefix, work.extranonce_prefix);
    assert_eq!(accepted.target, easy());
    assert_eq!(accepted.tip.prev_hash.0, work.tip.prev_hash.0);
    assert!(!accepted.is_block);
}

#[test]
fn a_share_of_an_unknown_channel_or_job_is_refused() {
    let mut world = World::new(quick());
    let (mut client, _, work) = world.mine();
    let mut share = work.share(0);
    share.job_id = JobId(999);
    assert_eq!(client.refused(&mut world, share), "invalid-job-id");
    let mut share = work.share(0);
    share.channel_id.0 += 1;
    assert_eq!(client.refused(&mut world, share), "invalid-channel-id");
    let standard = SubmitSharesStandard {
        channel_id: work.job.channel_id,
        sequence_number: SequenceNumber(5),
        job_id: work.job.job_id,
        nonce: 0,
        ntime: 0,
        version: 0,
    };
    client.send(&mut world, standard);
    assert_eq!(client.take_names(), ["SubmitShares.Error"]);
}

#[test]
fn a_share_of_a_future_job_is_refused_until_its_block() {
    let mut world = World::new(PoolConfig {
        block_interval: Some(Duration::from_secs(60)),
        ..quick()
    });
    let (mut client, _, work) = world.mine();
    world.pass(Duration::from_secs(59));
    client.receive(&mut world);
    let mut share = work.share(0);
    share.job_id = client.take_job().job_id;
    assert_eq!(client.refused(&mut world, share), "invalid-job-id");
}

#[test]
fn jobs_of_an_old_block_are_stale_and_jobs_of_the_same_block_are_not() {
    let mut world = World::new(quick());
    let (mut client, _, work) = world.mine();
    world.pool.new_job(world.now);
    client.receive(&mut world);
    client.inbox.clear();
    client.accepted(&mut world, work.mined(0, easy()));
    world.pool.new_block(world.now);
    client.receive(&mut world);
    client.inbox.clear();
    let code = client.refused(&mut world, work.mined(1, easy()));
    assert_eq!(code, "stale-share");
}

#[test]
fn the_same_header_is_accepted_once() {
    let mut world = World::new(quick());
    let (mut client, _, work) = world.mine();
    let share = work.mined(0, easy());
    client.accepted(&mut world, share.clone());
    assert_eq!(client.refused(&mut world, share), "duplicate-share");
}

#[test]
fn a_hash_above_the_target_is_refused() {
    let mut world = World::new(quick());
    let (mut client, _, work) = world.mine();
    let share = work.find(0, |hash| !easy().is_met_by(hash));
    assert_eq!(client.refused(&mut world, share), "difficulty-too-low");
}

#[test]
fn the_extranonce_must_have_the_channels_length() {
    let mut world = World::new(quick());
    let (mut client, _, work) = world.mine();
    for length in [0, 15, 17, 32] {
        let mut share = work.share(0);
        share.extranonce = B0_32::zeros(length).unwrap();
        assert_eq!(client.refused(&mut world, share), "bad-extranonce-size");
    }
}

#[test]
fn ntime_may_run_two_hours_ahead_and_not_behind() {
    let mut world = World::new(quick());
    let (mut client, _, work) = world.mine();
    let at = |ntime: u32| {
        let mut shifted = work.clone();
        shifted.job.min_ntime = Some(ntime);
        shifted.mined(0, easy())
    };
    let min_ntime = work.tip.min_ntime;
    client.accepted(&mut world, at(min_ntime));
    client.accepted(&mut world, at(min_ntime + 7200));
    for ntime in [min_ntime - 1, min_ntime + 7201] {
        assert_eq!(client.refused(&mut world, at(ntime)), "invalid-share");
    }
}

#[test]
fn ntime_can_be_bound_to_the_seconds_that_passed() {
    let mut world = World::new(PoolConfig {
        ntime_limit: NtimeLimit::Elapsed { slack: 2 },
        ..quick()
    });
    let (mut client, _, work) = world.mine();
    let at = |ahead: u32| {
        let mut shifted = work.clone();
        shifted.job.min_ntime = Some(work.tip.min_ntime + ahead);
        shifted.mined(0, easy())
    };
    client.accepted(&mut world, at(2));
    assert_eq!(client.refused(&mut world, at(3)), "invalid-share");
    world.pass(Duration::from_secs(10));
    client.accepted(&mut world, at(12));
    assert_eq!(client.refused(&mut world, at(13)), "invalid-share");
}

#[test]
fn version_bits_roll_within_the_mask_only() {
    let mut world = World::new(quick());
    let (mut client, _, work) = world.mine();
    let rolled = |bits: u32| {
        let mut rolled = work.clone();
        rolled.job.version ^= bits;
        rolled.mined(0, easy())
    };
    client.accepted(&mut world, rolled(0x1fff_e000));
    for bits in [0x0000_1000, 0x2000_0000] {
        let code = client.refused(&mut world, rolled(bits));
        assert_eq!(code, "invalid-non-rollable-version-bit");
    }
}

#[test]
fn a_job_without_version_rolling_takes_its_version_only() {
    let mut world = World::new(PoolConfig {
        version_rolling_allowed: false,
        ..quick()
    });
    let (mut client, _, work) = world.mine();
    assert!(!work.job.version_rolling_allowed);
    client.accepted(&mut world, work.mined(0, easy()));
    let mut rolled = work.share(0);
    rolled.version ^= 0x2000;
    let code = client.refused(&mut world, rolled);
    assert_eq!(code, "version-rolling-not-allowed");
}

#[test]
fn shares_are_acknowledged_ten_at_a_time() {
    let mut world = World::new(PoolConfig {
        ack_batch: 10,
        ..quick()
    });
    let (mut client, _, work) = world.mine();
    for which in 0..9 {
        let answers = client.submit(&mut world, work.mined(which, easy()));
        assert!(answers.is_empty());
    }
    let answers = client.submit(&mut world, work.mined(9, easy()));
    let [Mining::SubmitSharesSuccess(success)] = answers.as_slice() else {
        panic!("not acknowledged");
    };
    assert_eq!(success.new_submits_accepted_count, 10);
    assert_eq!(success.last_sequence_number, SequenceNumber(9));
    assert_eq!(world.pool.stats().shares_acknowledged, 10);
}

#[test]
fn a_smaller_batch_is_acknowledged_after_the_interval() {
    let mut world = World::new(PoolConfig {
        ack_batch: 10,
        ack_interval: Some(Duration::from_secs(5)),
        ..quick()
    });
    let (mut client, _, work) = world.mine();
    for which in 0..3 {
        client.submit(&mut world, work.mined(which, easy()));
    }
    world.pass(Duration::from_secs(5));
    client.receive(&mut world);
    let Mining::SubmitSharesSuccess(success) = client.take_mining() else {
        panic!("not acknowledged");
    };
    assert_eq!(success.new_submits_accepted_count, 3);
    world.pass(Duration::from_secs(60));
    client.receive(&mut world);
    assert!(client.inbox.is_empty());
}

#[test]
fn the_sum_is_of_the_jobs_difficulties() {
    let difficulty = Difficulty::new(2.0_f64.powi(-20)).unwrap();
    let mut world = World::new(PoolConfig {
        share_target: ShareTarget::Difficulty(difficulty),
        ..quick()
    });
    let (mut client, _, work) = world.mine();
    let share = work.mined(0, Target::from_difficulty(difficulty));
    client.accepted(&mut world, share);
    let stats = world.pool.stats();
    assert!((stats.difficulty_accepted / difficulty.to_f64() - 1.0).abs() < 1e-6);
    assert!((stats.hashes_accepted / 4096.0 - 1.0).abs() < 0.001);
}

#[test]
fn a_share_that_meets_the_network_is_a_block_whatever_the_channels_target() {
    let mut world = World::new(PoolConfig {
        nbits: 0x207f_ffff,
        ack_batch: 10,
        share_target: ShareTarget::Difficulty(Difficulty::ONE),
        ..quick()
    });
    let (mut client, _, work) = world.mine();
    let network = Target::from_compact(0x207f_ffff).unwrap();
    let share = work.mined(0, network);
    let answers = client.submit(&mut world, share.clone());
    // Acknowledged at once, and the pool goes on with the block that was found.
    let [
        Mining::SubmitSharesSuccess(_),
        Mining::NewExtendedMiningJob(_),
        Mining::SetNewPrevHash(tip),
    ] = answers.as_slice()
    else {
        panic!("{answers:?}");
    };
    assert_eq!(tip.prev_hash.0, work.hash(&share).0);
    let found = world.events.iter().find_map(|event| match event {
        PoolEvent::BlockFound { hash, .. } => Some(*hash),
        _ => None,
    });
    assert_eq!(found, Some(work.hash(&share)));
    assert_eq!(world.pool.stats().blocks_found, 1);
}

#[test]
fn workers_are_counted_by_the_name_on_the_share_where_that_was_negotiated() {
    let mut world = World::new(quick());
    let mut client = world.set_up();
    client.request_extensions(&mut world, &[0x0002]);
    client.inbox.clear();
    let opened = client.open(&mut world, crate::client::open(Target::MAX));
    let work = client.first_work(&opened);
    client.send_with(&mut world, work.mined(0, easy()), Some("rig1"));
    client.send_with(&mut world, work.mined(1, easy()), Some("rig2"));
    client.send_with(&mut world, work.mined(1, easy()), Some("rig2"));
    let (mut plain, _, work) = world.mine();
    plain.send_with(&mut world, work.mined(0, easy()), Some("rig3"));
    let stats = world.pool.stats();
    let names: Vec<&str> = stats.workers.keys().map(String::as_str).collect();
    assert_eq!(names, ["account", "rig1", "rig2"]);
    assert_eq!(
        (
            stats.workers["rig2"].accepted,
            stats.workers["rig2"].refused
        ),
        (1, 1)
    );
    assert_eq!(stats.shares_refused["duplicate-share"], 1);
}

#[test]
fn a_channel_that_floods_the_duplicate_check_is_closed() {
    let mut world = World::new(PoolConfig {
        limits: Limits {
            max_seen_shares: 5,
            ..Limits::default()
        },
        ..quick()
    });
    let (mut client, _, work) = world.mine();
    for which in 0..5 {
        client.accepted(&mut world, work.mined(which, easy()));
    }
    client.submit(&mut world, work.mined(5, easy()));
    assert_eq!(world.disconnected.len(), 1);
    assert_eq!(world.pool.stats().channels, 0);
}

#[test]
fn the_oldest_jobs_are_forgotten_first() {
    let mut world = World::new(PoolConfig {
        limits: Limits {
            max_jobs: 3,
            ..Limits::default()
        },
        ..quick()
    });
    let (mut client, _, work) = world.mine();
    for _ in 0..2 {
        world.pool.new_job(world.now);
    }
    client.receive(&mut world);
    client.inbox.clear();
    client.accepted(&mut world, work.mined(0, easy()));
    world.pool.new_job(world.now);
    client.receive(&mut world);
    client.inbox.clear();
    let code = client.refused(&mut world, work.mined(1, easy()));
    assert_eq!(code, "invalid-job-id");
}

#[test]
fn shares_can_stay_unacknowledged_for_ever() {
    let mut config = quick();
    config.faults.never_acknowledge = true;
    let mut world = World::new(config);
    let (mut client, _, work) = world.mine();
    let answers = client.submit(&mut world, work.mined(0, easy()));
    assert!(answers.is_empty());
    assert_eq!(world.pool.stats().shares_accepted, 1);
}

/// The bytes of a hex value in the vectors.
fn bytes(value: &serde_json::Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn array(value: &serde_json::Value) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}

fn real_blocks() -> Vec<serde_json::Value> {
    let folder = std::env::var_os("MILLRACE_VECTORS").map_or_else(
        || concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors").into(),
        std::path::PathBuf::from,
    );
    let text = std::fs::read_to_string(folder.join("real_blocks.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_real_block_dealt_as_a_job_is_found_with_its_hash() {
    for block in real_blocks() {
        let number = |name: &str| u32::try_from(block[name].as_u64().unwrap()).unwrap();
        let path: Vec<U256> = (block["merkle_path"].as_array().unwrap().iter())
            .map(|hash| U256(array(hash)))
            .collect();
        let extranonce = B0_32::new(&bytes(&block["extranonce"])).unwrap();
        let given = GivenJob {
            tip: Tip {
                prev_hash: BlockHash(array(&block["prev_hash"])),
                nbits: number("nbits"),
                min_ntime: number("ntime"),
            },
            version: number("version"),
            version_rolling_allowed: true,
            merkle_path: path.try_into().unwrap(),
            coinbase_tx_prefix: bytes(&block["coinbase_tx_prefix"]).try_into().unwrap(),
            coinbase_tx_suffix: bytes(&block["coinbase_tx_suffix"]).try_into().unwrap(),
        };
        let mut world = World::new(PoolConfig {
            given_job: Some(given),
            extranonce_prefix: B0_32::new(&bytes(&block["extranonce_prefix"])).unwrap(),
            extranonce_size: u16::try_from(extranonce.len()).unwrap(),
            ..quick()
        });
        let (mut client, _, work) = world.mine();
        let mut share = work.share(number("nonce"));
        share.extranonce = extranonce;
        client.accepted(&mut world, share);
        let found = world.events.iter().find_map(|event| match event {
            PoolEvent::BlockFound { hash, .. } => Some(hash.to_string()),
            _ => None,
        });
        assert_eq!(found.as_deref(), block["block_hash"].as_str());
    }
}
