//! Firmware in its own words, against the program: conversations that are otherwise held with the brain alone.
//!
//! A `wait` is left out, and what would be heard in it: keepalives and time limits are told on the brain's virtual
//! clock.

#[path = "../../../proxy/translate/tests/firmware/conversation.rs"]
mod conversation;
#[path = "../../../proxy/translate/tests/firmware/player.rs"]
mod player;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use sv2::bitcoin::Difficulty;
use sv2_pool::{PoolConfig, ShareTarget};
use tests::{Pool, Program, ProxyConfig, Wire};

use self::conversation::Conversation;
use self::player::{POOL, Place, play};
use super::millrace;

/// The program between a pool and one miner.
struct Appliance {
    pool: Pool,
    wire: Wire,
    address: SocketAddr,
}

impl Place for Appliance {
    fn send(&mut self, lines: &[String]) {
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.wire.send(lines.as_bytes());
    }

    fn hear(&mut self) -> Option<String> {
        self.wire.line()
    }

    fn unheard(&mut self) -> Option<String> {
        // What has come too much is in the way of the next line.
        None
    }

    fn merges(&self) -> bool {
        true
    }

    fn wait(&mut self, _: Duration) -> bool {
        false
    }

    fn new_job(&mut self) {
        self.pool.new_job();
    }

    fn new_block(&mut self) {
        self.pool.new_block();
    }

    fn reconnect(&mut self) {
        self.wire = Wire::connect(self.address);
    }

    fn pool_got_share(&mut self) -> bool {
        // It does not return without one.
        let _ = self.pool.next_share();
        true
    }
}

fn converses(file: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../proxy/translate/tests/firmware/conversations");
    let conversation = Conversation::read(&folder.join(file)).unwrap();
    let pool = Pool::start(PoolConfig {
        share_target: ShareTarget::Difficulty(Difficulty::new(POOL).unwrap()),
        // A block has one job until the conversation asks for another.
        fuller_job_delay: Duration::from_secs(3_600),
        ..Pool::config()
    });
    let config = ProxyConfig::new(&[pool.url()]).difficulty(POOL);
    let proxy = Program::run(millrace(), &config);
    let _ = proxy.wait_for_log("channel open");
    let address = proxy.address();
    let mut appliance = Appliance {
        pool,
        wire: Wire::connect(address),
        address,
    };
    let played = play(&conversation, &mut appliance);
    let _ = proxy.wait_for_log(&format!("({}) at difficulty", conversation.firmware));
    played.unwrap_or_else(|failure| panic!("\n{failure}"));
    proxy.stop();
}

#[test]
fn a_bitaxe_mines() {
    converses("bitaxe.txt");
}

#[test]
fn a_cgminer_mines_and_mines_on_after_it_lost_its_connection() {
    converses("cgminer.txt");
}

#[test]
fn a_cpuminer_mines() {
    converses("cpuminer.txt");
}

#[test]
fn a_nerdminer_mines() {
    converses("nerdminer.txt");
}
