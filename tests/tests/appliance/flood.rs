//! A short form of the flood `flood`, without looking at the clock.

use std::time::Duration;

use tests::flood::Flood;

use super::millrace;

fn flood(one_address: bool) {
    let flood = Flood {
        good: 20,
        silent: 50,
        garbage: 10,
        duration: Duration::from_secs(3),
        one_address,
    };
    let report = flood.run(millrace());
    assert!(
        report.problems().is_empty(),
        "{:?}\n{report}",
        report.problems()
    );
}

#[test]
fn good_miners_lose_nothing_beside_a_flood_from_other_addresses() {
    flood(false);
}

#[test]
fn good_miners_lose_nothing_beside_a_flood_from_their_own_address() {
    flood(true);
}
