//! The HTTP server: the page, metrics, API and probes, on a thread of its own, so that nothing it does delays a share.
//!
//! ```text
//! socket ─► connection ─► access (token) ─► routes ─► shards (what drivers show) ─► answer
//! ```
//!
//! Only the news that bytes are there come from the reactor that all sockets share. Bounded: connections, the size of a
//! request's head, the time that a client takes for the next request and for the answer, and every answer.

mod access;
mod answer;
mod connection;
mod dashboard;
mod events;
mod hashrate;
mod jobs;
mod metrics;
mod miners;
mod page;
mod problem;
mod process;
mod query;
mod routes;
mod shards;
mod status;
mod time;
mod upstreams;
mod workers;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_executor::LocalExecutor;
use async_io::Async;
use futures_lite::future;
use hyper::server::conn::http1;
use hyper::service::service_fn;

use crate::config::{Http, Limits};
use crate::runtime;

use self::connection::Connection;
use self::routes::Routes;
use self::shards::Shards;
pub(crate) use self::shards::{Departed, Source};

/// Bytes of a request's head, and of what is read at a time.
const BUFFER: usize = 16_384;
/// Pause after a failed accept, which usually means that no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a reload may change of a server.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) http: Http,
    pub(crate) limits: Limits,
    pub(crate) sources: Vec<Source>,
    pub(crate) departed: Vec<Departed>,
}

/// The running server. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    /// Takes other settings; its end ends the server.
    settings: Sender<Settings>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Serves on a socket that listens.
    pub(crate) fn start(listener: Async<TcpListener>, first: Settings) -> io::Result<Self> {
        let address = listener.get_ref().local_addr()?;
        let (settings, changes) = async_channel::bounded(1);
        let serve = move || {
            let door = Rc::new(Door {
                routes: RefCell::new(Rc::new(Routes::new(
                    &first.http,
                    Shards::new(first.sources, first.departed),
                ))),
                open: Rc::default(),
                most: Cell::new(first.limits.http_connections),
                timeout: Cell::new(first.limits.http_timeout),
            });
            let executor = LocalExecutor::new();
            let ended = future::or(door.accept(&listener, &executor), door.follow(&changes));
            // Not the runtime's: this thread must not wait for all sockets' news in place of the executor's.
            future::block_on(executor.run(ended));
        };
        let thread = thread::Builder::new().name("http".into()).spawn(serve)?;
        Ok(Self {
            address,
            settings,
            thread: Some(thread),
        })
    }

    /// Serves by other settings from the next request on; connections stay.
    pub(crate) async fn change(&self, settings: Settings) {
        // Fails only where the thread has ended.
        let _ = self.settings.send(settings).await;
    }

    /// Gives the address that it serves on, with its real port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.settings.close();
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Lets connections in.
struct Door {
    routes: RefCell<Rc<Routes>>,
    /// Connections that are open.
    open: Rc<Cell<usize>>,
    most: Cell<usize>,
    timeout: Cell<Duration>,
}

impl Door {
    /// Changes what is served until nobody holds the other end.
    async fn follow(&self, changes: &Receiver<Settings>) {
        while let Ok(settings) = changes.recv().await {
            let routes = self.routes();
            let shards = Shards::new(settings.sources, settings.departed);
            let routes = routes.changed(&settings.http, shards);
            self.routes.replace(Rc::new(routes));
            self.most.set(settings.limits.http_connections);
            self.timeout.set(settings.limits.http_timeout);
        }
    }

    fn routes(&self) -> Rc<Routes> {
        Rc::clone(&self.routes.borrow())
    }

    async fn accept(self: &Rc<Self>, listener: &Async<TcpListener>, executor: &LocalExecutor<'_>) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) if self.open.get() < self.most.get() => {
                    let place = Place::take(&self.open);
                    let door = Rc::clone(self);
                    let served = async move {
                        serve(stream, &door).await;
                        drop(place);
                    };
                    executor.spawn(served).detach();
                }
                // Closed at once: who is in keeps being served.
                Ok(_) => log::debug!(
                    "http: a connection was refused, {} are open",
                    self.most.get()
                ),
                Err(error) => {
                    log::debug!("http: cannot accept: {error}");
                    runtime::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// One of the connections that may be open.
struct Place(Rc<Cell<usize>>);

impl Place {
    fn take(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(Rc::clone(open))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Serves one connection until it ends, or until its client takes too long for a request or an answer.
async fn serve(stream: Async<TcpStream>, door: &Door) {
    let last_request = Cell::new(Instant::now());
    let service = service_fn(|request| {
        last_request.set(Instant::now());
        let routes = door.routes();
        async move { routes.answer(request).await }
    });
    let connection = http1::Builder::new()
        .max_buf_size(BUFFER)
        .header_read_timeout(None)
        // Who has asked and sends no more waits for the answer all the same.
        .half_close(true)
        .serve_connection(Connection::new(stream), service);
    let served = async {
        if let Err(error) = connection.await {
            log::debug!("http: {error}");
        }
    };
    let idle = async {
        loop {
            let idle = last_request.get().elapsed();
            let left = door.timeout.get().saturating_sub(idle);
            if left.is_zero() {
                return;
            }
            runtime::sleep(left).await;
        }
    };
    future::or(served, idle).await;
}
