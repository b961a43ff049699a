//! Upstreams with too little room for the miners' extranonce, where there is no other: who is moved, and how.

use sv1::Reconnect;
use translate::{CloseReason, Config, Fault};

use crate::bench::{Bench, Found, config, grind, outline, upstream};

const EXTRANONCE_SUBSCRIBE: &str = r#"{"id":4,"method":"mining.extranonce.subscribe","params":[]}"#;

/// A farm whose only upstream gives so many bytes.
fn farm(size: u16, extranonce2_size: u8) -> Bench {
    let mut bench = Bench::new(Config {
        extranonce2_size,
        ..config()
    });
    serve(&mut bench, 0, size);
    bench
}

/// A farm whose primary gives what is asked for, and whose backup gives so many bytes.
fn farm_with_backup(size: u16) -> Bench {
    let mut bench = Bench::new(Config {
        upstreams: vec![upstream("primary", 0), upstream("backup", 1)],
        ..config()
    });
    serve(&mut bench, 0, 8);
    serve(&mut bench, 1, size);
    bench
}

fn serve(bench: &mut Bench, pool: usize, size: u16) {
    bench.pools[pool].extranonce_size = size;
    bench.open(pool);
    bench.deal_block(pool, 1);
}

/// A miner that says of itself what it is.
fn start(bench: &mut Bench, user_agent: &str, session: Option<&str>) -> usize {
    let rig = bench.connect();
    let session = session.map(|id| format!(r#","{id}""#)).unwrap_or_default();
    let subscribe =
        format!(r#"{{"id":2,"method":"mining.subscribe","params":["{user_agent}"{session}]}}"#);
    bench.say(rig, &subscribe);
    bench.say(
        rig,
        r#"{"id":3,"method":"mining.authorize","params":["farm.rig","x"]}"#,
    );
    rig
}

/// A miner that asked for mining.set_extranonce.
fn start_flexible(bench: &mut Bench) -> usize {
    let rig = bench.start_miner("farm.rig");
    bench.say(rig, EXTRANONCE_SUBSCRIBE);
    rig
}

fn shape(bench: &Bench, rig: usize) -> (usize, usize) {
    let rig = &bench.rigs[rig];
    (rig.extranonce1.len(), rig.extranonce2_size)
}

/// Mines a share that counts; gives the extranonce that its pool was sent.
fn mined(bench: &mut Bench, rig: usize, pool: usize) -> Vec<u8> {
    let found = grind(&bench.rigs[rig]);
    sent(bench, rig, pool, &found)
}

fn sent(bench: &mut Bench, rig: usize, pool: usize, found: &Found) -> Vec<u8> {
    bench.shares(pool);
    assert_eq!(outline(&[bench.submit(rig, found)]), "9=");
    let (share, _) = bench.shares(pool).remove(0);
    share.extranonce.to_vec()
}

fn moved(bench: &Bench, way: &str) -> u64 {
    let moved = bench.statistics().miners_moved;
    moved.get(way).copied().unwrap_or(0)
}

/// What was heard since there were so many lines.
fn heard(bench: &Bench, rig: usize, from: usize) -> String {
    outline(&bench.rigs[rig].heard[from..])
}

#[test]
fn the_first_extranonce_fits_what_the_upstream_gives_and_fills_it() {
    for (size, extranonce2_size, expected) in [
        (8, 4, (4, 4)),
        (7, 4, (2, 4)),
        (6, 4, (2, 4)),
        (12, 8, (4, 8)),
        (11, 8, (4, 4)),
        (8, 8, (4, 4)),
        (6, 8, (2, 4)),
    ] {
        let mut bench = farm(size, extranonce2_size);
        let rig = bench.start_miner("farm.rig");
        assert_eq!(shape(&bench, rig), expected, "{size} bytes");
        let extranonce = mined(&mut bench, rig, 0);
        assert_eq!(extranonce.len(), usize::from(size));
        let zeros = extranonce.len() - expected.0 - expected.1;
        let slot = &bench.rigs[rig].extranonce1;
        assert!(extranonce.starts_with(&vec![0; zeros]));
        assert!(extranonce[zeros..].starts_with(slot), "{extranonce:02x?}");
    }
}

#[test]
fn five_bytes_are_too_few_for_anyone() {
    let mut bench = Bench::new(config());
    bench.pools[0].extranonce_size = 5;
    bench.open(0);
    let (granted, needed) = (5, 6);
    let fault = Fault::TooLittleExtranonce { granted, needed };
    assert_eq!(bench.faults(0), [fault]);
}

#[test]
fn a_miner_that_takes_set_extranonce_goes_on_over_its_connection() {
    for size in [6, 7] {
        let mut bench = farm_with_backup(size);
        let rig = start_flexible(&mut bench);
        let before = bench.rigs[rig].heard.len();
        bench.lose(0, "connection lost");
        assert_eq!(heard(&bench, rig, before), "extranonce work:clean");
        assert_eq!(shape(&bench, rig), (2, 4));
        let extranonce = mined(&mut bench, rig, 1);
        assert_eq!(extranonce.len(), usize::from(size));
        assert_eq!(bench.closed(rig), None);
        assert_eq!(moved(&bench, "set-extranonce"), 1);
        let words = format!(
            "backup: gives {size} bytes of extranonce, too few for miners that had work: 1 were told a shorter one, \
             0 were asked to connect anew, 0 closed"
        );
        assert!(bench.log().contains(&words), "{:?}", bench.log());
    }
}

#[test]
fn firmware_that_is_known_to_take_set_extranonce_or_asks_in_configure_gets_it() {
    let mut bench = farm_with_backup(6);
    let known = start(&mut bench, "bitaxe/BM1370/v2.13.1", None);
    let asking = bench.connect();
    bench.say(
        asking,
        r#"{"id":1,"method":"mining.configure","params":[["subscribe-extranonce"],{}]}"#,
    );
    bench.set_up(asking, "farm.rig");
    bench.lose(0, "connection lost");
    for rig in [known, asking] {
        assert_eq!(shape(&bench, rig), (2, 4));
        assert_eq!(mined(&mut bench, rig, 1).len(), 6);
    }
}

#[test]
fn a_late_share_for_the_pool_before_still_goes_there_with_its_extranonce() {
    let mut bench = farm_with_backup(6);
    let rig = start_flexible(&mut bench);
    bench.wait(1.0);
    let late = grind(&bench.rigs[rig]);
    let slot = bench.rigs[rig].extranonce1.clone();
    // The primary misses a block, so that the miners move while its connection stands.
    bench.deal_block(1, 2);
    bench.wait(11.0);
    assert_eq!(shape(&bench, rig), (2, 4));
    let extranonce = sent(&mut bench, rig, 0, &late);
    assert_eq!(extranonce.len(), 8);
    assert!(extranonce.starts_with(&slot));
    assert_eq!(mined(&mut bench, rig, 1).len(), 6);
}

#[test]
fn cgminer_is_asked_to_connect_anew_and_comes_back_with_a_narrow_session() {
    let mut bench = farm_with_backup(7);
    let rig = start(&mut bench, "cgminer/4.11.1", None);
    let session = bench.rigs[rig].session_id.clone();
    let before = bench.rigs[rig].heard.len();
    bench.lose(0, "connection lost");
    assert_eq!(heard(&bench, rig, before), "reconnect");
    assert_eq!(bench.rigs[rig].reconnect, Some(None), "without a place");
    assert_eq!(moved(&bench, "reconnect"), 1);
    bench.leave(rig);
    let again = start(&mut bench, "cgminer/4.11.1", Some(&session));
    assert_ne!(bench.rigs[again].session_id, session);
    assert_eq!(shape(&bench, again), (2, 4));
    assert_eq!(mined(&mut bench, again, 1).len(), 7);
    bench.wait(10.0);
    assert_eq!((bench.closed(again), moved(&bench, "closed")), (None, 0));
}

#[test]
fn cpuminer_is_asked_with_host_and_port() {
    let mut bench = farm_with_backup(6);
    let rig = start(&mut bench, "cpuminer/2.5.1", None);
    bench.lose(0, "connection lost");
    let place = Reconnect {
        host: "192.0.2.100".into(),
        port: 3_333,
        wait: 0,
    };
    assert_eq!(bench.rigs[rig].reconnect, Some(Some(place)));
}

#[test]
fn a_miner_that_stays_when_asked_to_connect_anew_is_closed_with_the_reason() {
    let mut bench = farm_with_backup(6);
    let rig = start(&mut bench, "bench/1.0", None);
    bench.lose(0, "connection lost");
    let before = bench.rigs[rig].heard.len();
    bench.deal_job(1, 2);
    bench.wait(4.0);
    assert_eq!(bench.closed(rig), None);
    bench.wait(2.1);
    assert_eq!(bench.closed(rig), Some(&CloseReason::ExtranonceTooLong(6)));
    assert_eq!(heard(&bench, rig, before), "", "there is no work for it");
    assert_eq!(
        (moved(&bench, "reconnect"), moved(&bench, "closed")),
        (1, 1)
    );
}

#[test]
fn firmware_that_knows_neither_way_is_closed_at_once() {
    let mut bench = farm_with_backup(6);
    let rig = start(&mut bench, "NerdMinerV2/V1.8.3", None);
    bench.lose(0, "connection lost");
    assert_eq!(bench.closed(rig), Some(&CloseReason::ExtranonceTooLong(6)));
    let again = start(&mut bench, "NerdMinerV2/V1.8.3", None);
    assert_eq!(mined(&mut bench, again, 1).len(), 6);
}

#[test]
fn an_upstream_with_room_comes_before_a_preferred_one_without() {
    let mut bench = Bench::new(Config {
        upstreams: vec![
            upstream("primary", 0),
            upstream("narrow", 1),
            upstream("roomy", 2),
        ],
        ..config()
    });
    serve(&mut bench, 0, 8);
    let rig = bench.start_miner("farm.rig");
    bench.lose(0, "connection lost");
    // While the first is away, the next two are held.
    bench.wait(0.1);
    serve(&mut bench, 2, 16);
    serve(&mut bench, 1, 6);
    assert_eq!(mined(&mut bench, rig, 2).len(), 16);
    bench.wait(120.0);
    assert_eq!(mined(&mut bench, rig, 2).len(), 16, "also when healthy");
    assert_eq!(bench.statistics().miners_moved.len(), 0);
}

#[test]
fn back_at_the_roomy_pool_narrow_sessions_mine_on_and_new_ones_are_usual() {
    let mut bench = farm_with_backup(6);
    let rig = start_flexible(&mut bench);
    bench.lose(0, "connection lost");
    let late = grind(&bench.rigs[rig]);
    bench.wait(2.0);
    serve(&mut bench, 0, 8);
    bench.wait(61.0);
    let before = bench.rigs[rig].heard.len();
    bench.deal_job(0, 2);
    assert!(heard(&bench, rig, before).ends_with("work"));
    assert_eq!(shape(&bench, rig), (2, 4), "nothing is changed back");
    let extranonce = mined(&mut bench, rig, 0);
    assert_eq!((extranonce.len(), &extranonce[..2]), (8, [0, 0].as_slice()));
    assert_eq!(sent(&mut bench, rig, 1, &late).len(), 6, "a late one");
    let newcomer = bench.start_miner("farm.rig");
    assert_eq!(shape(&bench, newcomer), (4, 4));
    assert_ne!(bench.rigs[newcomer].extranonce1[..2], [0, 0]);
    assert_eq!(mined(&mut bench, newcomer, 0).len(), 8);
    // Both are on one channel now, each with a notify of its layout.
    assert_eq!(mined(&mut bench, rig, 0).len(), 8);
}

#[test]
fn a_session_that_was_made_narrow_is_resumed_as_such() {
    let mut bench = farm_with_backup(6);
    let rig = start_flexible(&mut bench);
    bench.lose(0, "connection lost");
    let (session, slot) = {
        let rig = &bench.rigs[rig];
        (rig.session_id.clone(), rig.extranonce1.clone())
    };
    bench.leave(rig);
    let again = start(&mut bench, "bench/1.0", Some(&session));
    assert_eq!(bench.rigs[again].session_id, session);
    assert_eq!(bench.rigs[again].extranonce1, slot);
    assert_eq!(mined(&mut bench, again, 1).len(), 6);
}

#[test]
fn a_miner_between_subscribe_and_authorize_is_moved_with_its_first_work() {
    let mut bench = farm_with_backup(6);
    let rig = bench.connect();
    bench.say(rig, crate::bench::SUBSCRIBE);
    bench.say(rig, EXTRANONCE_SUBSCRIBE);
    bench.lose(0, "connection lost");
    let heard = bench.say(rig, crate::bench::AUTHORIZE);
    assert_eq!(outline(&heard), "3= extranonce difficulty work:clean");
    assert_eq!(mined(&mut bench, rig, 1).len(), 6);
}

#[test]
fn eight_bytes_of_extranonce2_become_four_before_the_slot_is_touched() {
    let mut bench = Bench::new(Config {
        extranonce2_size: 8,
        upstreams: vec![upstream("primary", 0), upstream("backup", 1)],
        ..config()
    });
    serve(&mut bench, 0, 12);
    serve(&mut bench, 1, 8);
    let rig = start_flexible(&mut bench);
    assert_eq!(mined(&mut bench, rig, 0).len(), 12);
    bench.lose(0, "connection lost");
    assert_eq!(shape(&bench, rig), (4, 4));
    assert_eq!(mined(&mut bench, rig, 1).len(), 8);
}

#[test]
fn an_upstream_with_little_room_says_so_as_its_channel_opens() {
    let bench = farm_with_backup(7);
    let said = |words: &&String| words.starts_with("backup: gives 7 bytes of extranonce, where 8");
    assert!(bench.log().iter().find(said).is_some(), "{:?}", bench.log());
}

#[test]
fn in_an_outage_nobody_is_closed_for_its_extranonce() {
    let mut bench = farm_with_backup(6);
    let rig = start(&mut bench, "bench/1.0", None);
    bench.lose(0, "connection lost");
    bench.lose(1, "connection lost");
    bench.wait(30.0);
    assert_eq!(bench.closed(rig), None);
    serve(&mut bench, 0, 8);
    assert_eq!(mined(&mut bench, rig, 0).len(), 8, "as before");
}

#[test]
fn a_subscribe_without_a_slot_left_is_refused_and_counted() {
    let mut bench = Bench::with_work(Config {
        first_slot: u32::MAX,
        ..config()
    });
    bench.start_miner("farm.rig");
    let late = bench.connect();
    assert_eq!(outline(&bench.say(late, crate::bench::SUBSCRIBE)), "2!20");
    assert_eq!(bench.statistics().subscribes_refused, 1);
}
