//! Dialling a name: every address that it has, soon after one another, until one answers (as RFC 8305 has it).
//!
//! Addresses are tried in the system's order (RFC 6724) with IPv6 and IPv4 by turns. The next one starts as soon as
//! one has failed, and in any case [`PAUSE`] after the one before: an address that is dead costs no more than that.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Async;
use async_std::net::ToSocketAddrs;
use futures_lite::future;

use crate::runtime;

/// How long an address is waited for before the next one is tried beside it: RFC 8305's Connection Attempt Delay.
const PAUSE: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried: all that any pool has, and all started within four seconds.
const MOST_ADDRESSES: usize = 16;

/// Why no connection could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("cannot resolve {0}: {1}")]
    Resolve(String, io::Error),
    #[error("cannot resolve {0}: the name has no address")]
    NoAddress(String),
    #[error("cannot connect to {0}: {1}")]
    Connect(String, Tries),
    #[error("no connection to {0} within {1:?}: {2}")]
    Timeout(String, Duration, Tries),
}

/// What became of each address that was tried.
#[derive(Debug)]
pub(crate) struct Tries {
    /// What was dialled; not repeated where it is the address itself.
    name: String,
    of: Vec<(SocketAddr, Option<io::Error>)>,
}

impl fmt::Display for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of.is_empty() {
            return f.write_str("its name was not resolved");
        }
        for (n, (address, error)) in self.of.iter().enumerate() {
            let comma = if n > 0 { ", " } else { "" };
            f.write_str(comma)?;
            if address.to_string() != self.name {
                write!(f, "{address}: ")?;
            }
            match error {
                Some(error) => write!(f, "{error}")?,
                None => f.write_str("no answer")?,
            }
        }
        Ok(())
    }
}

/// Connects to a host and port, whose name is resolved anew.
pub(crate) async fn dial(
    (host, port): (&str, u16),
    timeout: Duration,
) -> Result<Async<TcpStream>, DialError> {
    let name = match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    let resolved = async { Ok((host, port).to_socket_addrs().await?.collect()) };
    dial_resolved(name, resolved, Async::<TcpStream>::connect, timeout).await
}

/// As [`dial`], with the resolver and the network given.
async fn dial_resolved<C, F, S>(
    name: String,
    resolved: impl Future<Output = io::Result<Vec<SocketAddr>>>,
    connect: C,
    timeout: Duration,
) -> Result<S, DialError>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<S>>,
{
    let mut race = Race::default();
    let running = async {
        let addresses = match resolved.await {
            Ok(addresses) if addresses.is_empty() => {
                return Err(DialError::NoAddress(name.clone()));
            }
            Ok(addresses) => by_turns(addresses),
            Err(error) => return Err(DialError::Resolve(name.clone(), error)),
        };
        let pause = || runtime::sleep(PAUSE);
        Ok(race.run(addresses, connect, pause).await)
    };
    match runtime::within(timeout, running).await {
        Some(Ok(Some(stream))) => Ok(stream),
        Some(Ok(None)) => Err(DialError::Connect(name.clone(), race.tries(name))),
        Some(Err(error)) => Err(error),
        None => Err(DialError::Timeout(name.clone(), timeout, race.tries(name))),
    }
}

/// Puts the families by turns, beginning with that of the first address; each address once.
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (one, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv4() == first_is_ipv4);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut sorted = Vec::new();
    while sorted.len() < MOST_ADDRESSES {
        let pair: Vec<_> = one.next().into_iter().chain(other.next()).collect();
        if pair.is_empty() {
            break;
        }
        for address in pair {
            if !sorted.contains(&address) {
                sorted.push(address);
            }
        }
    }
    sorted.truncate(MOST_ADDRESSES);
    sorted
}

/// Tries under way and tries that failed.
struct Race<F> {
    failed: Vec<(SocketAddr, io::Error)>,
    running: Vec<(SocketAddr, Pin<Box<F>>)>,
}

impl<F> Default for Race<F> {
    fn default() -> Self {
        Self {
            failed: Vec::new(),
            running: Vec::new(),
        }
    }
}

impl<F> Race<F> {
    /// Tries the addresses in turn; `None` where all failed.
    async fn run<S, P>(
        &mut self,
        addresses: Vec<SocketAddr>,
        connect: impl Fn(SocketAddr) -> F,
        pause: impl Fn() -> P,
    ) -> Option<S>
    where
        F: Future<Output = io::Result<S>>,
        P: Future<Output = ()>,
    {
        for address in addresses {
            self.running.push((address, Box::pin(connect(address))));
            let mut pause = pin!(pause());
            let step = future::poll_fn(|context| match self.poll(context) {
                Poll::Pending => pause.as_mut().poll(context).map(|()| None),
                ready => ready,
            });
            if let Some(stream) = step.await {
                return Some(stream);
            }
        }
        while !self.running.is_empty() {
            let step = future::poll_fn(|context| self.poll(context));
            if let Some(stream) = step.await {
                return Some(stream);
            }
        }
        None
    }

    /// Is ready with the first connection, or with none as soon as a try has failed.
    fn poll<S>(&mut self, context: &mut Context<'_>) -> Poll<Option<S>>
    where
        F: Future<Output = io::Result<S>>,
    {
        let (mut connected, failed) = (None, &mut self.failed);
        let before = failed.len();
        self.running.retain_mut(
            |(address, connecting)| match connecting.as_mut().poll(context) {
                Poll::Pending => true,
                Poll::Ready(Ok(stream)) => {
                    connected = Some(stream);
                    false
                }
                Poll::Ready(Err(error)) => {
                    failed.push((*address, error));
                    false
                }
            },
        );
        match connected.is_some() || failed.len() > before {
            true => Poll::Ready(connected),
            false => Poll::Pending,
        }
    }

    fn tries(self, name: String) -> Tries {
        let failed = self.failed.into_iter();
        let failed = failed.map(|(address, error)| (address, Some(error)));
        let running = self.running.into_iter().map(|(address, _)| (address, None));
        let of = failed.chain(running).collect();
        Tries { name, of }
    }
}

#[cfg(test)]
mod tests;
