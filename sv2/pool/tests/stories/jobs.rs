//! Jobs and blocks, and to whom they are addressed.

use std::time::Duration;

use sv2::bitcoin::{BlockHash, Target};
use sv2::types::{B0_32, B0_64K, Seq0_255, U256};
use sv2_pool::{Addressing, Channels, Faults, GivenJob, PoolConfig, Tip};

use crate::client::{START, World, open, quick, target};

const SECOND: Duration = Duration::from_secs(1);

/// Blocks every ten minutes, jobs every half.
fn timed() -> PoolConfig {
    PoolConfig {
        block_interval: Some(600 * SECOND),
        job_interval: Some(30 * SECOND),
        ..quick()
    }
}

#[test]
fn a_new_channel_gets_a_future_job_and_the_block_that_activates_it() {
    let mut world = World::new(quick());
    let (client, _, work) = world.mine();
    assert!(client.inbox.is_empty());
    assert_eq!(work.tip.min_ntime, START);
    assert_eq!(work.job.merkle_path.len(), 12);
    let size = work.job.coinbase_tx_prefix.len() + work.job.coinbase_tx_suffix.len() + 24;
    assert!(
        (150..400).contains(&size),
        "a real coinbase is not of {size} bytes"
    );
    let network = Target::from_compact(work.tip.nbits).unwrap();
    assert!(network.is_met_by(&BlockHash(work.tip.prev_hash.0)));
}

#[test]
fn a_block_is_dealt_ahead_then_activated_then_followed_by_a_fuller_job() {
    let mut world = World::new(timed());
    let (mut client, _, work) = world.mine();
    world.pass(597 * SECOND);
    client.receive(&mut world);
    client.inbox.clear();
    world.pass(SECOND);
    client.receive(&mut world);
    let empty = client.take_job();
    assert_eq!((empty.min_ntime, empty.merkle_path.len()), (None, 0));
    assert!(client.inbox.is_empty());
    world.pass(2 * SECOND);
    client.receive(&mut world);
    let tip = client.take_prev_hash();
    assert_eq!(tip.job_id, empty.job_id);
    assert_eq!(tip.min_ntime, START + 600);
    assert_ne!(tip.prev_hash, work.tip.prev_hash);
    world.pass(SECOND);
    client.receive(&mut world);
    let fuller = client.take_job();
    assert_eq!(fuller.min_ntime, Some(START + 601));
    assert_eq!(fuller.merkle_path.len(), 12);
    assert!(client.inbox.is_empty());
}

#[test]
fn jobs_follow_each_other_at_the_interval() {
    let mut world = World::new(timed());
    let (mut client, ..) = world.mine();
    world.pass(95 * SECOND);
    client.receive(&mut world);
    for round in 1..=3 {
        assert_eq!(client.take_job().min_ntime, Some(START + 30 * round));
    }
    assert!(client.inbox.is_empty());
}

#[test]
fn every_job_has_a_number_of_its_own_and_another_coinbase() {
    let mut world = World::new(timed());
    let (mut client, _, work) = world.mine();
    world.pass(3_000 * SECOND);
    client.receive(&mut world);
    let mut seen = vec![(work.job.job_id, work.job.coinbase_tx_suffix)];
    while let Some(message) = client.inbox.pop_front() {
        if let sv2::message::Message::Mining(sv2::messages::mining::Mining::NewExtendedMiningJob(
            job,
        )) = message
        {
            assert!(
                seen.iter()
                    .all(|(id, suffix)| *id != job.job_id && *suffix != job.coinbase_tx_suffix)
            );
            seen.push((job.job_id, job.coinbase_tx_suffix));
        }
    }
    assert!(seen.len() > 90);
}

#[test]
fn the_height_grows_with_every_block() {
    let mut world = World::new(quick());
    let (mut client, _, work) = world.mine();
    let height = |prefix: &[u8]| u32::from_le_bytes([prefix[43], prefix[44], prefix[45], 0]);
    let first = height(&work.job.coinbase_tx_prefix);
    for blocks in 1..4 {
        world.pool.new_block(world.now);
        client.receive(&mut world);
        let job = client.take_job();
        client.inbox.clear();
        assert_eq!(height(&job.coinbase_tx_prefix), first + blocks);
    }
}

#[test]
fn a_channel_opened_between_a_future_job_and_its_block_gets_both() {
    let mut world = World::new(timed());
    world.pass(599 * SECOND);
    let (mut client, _, work) = world.mine();
    let ahead = client.take_job();
    assert_eq!(ahead.min_ntime, None);
    assert_ne!(ahead.job_id, work.job.job_id);
    world.pass(SECOND);
    client.receive(&mut world);
    assert_eq!(client.take_prev_hash().job_id, ahead.job_id);
}

#[test]
fn a_group_gets_one_job_and_one_block_for_all_its_channels() {
    let mut world = World::new(PoolConfig {
        addressing: Addressing::Group,
        ..quick()
    });
    let mut client = world.set_up();
    let first = client.open(&mut world, open(Target::MAX));
    client.inbox.clear();
    let second = client.open(&mut world, open(Target::MAX));
    client.inbox.clear();
    world.pool.new_block(world.now);
    world.pool.new_job(world.now);
    client.receive(&mut world);
    let empty = client.take_job();
    let tip = client.take_prev_hash();
    let full = client.take_job();
    assert!(client.inbox.is_empty());
    for id in [empty.channel_id, tip.channel_id, full.channel_id] {
        assert_eq!(id, first.group_channel_id);
    }
    // Both channels work on it, each with its own prefix.
    for opened in [first, second] {
        let mut work = crate::client::Work {
            job: full.clone(),
            tip: tip.clone(),
            extranonce_prefix: opened.extranonce_prefix,
            extranonce_size: opened.extranonce_size,
        };
        work.job.channel_id = opened.channel_id;
        client.accepted(&mut world, work.mined(0, target(1e-9)));
    }
}

#[test]
fn a_group_whose_extranonces_differ_in_length_is_addressed_by_channel() {
    let mut world = World::new(PoolConfig {
        addressing: Addressing::Group,
        ..quick()
    });
    let (mut client, channel_id, _) = world.mine();
    let longer = B0_32::new(&[9; 12]).unwrap();
    world.pool.set_extranonce_prefix(Channels::All, longer);
    world.pool.new_job(world.now);
    client.receive(&mut world);
    assert_eq!(client.take_mining().name(), "SetExtranoncePrefix");
    let job = client.take_job();
    assert_eq!(job.channel_id, channel_id);
    // The script's length counts the longer extranonce: 12 + 16 bytes.
    assert_eq!(job.coinbase_tx_prefix.last(), Some(&28));
}

#[test]
fn a_given_job_is_dealt_exactly_now_and_to_later_channels() {
    let given = GivenJob {
        tip: Tip {
            prev_hash: BlockHash([7; 32]),
            nbits: 0x207f_ffff,
            min_ntime: 1_633_002_641,
        },
        version: 0x3fff_e004,
        version_rolling_allowed: false,
        merkle_path: Seq0_255::try_from(vec![U256([3; 32])]).unwrap(),
        coinbase_tx_prefix: B0_64K::try_from(vec![1, 2, 3]).unwrap(),
        coinbase_tx_suffix: B0_64K::try_from(vec![4, 5, 6]).unwrap(),
    };
    let mut world = World::new(quick());
    let (mut client, ..) = world.mine();
    world.pool.deal(world.now, given.clone());
    client.receive(&mut world);
    let job = client.take_job();
    let tip = client.take_prev_hash();
    let (_, _, later) = world.mine();
    let first = World::new(PoolConfig {
        given_job: Some(given.clone()),
        ..quick()
    })
    .mine()
    .2;
    for (job, tip) in [
        (&job, &tip),
        (&later.job, &later.tip),
        (&first.job, &first.tip),
    ] {
        assert_eq!(job.min_ntime, None);
        assert_eq!(job.version, given.version);
        assert!(!job.version_rolling_allowed);
        assert_eq!(job.merkle_path, given.merkle_path);
        assert_eq!(job.coinbase_tx_prefix, given.coinbase_tx_prefix);
        assert_eq!(job.coinbase_tx_suffix, given.coinbase_tx_suffix);
        assert_eq!(tip.prev_hash.0, given.tip.prev_hash.0);
        assert_eq!((tip.nbits, tip.min_ntime), (0x207f_ffff, 1_633_002_641));
    }
}

#[test]
fn a_silent_pool_sends_nothing_and_carries_on_afterwards() {
    let mut world = World::new(timed());
    let (mut client, _, work) = world.mine();
    let mut faults = Faults::default();
    faults.silent = true;
    world.pool.set_faults(faults);
    world.pass(700 * SECOND);
    let answers = client.submit(&mut world, work.share(0));
    assert!(answers.is_empty());
    world.pool.set_faults(Faults::default());
    world.pass(Duration::ZERO);
    client.receive(&mut world);
    let empty = client.take_job();
    assert_eq!(client.take_prev_hash().job_id, empty.job_id);
}

#[test]
fn pools_with_one_chain_seed_announce_the_same_blocks() {
    let tips = |seed| {
        let mut world = World::new(PoolConfig { seed, ..quick() });
        let (mut client, _, work) = world.mine();
        world.pool.new_block(world.now);
        client.receive(&mut world);
        client.take_job();
        (work.tip.prev_hash, client.take_prev_hash().prev_hash)
    };
    assert_eq!(tips(1), tips(2));
}
