//! Prints how soon the difficulty of a miner is right, and how well it holds, for miners of all sizes and starts that
//! are right or wrong: the real translator before a small pool, on a virtual clock, with shares at seeded random times.
//!
//! `cargo run --release -p translate --example vardiff [SEEDS]`; 100 seeds take some minutes, 20 are the default.

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
    for case in table::CASES {
        println!("{}", table::row(case, seeds));
    }
}
