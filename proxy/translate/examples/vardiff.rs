//! Prints how soon the difficulty of a miner is right, and how well it holds, for miners of all sizes and starts that
//! are right or wrong: the real translator before a small pool, on a virtual clock, with shares at seeded random times.
//!
//! `cargo run --release -p translate --example vardiff [SEEDS]`; 20 are the default, 200 take a core a quarter of an hour.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic is a failed simulation"
)]
#![allow(
    unreachable_pub,
    missing_docs,
    dead_code,
    reason = "the bench is that of the tests, and no program uses all of it"
)]

#[path = "../tests/bench/mod.rs"]
mod bench;
#[path = "../tests/vardiff/table.rs"]
mod table;
#[path = "../tests/vardiff/world.rs"]
mod world;

fn main() {
    let seeds = std::env::args().nth(1);
    let seeds = seeds.map_or(20, |seeds| seeds.parse().expect("SEEDS is a number"));
    println!("{}", table::head(seeds));
    std::thread::scope(|scope| {
        let rows = table::CASES.map(|case| scope.spawn(move || table::row(case, seeds)));
        for row in rows {
            println!("{}", row.join().expect("a panic is a failed simulation"));
        }
    });
}
