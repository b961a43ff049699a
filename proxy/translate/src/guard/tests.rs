//! Records, windows and their bounds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::*;
use crate::testing::origin;

const POLICY: GuardPolicy = GuardPolicy {
    max_miners_per_address: 2,
    invalid_shares_pause: Some(90),
    pause: Duration::from_secs(10),
    invalid_shares_ban: Some(95),
    ban: Duration::from_secs(600),
};

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn guard() -> (Guard, Instant) {
    let now = origin();
    (Guard::new(now, POLICY, 3), now)
}

fn open(guard: &mut Guard, now: Instant, address: IpAddr, miners: usize) -> Result<(), Limit> {
    guard.admit(now, address, miners)?;
    guard.opened(now, address);
    Ok(())
}

#[test]
fn connections_are_bounded_in_all_and_by_address() {
    let (mut guard, now) = guard();
    assert_eq!(open(&mut guard, now, address(1), 0), Ok(()));
    assert_eq!(open(&mut guard, now, address(1), 1), Ok(()));
    let refused = open(&mut guard, now, address(1), 2);
    assert_eq!(refused, Err(Limit::TooManyFromAddress(2)));
    assert_eq!(open(&mut guard, now, address(2), 2), Ok(()));
    let refused = open(&mut guard, now, address(3), 3);
    assert_eq!(refused, Err(Limit::TooManyMiners(3)));
    guard.closed(now, address(1));
    assert_eq!(open(&mut guard, now, address(1), 2), Ok(()));
}

#[test]
fn one_customers_ipv6_network_is_one_address() {
    let at = |last| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, last));
    assert_eq!(Address::from(at(1)), Address::from(at(2)));
    let mapped = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped());
    assert_eq!(Address::from(mapped), Address::from(address(1)));
}

#[test]
fn a_ban_ends() {
    let (mut guard, now) = guard();
    assert_eq!(open(&mut guard, now, address(1), 0), Ok(()));
    guard.ban(now, address(1));
    guard.closed(now, address(1));
    assert_eq!(guard.admit(now, address(1), 0), Err(Limit::Banned(600)));
    assert_eq!(guard.admit(now, address(2), 0), Ok(()));
    let later = now + Duration::from_secs(600);
    assert_eq!(guard.admit(later, address(1), 0), Ok(()));
    assert!(guard.records.is_empty(), "nothing is left to remember");
}

#[test]
fn a_miner_is_paused_at_the_percentage_and_not_below() {
    let now = origin();
    let mut conduct = Conduct::new(now);
    (0..5).for_each(|_| conduct.note_good(now));
    let paused: Vec<_> = (0..45)
        .map(|_| conduct.note_invalid(now, &POLICY))
        .collect();
    assert_eq!(paused.iter().position(|paused| *paused), Some(44));
    assert_eq!(conduct.pause_left(now), Some(POLICY.pause));
    assert_eq!(conduct.pause_left(now + POLICY.pause), None);
    let mut conduct = Conduct::new(now);
    (0..6).for_each(|_| conduct.note_good(now));
    assert!(!(0..50).any(|_| conduct.note_invalid(now, &POLICY)));
}

#[test]
fn counts_halve_with_time() {
    let now = origin();
    let mut window = Window::new(now);
    (0..100).for_each(|_| window.count(now, false));
    window.fade(now + 2 * HALF_LIFE);
    assert_eq!(window.invalid, 25);
    window.fade(now + 1_000_000 * HALF_LIFE);
    assert!(window.is_empty());
}

#[test]
fn what_is_switched_off_never_happens() {
    let now = origin();
    let policy = GuardPolicy {
        invalid_shares_pause: None,
        invalid_shares_ban: None,
        ..POLICY
    };
    let mut guard = Guard::new(now, policy, 10);
    guard.opened(now, address(1));
    let mut conduct = Conduct::new(now);
    for _ in 0..10_000 {
        assert!(!conduct.note_invalid(now, &policy));
        assert!(!guard.note_invalid(now, address(1)));
    }
}

#[test]
fn what_the_miner_cannot_help_is_not_invalid() {
    let soon = Some(Duration::from_secs(3));
    let late = Some(Duration::from_secs(11));
    for refusal in [
        Refusal::Stale,
        Refusal::OtherChannelsJob,
        Refusal::UpstreamGone,
        Refusal::VersionRollingNotAllowed,
        Refusal::Paused(1),
    ] {
        assert!(!is_invalid(&refusal, late), "{refusal}");
    }
    assert!(!is_invalid(&Refusal::UnknownJob, soon));
    assert!(!is_invalid(&Refusal::UnknownJob, None), "no work so far");
    assert!(is_invalid(&Refusal::UnknownJob, late));
    assert!(is_invalid(&Refusal::Duplicate, soon));
}

#[test]
fn a_cause_is_told_once_a_minute_with_the_count_of_what_was_not() {
    let (mut guard, now) = guard();
    let limit = Limit::Banned(5);
    assert_eq!(guard.tell(now, address(1), &limit), Some(0));
    assert_eq!(guard.tell(now, address(1), &limit), None);
    assert_eq!(guard.tell(now, address(1), &Limit::Banned(4)), None);
    assert_eq!(guard.tell(now, address(2), &limit), Some(0));
    let other = Limit::RequestsPerSecond;
    assert_eq!(guard.tell(now, address(1), &other), Some(0));
    let later = now + TELL_EVERY;
    assert_eq!(guard.tell(later, address(1), &limit), Some(2));
    assert_eq!(guard.tell(later, address(1), &limit), None);
}

#[test]
fn a_storm_of_addresses_takes_bounded_memory_and_is_forgotten() {
    let now = origin();
    let mut guard = Guard::new(now, POLICY, 100);
    for number in 0..50_000_u32 {
        let address = IpAddr::from(Ipv4Addr::from(number));
        guard.opened(now, address);
        guard.note_invalid(now, address);
        guard.closed(now, address);
        guard.tell(now, address, &Limit::RequestsPerSecond);
    }
    assert!(guard.records.len() <= 100 + MAX_IDLE + 1);
    assert_eq!(guard.told.len(), MAX_TOLD);
    let later = now + 2 * HALF_LIFE;
    assert_eq!(guard.admit(later, address(1), 0), Ok(()));
    assert_eq!((guard.records.len(), guard.told.len()), (0, 0));
}
