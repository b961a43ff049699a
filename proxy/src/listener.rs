//! Ports for miners: listening, and letting in those who come.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use translate::ListenerId;

use crate::dealer::Place;
use crate::descriptors::Places;

/// Connections that wait to be accepted: a storm beyond it would have to retry its SYNs.
const BACKLOG: i32 = 4_096;
/// Silence after which the network is asked whether the miner is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Pause after a failed accept, and while there is no place.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time for which trouble with accepting is not told again.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Listens on an address; accepting does not wait.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for connections of the last run to time out.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `0.0.0.0` and `[::]` may both be configured with the same port.
        socket.set_only_v6(true)?;
    }
    prepare(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Listens on a socket that listens already, as on one of our own.
pub(crate) fn listen_on(listener: TcpListener) -> io::Result<TcpListener> {
    let socket = Socket::from(listener);
    prepare(&socket)?;
    // Its queue may be shorter.
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Sets what connections inherit from the socket that they are accepted on, so that it need not be set for each.
fn prepare(socket: &Socket) -> io::Result<()> {
    // Nagle's algorithm costs about 50 ms for each step of the set-up.
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE / 4);
    socket.set_tcp_keepalive(&keepalive)
}

/// A connection that was accepted; reading and writing do not wait.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    /// Who connected.
    pub(crate) peer: SocketAddr,
    /// Held until the connection ends.
    pub(crate) place: Place,
}

/// A socket that listens, and whether somebody may wait there.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Which of the config's.
    pub(crate) id: ListenerId,
    socket: TcpListener,
    places: Places,
    /// Somebody may wait. The poller tells it once only, so it stays until the last has been let in.
    is_waited_at: bool,
    /// Nobody is let in before this.
    paused_until: Option<Instant>,
    /// When trouble was told last.
    told: Option<Instant>,
}

impl Listener {
    pub(crate) fn new(id: ListenerId, socket: TcpListener, places: Places) -> Self {
        Self {
            id,
            socket,
            places,
            is_waited_at: false,
            paused_until: None,
            told: None,
        }
    }

    /// Gives the socket, to wait for.
    pub(crate) fn socket(&self) -> &TcpListener {
        &self.socket
    }

    /// Notes that somebody has come.
    pub(crate) fn note_waiting(&mut self) {
        self.is_waited_at = true;
    }

    /// Tells when somebody who waits is to be let in; `None` where nobody waits.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        self.is_waited_at
            .then(|| self.paused_until.map_or(now, |until| until.max(now)))
    }

    /// Lets the next one in. Pauses while every place is taken: who waits meanwhile waits in the socket's backlog.
    pub(crate) fn accept(&mut self, now: Instant) -> Option<Connection> {
        if self.due(now)? > now {
            return None;
        }
        self.paused_until = None;
        let Some(place) = self.places.try_acquire_arc() else {
            self.pause(
                now,
                "no file descriptor is left for another miner; those who come wait until one leaves",
            );
            return None;
        };
        let accepted = acceptfrom_with(&self.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC);
        match accepted.map_err(io::Error::from) {
            Ok((stream, peer)) => {
                let peer = peer.and_then(|peer| peer.try_into().ok());
                let stream = TcpStream::from(stream);
                let peer = peer.or_else(|| stream.peer_addr().ok())?;
                Some(Connection {
                    stream,
                    peer,
                    place: Place::new(place),
                })
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_waited_at = false;
                None
            }
            // Whoever came has gone again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => None,
            Err(error) => {
                self.pause(now, &format!("cannot accept a miner: {error}; trying on"));
                None
            }
        }
    }

    /// Lets nobody in for a while, and says why now and then.
    fn pause(&mut self, now: Instant, words: &str) {
        self.paused_until = Some(now + ACCEPT_PAUSE);
        let lately = |told| now.saturating_duration_since(told) < TELL_EVERY;
        if !self.told.is_some_and(lately) {
            log::warn!("{words}");
            self.told = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Sockets for miners: which can be had side by side, and who is let in.

    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::sync::Arc;

    use async_lock::Semaphore;
    use socket2::SockRef;

    use super::*;
    use crate::downstream::{Received, receive};

    fn listener(places: usize) -> Listener {
        let socket = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Listener::new(ListenerId(0), socket, Arc::new(Semaphore::new(places)))
    }

    fn connect(to: &Listener) -> TcpStream {
        TcpStream::connect(to.socket().local_addr().unwrap()).unwrap()
    }

    #[test]
    fn accepted_connections_have_what_the_listener_was_given() {
        let mut listener = listener(1);
        let miner = connect(&listener);
        listener.note_waiting();
        let accepted = listener.accept(Instant::now()).unwrap();
        assert_eq!(accepted.peer, miner.local_addr().unwrap());
        let nothing = receive(&accepted.stream, &mut [0; 8]);
        assert!(
            matches!(nothing, Received::Nothing),
            "reading does not wait"
        );
        let accepted = SockRef::from(&accepted.stream);
        assert!(accepted.tcp_nodelay().unwrap() && accepted.keepalive().unwrap());
    }

    #[test]
    fn who_finds_no_place_is_let_in_once_somebody_has_left() {
        let mut listener = listener(1);
        let _miners = [connect(&listener), connect(&listener)];
        let now = Instant::now();
        assert!(listener.accept(now).is_none(), "nobody was told of");
        listener.note_waiting();
        let first = listener.accept(now).unwrap();
        assert!(listener.accept(now).is_none());
        assert_eq!(listener.due(now), Some(now + ACCEPT_PAUSE));
        drop(first);
        assert!(listener.accept(now).is_none(), "it pauses");
        let second = listener.accept(now + ACCEPT_PAUSE);
        assert!(second.is_some());
        drop(second);
        assert!(listener.accept(now + ACCEPT_PAUSE).is_none());
        assert_eq!(listener.due(now), None);
    }

    #[test]
    fn all_of_ipv4_and_all_of_ipv6_can_be_listened_on_at_one_port() {
        // A port that is free for one may be somebody else's for the other.
        let both = (0..100).any(|_| {
            let six = listen((Ipv6Addr::UNSPECIFIED, 0).into()).unwrap();
            let port = six.local_addr().unwrap().port();
            listen((Ipv4Addr::UNSPECIFIED, port).into()).is_ok()
        });
        assert!(both);
    }
}
