//! The miners' side: listening sockets, reading lines, writing without waiting.
//!
//! A miner at rest costs its session and one small task. The driver writes to the socket itself, so that it
//! decides who is first; only where a socket would block does a task take over, and reports back when the
//! socket is free again.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use async_channel::Sender;
use async_io::Async;
use async_lock::SemaphoreGuardArc;
use futures_lite::AsyncWriteExt;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use sv1::notification::{self, Reconnect};
use sv1::{LineDecoder, parse_call};
use translate::{Delivery, ListenerId, MinerId};

use crate::config::Limits;
use crate::descriptors::Places;
use crate::driver::Input;
use crate::pace::Pace;
use crate::runtime;

/// Connections that wait to be accepted: a storm beyond it would have to retry its SYNs.
const BACKLOG: i32 = 4_096;
/// Bytes read at a time: several requests, and small enough for tens of thousands of miners at rest.
const READ_BUFFER: usize = 512;
/// Silence after which the network is asked whether the miner is still there.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(60);
/// Pause after a failed accept, which usually means that no file descriptor is left.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Listens on an address.
pub(crate) fn listen(address: SocketAddr) -> io::Result<Async<TcpListener>> {
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
    Async::new(socket.into())
}

/// Listens on a socket that listens already, as on one of our own.
pub(crate) fn listen_on(listener: TcpListener) -> io::Result<Async<TcpListener>> {
    let socket = Socket::from(listener);
    prepare(&socket)?;
    // Its queue may be shorter.
    socket.listen(BACKLOG)?;
    Async::new(socket.into())
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

/// Time for which trouble with accepting is not told again.
const TELL_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Arc<Async<TcpStream>>,
    /// Who connected.
    pub(crate) peer: SocketAddr,
    place: SemaphoreGuardArc,
}

/// Accepts until nobody takes connections any more; pauses while every place is taken. Who waits meanwhile waits in the
/// socket's backlog.
pub(crate) async fn accept(
    id: ListenerId,
    listener: Async<TcpListener>,
    places: Places,
    inputs: Sender<Input>,
) {
    let mut trouble = Trouble::default();
    loop {
        let place = match places.try_acquire_arc() {
            Some(place) => place,
            None => {
                trouble.tell("no file descriptor is left for another miner; those who come wait until one leaves");
                places.acquire_arc().await
            }
        };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                trouble.tell(&format!("cannot accept a miner: {error}; trying on"));
                runtime::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = Connection {
            stream: Arc::new(stream),
            peer,
            place,
        };
        let connected = Input::MinerConnected(id, connection);
        if inputs.send(connected).await.is_err() {
            return;
        }
    }
}

/// What keeps miners from being accepted, told now and then.
#[derive(Debug, Default)]
struct Trouble {
    told: Option<Instant>,
}

impl Trouble {
    fn tell(&mut self, words: &str) {
        let now = Instant::now();
        let lately = |told| now.saturating_duration_since(told) < TELL_EVERY;
        if !self.told.is_some_and(lately) {
            log::warn!("{words}");
            self.told = Some(now);
        }
    }
}

/// What a miner's lines are read with.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    line_bytes: usize,
    requests_per_second: u32,
}

/// Reads a miner's lines until its connection ends.
async fn read(
    miner: MinerId,
    stream: Arc<Async<TcpStream>>,
    bounds: Bounds,
    inputs: Sender<Input>,
) {
    let ended = match read_lines(miner, &stream, bounds, &inputs).await {
        Ok(()) => Input::MinerLeft(miner, None),
        Err(words) => Input::MinerLeft(miner, Some(words)),
    };
    // Fails only where the driver has ended.
    let _ = inputs.send(ended).await;
}

/// Ends with words where the miner, not the network, is at fault.
async fn read_lines(
    miner: MinerId,
    stream: &Async<TcpStream>,
    bounds: Bounds,
    inputs: &Sender<Input>,
) -> Result<(), String> {
    let mut decoder = LineDecoder::new(bounds.line_bytes);
    let mut pace = Pace::new(bounds.requests_per_second);
    let mut buffer = [0; READ_BUFFER];
    let mut is_empty = false;
    loop {
        let length = match receive(stream, &mut buffer, &mut is_empty).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(length) => length,
        };
        let received = Instant::now();
        let mut chunk = buffer.get(..length).unwrap_or_default();
        while let Some(line) = decoder.next_line(&mut chunk) {
            let line = line.map_err(|error| error.to_string())?;
            let input = match parse_call(line) {
                Ok(incoming) => Input::Incoming(miner, incoming, received),
                Err(error) => Input::BadLine(miner, Box::new(error)),
            };
            if inputs.send(input).await.is_err() {
                return Ok(());
            }
            if let Some(rest) = pace.note(Instant::now()) {
                // Nothing is lost: TCP pushes back.
                if inputs.send(Input::MinerSlowed(miner)).await.is_err() {
                    return Ok(());
                }
                runtime::sleep(rest).await;
            }
        }
    }
}

/// Reads what is there, and waits for something where nothing is. What left room in the buffer has emptied the socket
/// (`is_empty`): then it is not asked again before something comes, which saves two of three calls for each share.
async fn receive(
    stream: &Async<TcpStream>,
    buffer: &mut [u8],
    is_empty: &mut bool,
) -> io::Result<usize> {
    loop {
        if *is_empty {
            poll_fn(|context| stream.poll_readable(context)).await?;
        }
        match stream.get_ref().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => *is_empty = true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => {
                *is_empty = read.as_ref().is_ok_and(|length| *length < buffer.len());
                return read;
            }
        }
    }
}

/// What the driver holds of a miner's connection.
#[derive(Debug)]
pub(crate) struct MinerLink {
    stream: Arc<Async<TcpStream>>,
    /// Held until the connection ends.
    _place: SemaphoreGuardArc,
    /// Replies that have not been written.
    replies: Vec<u8>,
    /// The newest work that has not been written.
    delivery: Option<Delivery>,
    /// How many bytes of `replies` are older than the work, and go before it: a share that is refused because of
    /// new work is answered after that work, so that the miner can tell why.
    older_replies: usize,
    /// How many bytes a task is writing for us.
    held: usize,
    /// Since when a task writes for us because the socket would block.
    blocked_since: Option<Instant>,
    /// Whether the connection is to be closed once all is written.
    closing: bool,
}

/// What became of an attempt to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// All is written, or a task writes on.
    Fine,
    /// The connection is of no use any more.
    Broken,
}

impl MinerLink {
    /// Takes over a connection and starts reading from it.
    pub(crate) fn start(
        miner: MinerId,
        connection: Connection,
        limits: &Limits,
        inputs: &Sender<Input>,
    ) -> Self {
        let Connection { stream, place, .. } = connection;
        let bounds = Bounds {
            line_bytes: limits.line_bytes,
            requests_per_second: limits.requests_per_second,
        };
        runtime::spawn(read(miner, stream.clone(), bounds, inputs.clone()));
        Self {
            stream,
            _place: place,
            replies: Vec::new(),
            delivery: None,
            older_replies: 0,
            held: 0,
            blocked_since: None,
            closing: false,
        }
    }

    /// Gives the buffer that replies are appended to.
    pub(crate) fn replies(&mut self) -> &mut Vec<u8> {
        &mut self.replies
    }

    /// Puts work in line, in the place of what was not written yet.
    pub(crate) fn deliver(&mut self, mut delivery: Delivery) {
        if let Some(older) = self.delivery.take() {
            delivery.supersede(older);
        }
        self.delivery = Some(delivery);
        self.older_replies = self.replies.len();
    }

    /// Puts a request to connect anew in line, behind all else. Where a place is to be named, it is the address that
    /// the miner reached us at.
    pub(crate) fn ask_to_reconnect(&mut self, names_place: bool) {
        let place = names_place
            .then(|| self.stream.get_ref().local_addr().ok())
            .flatten();
        let place = place.map(|place| Reconnect {
            host: host(place).into(),
            port: place.port(),
            wait: 0,
        });
        notification::reconnect(&mut self.replies, place.as_ref());
    }

    /// Closes the connection after what is in line has been written.
    pub(crate) fn close_when_written(&mut self) {
        self.closing = true;
    }

    /// Tells since when the miner has not taken in what was written.
    pub(crate) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Tells how many bytes wait, but for the newest work.
    pub(crate) fn waiting(&self) -> usize {
        self.held + self.replies.len()
    }

    /// Writes what is in line, as far as the socket takes it without waiting.
    pub(crate) fn flush(
        &mut self,
        miner: MinerId,
        now: Instant,
        inputs: &Sender<Input>,
    ) -> Flushed {
        if self.blocked_since.is_some() {
            return Flushed::Fine;
        }
        let delivery = self.delivery.take();
        let Ok(rest) = self.send(delivery.as_ref()) else {
            return Flushed::Broken;
        };
        // A buffer that once held much is not kept for miners at rest.
        self.replies = Vec::new();
        self.older_replies = 0;
        if rest.is_empty() {
            return if self.closing {
                Flushed::Broken
            } else {
                Flushed::Fine
            };
        }
        self.held = rest.len();
        self.blocked_since = Some(now);
        let (stream, inputs) = (Arc::clone(&self.stream), inputs.clone());
        runtime::spawn(async move {
            let written = (&*stream).write_all(&rest).await.is_ok();
            // Fails only where the driver has ended.
            let _ = inputs.send(Input::MinerDrained(miner, written)).await;
        });
        Flushed::Fine
    }

    /// Notes that the task has written what it was given.
    pub(crate) fn drained(&mut self) {
        self.held = 0;
        self.blocked_since = None;
    }

    /// Tries one write without waiting; gives what is left over.
    fn send(&self, delivery: Option<&Delivery>) -> io::Result<Vec<u8>> {
        let lines = delivery.into_iter().flat_map(Delivery::lines);
        let replies = self.replies.split_at_checked(self.older_replies);
        let (older, newer) = replies.unwrap_or((&self.replies, &[]));
        let parts = [older].into_iter().chain(lines).chain([newer]);
        let mut slices = [IoSlice::new(&[]); 6];
        for (slice, part) in slices.iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total == 0 {
            return Ok(Vec::new());
        }
        let sent = match SockRef::from(self.stream.get_ref()).send_vectored(&slices) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if sent == total {
            return Ok(Vec::new());
        }
        let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
        Ok(bytes.skip(sent).collect())
    }
}

/// Gives an address as the host of a URL.
fn host(address: SocketAddr) -> String {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

impl Drop for MinerLink {
    fn drop(&mut self) {
        // Ends the reading task too; an error means that the connection has ended by itself.
        let _ = self.stream.get_ref().shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests;
