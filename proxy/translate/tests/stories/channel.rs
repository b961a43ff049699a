//! What an upstream may say on an open channel, beside dealing jobs in good order; and shares across a switch.

use sv2::message::Message;
use sv2::messages::mining::{
    CloseChannel, Mining, NewMiningJob, SetExtranoncePrefix, SetGroupChannel, SetTarget,
    SubmitSharesSuccess, UpdateChannelError,
};
use sv2::types::{B0_32, ChannelId, JobId, SequenceNumber, Str0_255, U256};
use translate::{Fault, Violation};

use crate::bench::{
    Bench, EASY, NTIME, config, difficulty_target, grind, grind_where, job, outline, prev_hash,
};

fn text(text: &str) -> Str0_255 {
    Str0_255::new(text).unwrap()
}

#[test]
fn of_many_future_jobs_the_named_one_goes_out_and_the_others_are_void() {
    let (mut bench, rig) = Bench::mining();
    for id in 2..20 {
        bench.tell(0, job(100, id, None));
    }
    bench.tell(0, prev_hash(100, 7, 2));
    assert!(
        bench.rigs[rig]
            .work()
            .coinb1
            .starts_with(b"coinbase start \x07")
    );
    bench.tell(0, prev_hash(100, 8, 3));
    let void = Violation::PrevHashForUnknownJob(JobId(8));
    assert_eq!(bench.faults(0), [void.into()]);
}

#[test]
fn future_jobs_take_up_bounded_room_and_the_newest_are_kept() {
    let named = |id| {
        let (mut bench, _) = Bench::mining();
        for id in 1_000..2_000 {
            bench.tell(0, job(100, id, None));
        }
        bench.tell(0, prev_hash(100, id, 2));
        bench.faults(0).is_empty()
    };
    assert!(named(1_999) && named(1_936));
    assert!(!named(1_935), "64 are kept");
}

#[test]
fn a_future_job_under_a_used_id_takes_the_place_of_the_other() {
    let (mut bench, rig) = Bench::mining();
    bench.tell(0, job(100, 2, None));
    let mut other = job(100, 2, None);
    other.coinbase_tx_prefix = b"another".to_vec().try_into().unwrap();
    bench.tell(0, other);
    bench.tell(0, prev_hash(100, 2, 2));
    assert!(bench.rigs[rig].work().coinb1.starts_with(b"another"));
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
}

#[test]
fn a_job_under_the_id_of_the_active_one_is_clean_and_shares_of_that_one_are_stale() {
    let (mut bench, rig) = Bench::mining();
    let old = grind(&bench.rigs[rig]);
    let mut other = job(100, 1, Some(NTIME + 5));
    other.coinbase_tx_prefix = b"another".to_vec().try_into().unwrap();
    bench.tell(0, other);
    assert!(bench.rigs[rig].work().clean_jobs);
    bench.sent(0);
    let reply = bench.submit(rig, &old);
    assert!(reply.contains("stale"), "{reply}");
    assert!(bench.shares(0).is_empty(), "it would count for the new one");
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
}

#[test]
fn an_earlier_job_whose_id_is_used_again_is_stale_and_the_others_are_not() {
    let (mut bench, rig) = Bench::mining();
    let first = grind(&bench.rigs[rig]);
    bench.deal_job(0, 2);
    let second = grind(&bench.rigs[rig]);
    bench.deal_job(0, 1);
    let reply = bench.submit(rig, &first);
    assert!(reply.contains("stale"), "{reply}");
    assert_eq!(outline(&[bench.submit(rig, &second)]), "9=");
}

#[test]
fn a_standard_job_means_nothing_to_an_extended_channel() {
    let (mut bench, rig) = Bench::mining();
    let heard = bench.rigs[rig].heard.len();
    bench.tell(
        0,
        NewMiningJob {
            channel_id: ChannelId(100),
            job_id: JobId(9),
            min_ntime: Some(NTIME + 9),
            version: 0x2000_0000,
            merkle_root: U256([9; 32]),
        },
    );
    assert_eq!(bench.rigs[rig].heard.len(), heard);
    assert!(bench.faults(0).is_empty());
}

#[test]
fn closing_the_present_group_ends_the_channel_and_closing_a_former_one_does_not() {
    let (mut bench, _) = Bench::mining();
    bench.tell(
        0,
        SetGroupChannel {
            group_channel_id: ChannelId(2),
            channel_ids: vec![ChannelId(100)].try_into().unwrap(),
        },
    );
    let close = |channel| CloseChannel {
        channel_id: ChannelId(channel),
        reason_code: text("maintenance"),
    };
    bench.tell(0, close(1));
    assert!(bench.faults(0).is_empty());
    bench.tell(0, close(2));
    assert_eq!(
        bench.faults(0),
        [Fault::ChannelClosed("maintenance".into())]
    );
}

#[test]
fn a_target_for_the_present_group_counts_and_one_for_a_former_group_does_not() {
    let (mut bench, _) = Bench::mining();
    bench.tell(
        0,
        SetGroupChannel {
            group_channel_id: ChannelId(2),
            channel_ids: vec![ChannelId(100)].try_into().unwrap(),
        },
    );
    for (channel, difficulty) in [(2, 8.0), (1, 16.0)] {
        bench.tell(
            0,
            SetTarget {
                channel_id: ChannelId(channel),
                maximum_target: U256(difficulty_target(difficulty)),
            },
        );
    }
    assert_eq!(bench.statistics().upstreams[0].difficulty, 8.0);
}

#[test]
fn a_refused_update_is_told_and_the_next_one_goes_out_all_the_same() {
    let (mut bench, _) = Bench::mining();
    bench.wait(1.0);
    bench.sent(0);
    bench.tell(
        0,
        UpdateChannelError {
            channel_id: ChannelId(100),
            error_code: text("invalid-nominal-hashrate"),
        },
    );
    let words = "primary: refused UpdateChannel: invalid-nominal-hashrate";
    assert!(bench.log().contains(&words.to_owned()));
    bench.start_miner("farm.other");
    bench.wait(11.0);
    let update = |message: &Message| matches!(message, Message::Mining(Mining::UpdateChannel(_)));
    assert_eq!(bench.sent(0).iter().filter(|it| update(it)).count(), 1);
}

#[test]
fn an_upstream_that_refuses_without_end_fills_no_log() {
    let (mut bench, rig) = Bench::mining();
    let refused = |channel| UpdateChannelError {
        channel_id: ChannelId(channel),
        error_code: text("no"),
    };
    for _ in 0..10_000 {
        bench.tell(0, refused(100));
    }
    bench.wait(60.0);
    bench.tell(0, refused(100));
    let remarks = |words| {
        bench
            .log()
            .iter()
            .filter(|line| line.contains(words))
            .count()
    };
    assert_eq!(remarks("refused UpdateChannel"), 11);
    assert_eq!(remarks("9990 more remarks were left out here"), 1);
    assert_eq!(outline(&[bench.mine(rig)]), "9=");
}

#[test]
fn a_warm_channel_keeps_its_target_and_prefix_for_the_switch() {
    let (mut bench, rig) = Bench::with_backup();
    bench.tell(
        1,
        SetExtranoncePrefix {
            channel_id: ChannelId(101),
            extranonce_prefix: B0_32::new(&[0xcc; 9]).unwrap(),
        },
    );
    bench.tell(
        1,
        SetTarget {
            channel_id: ChannelId(1),
            maximum_target: U256(difficulty_target(EASY * 64.0)),
        },
    );
    bench.deal_job(1, 2);
    bench.lose(0, "connection lost");
    assert!(bench.rigs[rig].work().coinb1.ends_with(&[0xcc; 9]));
    let modest = grind_where(&bench.rigs[rig], |hash| {
        (EASY..EASY * 64.0).contains(&hash.to_target().difficulty().to_f64())
    });
    assert_eq!(outline(&[bench.submit(rig, &modest)]), "9=");
    assert!(bench.shares(1).is_empty(), "below the channel's target");
}

#[test]
fn whatever_a_warm_upstream_does_wrong_reaches_no_miner() {
    let close = CloseChannel {
        channel_id: ChannelId(101),
        reason_code: text("maintenance"),
    };
    let wrongs: [Message; 3] = [
        close.into(),
        prev_hash(101, 55, 9).into(),
        job(555, 9, None).into(),
    ];
    for wrong in wrongs {
        let (mut bench, rig) = Bench::with_backup();
        let heard = bench.rigs[rig].heard.len();
        bench.tell(1, wrong);
        assert_eq!(bench.faults(1).len(), 1);
        assert_eq!(bench.rigs[rig].heard.len(), heard);
        assert_eq!(outline(&[bench.mine(rig)]), "9=");
        bench.wait(2.0);
        assert_eq!(bench.pools[1].dials, 2, "and is dialled again");
    }
}

#[test]
fn no_share_is_sent_twice_or_to_another_upstream_whatever_connection_ends() {
    let (mut bench, rig) = Bench::with_backup();
    let mut sent = Vec::new();
    let mut accepted = 0;
    for round in 0..12 {
        let old = grind(&bench.rigs[rig]);
        accepted += usize::from(outline(&[bench.submit(rig, &old)]) == "9=");
        let pool = usize::from(bench.rigs[rig].work().coinb1.ends_with(&[0xa1; 6]));
        bench.lose(pool, "connection lost");
        // The miner sends it again, as it does not know of the switch.
        assert_ne!(outline(&[bench.submit(rig, &old)]), "9=");
        accepted += usize::from(outline(&[bench.mine(rig)]) == "9=");
        bench.wait(70.0);
        if !bench.pools[pool].dialled {
            bench.wait(10.0);
        }
        for pool in [0, 1] {
            let shares = bench.shares(pool).into_iter();
            sent.extend(shares.map(|(share, _)| (share.nonce, share.ntime, share.job_id)));
        }
        bench.open(pool);
        bench.deal_block(pool, 1 + round);
    }
    let distinct: std::collections::HashSet<_> = sent.iter().collect();
    assert_eq!(distinct.len(), sent.len());
    assert_eq!((sent.len(), accepted), (24, 24));
    let upstreams = bench.statistics().upstreams;
    let counted = upstreams
        .iter()
        .map(|it| it.shares_unanswered + it.shares_pending);
    assert_eq!(
        counted.sum::<u64>(),
        24,
        "none was answered, each is counted"
    );
}

#[test]
fn shares_that_are_never_answered_take_up_bounded_room() {
    const MOST: u64 = 1 << 16;
    let mut bench = Bench::new(config());
    bench.pools[0].target = difficulty_target(EASY / 1_024.0);
    bench.open(0);
    bench.deal_block(0, 1);
    let rig = bench.start_miner("farm.rig");
    for _ in 0..MOST + 100 {
        let any = grind_where(&bench.rigs[rig], |_| true);
        bench.submit(rig, &any);
        bench.pools[0].sent.clear();
        bench.rigs[rig].heard.clear();
    }
    let upstream = |bench: &Bench| bench.statistics().upstreams[0].clone();
    assert_eq!(upstream(&bench).shares_pending, MOST);
    assert_eq!(upstream(&bench).shares_unanswered, 100);
    bench.tell(
        0,
        SubmitSharesSuccess {
            channel_id: ChannelId(100),
            last_sequence_number: SequenceNumber(0),
            new_submits_accepted_count: u32::MAX,
            new_shares_sum: u64::MAX,
        },
    );
    assert_eq!(upstream(&bench).shares_pending, 0);
    assert_eq!(upstream(&bench).shares_accepted, MOST);
}
