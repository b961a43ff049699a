//! Upstreams: set-up, every way to fail, and every attempt after it.

use sv2::message::Message;
use sv2::messages::common::{Reconnect, SetupConnectionError, SetupConnectionSuccess};
use sv2::messages::extensions::{RequestExtensionsError, RequestExtensionsSuccess};
use sv2::messages::mining::{CloseChannel, Mining, OpenMiningChannelError, UpdateChannelError};
use sv2::tlv::WORKER_SPECIFIC_HASHRATE_TRACKING;
use sv2::types::{ChannelId, ExtensionType, RequestId, Str0_255};
use translate::{Config, Fault, Violation};

use crate::bench::{Bench, config, extensions_success, job, outline, prev_hash, setup_success};

fn text(text: &str) -> Str0_255 {
    Str0_255::new(text).unwrap()
}

fn names(messages: &[Message]) -> Vec<&'static str> {
    messages.iter().map(Message::name).collect()
}

#[test]
fn the_set_up_is_connection_extensions_channel() {
    let mut bench = Bench::new(config());
    bench.upstream_connected(0);
    let sent = bench.sent(0);
    let [Message::Common(sv2::messages::common::Common::SetupConnection(setup))] = sent.as_slice()
    else {
        panic!("{sent:?}");
    };
    assert_eq!(
        (
            setup.protocol,
            setup.min_version,
            setup.max_version,
            setup.flags
        ),
        (0, 2, 2, 0b100)
    );
    assert_eq!(
        (setup.endpoint_host.to_string(), setup.endpoint_port),
        ("primary.example.com".into(), 34_254)
    );
    assert!(setup.device_id.as_bytes().is_empty(), "no telemetry");
    bench.tell(0, setup_success());
    assert_eq!(names(&bench.sent(0)), ["RequestExtensions"]);
    bench.tell(0, extensions_success());
    let sent = bench.sent(0);
    let [Message::Mining(Mining::OpenExtendedMiningChannel(open))] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    assert_eq!(open.user_identity.to_string(), "farm");
    assert_eq!(open.nominal_hash_rate, 0.0, "no miner is connected");
    assert_eq!(open.min_extranonce_size, 8, "slot and extranonce2");
    let success = bench.pools[0].open_success();
    bench.tell(0, success);
    let ready = bench.log().last().unwrap().clone();
    assert!(
        ready.ends_with("8 bytes of extranonce, with worker names"),
        "{ready}"
    );
}

#[test]
fn without_worker_names_no_extension_is_asked_for() {
    let mut bench = Bench::new(Config {
        worker_names: false,
        ..config()
    });
    bench.upstream_connected(0);
    bench.sent(0);
    bench.tell(0, setup_success());
    assert_eq!(names(&bench.sent(0)), ["OpenExtendedMiningChannel"]);
}

#[test]
fn a_server_silent_on_extensions_is_asked_for_a_channel_after_two_seconds() {
    let mut bench = Bench::new(config());
    bench.upstream_connected(0);
    bench.tell(0, setup_success());
    bench.sent(0);
    bench.wait(1.9);
    assert!(bench.sent(0).is_empty());
    bench.wait(0.2);
    assert_eq!(names(&bench.sent(0)), ["OpenExtendedMiningChannel"]);
    // The answer may still come, now or later, and changes nothing.
    bench.tell(0, extensions_success());
    let success = bench.pools[0].open_success();
    bench.tell(0, success);
    bench.tell(0, extensions_success());
    bench.deal_block(0, 1);
    let rig = bench.start_miner("farm.rig");
    bench.sent(0);
    bench.mine(rig);
    assert_eq!(bench.shares(0)[0].1, None, "no worker names");
    assert!(bench.faults(0).is_empty());
}

#[test]
fn refused_extensions_are_done_without_and_required_ones_are_a_fault() {
    let refuse = |required: Vec<u16>| RequestExtensionsError {
        request_id: 1,
        unsupported_extensions: vec![WORKER_SPECIFIC_HASHRATE_TRACKING].try_into().unwrap(),
        required_extensions: required
            .into_iter()
            .map(ExtensionType)
            .collect::<Vec<_>>()
            .try_into()
            .unwrap(),
    };
    let negotiating = || {
        let mut bench = Bench::new(config());
        bench.upstream_connected(0);
        bench.tell(0, setup_success());
        bench.sent(0);
        bench
    };
    let mut bench = negotiating();
    bench.tell(0, refuse(vec![]));
    assert_eq!(names(&bench.sent(0)), ["OpenExtendedMiningChannel"]);
    let mut bench = negotiating();
    bench.tell(
        0,
        RequestExtensionsSuccess {
            request_id: 1,
            supported_extensions: vec![].try_into().unwrap(),
        },
    );
    assert_eq!(names(&bench.sent(0)), ["OpenExtendedMiningChannel"]);
    let mut bench = negotiating();
    bench.tell(0, refuse(vec![7, 9]));
    assert_eq!(bench.faults(0), [Fault::ExtensionsRequired(vec![7, 9])]);
    bench.wait(2.0);
    assert_eq!(bench.pools[0].dials, 2);
}

#[test]
fn a_server_that_drops_us_over_extensions_is_not_asked_the_next_time() {
    let mut bench = Bench::new(config());
    bench.upstream_connected(0);
    bench.tell(0, setup_success());
    bench.lose(0, "connection closed by the upstream");
    bench.wait(2.0);
    bench.upstream_connected(0);
    bench.sent(0);
    bench.tell(0, setup_success());
    assert_eq!(names(&bench.sent(0)), ["OpenExtendedMiningChannel"]);
}

#[test]
fn a_server_without_version_rolling_is_asked_again_without_it() {
    let mut bench = Bench::new(config());
    bench.upstream_connected(0);
    bench.sent(0);
    bench.tell(
        0,
        SetupConnectionError {
            flags: 0b100,
            error_code: text("unsupported-feature-flags"),
        },
    );
    assert_eq!(
        bench.faults(0),
        [Fault::SetupRefused {
            error_code: "unsupported-feature-flags".into(),
            flags: 0b100
        }]
    );
    bench.wait(2.0);
    bench.upstream_connected(0);
    let sent = bench.sent(0);
    let [Message::Common(sv2::messages::common::Common::SetupConnection(setup))] = sent.as_slice()
    else {
        panic!("{sent:?}");
    };
    assert_eq!(setup.flags, 0);
}

/// What leads to a fault, the fault, and its words.
type Case = (fn(&mut Bench), Fault);

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_fault_in_the_set_up_ends_the_connection_and_is_followed_by_another_attempt() {
    let cases: [Case; 13] = [
        (
            |bench| {
                bench.tell(
                    0,
                    SetupConnectionError {
                        flags: 0,
                        error_code: text("unknown-user"),
                    },
                )
            },
            Fault::SetupRefused {
                error_code: "unknown-user".into(),
                flags: 0,
            },
        ),
        (
            |bench| {
                bench.tell(
                    0,
                    SetupConnectionError {
                        flags: 0,
                        error_code: text("protocol-version-mismatch"),
                    },
                )
            },
            Fault::SetupRefused {
                error_code: "protocol-version-mismatch".into(),
                flags: 0,
            },
        ),
        (
            |bench| {
                bench.tell(0, setup_success());
                bench.tell(0, extensions_success());
                bench.tell(
                    0,
                    OpenMiningChannelError {
                        request_id: RequestId(1),
                        error_code: text("too-many-channels"),
                    },
                );
            },
            Fault::ChannelRefused("too-many-channels".into()),
        ),
        (
            |bench| {
                bench.tell(
                    0,
                    SetupConnectionSuccess {
                        used_version: 3,
                        flags: 0,
                    },
                )
            },
            Fault::OtherProtocolVersion(3),
        ),
        (|bench| bench.wait(10.0), Fault::NoAnswer("SetupConnection")),
        (
            |bench| bench.tell(0, job(1, 1, None)),
            Violation::UnexpectedMessage {
                message: "NewExtendedMiningJob",
                expected: "SetupConnection.Success",
            }
            .into(),
        ),
        (
            |bench| {
                bench.tell(0, setup_success());
                bench.tell(0, setup_success());
            },
            Violation::UnexpectedMessage {
                message: "SetupConnection.Success",
                expected: "RequestExtensions.Success",
            }
            .into(),
        ),
        (
            |bench| {
                bench.tell(0, setup_success());
                bench.tell(0, extensions_success());
                bench.wait(10.0);
            },
            Fault::NoAnswer("OpenExtendedMiningChannel"),
        ),
        (
            |bench| {
                bench.tell(0, setup_success());
                bench.tell(0, extensions_success());
                bench.tell(
                    0,
                    OpenMiningChannelError {
                        request_id: RequestId(1),
                        error_code: text("unknown-user"),
                    },
                );
            },
            Fault::ChannelRefused("unknown-user".into()),
        ),
        (
            |bench| {
                bench.tell(0, setup_success());
                bench.tell(0, extensions_success());
                bench.tell(0, prev_hash(100, 1, 1));
            },
            Violation::UnexpectedMessage {
                message: "SetNewPrevHash",
                expected: "OpenExtendedMiningChannel.Success",
            }
            .into(),
        ),
        (
            |bench| {
                bench.tell(0, setup_success());
                bench.tell(0, extensions_success());
                bench.pools[0].extranonce_size = 5;
                let success = bench.pools[0].open_success();
                bench.tell(0, success);
            },
            Fault::TooLittleExtranonce {
                granted: 5,
                needed: 6,
            },
        ),
        (
            |bench| {
                bench.tell(0, setup_success());
                bench.tell(0, extensions_success());
                bench.pools[0].extranonce_size = 27;
                let success = bench.pools[0].open_success();
                bench.tell(0, success);
            },
            Violation::ExtranonceTooLong {
                prefix: 6,
                size: 27,
            }
            .into(),
        ),
        (
            |bench| {
                bench.tell(
                    0,
                    Reconnect {
                        new_host: text(""),
                        new_port: 0,
                    },
                )
            },
            Fault::Reconnect,
        ),
    ];
    for (fail, fault) in cases {
        let mut bench = Bench::new(config());
        let rig = bench.start_miner("farm.rig");
        bench.upstream_connected(0);
        fail(&mut bench);
        assert_eq!(bench.faults(0), std::slice::from_ref(&fault));
        assert!(
            bench
                .log()
                .iter()
                .any(|line| line.starts_with(&format!("primary: {fault}; next attempt in "))),
            "{fault}"
        );
        bench.wait(2.0);
        assert_eq!(bench.pools[0].dials, 2, "{fault}");
        bench.pools[0].extranonce_size = 8;
        bench.open(0);
        bench.deal_block(0, 1);
        assert_eq!(outline(&[bench.mine(rig)]), "9=", "after {fault}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_fault_of_an_open_channel_ends_the_connection_and_miners_go_on_after_it() {
    let cases: [Case; 10] = [
        (
            |bench| bench.tell(0, job(555, 9, None)),
            Violation::UnknownChannel {
                message: "NewExtendedMiningJob",
                channel: ChannelId(555),
            }
            .into(),
        ),
        (
            |bench| bench.tell(0, prev_hash(100, 55, 9)),
            Violation::PrevHashForUnknownJob(sv2::types::JobId(55)).into(),
        ),
        (
            |bench| {
                bench.tell(0, job(100, 9, None));
                let mut block = prev_hash(100, 9, 9);
                block.nbits = 0xff12_3456;
                bench.tell(0, block);
            },
            Violation::InvalidNbits(0xff12_3456).into(),
        ),
        (
            |bench| {
                let mut deep = job(100, 9, None);
                deep.merkle_path = vec![sv2::types::U256([0; 32]); 33].try_into().unwrap();
                bench.tell(0, deep);
            },
            Violation::MerklePathTooLong {
                job: sv2::types::JobId(9),
                length: 33,
            }
            .into(),
        ),
        (
            |bench| {
                let mut long = job(100, 9, None);
                long.coinbase_tx_prefix = vec![0; 8_192].try_into().unwrap();
                long.coinbase_tx_suffix = vec![0; 8_193].try_into().unwrap();
                bench.tell(0, long);
            },
            Violation::CoinbaseTooLong {
                job: sv2::types::JobId(9),
                length: 16_385,
            }
            .into(),
        ),
        (
            |bench| {
                let prefix = sv2::types::B0_32::new(&[0; 25]).unwrap();
                bench.tell(
                    0,
                    sv2::messages::mining::SetExtranoncePrefix {
                        channel_id: ChannelId(100),
                        extranonce_prefix: prefix,
                    },
                );
            },
            Violation::ExtranonceTooLong {
                prefix: 25,
                size: 8,
            }
            .into(),
        ),
        (
            |bench| {
                bench.tell(
                    0,
                    CloseChannel {
                        channel_id: ChannelId(100),
                        reason_code: text("maintenance"),
                    },
                )
            },
            Fault::ChannelClosed("maintenance".into()),
        ),
        (
            |bench| {
                bench.tell(
                    0,
                    CloseChannel {
                        channel_id: ChannelId(1),
                        reason_code: text("all of you"),
                    },
                )
            },
            Fault::ChannelClosed("all of you".into()),
        ),
        (
            |bench| {
                bench.tell(
                    0,
                    Reconnect {
                        new_host: text("other.example.com"),
                        new_port: 1,
                    },
                )
            },
            Fault::Reconnect,
        ),
        (
            |bench| {
                bench.tell(
                    0,
                    CloseChannel {
                        channel_id: ChannelId(99),
                        reason_code: text(""),
                    },
                )
            },
            Violation::UnknownChannel {
                message: "CloseChannel",
                channel: ChannelId(99),
            }
            .into(),
        ),
    ];
    for (fail, fault) in cases {
        let (mut bench, rig) = Bench::mining();
        let slot = bench.rigs[rig].extranonce1.clone();
        fail(&mut bench);
        assert_eq!(bench.faults(0), std::slice::from_ref(&fault));
        assert!(!bench.statistics().upstreams[0].open);
        bench.wait(2.0);
        bench.open(0);
        bench.deal_block(0, 9);
        assert_eq!(outline(&[bench.mine(rig)]), "9=", "after {fault}");
        assert_eq!(
            (bench.closed(rig), &bench.rigs[rig].extranonce1),
            (None, &slot)
        );
    }
}

#[test]
fn an_upstream_that_deals_no_job_is_left_after_a_minute() {
    let mut bench = Bench::new(config());
    bench.open(0);
    bench.wait(59.0);
    bench.tell(0, job(100, 1, None));
    assert!(bench.faults(0).is_empty());
    bench.wait(1.0);
    assert_eq!(
        bench.faults(0),
        [Fault::NoJob],
        "a future job is none to work on"
    );
}

#[test]
fn a_job_before_any_block_is_a_violation() {
    let mut bench = Bench::new(config());
    bench.open(0);
    bench.deal_job(0, 1);
    assert_eq!(
        bench.faults(0),
        [Violation::JobWithoutPrevHash(sv2::types::JobId(1)).into()]
    );
}

#[test]
fn too_little_extranonce_closes_the_channel_before_it_hangs_up() {
    let mut bench = Bench::new(config());
    bench.pools[0].extranonce_size = 4;
    bench.open(0);
    assert_eq!(names(&bench.sent(0)).last(), Some(&"CloseChannel"));
}

#[test]
fn a_message_that_means_nothing_to_us_is_ignored() {
    let (mut bench, rig) = Bench::mining();
    let unknown = Message::decode(&[0x99, 0x80, 0x42, 3, 0, 0, 1, 2, 3])
        .unwrap()
        .message;
    bench.tell(0, unknown);
    bench.tell(
        0,
        sv2::messages::common::ChannelEndpointChanged {
            channel_id: ChannelId(100),
        },
    );
    bench.tell(
        0,
        UpdateChannelError {
            channel_id: ChannelId(100),
            error_code: text("invalid-channel-id"),
        },
    );
    bench.tell(
        0,
        OpenMiningChannelError {
            request_id: RequestId(77),
            error_code: text("x"),
        },
    );
    assert!(bench.faults(0).is_empty());
    assert!(
        bench
            .log()
            .contains(&"primary: refused UpdateChannel: invalid-channel-id".into())
    );
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
}

#[test]
fn what_was_on_its_way_as_we_hung_up_is_ignored() {
    let (mut bench, rig) = Bench::mining();
    bench.tell(
        0,
        CloseChannel {
            channel_id: ChannelId(100),
            reason_code: text("bye"),
        },
    );
    let heard = bench.rigs[rig].heard.len();
    bench.deal_job(0, 2);
    bench.tell(
        0,
        Reconnect {
            new_host: text("elsewhere"),
            new_port: 1,
        },
    );
    bench.lose(0, "connection closed by the upstream");
    assert_eq!(bench.rigs[rig].heard.len(), heard);
    assert_eq!(bench.faults(0).len(), 1);
    bench.wait(1.5);
    assert_eq!((bench.pools[0].dials, &bench.pools[0].redirect), (2, &None));
}

#[test]
fn a_lost_upstream_is_dialled_again_for_ever_with_growing_pauses() {
    let mut bench = Bench::new(config());
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let (lost, dials) = (bench.now, bench.pools[0].dials);
        bench.lose(0, "cannot connect");
        while bench.pools[0].dials == dials {
            bench.wait(0.25);
        }
        pauses.push((bench.now - lost).as_secs_f64());
    }
    assert!(pauses[0] <= 1.25 && pauses[3] > 3.9, "{pauses:?}");
    assert!(
        pauses[7..]
            .iter()
            .all(|pause| (30.0..=60.25).contains(pause)),
        "{pauses:?}"
    );
}

#[test]
fn the_pauses_start_over_only_after_a_minute_of_work() {
    let (mut bench, _) = Bench::mining();
    for _ in 0..6 {
        bench.lose(0, "connection lost");
        bench.wait(80.0);
        bench.open(0);
        bench.deal_block(0, 1);
    }
    bench.lose(0, "connection lost");
    let pause = |bench: &Bench| {
        let log = bench.log().join("\n");
        let pause = log
            .rsplit("next attempt in ")
            .next()
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        pause.parse::<f64>().unwrap()
    };
    assert!(
        pause(&bench) > 40.0,
        "a pool that comes and goes is not hammered"
    );
    bench.wait(80.0);
    bench.open(0);
    bench.deal_block(0, 1);
    bench.wait(60.0);
    bench.lose(0, "connection lost");
    assert!(pause(&bench) <= 1.0);
}

#[test]
fn reconnect_is_followed_at_once_by_who_worked_well_and_names_the_new_place() {
    let (mut bench, _) = Bench::mining();
    bench.wait(61.0);
    bench.tell(
        0,
        Reconnect {
            new_host: text("other.example.com"),
            new_port: 0,
        },
    );
    bench.wait(0.0);
    assert_eq!(
        bench.pools[0].redirect,
        Some(("other.example.com".into(), 34_254))
    );
    bench.sent(0);
    bench.upstream_connected(0);
    let sent = bench.sent(0);
    let [Message::Common(sv2::messages::common::Common::SetupConnection(setup))] = sent.as_slice()
    else {
        panic!("{sent:?}");
    };
    assert_eq!(setup.endpoint_host.to_string(), "other.example.com");
    bench.lose(0, "its certificate is signed by another authority");
    bench.wait(2.0);
    assert_eq!(
        bench.pools[0].redirect, None,
        "then the configured place again"
    );
}

#[test]
fn an_upstream_that_only_ever_reconnects_is_slowed_down() {
    let mut bench = Bench::new(config());
    for _ in 0..10 {
        while !bench.pools[0].dialled {
            bench.wait(1.0);
        }
        bench.open(0);
        bench.tell(
            0,
            Reconnect {
                new_host: text(""),
                new_port: 0,
            },
        );
    }
    assert!((bench.now - bench.start).as_secs() > 150);
}
