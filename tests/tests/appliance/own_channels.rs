//! Accounts with channels of their own, over real connections.

use async_std::task::block_on;
use tests::{Answer, Pool, Program, ProxyConfig, Rig};

use super::millrace;

#[test]
fn each_account_is_credited_on_a_connection_of_its_own_before_and_after_an_outage() {
    let pool = Pool::start(Pool::config());
    let text = ProxyConfig::new(&[pool.url()]).text() + "[translation]\nchannel = \"per-user\"\n";
    let proxy = Program::with_config(millrace(), &text, &["run", "--config"]);
    let _ = proxy.wait_for_log("channel open");
    let mut rigs = ["alice.rig", "bob.rig"].map(|name| Rig::start(proxy.address(), name));
    for outage in 0..2 {
        for (rig, account) in rigs.iter_mut().zip(["alice", "bob"]) {
            let served = format!("pool0/{account}: 1 miners work for it");
            let _ = proxy.wait_for_logs(&served, outage + 1);
            // The job is on its way; the rig reads it behind others' and the verdicts on shares for those.
            let credited = (0..5).any(|_| credited(&pool, rig).as_deref() == Some(account));
            assert!(credited, "{account} outage {outage}");
        }
        assert_eq!(pool.stats().connections, 3, "the farm's and one each");
        if outage == 0 {
            block_on(pool.handle.disconnect_all()).unwrap();
        }
    }
    let ended = proxy.stop();
    assert_eq!(ended.stderr.matches("its connection").count(), 0);
    assert_eq!(pool.stats_at_rest().shares_refused_total(), 0);
}

/// Whom the pool credits with a rig's next share, where the share is accepted.
fn credited(pool: &Pool, rig: &mut Rig) -> Option<String> {
    let share = rig.find();
    let accepted = matches!(rig.submit(&share), Answer::Accepted);
    accepted.then(|| pool.next_share().user_identity.to_string())
}
