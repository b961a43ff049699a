//! The pool goes away and comes back; miners notice nothing but a clean job.

use sv2_pool::PoolEvent;
use tests::{Answer, Pool, Rig};

use super::pool_and_proxy;

#[test]
fn miners_stay_connected_while_the_pool_is_away_and_mine_on_when_it_is_back() {
    let (mut pool, proxy) = pool_and_proxy(Pool::config());
    let mut rigs = ["rig1", "rig2", "rig3"].map(|name| Rig::start(proxy.address(), name));
    rigs.iter_mut().for_each(Rig::mine);
    for outage in 1..=3 {
        let failed = proxy.count_log("cannot connect to");
        let late = rigs.each_mut().map(|rig| (rig.find(), rig.clean_jobs()));
        let (stats, config) = pool.stop();
        assert_eq!(stats.shares_refused_total(), 0);
        let _ = proxy.wait_for_logs("connection closed by the upstream", outage);
        let _ = proxy.wait_for_logs("cannot connect to", failed + 1);
        // Nobody would pay for these, and the miner is told so.
        for (rig, (share, _)) in rigs.iter_mut().zip(&late) {
            let answer = format!("{:?}", rig.submit(share));
            assert!(
                answer.contains("21") && answer.contains("pool is gone"),
                "{answer}"
            );
        }
        // Who comes in the meantime is welcome, and gets work later.
        let mut newcomer = Rig::start(proxy.address(), "newcomer");
        pool = Pool::start(config);
        mine_when_there_is_work(&mut newcomer);
        for (rig, (_, clean_jobs)) in rigs.iter_mut().zip(late) {
            rig.wait_for_clean_job();
            assert_eq!(
                rig.clean_jobs(),
                clean_jobs + 1,
                "one switch, one clean job"
            );
            rig.mine_many(2);
        }
    }
    let _ = proxy.wait_for_logs("its connection", 3);
    let ended = proxy.stop();
    let left = ended.stderr.matches("its connection").count();
    assert_eq!(left, 3, "only the newcomers left");
}

/// Work of the lost connection may have come first; its shares are refused.
fn mine_when_there_is_work(rig: &mut Rig) {
    let share = rig.find();
    if !matches!(rig.submit(&share), Answer::Accepted) {
        rig.wait_for_clean_job();
        rig.mine();
    }
}

#[test]
fn a_pool_that_disconnects_is_dialled_again_without_losing_a_miner() {
    let (pool, proxy) = pool_and_proxy(Pool::config());
    let mut rig = Rig::start(proxy.address(), "rig");
    rig.mine();
    pool.next_share();
    async_std::task::block_on(pool.handle.disconnect_all()).unwrap();
    rig.wait_for_clean_job();
    rig.mine();
    let ended = proxy.stop();
    assert!(ended.stderr.contains("connection closed by the upstream"));
    let stats = pool.stats_at_rest();
    assert_eq!((stats.shares_accepted, stats.connections_total), (2, 2));
}

#[test]
fn a_closed_channel_is_opened_anew() {
    let (pool, proxy) = pool_and_proxy(Pool::config());
    let mut rig = Rig::start(proxy.address(), "rig");
    rig.mine();
    let close = pool
        .handle
        .close_channels(sv2_pool::Channels::All, "maintenance");
    async_std::task::block_on(close).unwrap();
    rig.wait_for_clean_job();
    rig.mine();
    let ended = proxy.stop();
    assert!(
        ended.stderr.contains("closed the channel: maintenance"),
        "{}",
        ended.stderr
    );
    let opened = pool.take_events().into_iter();
    let opened = opened.filter(|event| matches!(event, PoolEvent::ChannelOpened { .. }));
    assert_eq!(opened.count(), 2);
}
