//! The body: a listening socket, a task that owns the [`Pool`], and two tasks for each connection.
//!
//! ```text
//! [reader] socket → Noise → message ─► inputs (bounded) ─► [driver: Pool] ─► messages (bounded) ─► [writer] Noise → socket
//! ```
//! Readers wait where the inputs are full, so TCP pushes back on a flooding client. The driver never waits on
//! a client: one that does not read is closed once its queue is full.

mod driver;
mod socket;

use std::io;
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use async_channel::{Receiver, Sender};
use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use sv2::authority_key::{AuthorityPublicKey, AuthoritySecretKey};
use sv2::message::{Message, Received};
use sv2::noise::{Certificate, KeyPair, UnixSeconds};
use sv2::url::PoolUrl;

use crate::command::Command;
use crate::config::{CertificateValidity, ConfigError, PoolConfig};
use crate::event::BlockWrite;
use crate::handle::PoolHandle;
use crate::outbox::ConnectionId;
use crate::pool::Pool;
use crate::statistics::PoolStats;
use driver::Driver;
use socket::Identity;

/// What reaches the driver.
#[derive(Debug)]
pub(crate) enum Input {
    Connected(Link, Sender<ConnectionId>),
    Message(ConnectionId, Received),
    Disconnected(ConnectionId, String),
    BlockWrite(BlockWrite),
    Command(Command),
}

/// The driver's end of a connection.
#[derive(Debug)]
pub(crate) struct Link {
    messages: Sender<Message>,
    socket: TcpStream,
    peer: SocketAddr,
}

/// Why a pool cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The configuration is one that no pool could have.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        error: io::Error,
    },
}

/// A pool that listens. It accepts connections once it [runs](Self::run).
#[derive(Debug)]
pub struct PoolServer {
    listener: TcpListener,
    local_addr: SocketAddr,
    authority_key: AuthorityPublicKey,
    identity: Identity,
    config: PoolConfig,
    pool: Pool,
    inputs: (Sender<Input>, Receiver<Input>),
}

impl PoolServer {
    /// Listens, and signs a certificate with the configured authority key or a new one.
    ///
    /// # Errors
    /// Where the configuration cannot be, or the address cannot be listened on.
    pub async fn bind(config: PoolConfig) -> Result<Self, BindError> {
        let unix_time = UnixSeconds::from(SystemTime::now());
        let pool = Pool::new(config.clone(), Instant::now(), unix_time.0)?;
        let address = config.listen;
        let listen_error = |error| BindError::Listen { address, error };
        let listener = TcpListener::bind(address).await.map_err(listen_error)?;
        let local_addr = listener.local_addr().map_err(listen_error)?;
        let authority =
            (config.authority_secret.clone()).unwrap_or_else(AuthoritySecretKey::generate);
        let key_pair = KeyPair::generate();
        let certificate = sign(
            &authority,
            &key_pair,
            config.certificate_validity,
            unix_time,
        );
        Ok(Self {
            listener,
            local_addr,
            authority_key: authority.public_key(),
            identity: Identity::new(key_pair, certificate, config.limits),
            inputs: async_channel::bounded(config.limits.incoming_queue.max(1)),
            config,
            pool,
        })
    }

    /// Tells the address that is listened on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Tells the public key that clients verify the certificate with.
    #[must_use]
    pub fn authority_key(&self) -> AuthorityPublicKey {
        self.authority_key
    }

    /// Gives the URL for clients: `stratum2+tcp://address:port/KEY`.
    #[must_use]
    pub fn url(&self) -> PoolUrl {
        PoolUrl {
            host: self.local_addr.ip().to_string(),
            port: self.local_addr.port(),
            authority_key: Some(self.authority_key),
        }
    }

    /// Gives a handle for commands and statistics.
    #[must_use]
    pub fn handle(&self) -> PoolHandle {
        PoolHandle {
            inputs: self.inputs.0.clone(),
            event_queue: self.config.limits.event_queue,
        }
    }

    /// Runs until [`PoolHandle::stop`]; gives the last statistics.
    pub async fn run(self) -> PoolStats {
        let (inputs, received) = self.inputs;
        let acceptor = task::spawn(socket::accept(self.listener, self.identity, inputs));
        let driver = Driver::new(self.pool, received);
        let stats = driver.run().await;
        acceptor.cancel().await;
        stats
    }
}

/// Waits on the runtime of the body, whose name stays here.
pub async fn sleep(time: std::time::Duration) {
    task::sleep(time).await;
}

fn sign(
    authority: &AuthoritySecretKey,
    key_pair: &KeyPair,
    validity: CertificateValidity,
    start: UnixSeconds,
) -> Certificate {
    let at = |offset: i64| {
        let time = i64::from(start.0).saturating_add(offset);
        UnixSeconds(u32::try_from(time.max(0)).unwrap_or(u32::MAX))
    };
    let key = key_pair.x_only_public_key();
    Certificate::sign(authority, &key, at(validity.from), at(validity.until))
}
