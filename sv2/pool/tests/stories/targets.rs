//! Targets: chosen, honoured, frozen; and channels that the pool changes or closes.

use sv2::bitcoin::Target;
use sv2::messages::common::Reconnect;
use sv2::messages::mining::{Mining, UpdateChannel};
use sv2::types::{B0_32, ChannelId, U256};
use sv2_pool::{Addressing, Channels, PoolConfig, ShareTarget};

use crate::client::{Work, World, open, quick, target, text};

fn update(channel_id: ChannelId, nominal_hash_rate: f32, maximum: Target) -> UpdateChannel {
    UpdateChannel {
        channel_id,
        nominal_hash_rate,
        maximum_target: U256(maximum.to_le_bytes()),
    }
}

fn set_target(message: Mining) -> Target {
    match message {
        Mining::SetTarget(message) => Target::from_le_bytes(message.maximum_target.0),
        other => panic!("{} sets no target", other.name()),
    }
}

#[test]
fn max_target_is_honoured_where_it_is_lower_than_the_pools_choice() {
    let mut world = World::new(quick());
    let mut client = world.set_up();
    let opened = client.open(&mut world, open(target(5.0)));
    assert_eq!(opened.target.0, target(5.0).to_le_bytes());
    client.inbox.clear();
    let opened = client.open(&mut world, open(Target::MAX));
    assert_eq!(opened.target.0, target(1e-9).to_le_bytes());
}

#[test]
fn a_lower_target_asked_for_is_set_at_once() {
    let mut world = World::new(quick());
    let (mut client, channel_id, _) = world.mine();
    client.send(&mut world, update(channel_id, 1e6, target(3.0)));
    assert_eq!(set_target(client.take_mining()), target(3.0));
    // The same wish again changes nothing and is not answered.
    client.send(&mut world, update(channel_id, 1e6, target(3.0)));
    assert!(client.inbox.is_empty());
    // A higher one is followed as far as the pool's own choice.
    client.send(&mut world, update(channel_id, 1e6, Target::MAX));
    assert_eq!(set_target(client.take_mining()), target(1e-9));
}

#[test]
fn a_target_can_follow_the_announced_hashrate() {
    let mut world = World::new(PoolConfig {
        share_target: ShareTarget::SharesPerMinute(6.0),
        ..quick()
    });
    let mut client = world.set_up();
    let mut message = open(Target::MAX);
    message.nominal_hash_rate = 0.0;
    let opened = client.open(&mut world, message);
    let idle = Target::from_le_bytes(opened.target.0);
    client.inbox.clear();
    // 10 s at 1 GH/s are 10^10 hashes a share.
    client.send(&mut world, update(opened.channel_id, 1e9, Target::MAX));
    let busy = set_target(client.take_mining());
    assert!(idle > busy);
    assert!((busy.expected_hashes_f64() / 1e10 - 1.0).abs() < 0.01);
}

#[test]
fn an_invalid_update_is_an_error() {
    let mut world = World::new(quick());
    let (mut client, channel_id, _) = world.mine();
    let unknown = ChannelId(channel_id.0 + 1);
    for message in [
        update(unknown, 1.0, Target::MAX),
        update(channel_id, f32::NAN, Target::MAX),
        update(channel_id, 1.0, Target::ZERO),
    ] {
        client.send(&mut world, message);
        assert_eq!(client.take_names(), ["UpdateChannel.Error"]);
    }
}

#[test]
fn a_jobs_target_is_frozen_when_it_becomes_active() {
    let (easy, hard) = (target(1e-9), target(1e-7));
    let mut world = World::new(quick());
    let (mut client, _, work) = world.mine();
    world.pool.set_target(Channels::All, hard);
    client.receive(&mut world);
    assert_eq!(set_target(client.take_mining()), hard);
    let easy_only = |hash: &sv2::bitcoin::BlockHash| easy.is_met_by(hash) && !hard.is_met_by(hash);
    client.accepted(&mut world, work.find(0, easy_only));
    // The next job has the new target, and the old one keeps its own.
    world.pool.new_job(world.now);
    client.receive(&mut world);
    let next = Work {
        job: client.take_job(),
        ..work.clone()
    };
    let code = client.refused(&mut world, next.find(0, easy_only));
    assert_eq!(code, "difficulty-too-low");
    client.accepted(&mut world, next.mined(0, hard));
    client.accepted(&mut world, work.find(1, easy_only));
}

#[test]
fn a_new_target_counts_for_future_jobs_already_dealt() {
    let (easy, hard) = (target(1e-9), target(1e-7));
    let mut world = World::new(PoolConfig {
        block_interval: Some(std::time::Duration::from_secs(60)),
        ..quick()
    });
    let (mut client, _, work) = world.mine();
    world.pass(std::time::Duration::from_secs(59));
    client.receive(&mut world);
    let job = client.take_job();
    world.pool.set_target(Channels::All, hard);
    client.receive(&mut world);
    client.take_mining();
    world.pass(std::time::Duration::from_secs(1));
    client.receive(&mut world);
    let next = Work {
        job,
        tip: client.take_prev_hash(),
        ..work
    };
    let easy_only = next.find(0, |hash| easy.is_met_by(hash) && !hard.is_met_by(hash));
    assert_eq!(client.refused(&mut world, easy_only), "difficulty-too-low");
    client.accepted(&mut world, next.mined(0, hard));
}

#[test]
fn a_commanded_target_never_exceeds_max_target() {
    let mut world = World::new(quick());
    let mut client = world.set_up();
    client.open(&mut world, open(target(2.0)));
    client.inbox.clear();
    world.pool.set_target(Channels::All, Target::MAX);
    client.receive(&mut world);
    assert_eq!(set_target(client.take_mining()), target(2.0));
}

#[test]
fn a_group_gets_one_target_and_one_close() {
    let mut world = World::new(PoolConfig {
        addressing: Addressing::Group,
        ..quick()
    });
    let mut client = world.set_up();
    client.open(&mut world, open(Target::MAX));
    client.inbox.clear();
    let opened = client.open(&mut world, open(Target::MAX));
    client.inbox.clear();
    world.pool.set_target(Channels::All, target(1.0));
    world.pool.close_channels(Channels::All, "maintenance");
    client.receive(&mut world);
    let Mining::SetTarget(message) = client.take_mining() else {
        panic!("no target");
    };
    assert_eq!(message.channel_id, opened.group_channel_id);
    let Mining::CloseChannel(message) = client.take_mining() else {
        panic!("no close");
    };
    assert_eq!(message.channel_id, opened.group_channel_id);
    assert!(client.inbox.is_empty());
    assert_eq!(world.pool.stats().channels, 0);
}

#[test]
fn one_channel_can_be_closed_with_a_reason() {
    let mut world = World::new(quick());
    let (mut client, channel_id, _) = world.mine();
    let which = Channels::One(client.id, channel_id);
    world.pool.close_channels(which, "maintenance");
    client.receive(&mut world);
    let Mining::CloseChannel(message) = client.take_mining() else {
        panic!("no close");
    };
    assert_eq!(message.channel_id, channel_id);
    assert_eq!(message.reason_code, text("maintenance"));
}

#[test]
fn a_new_prefix_counts_for_jobs_dealt_after_it() {
    let mut world = World::new(quick());
    let (mut client, _, work) = world.mine();
    let prefix = B0_32::new(&[0xee; 8]).unwrap();
    world.pool.set_extranonce_prefix(Channels::All, prefix);
    world.pool.new_job(world.now);
    client.receive(&mut world);
    assert_eq!(client.take_mining().name(), "SetExtranoncePrefix");
    let next = Work {
        job: client.take_job(),
        extranonce_prefix: prefix,
        ..work.clone()
    };
    client.accepted(&mut world, work.mined(0, target(1e-9)));
    client.accepted(&mut world, next.mined(0, target(1e-9)));
}

#[test]
fn any_message_can_be_sent_to_all() {
    let mut world = World::new(quick());
    let mut client = world.set_up();
    let mut fresh = world.connect();
    let reconnect = Reconnect {
        new_host: text("other.example.com"),
        new_port: 34255,
    };
    world.pool.send(&reconnect.into());
    client.receive(&mut world);
    fresh.receive(&mut world);
    assert_eq!(client.take_names(), ["Reconnect"]);
    assert!(fresh.inbox.is_empty());
}

#[test]
fn every_connection_can_be_closed() {
    let mut world = World::new(quick());
    let (_client, ..) = world.mine();
    world.connect();
    world.pool.disconnect_all("restart");
    world.drain();
    assert_eq!(world.disconnected.len(), 2);
    assert_eq!(world.pool.stats().connections, 0);
}
