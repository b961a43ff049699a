//! When no file descriptor is left for another miner: nobody who is there notices, and who comes waits.

use sv2_pool::PoolEvent;
use tests::{Pool, Program, ProxyConfig, Wire};

use super::millrace;

/// What the system grants the program, and how many of them are for miners: the program holds 128 back.
const FILES: u32 = 300;
const PLACES: usize = 172;

const SUBSCRIBE: &str = r#"{"id":1,"method":"mining.subscribe","params":["script"]}"#;

#[test]
fn a_full_house_goes_on_and_lets_the_next_one_in_when_one_leaves() {
    let pool = Pool::start(Pool::config());
    let proxy = Program::run_with_files(millrace(), &ProxyConfig::new(&[pool.url()]), FILES);
    let address = proxy.address();
    let _ = proxy.wait_for_log("the system lets this process have 172 miners at once");
    let mut inside: Vec<_> = (0..PLACES).map(|_| Wire::connect(address)).collect();
    for wire in &mut inside {
        wire.set_up("w");
        wire.notification("mining.notify");
    }
    let mut outside = Wire::connect(address);
    outside.send_line(SUBSCRIBE);
    let _ = proxy.wait_for_log("no file descriptor is left for another miner");
    pool.new_block();
    for wire in &mut inside {
        let notify = wire.notification("mining.notify");
        assert_eq!(notify[8], true, "a new block voids the jobs before it");
    }
    inside.pop();
    assert_eq!(outside.value()["error"], serde_json::Value::Null);
    proxy.stop();
}

#[test]
fn a_pool_is_dialled_while_miners_take_every_place() {
    let pool = Pool::start(Pool::config());
    let proxy = Program::run_with_files(millrace(), &ProxyConfig::new(&[pool.url()]), FILES);
    let address = proxy.address();
    let mut inside: Vec<_> = (0..=PLACES).map(|_| Wire::connect(address)).collect();
    let _ = proxy.wait_for_log("no file descriptor is left for another miner");
    inside[0].set_up("w");
    inside[0].notification("mining.notify");
    let (_, config) = pool.stop();
    let pool = Pool::start(config);
    pool.wait_for("a channel", |event| {
        matches!(event, PoolEvent::ChannelOpened { .. }).then_some(())
    });
    inside[0].notification("mining.notify");
    proxy.stop();
}
