//! Sockets for miners: which can be had side by side.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

#[test]
fn accepted_connections_have_what_the_listener_was_given() {
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = listener.get_ref().local_addr().unwrap();
    let _miner = TcpStream::connect(address).unwrap();
    let (accepted, _) = runtime::block_on(listener.accept()).unwrap();
    let accepted = SockRef::from(accepted.get_ref());
    assert!(accepted.tcp_nodelay().unwrap() && accepted.keepalive().unwrap());
}

#[test]
fn all_of_ipv4_and_all_of_ipv6_can_be_listened_on_at_one_port() {
    let six = listen((Ipv6Addr::UNSPECIFIED, 0).into()).unwrap();
    let port = six.get_ref().local_addr().unwrap().port();
    let four = listen((Ipv4Addr::UNSPECIFIED, port).into()).unwrap();
    assert_eq!(four.get_ref().local_addr().unwrap().port(), port);
}
