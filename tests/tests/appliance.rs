//! The appliance from outside: the real program over TCP and Noise, between miners and pools of every kind.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod appliance {
    mod commands;
    mod dashboard;
    mod failover;
    mod files;
    mod firmware;
    mod flood;
    mod hostile_miners;
    mod hostile_pools;
    mod http;
    mod http_api;
    mod judge;
    mod listeners;
    mod load;
    mod monitoring;
    mod outage;
    mod own_channels;
    mod real_block;
    mod reload;
    mod shards;
    mod shares;
    mod signals;
    mod state;
    mod systemd;

    use std::path::Path;

    use tests::{Pool, Program, ProxyConfig};

    /// The program under test.
    fn millrace() -> &'static Path {
        Path::new(env!("CARGO_BIN_EXE_millrace-under-test"))
    }

    /// Starts a pool and a proxy before it, and waits until both are at work.
    fn pool_and_proxy(config: sv2_pool::PoolConfig) -> (Pool, Program) {
        let pool = Pool::start(config);
        let proxy = Program::run(millrace(), &ProxyConfig::new(&[pool.url()]));
        // Not before the first job: miners get the extranonce that it has room for.
        let _ = proxy.wait_for_log("new block on");
        (pool, proxy)
    }
}
