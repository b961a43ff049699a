//! Measures how many headers one core hashes in a second:
//! `cargo run --release -p sv1-miner --example hashrate`.

use std::time::Instant;

use sv1_miner::Target;
use sv1_miner::hash::Search;

/// Enough for a second or more on any core.
const NONCES: u64 = 1 << 24;

fn main() {
    // A target that no hash meets.
    let search = Search::new(&[7; 80], Target::from_be_bytes([0; 32]));
    for _ in 0..3 {
        let began = Instant::now();
        let found = search.first_share(0..NONCES);
        let rate = NONCES as f64 / began.elapsed().as_secs_f64() / 1e6;
        println!("{rate:.2} MH/s, found {found:?}");
    }
}
