//! A short form of the load test `farm`, without looking at the clock.

use std::time::Duration;

use tests::farm::Load;

use super::millrace;

#[test]
fn a_hundred_miners_lose_nothing() {
    let load = Load {
        miners: 100,
        duration: Duration::from_secs(3),
        shares_per_minute: 60.0,
    };
    let report = load.run(millrace());
    assert!(
        report.problems().is_empty(),
        "{:?}\n{report}",
        report.problems()
    );
}
