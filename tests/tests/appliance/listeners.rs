//! Ports for miners that differ: in what the pool is told of their miners, and in how hard these start.

use tests::{Pool, Program, ProxyConfig, Rig, Wire};

use super::millrace;

/// Sets a miner up and gives the difficulty that it is told first.
fn first_difficulty(wire: &mut Wire) -> f64 {
    wire.set_up("farm.rig");
    wire.notification("mining.set_difficulty")[0]
        .as_f64()
        .unwrap()
}

#[test]
fn each_listener_has_its_own_names_and_start_difficulty_on_one_channel() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()])
        .listener_line("user = \"{user}@{ip}\"")
        .sections(
            "[[listener]]\naddress = \"127.0.0.1:0\"\nuser = \"hall2-{worker}\"\n\
             difficulty = { start = 1.9073486328125e-06 }",
        );
    let proxy = Program::run(millrace(), &config);
    let first = proxy.address();
    let second = proxy.wait_for_logs("listening for miners on ", 2);
    let second = second.rsplit(' ').next().unwrap().parse().unwrap();
    let _ = proxy.wait_for_log("channel open");
    for (address, name, difficulty) in [
        (first, "farm.rig@127.0.0.1", 2_f64.powi(-20)),
        (second, "hall2-rig", 2_f64.powi(-19)),
    ] {
        assert_eq!(first_difficulty(&mut Wire::connect(address)), difficulty);
        let mut rig = Rig::start(address, "farm.rig");
        rig.mine();
        let share = pool.next_share();
        assert_eq!(share.worker.unwrap().to_string(), name);
    }
    proxy.stop();
    let stats = pool.stats_at_rest();
    assert_eq!((stats.shares_accepted, stats.connections_total), (2, 1));
}
