//! More miners than a channel with six bytes of extranonce tells apart: a second channel for those that come later.

use std::time::Duration;

use sv2::messages::mining::OpenMiningChannelError;
use sv2::types::{RequestId, Str0_255};
use translate::{ChannelMode, CloseReason, Config};

use crate::bench::{
    Bench, SUBSCRIBE, config, extensions_success, grind, outline, setup_success, upstream,
};

const EXTRANONCE_SUBSCRIBE: &str = r#"{"id":4,"method":"mining.extranonce.subscribe","params":[]}"#;

/// Slots that are left on the first channel.
const LEFT: u16 = 2;

/// The last slots of the first page.
fn nearly_full(upstreams: &[(&str, u16)]) -> (Config, Vec<u16>) {
    let config = Config {
        first_narrow_slot: u16::MAX - (LEFT - 1),
        upstreams: (0..)
            .zip(upstreams)
            .map(|(number, (name, _))| upstream(name, number))
            .collect(),
        ..config()
    };
    (config, upstreams.iter().map(|(_, size)| *size).collect())
}

/// A farm whose upstreams give so many bytes of extranonce, with miners in the first one's last slots.
fn farm(upstreams: &[(&str, u16)]) -> (Bench, Vec<usize>) {
    let (config, sizes) = nearly_full(upstreams);
    let mut bench = Bench::new(config);
    for (pool, size) in sizes.into_iter().enumerate() {
        serve(&mut bench, pool, size);
    }
    let rigs = (0..LEFT).map(|_| bench.start_miner("farm.rig"));
    let rigs = rigs.collect();
    (bench, rigs)
}

fn serve(bench: &mut Bench, pool: usize, size: u16) {
    bench.pools[pool].extranonce_size = size;
    bench.open(pool);
    bench.deal_block(pool, 1);
}

/// The upstream's answer to a channel that it does not want to open.
fn refuse(bench: &mut Bench, pool: usize) {
    bench.upstream_connected(pool);
    bench.tell(pool, setup_success());
    bench.tell(pool, extensions_success());
    let refusal = OpenMiningChannelError {
        request_id: RequestId(1),
        error_code: Str0_255::truncated("no-capacity"),
    };
    bench.tell(pool, refusal);
}

/// Whose job a rig works on, by the extranonce prefix in its coinbase; `None` without work.
fn works_for(bench: &Bench, rig: usize) -> Option<usize> {
    let work = bench.rigs[rig].notified.last()?;
    let place = work.coinb1.iter().rposition(|byte| *byte >= 0xa0)?;
    Some(usize::from(work.coinb1[place] - 0xa0))
}

/// Mines a share that counts; gives the extranonce that its pool was sent.
fn mined(bench: &mut Bench, rig: usize, pool: usize) -> Vec<u8> {
    let found = grind(&bench.rigs[rig]);
    bench.shares(pool);
    assert_eq!(outline(&[bench.submit(rig, &found)]), "9=");
    let (share, _) = bench.shares(pool).remove(0);
    let rig = &bench.rigs[rig];
    let prefix = [&bench.pools[pool].extranonce_prefix, &*share.extranonce].concat();
    let inserted = [&rig.work().coinb1[..], &rig.extranonce1].concat();
    let ours = &prefix[..prefix.len() - rig.extranonce2_size];
    assert!(
        inserted.ends_with(ours),
        "the pool hashes what the miner did"
    );
    share.extranonce.to_vec()
}

#[test]
fn who_comes_after_the_last_slot_gets_a_second_channel() {
    let (mut bench, rigs) = farm(&[("primary", 6)]);
    assert_eq!(bench.pools.len(), 1);
    let late = bench.start_miner("farm.rig");
    assert_eq!(bench.rigs[late].extranonce1, [0, 0]);
    assert_eq!(works_for(&bench, late), None);
    assert!(bench.pools[1].dialled);
    serve(&mut bench, 1, 6);
    assert_eq!(works_for(&bench, late), Some(1));
    assert_eq!(mined(&mut bench, late, 1)[..2], [0, 0]);
    for rig in rigs {
        assert_eq!(mined(&mut bench, rig, 0).len(), 6);
    }
    let another = bench.start_miner("farm.rig");
    assert_eq!(
        works_for(&bench, another),
        Some(1),
        "from its first work on"
    );
    assert_eq!(mined(&mut bench, another, 1)[..2], [0, 1]);
    let words = "primary: has no slot of two bytes left on its channel: channel 2 is opened for the miners that come \
                 now";
    assert!(bench.log().contains(&words.to_owned()), "{:?}", bench.log());
    assert_eq!(bench.statistics().upstreams[0].own_channels, 1);
}

#[test]
fn each_channel_deals_to_its_own_miners() {
    let (mut bench, rigs) = farm(&[("primary", 6)]);
    let late = bench.start_miner("farm.rig");
    serve(&mut bench, 1, 6);
    let heard = [rigs[0], late].map(|rig| bench.rigs[rig].notified.len());
    let since = |bench: &Bench| {
        let mut heard = heard.into_iter();
        [rigs[0], late].map(|rig| bench.rigs[rig].notified.len() - heard.next().unwrap())
    };
    bench.deal_job(0, 2);
    assert_eq!(since(&bench), [1, 0]);
    bench.deal_job(1, 2);
    assert_eq!(since(&bench), [1, 1]);
    let strange = bench.rigs[late].work().job_id.to_string();
    let mut found = grind(&bench.rigs[rigs[0]]);
    found.job_id = strange;
    assert_eq!(outline(&[bench.submit(rigs[0], &found)]), "9!21");
}

#[test]
fn with_a_byte_to_spare_one_channel_is_enough() {
    let (mut bench, rigs) = farm(&[("primary", 7)]);
    let late = bench.start_miner("farm.rig");
    assert_eq!(bench.rigs[late].extranonce1, [0, 0]);
    assert_eq!(bench.pools.len(), 1);
    assert_eq!(mined(&mut bench, late, 0)[..3], [1, 0, 0]);
    assert_eq!(mined(&mut bench, rigs[1], 0)[..3], [0, 0xff, 0xff]);
}

#[test]
fn a_switch_to_an_upstream_with_room_puts_all_on_one_channel() {
    let (mut bench, rigs) = farm(&[("primary", 6), ("backup", 8)]);
    let late = bench.start_miner("farm.rig");
    serve(&mut bench, 2, 6);
    let pending = grind(&bench.rigs[late]);
    let heard = [rigs[0], late].map(|rig| bench.rigs[rig].heard.len());
    bench.lose(0, "connection lost");
    for (rig, heard) in [rigs[0], late].into_iter().zip(heard) {
        assert_eq!(outline(&bench.rigs[rig].heard[heard..]), "work:clean");
    }
    assert_eq!(mined(&mut bench, late, 1)[..4], [0, 1, 0, 0]);
    assert_eq!(mined(&mut bench, rigs[0], 1)[..4], [0, 0, 0xff, 0xfe]);
    bench.shares(2);
    assert_eq!(outline(&[bench.submit(late, &pending)]), "9=");
    assert_eq!(
        bench.shares(2).len(),
        1,
        "late, to the channel that it is of"
    );
    bench.wait(31.0);
    assert!(!bench.pools[2].dialled, "nobody needs it");
    assert_eq!(bench.pools.len(), 3);
    let newcomer = bench.start_miner("farm.rig");
    assert_eq!(bench.rigs[newcomer].extranonce1.len(), 4);
}

#[test]
fn a_switch_to_another_narrow_upstream_opens_the_second_channel_there() {
    let (mut bench, rigs) = farm(&[("primary", 6), ("backup", 6)]);
    let late = bench.start_miner("farm.rig");
    serve(&mut bench, 2, 6);
    let heard = bench.rigs[late].heard.len();
    bench.lose(0, "connection lost");
    assert_eq!(works_for(&bench, rigs[0]), Some(1));
    assert_eq!(works_for(&bench, late), Some(2), "it waits");
    mined(&mut bench, late, 2);
    serve(&mut bench, 3, 6);
    assert_eq!(works_for(&bench, late), Some(3));
    assert!(bench.rigs[late].work().clean_jobs);
    assert_eq!(outline(&bench.rigs[late].heard[heard..]), "9= work:clean");
    mined(&mut bench, late, 3);
}

#[test]
fn a_refused_second_channel_concerns_only_those_that_come_too_late() {
    let (mut bench, rigs) = farm(&[("primary", 6)]);
    let late = bench.start_miner("farm.rig");
    refuse(&mut bench, 1);
    let refused = bench.connect();
    assert_eq!(outline(&bench.say(refused, SUBSCRIBE)), "2!20");
    assert_eq!(bench.statistics().subscribes_refused, 1);
    let log = bench.log();
    let told = |line: &String| {
        line.starts_with("primary/channel 2: refused to open a channel: no-capacity")
    };
    assert!(log.iter().any(told), "{log:?}");
    for rig in &rigs {
        mined(&mut bench, *rig, 0);
    }
    bench.wait(1.1);
    serve(&mut bench, 1, 6);
    assert_eq!(works_for(&bench, late), Some(1), "it was asked again");
    assert_eq!(outline(&bench.say(refused, SUBSCRIBE)), "2=");
}

#[test]
fn who_is_refused_for_long_is_let_go_as_in_an_outage() {
    let (config, _) = nearly_full(&[("primary", 6)]);
    let mut bench = Bench::new(Config {
        release_after: Some(Duration::from_secs(60)),
        ..config
    });
    serve(&mut bench, 0, 6);
    let first = bench.start_miner("farm.rig");
    bench.start_miner("farm.rig");
    let late = bench.start_miner("farm.rig");
    refuse(&mut bench, 1);
    bench.wait(59.0);
    assert_eq!(bench.closed(late), None);
    bench.wait(2.0);
    assert_eq!(bench.closed(late), Some(&CloseReason::NoUpstream(60)));
    assert_eq!(bench.closed(first), None);
    assert!(bench.faults(0).is_empty());
}

#[test]
fn a_lost_second_channel_is_opened_anew_and_its_miners_wait_for_it() {
    let (mut bench, rigs) = farm(&[("primary", 6)]);
    let late = bench.start_miner("farm.rig");
    serve(&mut bench, 1, 6);
    bench.lose(1, "reset");
    let notified = [rigs[0], late].map(|rig| bench.rigs[rig].notified.len());
    bench.wait(31.0);
    let since = bench.rigs[late].notified.len() - notified[1];
    assert_eq!(
        since, 1,
        "a keepalive, because firmware closes a silent one"
    );
    assert_eq!(works_for(&bench, late), Some(1));
    assert_eq!(bench.closed(late), None);
    let found = grind(&bench.rigs[late]);
    assert_eq!(outline(&[bench.submit(late, &found)]), "9!21");
    serve(&mut bench, 1, 6);
    mined(&mut bench, late, 1);
    mined(&mut bench, rigs[0], 0);
}

#[test]
fn slots_return_to_their_channel_and_an_empty_channel_is_closed() {
    let (mut bench, rigs) = farm(&[("primary", 6)]);
    let late = bench.start_miner("farm.rig");
    serve(&mut bench, 1, 6);
    bench.leave(rigs[0]);
    bench.leave(late);
    bench.wait(50.0);
    let again = bench.start_miner("farm.rig");
    assert_eq!(bench.rigs[again].extranonce1, [0, 1], "the others rest");
    assert_eq!(works_for(&bench, again), Some(1));
    bench.leave(again);
    bench.deal_block(0, 2);
    bench.deal_block(1, 2);
    bench.wait(71.0);
    assert!(
        bench.pools[1].dialled,
        "for as long as one that restarts takes"
    );
    bench.wait(30.0);
    assert!(!bench.pools[1].dialled);
    let first = bench.start_miner("farm.rig");
    assert_eq!(bench.rigs[first].extranonce1, [0xff, 0xfe]);
    assert_eq!(
        works_for(&bench, first),
        Some(0),
        "the first channel's first"
    );
}

#[test]
fn a_session_on_the_second_channel_is_resumed_there() {
    let (mut bench, _) = farm(&[("primary", 6)]);
    let late = bench.start_miner("farm.rig");
    serve(&mut bench, 1, 6);
    let pending = grind(&bench.rigs[late]);
    let session = bench.rigs[late].session_id.clone();
    bench.leave(late);
    let again = bench.connect();
    let subscribe =
        format!(r#"{{"id":2,"method":"mining.subscribe","params":["bench/1.0","{session}"]}}"#);
    bench.say(again, &subscribe);
    bench.say(again, crate::bench::AUTHORIZE);
    assert_eq!(bench.rigs[again].session_id, session);
    assert_eq!(works_for(&bench, again), Some(1));
    bench.shares(1);
    assert_eq!(outline(&[bench.submit(again, &pending)]), "9=");
    assert_eq!(bench.shares(1).len(), 1);
}

#[test]
fn miners_with_long_slots_that_a_narrow_upstream_takes_over_fill_both_channels() {
    let (config, sizes) = nearly_full(&[("primary", 8), ("backup", 6)]);
    let mut bench = Bench::new(config);
    for (pool, size) in sizes.into_iter().enumerate() {
        serve(&mut bench, pool, size);
    }
    let rigs: Vec<_> = (0..4)
        .map(|_| {
            let rig = bench.start_miner("farm.rig");
            bench.say(rig, EXTRANONCE_SUBSCRIBE);
            rig
        })
        .collect();
    bench.lose(0, "connection lost");
    assert!(bench.pools[2].dialled);
    serve(&mut bench, 2, 6);
    let mut slots: Vec<_> = rigs
        .iter()
        .map(|rig| {
            (
                works_for(&bench, *rig),
                bench.rigs[*rig].extranonce1.clone(),
            )
        })
        .collect();
    slots.sort();
    let expected = [
        (Some(1), vec![0xff, 0xfe]),
        (Some(1), vec![0xff, 0xff]),
        (Some(2), vec![0, 0]),
        (Some(2), vec![0, 1]),
    ];
    assert_eq!(slots, expected);
    for rig in rigs {
        let pool = works_for(&bench, rig).unwrap();
        assert_eq!(mined(&mut bench, rig, pool).len(), 6);
    }
    assert_eq!(bench.statistics().miners_moved["set-extranonce"], 4);
}

#[test]
fn miners_with_long_slots_are_told_those_of_any_page_where_there_is_a_byte_to_spare() {
    let (config, sizes) = nearly_full(&[("primary", 8), ("backup", 7)]);
    let mut bench = Bench::new(config);
    for (pool, size) in sizes.into_iter().enumerate() {
        serve(&mut bench, pool, size);
    }
    let rigs: Vec<_> = (0..LEFT + 1)
        .map(|_| {
            let rig = bench.start_miner("farm.rig");
            bench.say(rig, EXTRANONCE_SUBSCRIBE);
            rig
        })
        .collect();
    bench.lose(0, "connection lost");
    assert_eq!(bench.pools.len(), 2, "no further channel is asked for");
    let mut slots: Vec<_> = rigs
        .into_iter()
        .map(|rig| mined(&mut bench, rig, 1)[..3].to_vec())
        .collect();
    slots.sort();
    assert_eq!(slots, [[0, 0xff, 0xfe], [0, 0xff, 0xff], [1, 0, 0]]);
}

#[test]
fn miners_that_waited_for_a_second_channel_work_where_there_is_room_for_them() {
    let (mut bench, _) = farm(&[("primary", 6), ("backup", 8)]);
    let late = bench.start_miner("farm.rig");
    refuse(&mut bench, 2);
    assert_eq!(works_for(&bench, late), None);
    bench.lose(0, "connection lost");
    assert_eq!(mined(&mut bench, late, 1)[..4], [0, 1, 0, 0]);
    bench.wait(60.0);
    assert_eq!(bench.pools.len(), 3, "it needs no other");
    assert!(!bench.pools[2].dialled);
}

#[test]
fn back_at_the_narrow_upstream_the_second_channel_is_opened_again() {
    let (mut bench, rigs) = farm(&[("primary", 6), ("backup", 8)]);
    let late = bench.start_miner("farm.rig");
    serve(&mut bench, 2, 6);
    bench.deal_block(1, 2);
    bench.wait(11.0);
    assert_eq!(works_for(&bench, late), Some(1), "the primary is late");
    // Only where nobody has a longer slot, which newcomers would.
    bench.deal_block(0, 2);
    bench.wait(62.0);
    assert_eq!(works_for(&bench, rigs[0]), Some(0));
    assert_eq!(works_for(&bench, late), Some(1), "it waits");
    mined(&mut bench, late, 1);
    let place = bench.pools.iter().rposition(|pool| pool.dialled).unwrap();
    serve(&mut bench, place, 6);
    assert_eq!(works_for(&bench, late), Some(place));
    mined(&mut bench, late, place);
}

#[test]
fn miners_beyond_a_channel_for_accounts_work_on_a_further_one_of_the_farms() {
    let (config, _) = nearly_full(&[("primary", 6)]);
    let mut bench = Bench::new(Config {
        channel: ChannelMode::PerUser,
        ..config
    });
    serve(&mut bench, 0, 6);
    let rigs = ["alice.rig1", "alice.rig2", "alice.rig3"].map(|name| bench.start_miner(name));
    serve(&mut bench, 1, 6);
    assert_eq!(works_for(&bench, rigs[0]), Some(1));
    assert_eq!(works_for(&bench, rigs[2]), None);
    serve(&mut bench, 2, 6);
    assert_eq!(works_for(&bench, rigs[1]), Some(1));
    assert_eq!(works_for(&bench, rigs[2]), Some(2));
}
