//! Sockets for miners: which can be had side by side.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

#[test]
fn all_of_ipv4_and_all_of_ipv6_can_be_listened_on_at_one_port() {
    let six = listen((Ipv6Addr::UNSPECIFIED, 0).into()).unwrap();
    let port = six.local_addr().unwrap().port();
    let four = listen((Ipv4Addr::UNSPECIFIED, port).into()).unwrap();
    assert_eq!(four.local_addr().unwrap().port(), port);
}
