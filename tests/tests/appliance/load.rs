//! Short forms of the load tests `farm` and `load`, without looking at the clock.

use std::path::Path;
use std::time::Duration;

use tests::farm::Load;
use tests::load::{Churn, Contender, Flow, Hold, Mine, Storm, Watched};

use super::millrace;

/// The tool, which is its own floors.
fn tool() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_load"))
}

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

#[test]
fn new_blocks_reach_every_miner_that_holds() {
    let hold = Hold {
        miners: 100,
        blocks: 2,
    };
    let report = hold.run(&Contender::millrace(millrace()));
    assert!(report.problems().is_empty(), "{:?}", report.problems());
    let floor = hold.run_floor(tool(), report.line());
    assert!(floor.problems().is_empty(), "{:?}", floor.problems());
}

/// Mines for two seconds in some way.
fn mine(flow: Flow, vardiff: bool) -> Mine {
    Mine {
        miners: 20,
        duration: Duration::from_secs(2),
        flow,
        vardiff,
    }
}

#[test]
fn every_share_at_a_fixed_rate_reaches_the_pool() {
    let mine = mine(Flow::Paced(10.0), false);
    let report = mine.run(&Contender::millrace(millrace()));
    assert!(report.problems().is_empty(), "{:?}", report.problems());
    let floor = mine.run_floor(tool());
    assert!(floor.problems().is_empty(), "{:?}", floor.problems());
}

#[test]
fn every_share_in_flight_reaches_the_pool() {
    let report = mine(Flow::InFlight(4), false).run(&Contender::millrace(millrace()));
    assert!(report.problems().is_empty(), "{:?}", report.problems());
}

#[test]
fn miners_that_are_measured_lose_nothing() {
    let report = mine(Flow::Paced(0.2), true).run(&Contender::millrace(millrace()));
    assert!(report.problems().is_empty(), "{:?}", report.problems());
}

#[test]
fn whoever_looks_by_http_is_answered_while_miners_mine() {
    let watched = Watched {
        miners: 20,
        turns: 1,
        turn: Duration::from_secs(1),
    };
    let report = watched.run(&Contender::millrace(millrace()));
    assert!(report.problems().is_empty(), "{:?}", report.problems());
}

#[test]
fn a_storm_with_new_blocks_loses_nobody() {
    let storm = Storm {
        miners: 200,
        connected: 50,
    };
    let report = storm.run(&Contender::millrace(millrace()));
    assert!(report.problems().is_empty(), "{:?}", report.problems());
}

#[test]
fn those_who_stay_notice_nothing_of_those_who_come_and_go() {
    let churn = Churn {
        miners: 50,
        per_second: 50.0,
        duration: Duration::from_secs(2),
    };
    let report = churn.run(&Contender::millrace(millrace()));
    assert!(report.problems().is_empty(), "{:?}", report.problems());
}
