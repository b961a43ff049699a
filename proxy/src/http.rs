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

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

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
pub(crate) use self::shards::Source;

/// Bytes of a request's head, and of what is read at a time.
const BUFFER: usize = 16_384;
/// Pause after a failed accept, which usually means that no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The running server. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: Sender<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Serves on a socket that listens.
    pub(crate) fn start(
        listener: Async<TcpListener>,
        http: &Http,
        limits: &Limits,
        sources: Vec<Source>,
    ) -> io::Result<Self> {
        let address = listener.get_ref().local_addr()?;
        let (stop, stopped) = async_channel::bounded(1);
        let (http, limits) = (http.clone(), limits.clone());
        let serve = move || {
            let door = Door {
                routes: Rc::new(Routes::new(&http, sources)),
                open: Rc::default(),
                most: limits.http_connections,
                timeout: limits.http_timeout,
            };
            let executor = LocalExecutor::new();
            let ended = future::or(door.accept(&listener, &executor), wait(&stopped));
            // Not the runtime's: this thread must not wait for all sockets' news in place of the drivers' thread.
            future::block_on(executor.run(ended));
        };
        let thread = thread::Builder::new().name("http".into()).spawn(serve)?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }

    /// Gives the address that it serves on, with its real port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.close();
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Waits until nobody holds the other end.
async fn wait(stopped: &Receiver<()>) {
    let _ = stopped.recv().await;
}

/// Lets connections in.
struct Door {
    routes: Rc<Routes>,
    /// Connections that are open.
    open: Rc<Cell<usize>>,
    most: usize,
    timeout: Duration,
}

impl Door {
    async fn accept(&self, listener: &Async<TcpListener>, executor: &LocalExecutor<'_>) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) if self.open.get() < self.most => {
                    let place = Place::take(&self.open);
                    let (routes, timeout) = (Rc::clone(&self.routes), self.timeout);
                    let served = async move {
                        serve(stream, &routes, timeout).await;
                        drop(place);
                    };
                    executor.spawn(served).detach();
                }
                // Closed at once: who is in keeps being served.
                Ok(_) => log::debug!("http: a connection was refused, {} are open", self.most),
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
async fn serve(stream: Async<TcpStream>, routes: &Rc<Routes>, timeout: Duration) {
    let requests = Cell::new(0_u64);
    let service = service_fn(|request| {
        requests.set(requests.get() + 1);
        let routes = Rc::clone(routes);
        async move { routes.answer(request).await }
    });
    let connection = http1::Builder::new()
        .max_buf_size(BUFFER)
        .header_read_timeout(None)
        .serve_connection(Connection::new(stream), service);
    let served = async {
        if let Err(error) = connection.await {
            log::debug!("http: {error}");
        }
    };
    let idle = async {
        loop {
            let before = requests.get();
            runtime::sleep(timeout).await;
            if requests.get() == before {
                return;
            }
        }
    };
    future::or(served, idle).await;
}
