//! A short form of the program `failover`: what a farm notices when its pool fails, without looking at the clock.

use std::time::Duration;

use tests::failover::{Event, Programs, Report, Trial};

use super::millrace;

#[test]
fn no_miner_is_lost_however_its_pool_fails() {
    let programs = Programs {
        millrace: millrace().into(),
        pool: env!("CARGO_BIN_EXE_sv2-pool-under-test").into(),
    };
    let trial = Trial {
        miners: 20,
        shares_per_minute: 60.0,
        minerd: None,
        warm_up: Duration::from_secs(2),
        window: Duration::from_secs(2),
        outage: Duration::from_secs(2),
    };
    let events = [
        Event::Killed,
        Event::Hanging,
        Event::ChannelClosed,
        Event::BothDown,
    ];
    let outcomes = events.map(|event| trial.run(event, &programs)).into();
    let report = Report { trial, outcomes };
    let problems = report.problems();
    assert!(problems.is_empty(), "{problems:?}\n{report}");
}
