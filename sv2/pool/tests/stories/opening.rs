//! Set-up, extensions, and opening channels.

use std::time::Duration;

use sv2::bitcoin::Target;
use sv2::message::Message;
use sv2::messages::common::Common;
use sv2::messages::extensions::ExtensionsNegotiation;
use sv2::messages::mining::{
    CloseChannel, Mining, OpenStandardMiningChannel, SetCustomMiningJob, setup_flags,
};
use sv2::types::{B0_32, B0_64K, B0_255, ChannelId, ExtensionType, RequestId, Seq0_255, U256};
use sv2_pool::PoolConfig;

use crate::client::{World, open, quick, setup, target, text};

fn setup_error(config: PoolConfig, flags: u32) -> (u32, String) {
    let mut world = World::new(config);
    let mut client = world.connect();
    client.send(&mut world, setup(flags));
    let Message::Common(Common::SetupConnectionError(error)) = client.take() else {
        panic!("not refused");
    };
    assert_eq!(world.disconnected.len(), 1);
    (error.flags, error.error_code.to_string())
}

#[test]
fn standard_jobs_are_refused_with_the_flag() {
    let refused = setup_error(quick(), setup_flags::REQUIRES_STANDARD_JOBS);
    assert_eq!(refused, (1, "unsupported-feature-flags".into()));
}

#[test]
fn other_flags_are_accepted() {
    let mut world = World::new(quick());
    let mut client = world.connect();
    client.send(&mut world, setup(setup_flags::REQUIRES_VERSION_ROLLING));
    assert_eq!(client.take_names(), ["SetupConnection.Success"]);
}

#[test]
fn version_rolling_cannot_be_required_of_a_pool_without_it() {
    let config = PoolConfig {
        version_rolling_allowed: false,
        ..quick()
    };
    let (flags, code) = setup_error(config, setup_flags::REQUIRES_VERSION_ROLLING);
    assert_eq!(code, "unsupported-feature-flags");
    assert_eq!(
        flags,
        setup_flags::REQUIRES_VERSION_ROLLING | setup_flags::REQUIRES_STANDARD_JOBS
    );
}

#[test]
fn only_version_2_of_the_mining_protocol_is_spoken() {
    for (protocol, min, max) in [(1, 2, 2), (0, 3, 3), (0, 1, 1)] {
        let mut world = World::new(quick());
        let mut client = world.connect();
        let mut message = setup(0);
        (message.protocol, message.min_version, message.max_version) = (protocol, min, max);
        client.send(&mut world, message);
        assert_eq!(client.take_names(), ["SetupConnection.Error"]);
        assert_eq!(world.disconnected.len(), 1);
    }
}

#[test]
fn anything_before_the_setup_ends_the_connection() {
    let mut world = World::new(quick());
    let mut client = world.connect();
    client.send(&mut world, open(Target::MAX));
    assert_eq!(world.disconnected.len(), 1);
    assert!(client.inbox.is_empty());
}

#[test]
fn a_connection_that_never_sets_up_is_closed() {
    let mut world = World::new(quick());
    let silent = world.connect();
    let client = world.set_up();
    world.pass(Duration::from_secs(11));
    assert_eq!(world.disconnected.len(), 1);
    assert_eq!(world.disconnected[0].0, silent.id);
    assert_ne!(silent.id, client.id);
}

#[test]
fn known_extensions_are_granted_and_unknown_ones_left_out() {
    let mut world = World::new(quick());
    let mut client = world.set_up();
    client.request_extensions(&mut world, &[0x4000, 0x0002]);
    let Message::ExtensionsNegotiation(ExtensionsNegotiation::RequestExtensionsSuccess(success)) =
        client.take()
    else {
        panic!("not granted");
    };
    assert_eq!(&*success.supported_extensions, [ExtensionType(2)]);
}

#[test]
fn a_request_of_only_unknown_extensions_is_an_error() {
    let mut world = World::new(quick());
    let mut client = world.set_up();
    client.request_extensions(&mut world, &[0x4000]);
    let Message::ExtensionsNegotiation(ExtensionsNegotiation::RequestExtensionsError(error)) =
        client.take()
    else {
        panic!("no error");
    };
    assert_eq!(&*error.unsupported_extensions, [ExtensionType(0x4000)]);
    assert!(error.required_extensions.is_empty());
}

#[test]
fn required_extensions_are_named_where_they_are_missing() {
    let mut world = World::new(PoolConfig {
        required_extensions: vec![ExtensionType(5)],
        ..quick()
    });
    let mut client = world.set_up();
    client.request_extensions(&mut world, &[0x0002]);
    let Message::ExtensionsNegotiation(ExtensionsNegotiation::RequestExtensionsError(error)) =
        client.take()
    else {
        panic!("no error");
    };
    assert_eq!(&*error.required_extensions, [ExtensionType(5)]);
}

#[test]
fn a_pool_can_be_silent_on_extensions() {
    let mut config = quick();
    config.faults.silent_on_extensions = true;
    let mut world = World::new(config);
    let mut client = world.set_up();
    client.request_extensions(&mut world, &[0x0002]);
    assert!(client.inbox.is_empty());
    client.open(&mut world, open(Target::MAX));
}

#[test]
fn asking_for_more_extranonce_than_granted_is_an_error_that_allocates_nothing() {
    let mut world = World::new(quick());
    let (mut client, ..) = world.mine();
    let mut probe = open(Target::MAX);
    probe.min_extranonce_size = 33;
    client.send(&mut world, probe);
    let Mining::OpenMiningChannelError(error) = client.take_mining() else {
        panic!("not refused");
    };
    assert_eq!(error.request_id, RequestId(7));
    assert_eq!(error.error_code, text("min-extranonce-size-too-large"));
    assert_eq!(world.pool.stats().channels, 1);
}

#[test]
fn the_configured_extranonce_is_granted_exactly() {
    let prefix = B0_32::new(&[0x15, 0x97, 0x99, 0x80]).unwrap();
    let mut world = World::new(PoolConfig {
        extranonce_prefix: prefix,
        extranonce_size: 8,
        ..quick()
    });
    let mut client = world.set_up();
    let first = client.open(&mut world, open(Target::MAX));
    assert_eq!(
        (first.extranonce_prefix, first.extranonce_size),
        (prefix, 8)
    );
    client.inbox.clear();
    let second = client.open(&mut world, open(Target::MAX));
    assert_eq!(second.extranonce_prefix[..], [0x15, 0x97, 0x99, 0x81]);
}

#[test]
fn channels_of_one_connection_share_a_group_with_a_number_of_its_own() {
    let mut world = World::new(quick());
    let mut client = world.set_up();
    let first = client.open(&mut world, open(Target::MAX));
    client.inbox.clear();
    let second = client.open(&mut world, open(Target::MAX));
    assert_eq!(first.group_channel_id, second.group_channel_id);
    let mut ids = vec![first.group_channel_id, first.channel_id, second.channel_id];
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn nonsense_in_an_open_is_refused() {
    let mut world = World::new(quick());
    let mut client = world.set_up();
    for hashrate in [f32::NAN, -1.0, f32::INFINITY] {
        let mut message = open(Target::MAX);
        message.nominal_hash_rate = hashrate;
        client.send(&mut world, message);
        assert_eq!(client.take_names(), ["OpenMiningChannel.Error"]);
    }
    client.send(&mut world, open(Target::ZERO));
    assert_eq!(client.take_names(), ["OpenMiningChannel.Error"]);
}

#[test]
fn standard_channels_and_custom_jobs_are_refused() {
    let mut world = World::new(quick());
    let (mut client, channel_id, _) = world.mine();
    let standard = OpenStandardMiningChannel {
        request_id: RequestId(9),
        user_identity: text("account"),
        nominal_hash_rate: 0.0,
        max_target: U256(target(1.0).to_le_bytes()),
    };
    client.send(&mut world, standard);
    assert_eq!(client.take_names(), ["OpenMiningChannel.Error"]);
    let custom = SetCustomMiningJob {
        channel_id,
        request_id: RequestId(10),
        mining_job_token: B0_255::default(),
        version: 0,
        prev_hash: U256::default(),
        min_ntime: 0,
        nbits: 0,
        coinbase_tx_version: 2,
        coinbase_prefix: B0_255::default(),
        coinbase_tx_input_n_sequence: 0,
        coinbase_tx_outputs: B0_64K::default(),
        coinbase_tx_locktime: 0,
        merkle_path: Seq0_255::default(),
    };
    client.send(&mut world, custom);
    assert_eq!(client.take_names(), ["SetCustomMiningJob.Error"]);
}

#[test]
fn a_closed_channel_gets_nothing_more_and_frees_its_prefix() {
    let mut world = World::new(quick());
    let (mut client, channel_id, work) = world.mine();
    let close = CloseChannel {
        channel_id,
        reason_code: text("done"),
    };
    client.send(&mut world, close);
    world.pool.new_block(world.now);
    client.receive(&mut world);
    assert!(client.inbox.is_empty());
    let code = client.refused(&mut world, work.share(0));
    assert_eq!(code, "invalid-channel-id");
    let next = client.open(&mut world, open(Target::MAX));
    assert_eq!(next.extranonce_prefix, work.extranonce_prefix);
    assert_ne!(next.channel_id, channel_id);
}

#[test]
fn closing_the_group_closes_all_its_channels() {
    let mut world = World::new(quick());
    let mut client = world.set_up();
    let first = client.open(&mut world, open(Target::MAX));
    client.send(&mut world, open(Target::MAX));
    assert_eq!(world.pool.stats().channels, 2);
    let close = CloseChannel {
        channel_id: first.group_channel_id,
        reason_code: text("done"),
    };
    client.send(&mut world, close);
    assert_eq!(world.pool.stats().channels, 0);
}

#[test]
fn messages_that_nobody_knows_are_ignored() {
    let mut world = World::new(quick());
    let (mut client, channel_id, _) = world.mine();
    // A server's message, from a client.
    let stray = CloseChannel {
        channel_id: ChannelId(channel_id.0 + 1000),
        reason_code: text(""),
    };
    client.send(&mut world, stray);
    assert!(client.inbox.is_empty());
    assert!(world.disconnected.is_empty());
}

#[test]
fn the_pool_refuses_what_it_is_told_to_refuse() {
    let mut config = quick();
    config.faults.refuse_channels = Some("unknown-user".into());
    let mut world = World::new(config);
    let mut client = world.set_up();
    client.send(&mut world, open(Target::MAX));
    assert_eq!(client.take_names(), ["OpenMiningChannel.Error"]);
    let mut config = quick();
    config.faults.refuse_setup = Some("go-away".into());
    assert_eq!(setup_error(config, 0), (0, "go-away".into()));
}
