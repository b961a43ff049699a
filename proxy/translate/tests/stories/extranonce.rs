//! Upstreams that give less extranonce than is asked for.

use sv2::message::Message;
use sv2::messages::mining::{Mining, OpenMiningChannelError};
use sv2::types::{RequestId, Str0_255};
use translate::{Config, Fault};

use crate::bench::{Bench, config, extensions_success, outline, setup_success, upstream};

/// Bytes of extranonce that a pool was asked for since it was last looked at.
fn asked(bench: &mut Bench, pool: usize) -> Vec<u16> {
    let open = |message| match message {
        Message::Mining(Mining::OpenExtendedMiningChannel(open)) => Some(open.min_extranonce_size),
        _ => None,
    };
    bench.sent(pool).into_iter().filter_map(open).collect()
}

fn refuse(bench: &mut Bench, pool: usize, code: &str) {
    let request_id = RequestId(1);
    let error_code = Str0_255::truncated(code);
    bench.tell(
        pool,
        OpenMiningChannelError {
            request_id,
            error_code,
        },
    );
}

/// A farm whose upstream is asked for a channel.
fn opening(extranonce2_size: u8) -> Bench {
    let mut bench = Bench::new(Config {
        extranonce2_size,
        ..config()
    });
    bench.upstream_connected(0);
    bench.tell(0, setup_success());
    bench.tell(0, extensions_success());
    bench
}

#[test]
fn a_refused_size_is_asked_for_in_smaller_steps() {
    for (extranonce2_size, steps) in [
        (8, [12, 8, 7, 6].as_slice()),
        (5, &[9, 8, 7, 6]),
        (4, &[8, 7, 6]),
    ] {
        let mut bench = opening(extranonce2_size);
        for step in steps {
            assert_eq!(asked(&mut bench, 0), [*step]);
            refuse(&mut bench, 0, "min-extranonce-size-too-large");
        }
        let needed = 4 + u16::from(extranonce2_size);
        let fault = Fault::ExtranonceRefused { asked: 6, needed };
        assert_eq!(bench.faults(0), [fault]);
        let refusals = bench.statistics().upstreams[0].extranonce_refusals;
        assert_eq!(refusals, steps.len() as u64 - 1);
    }
}

#[test]
fn each_step_has_its_reason_in_the_log() {
    let mut bench = opening(4);
    refuse(&mut bench, 0, "unsupported-min-extranonce-size");
    let words =
        "primary: refused 8 bytes of extranonce (unsupported-min-extranonce-size), asked for 7";
    assert!(bench.log().contains(&words.to_owned()), "{:?}", bench.log());
}

#[test]
fn a_server_that_gives_enough_to_who_asks_for_less_is_worked_for() {
    let mut bench = opening(4);
    refuse(&mut bench, 0, "min-extranonce-size-too-large");
    let success = bench.pools[0].open_success();
    bench.tell(0, success);
    bench.deal_block(0, 1);
    let rig = bench.start_miner("farm.rig");
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
}

#[test]
fn a_server_that_gives_too_little_is_left_with_the_figure() {
    let mut bench = opening(4);
    refuse(&mut bench, 0, "min-extranonce-size-too-large");
    bench.pools[0].extranonce_size = 5;
    let success = bench.pools[0].open_success();
    bench.tell(0, success);
    let (granted, needed) = (5, 6);
    assert_eq!(
        bench.faults(0),
        [Fault::TooLittleExtranonce { granted, needed }]
    );
}

#[test]
fn every_connection_is_asked_for_all_of_it_first() {
    let mut bench = opening(4);
    refuse(&mut bench, 0, "min-extranonce-size-too-large");
    bench.lose(0, "connection lost");
    bench.wait(2.0);
    bench.sent(0);
    bench.upstream_connected(0);
    bench.tell(0, setup_success());
    bench.tell(0, extensions_success());
    assert_eq!(asked(&mut bench, 0), [8]);
}

#[test]
fn a_channel_refused_for_anything_else_is_not_asked_for_again_on_this_connection() {
    for code in [
        "unknown-user",
        "too-many-channels",
        "no-extranonce-space-left",
        "max-target-out-of-range",
        "",
    ] {
        let mut bench = opening(4);
        asked(&mut bench, 0);
        refuse(&mut bench, 0, code);
        assert_eq!(bench.faults(0), [Fault::ChannelRefused(code.to_owned())]);
        assert!(asked(&mut bench, 0).is_empty());
    }
}

#[test]
fn miners_work_for_an_upstream_with_enough_while_a_preferred_one_has_too_little() {
    let mut bench = Bench::new(Config {
        upstreams: vec![upstream("primary", 0), upstream("backup", 1)],
        ..config()
    });
    bench.pools[0].extranonce_size = 6;
    bench.open(0);
    bench.open(1);
    bench.deal_block(1, 1);
    let rig = bench.start_miner("farm.rig");
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
    assert_eq!(bench.shares(1).len(), 1);
}
