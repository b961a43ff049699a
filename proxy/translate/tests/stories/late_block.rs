//! Upstreams that miss a block which another one has announced.

use sv2::message::Message;
use sv2::messages::mining::SetNewPrevHash;
use translate::Config;

use crate::bench::{Bench, config, grind, job, outline, prev_hash, upstream};

/// The number of the upstream that the rig works for.
fn works_for(bench: &Bench, rig: usize) -> u8 {
    let work = bench.rigs[rig].work();
    work.coinb1.last().unwrap() - 0xa0
}

fn announce(bench: &mut Bench, pool: usize, id: u32, message: impl Into<Message>) {
    let channel = bench.pools[pool].channel;
    bench.tell(pool, job(channel, id, None));
    bench.tell(pool, message);
}

fn has_logged(bench: &Bench, words: &str) -> bool {
    bench.log().iter().any(|line| line.contains(words))
}

#[test]
fn the_active_upstream_loses_the_miners_when_it_is_ten_seconds_late_with_a_block() {
    let (mut bench, rig) = Bench::with_backup();
    bench.deal_block(1, 2);
    bench.wait(9.9);
    assert_eq!(works_for(&bench, rig), 0, "a moment of grace");
    let heard = bench.rigs[rig].heard.len();
    bench.wait(0.2);
    assert_eq!(works_for(&bench, rig), 1);
    assert_eq!(outline(&bench.rigs[rig].heard[heard..]), "work:clean");
    assert!(bench.faults(0).is_empty(), "its connection stays");
    assert_eq!(bench.statistics().upstreams[0].blocks_late, 1);
    assert!(has_logged(&bench, "primary: is late with block "));
    assert!(has_logged(
        &bench,
        ", announced by backup; its miners move as long as it is"
    ));
    assert!(has_logged(
        &bench,
        "backup: 1 miners work for it from now on: the one before is late with a block"
    ));
}

#[test]
fn a_late_share_still_goes_to_the_late_upstream() {
    let (mut bench, rig) = Bench::with_backup();
    bench.deal_block(1, 2);
    let late = grind(&bench.rigs[rig]);
    bench.wait(10.0);
    bench.sent(1);
    assert_eq!(outline(&[bench.submit(rig, &late)]), "9=");
    assert_eq!((bench.shares(0).len(), bench.shares(1).len()), (1, 0));
}

#[test]
fn a_block_within_the_grace_moves_nobody() {
    let (mut bench, rig) = Bench::with_backup();
    for block in 2..8 {
        bench.deal_block(1, block);
        bench.wait(9.0);
        bench.deal_block(0, block);
        bench.wait(300.0);
        assert_eq!(works_for(&bench, rig), 0);
        bench.mine(rig);
    }
    assert_eq!(bench.statistics().upstreams[0].blocks_late, 0);
}

#[test]
fn who_was_late_gets_the_miners_back_a_minute_after_it_caught_up() {
    let (mut bench, rig) = Bench::with_backup();
    bench.deal_block(1, 2);
    bench.wait(120.0);
    assert_eq!(works_for(&bench, rig), 1, "as long as it is late");
    bench.deal_block(0, 2);
    bench.wait(59.0);
    assert_eq!(works_for(&bench, rig), 1);
    bench.wait(2.0);
    assert_eq!(works_for(&bench, rig), 0);
    assert!(has_logged(
        &bench,
        "primary: 1 miners work for it from now on: it is preferred and healthy"
    ));
}

#[test]
fn who_is_late_is_not_preferred_while_the_other_goes_on_block_by_block() {
    let (mut bench, rig) = Bench::with_backup();
    for block in 2..6 {
        bench.deal_block(1, block);
        bench.wait(120.0);
        assert_eq!(works_for(&bench, rig), 1);
        bench.mine(rig);
    }
}

#[test]
fn an_upstream_that_is_late_is_better_than_none() {
    let (mut bench, rig) = Bench::with_backup();
    bench.deal_block(1, 2);
    bench.wait(11.0);
    bench.lose(1, "connection lost");
    assert_eq!(works_for(&bench, rig), 0);
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
}

/// Something that a standby may say without being believed.
type Claim = fn() -> SetNewPrevHash;

#[test]
fn no_block_counts_that_does_not_meet_the_networks_target() {
    let claims: [Claim; 2] = [
        || {
            let mut unproven = prev_hash(101, 2, 2);
            unproven.prev_hash.0 = [0xff; 32];
            unproven
        },
        || {
            let mut easier = prev_hash(101, 2, 2);
            easier.nbits = crate::bench::REGTEST;
            easier
        },
    ];
    for claim in claims {
        let (mut bench, rig) = Bench::with_backup();
        announce(&mut bench, 1, 2, claim());
        bench.wait(60.0);
        assert_eq!(works_for(&bench, rig), 0);
        assert_eq!(bench.statistics().upstreams[0].blocks_late, 0);
    }
}

#[test]
fn an_upstream_that_was_on_another_block_before_has_no_word() {
    let upstreams = vec![upstream("primary", 0), upstream("backup", 1)];
    let mut bench = Bench::new(Config {
        upstreams,
        ..config()
    });
    bench.open(0);
    bench.deal_block(0, 2);
    let rig = bench.start_miner("farm.rig");
    bench.open(1);
    for block in [1, 3, 4] {
        bench.deal_block(1, block);
        bench.wait(20.0);
        assert_eq!(works_for(&bench, rig), 0, "block {block}");
    }
}

#[test]
fn two_blocks_at_the_same_height_make_nobody_late() {
    let (mut bench, rig) = Bench::with_backup();
    bench.deal_block(0, 2);
    bench.deal_block(1, 3);
    bench.wait(60.0);
    assert_eq!(works_for(&bench, rig), 0);
}

#[test]
fn the_second_word_that_nobody_confirms_is_the_last_one_for_a_day_of_blocks() {
    let (mut bench, rig) = Bench::with_backup();
    // Old blocks of the same difficulty period, say.
    for (old, new, more) in [(99, 3, "once more"), (97, 4, "no more")] {
        bench.deal_block(1, old);
        bench.wait(11.0);
        assert_eq!(works_for(&bench, rig), 1, "twice");
        bench.deal_block(0, new);
        let words = format!("which nobody confirmed: its word on late blocks counts {more}");
        assert!(has_logged(&bench, &words));
        bench.deal_block(1, new);
        bench.wait(61.0);
        assert_eq!(works_for(&bench, rig), 0);
    }
    bench.deal_block(1, 98);
    bench.wait(60.0);
    assert_eq!(works_for(&bench, rig), 0, "not again");
    for block in 200..344 {
        bench.deal_block(0, block);
        bench.deal_block(1, block);
        bench.wait(1.0);
    }
    bench.deal_block(1, 400);
    bench.wait(11.0);
    assert_eq!(works_for(&bench, rig), 1, "a day of blocks later");
}

#[test]
fn a_standby_keeps_its_vote_where_the_late_one_goes_on_by_two_blocks_at_once() {
    let (mut bench, rig) = Bench::with_backup();
    bench.deal_block(1, 2);
    bench.wait(60.0);
    bench.deal_block(1, 3);
    bench.deal_block(0, 3);
    bench.wait(61.0);
    assert_eq!(works_for(&bench, rig), 0);
    bench.deal_block(1, 4);
    bench.wait(11.0);
    assert_eq!(works_for(&bench, rig), 1, "its word counts");
}

/// Three upstreams at work, and a miner.
fn three() -> (Bench, usize) {
    let names = ["one", "two", "three"];
    let mut bench = Bench::new(Config {
        upstreams: (0..)
            .zip(names)
            .map(|(n, name)| upstream(name, n))
            .collect(),
        ..config()
    });
    bench.wait(2.1);
    for pool in [0, 1, 2] {
        bench.open(pool);
        bench.deal_block(pool, 1);
    }
    let rig = bench.start_miner("farm.rig");
    (bench, rig)
}

#[test]
fn a_word_that_a_third_upstream_confirms_is_not_wrong() {
    let (mut bench, rig) = three();
    for block in [2, 4, 6] {
        bench.deal_block(1, block);
        bench.deal_block(2, block);
        bench.wait(11.0);
        assert_eq!(works_for(&bench, rig), 1, "block {block}");
        for pool in [1, 2, 0] {
            bench.deal_block(pool, block + 1);
        }
        bench.wait(61.0);
        assert_eq!(works_for(&bench, rig), 0);
    }
    assert!(!has_logged(&bench, "nobody confirmed"));
}

#[test]
fn a_block_that_three_agree_on_is_counted_once() {
    let (mut bench, rig) = three();
    for (old, new) in [(99, 3), (97, 4)] {
        bench.deal_block(1, old);
        bench.wait(11.0);
        assert_eq!(
            works_for(&bench, rig),
            1,
            "a word that calls two late is one"
        );
        bench.deal_block(0, new);
        bench.deal_block(1, new);
        bench.deal_block(2, new);
        bench.wait(61.0);
    }
    // Nearly a day, in which each block is news three times.
    for block in 200..300 {
        for pool in [0, 1, 2] {
            bench.deal_block(pool, block);
        }
        bench.wait(1.0);
    }
    bench.deal_block(1, 400);
    bench.wait(11.0);
    assert_eq!(works_for(&bench, rig), 0, "too early");
}

#[test]
fn who_comes_back_on_a_block_that_others_left_long_ago_does_not_get_the_miners() {
    let (mut bench, rig) = Bench::with_backup();
    bench.deal_block(1, 2);
    bench.wait(11.0);
    bench.deal_block(1, 3);
    bench.lose(0, "connection lost");
    bench.wait(5.0);
    bench.open(0);
    bench.deal_block(0, 1);
    bench.wait(300.0);
    assert_eq!(works_for(&bench, rig), 1, "it is still stuck");
    bench.deal_block(0, 3);
    bench.wait(62.0);
    assert_eq!(works_for(&bench, rig), 0);
}
