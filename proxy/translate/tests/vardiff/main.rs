//! A short form of the table of vardiff that `cargo run --release -p translate --example vardiff` prints.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic is a failed test"
)]
#![allow(
    unreachable_pub,
    missing_docs,
    dead_code,
    reason = "the bench is public to the tests, and they print nothing"
)]

#[path = "../bench/mod.rs"]
mod bench;
mod table;
mod world;

use table::{CASES, Row, row};

const SEEDS: u64 = 3;

fn holds(row: &Row) {
    let [_, least, most] = row.rate;
    assert!(least > 6.0 && most < 24.0, "{row}");
    assert!(row.changes_in_hour <= 2.0, "{row}");
}

#[test]
fn a_start_wrong_by_a_thousand_is_right_within_two_minutes_and_then_holds() {
    for case in CASES.iter().filter(|case| case.name.contains("1,000 x")) {
        let row = row(*case, SEEDS);
        assert!(row.settled[3] <= 120.0, "{row}");
        holds(&row);
    }
}

#[test]
fn a_hashrate_that_changes_fourfold_is_followed_within_five_minutes() {
    let fourfold = |name: &str| name.contains("quarter") || name.contains("fourfold");
    for case in CASES.iter().filter(|case| fourfold(case.name)) {
        let row = row(*case, SEEDS);
        assert!(row.settled[3] <= 300.0, "{row}");
        holds(&row);
    }
}

#[test]
fn every_case_of_the_table_has_its_rate_over_the_hour() {
    let steady = CASES.iter().filter(|case| !case.name.contains("hundredth"));
    steady.for_each(|case| holds(&row(*case, 1)));
}
