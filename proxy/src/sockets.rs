//! Listening sockets: those that the service manager holds for us (`sd_listen_fds(3)`), and our own for the rest.
//!
//! A socket that the service manager holds goes on listening while the program is started anew: who connects meanwhile
//! waits, and is not refused. It belongs to the listener of the config that has the same address.

use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

use crate::listener;

/// Why the sockets of the service manager cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketsError {
    /// One of them is no TCP socket, counted from 1.
    #[error(
        "socket {place} from systemd cannot be listened on: {error}; each of millrace.socket has to be a \
         ListenStream= of an address and port, without Accept="
    )]
    NotTcp {
        /// Its place among them.
        place: usize,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The config has no listener for one of them: who connects there would wait for ever.
    #[error(
        "systemd listens on {0} for us, and the config does not: give a [[listener]] this address, or take its \
         ListenStream= out of millrace.socket"
    )]
    NotInConfig(SocketAddr),
}

/// Sockets that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Sockets {
    held: Vec<(SocketAddr, TcpListener)>,
}

impl Sockets {
    /// Takes the sockets that the environment names; to be called before any thread is started.
    ///
    /// # Errors
    /// Where one of them cannot be accepted on.
    pub fn of_environment() -> Result<Self, SocketsError> {
        let mut given = ListenFd::from_env();
        let mut held = Vec::new();
        for index in 0..given.len() {
            let place = index + 1;
            let error = |error| SocketsError::NotTcp { place, error };
            let Some(socket) = given.take_tcp_listener(index).map_err(error)? else {
                continue;
            };
            held.push((socket.local_addr().map_err(error)?, socket));
        }
        Ok(Self { held })
    }

    /// Gives where they listen.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.held.iter().map(|(address, _)| *address)
    }

    /// Listens on an address: on the socket that is there for it, or else on a new one.
    ///
    /// # Errors
    /// Where the address cannot be listened on.
    pub(crate) fn listen(&mut self, address: SocketAddr) -> io::Result<TcpListener> {
        let place = self.held.iter().position(|(held, _)| *held == address);
        let Some((_, socket)) = place.map(|place| self.held.swap_remove(place)) else {
            return listener::listen(address);
        };
        log::info!("systemd holds the port of {address}: nobody is refused while we start");
        listener::listen_on(socket)
    }

    /// Tells whether every socket has been taken.
    ///
    /// # Errors
    /// Names one that has not.
    pub(crate) fn all_taken(&self) -> Result<(), SocketsError> {
        match self.held.first() {
            Some((address, _)) => Err(SocketsError::NotInConfig(*address)),
            None => Ok(()),
        }
    }
}
