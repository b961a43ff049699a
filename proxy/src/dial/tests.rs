//! Names with several addresses, of which some are dead.

use std::cell::{Cell, RefCell};
use std::future::{pending, ready};
use std::net::TcpListener;

use socket2::{Domain, Socket, Type};

use super::*;

/// Far above what anything here needs; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| address(text)).collect()
}

/// Dials a name that resolves to these.
fn dialled(to: Vec<SocketAddr>) -> Result<SocketAddr, String> {
    let dialling = dial_resolved(
        "pool:1".into(),
        ready(Ok(to)),
        Async::<TcpStream>::connect,
        PATIENCE,
    );
    match runtime::block_on(dialling) {
        Ok(stream) => Ok(stream.get_ref().peer_addr().unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address where nobody listens.
fn refusing() -> SocketAddr {
    listener().1
}

/// An address that answers nothing: its queue of connections is full, so further ones are dropped. It lives as long as
/// what holds it.
fn silent() -> (Vec<Socket>, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&address("127.0.0.1:0").into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = vec![listener];
    for _ in 0..4 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        // Says that it is under way.
        let _ = client.connect(&address);
        held.push(client);
    }
    (held, address.as_socket().unwrap())
}

#[test]
fn one_silent_address_of_two_does_not_keep_us_from_the_other() {
    let (_held, dead) = silent();
    let (_listener, live) = listener();
    assert_eq!(dialled(vec![dead, live]), Ok(live));
    assert_eq!(dialled(vec![live, dead]), Ok(live));
}

#[test]
fn one_refusing_address_of_two_does_not_keep_us_from_the_other() {
    let (_listener, live) = listener();
    assert_eq!(dialled(vec![refusing(), live]), Ok(live));
}

#[test]
fn a_dead_address_costs_one_pause_and_a_refusing_one_none() {
    let [dead, refusing, live] = ["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"].map(address);
    let pauses = Cell::new(0);
    let started = RefCell::new(Vec::new());
    let connect = |to: SocketAddr| {
        started.borrow_mut().push((to, pauses.get()));
        async move {
            match to {
                to if to == live => Ok(to),
                to if to == refusing => Err(io::ErrorKind::ConnectionRefused.into()),
                _ => pending().await,
            }
        }
    };
    // A pause that is waited for passes at once.
    let pause = || async { pauses.set(pauses.get() + 1) };
    let mut race = Race::default();
    let won = race.run(vec![dead, refusing, live], connect, pause);
    assert_eq!(runtime::block_on(won), Some(live));
    let started = started.into_inner();
    assert_eq!(started, [(dead, 0), (refusing, 1), (live, 1)]);
}

#[test]
fn a_failure_names_every_address_and_why() {
    let [one, other] = [refusing(), refusing()];
    let words = dialled(vec![one, other]).unwrap_err();
    for address in [one, other] {
        assert!(
            words.contains(&format!("{address}: Connection refused")),
            "{words}"
        );
    }
    assert!(words.starts_with("cannot connect to pool:1: "), "{words}");
}

#[test]
fn a_timeout_names_every_address_and_which_gave_no_answer() {
    let to = addresses(&["192.0.2.1:1", "[2001:db8::1]:1"]);
    let connect = |to: SocketAddr| async move {
        match to.is_ipv4() {
            true => pending().await,
            false => Err::<(), _>(io::ErrorKind::HostUnreachable.into()),
        }
    };
    let timeout = PAUSE * 2;
    let dialling = dial_resolved("pool:1".into(), ready(Ok(to)), connect, timeout);
    let words = runtime::block_on(dialling).unwrap_err().to_string();
    assert_eq!(
        words,
        "no connection to pool:1 within 500ms: [2001:db8::1]:1: host unreachable, 192.0.2.1:1: no answer"
    );
}

#[test]
fn what_does_not_resolve_says_so() {
    let connect = |_: SocketAddr| ready(Ok(()));
    let dial = |resolved| {
        let dialling = dial_resolved("pool:1".into(), resolved, connect, PATIENCE);
        runtime::block_on(dialling).unwrap_err().to_string()
    };
    let words = dial(ready(Err(io::Error::other("no such name"))));
    assert_eq!(words, "cannot resolve pool:1: no such name");
    let words = dial(ready(Ok(Vec::new())));
    assert_eq!(words, "cannot resolve pool:1: the name has no address");
    let never = dial_resolved(
        "pool:1".into(),
        pending(),
        connect,
        Duration::from_millis(1),
    );
    let words = runtime::block_on(never).unwrap_err().to_string();
    assert_eq!(
        words,
        "no connection to pool:1 within 1ms: its name was not resolved"
    );
}

#[test]
fn families_are_tried_by_turns_and_each_address_once() {
    let resolved = addresses(&[
        "[::1]:1",
        "[::2]:1",
        "[::3]:1",
        "1.1.1.1:1",
        "[::1]:1",
        "2.2.2.2:1",
    ]);
    let turns = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
    assert_eq!(by_turns(resolved), turns);
    let many = (1..=100).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(by_turns(many.collect()).len(), MOST_ADDRESSES);
}
