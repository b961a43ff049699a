//! What is shown of the farm: states and failures of upstreams, the work of miners, jobs, and workers that left.

use std::net::SocketAddr;
use std::time::Duration;

use sv2::messages::mining::{SubmitSharesError, SubmitSharesSuccess};
use sv2::types::{ChannelId, SequenceNumber, Str0_255};
use translate::{
    Config, LeftCursor, ListenerConfig, ListenerId, MinerState, Span, UpstreamState, UserTemplate,
};

use crate::bench::{Bench, EASY, config, upstream};

/// Hashes that a share of the bench's difficulty takes on average.
const HASHES: f64 = EASY * 4_294_967_296.0;

fn states(bench: &Bench) -> Vec<UpstreamState> {
    let upstreams = bench.statistics().upstreams;
    upstreams.iter().map(|upstream| upstream.state).collect()
}

fn left(bench: &Bench) -> Vec<(String, u64, &'static str)> {
    let left = bench.brain.left_workers(LeftCursor::default());
    left.map(|(_, worker)| {
        let accepted = worker.meter.accepted();
        (worker.name.to_string(), accepted, worker.reason)
    })
    .collect()
}

#[test]
fn an_upstream_is_shown_as_it_comes_and_goes() {
    use UpstreamState::{Active, Dialling, Open, Waiting, Warm};
    let mut bench = Bench::new(Config {
        upstreams: vec![upstream("primary", 0), upstream("backup", 1)],
        ..config()
    });
    assert_eq!(states(&bench), [Dialling, Dialling]);
    bench.open(0);
    assert_eq!(states(&bench), [Open, Dialling]);
    bench.deal_block(0, 1);
    bench.open(1);
    bench.deal_block(1, 1);
    assert_eq!(states(&bench), [Active, Warm]);
    let opened = bench.now;
    bench.wait(5.0);
    bench.lose(0, "connection reset");
    assert_eq!(states(&bench), [Waiting, Active]);
    let statistics = bench.statistics();
    let (lost, other) = (&statistics.upstreams[0], &statistics.upstreams[1]);
    assert_eq!(lost.failures["connection-lost"], 1);
    let failure = lost.last_failure.as_ref().unwrap();
    assert_eq!(
        (&*failure.words, failure.at),
        ("connection reset", bench.now)
    );
    assert_eq!((lost.since, other.since), (Some(bench.now), Some(opened)));
    assert!(lost.retry_at > Some(bench.now));
    assert_eq!((lost.active, other.active), (false, true));
    let switches: Vec<_> = statistics.switches.into_iter().collect();
    assert_eq!(switches, [("failed", 1), ("start", 1)]);
    bench.lose(1, "connection reset");
    assert_eq!(bench.statistics().outages, 1);
    assert_eq!(bench.statistics().outage_since, Some(bench.now));
    assert!(bench.statistics().upstreams[0].dials >= 1);
}

#[test]
fn answers_are_timed_and_acknowledged_work_is_what_the_jobs_were_worth() {
    let (mut bench, rig) = Bench::mining();
    for _ in 0..3 {
        bench.mine(rig);
        bench.wait(1.0);
    }
    let success = SubmitSharesSuccess {
        channel_id: ChannelId(100),
        last_sequence_number: SequenceNumber(1),
        new_submits_accepted_count: 2,
        new_shares_sum: 0,
    };
    bench.tell(0, success);
    let error = SubmitSharesError {
        channel_id: ChannelId(100),
        sequence_number: SequenceNumber(2),
        error_code: Str0_255::new("stale-share").unwrap(),
    };
    bench.tell(0, error);
    let upstream = &bench.statistics().upstreams[0];
    assert_eq!(upstream.answers.count(), 3);
    assert_eq!(upstream.answers.sum(), Duration::from_secs(3 + 2 + 1));
    assert_eq!(upstream.meter.accepted(), 2);
    assert!((upstream.work_acknowledged - 2.0 * upstream.difficulty).abs() < f64::EPSILON);
}

#[test]
fn the_farm_its_miners_and_its_minutes_are_measured_alike() {
    let (mut bench, rig) = Bench::mining();
    for _ in 0..24 {
        bench.mine(rig);
        bench.wait(5.0);
    }
    let expected = HASHES / 5.0;
    let near = |value: f64| (value / expected - 1.0).abs() < 0.05;
    let now = bench.now;
    let miner = bench.brain.miner_statistics(now).next().unwrap();
    let farm = bench.statistics().meter;
    for span in Span::ALL {
        assert!(near(miner.meter.hashrate(now, span)));
        assert!(near(farm.hashrate(now, span)));
    }
    assert_eq!(
        (miner.state, miner.meter.accepted()),
        (MinerState::Mining, 24)
    );
    let minutes: Vec<_> = bench.brain.history(now).minutes().copied().collect();
    assert_eq!((minutes[0].accepted, minutes[0].miners), (12, 1));
    assert!(near(minutes[0].work * 4_294_967_296.0 / 60.0));
    assert_eq!(bench.statistics().difficulties, [(EASY, 1)]);
}

#[test]
fn a_worker_that_left_is_remembered_with_all_that_it_did() {
    let mut bench = Bench::with_work(config());
    let [first, second] = ["farm.rig", "farm.b"].map(|name| bench.start_miner(name));
    bench.mine(first);
    bench.leave(first);
    assert_eq!(left(&bench), [("farm.rig".to_owned(), 1, "left")]);
    bench.wait(60.0);
    bench.leave(second);
    let knocks = bench.start_miner("farm.c");
    bench.leave(knocks);
    let again = bench.start_miner("farm.rig");
    bench.mine(again);
    bench.wait(601.0);
    let expected = [
        ("farm.b".to_owned(), 0, "left"),
        ("farm.rig".to_owned(), 2, "idle"),
    ];
    assert_eq!(left(&bench), expected, "and who only knocked is not");
    bench.start_miner("farm.c");
    let before = left(&bench).len();
    for _ in 0..240 {
        bench.wait(360.0);
        bench.start_miner("farm.d");
    }
    assert_eq!(before, 2);
    let names: Vec<_> = left(&bench).into_iter().map(|(name, ..)| name).collect();
    assert!(
        !names.contains(&"farm.b".to_owned()),
        "forgotten after a day"
    );
}

#[test]
fn jobs_are_remembered_with_what_became_of_them() {
    let (mut bench, _) = Bench::mining();
    bench.deal_job(0, 2);
    bench.deal_block(0, 3);
    let jobs: Vec<_> = bench.brain.jobs().collect();
    let short = |index: usize| {
        let job = jobs[index];
        (job.job_id.0, job.new_block, job.clean, job.miners)
    };
    assert_eq!(short(0), (3, true, true, 1), "the newest first");
    assert_eq!(short(1), (2, false, false, 1));
    assert_eq!(short(2), (1, true, true, 0));
    assert_eq!((&*jobs[0].upstream, jobs[0].at), ("primary", bench.now));
}

#[test]
fn each_listener_counts_its_own_miners() {
    let listener = ListenerConfig {
        difficulty: config().difficulty,
        user: UserTemplate::default(),
    };
    let mut bench = Bench::with_work(Config {
        listeners: vec![listener.clone(), listener],
        ..config()
    });
    let peer = |port| SocketAddr::from(([198, 51, 100, 1], port));
    let to = |bench: &mut Bench, listener, port| {
        bench
            .try_connect_to(ListenerId(listener), peer(port))
            .unwrap()
    };
    let first = to(&mut bench, 0, 1);
    to(&mut bench, 1, 2);
    to(&mut bench, 1, 3);
    let counts = |bench: &Bench| -> Vec<_> {
        let listeners = bench.statistics().listeners;
        let counts = listeners.iter().map(|it| (it.miners, it.miners_connected));
        counts.collect()
    };
    assert_eq!(counts(&bench), [(1, 1), (2, 2)]);
    let of = bench
        .brain
        .miner_statistics(bench.now)
        .map(|miner| miner.listener);
    let of: Vec<_> = of.map(|listener| listener.unwrap().0).collect();
    assert_eq!(of, [0, 1, 1]);
    bench.leave(first);
    assert_eq!(counts(&bench), [(0, 1), (2, 2)]);
}
