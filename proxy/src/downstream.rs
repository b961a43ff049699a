//! A miner's connection: reading lines and writing without waiting.
//!
//! The driver reads and writes all of them itself, so that it decides who is first. A miner at rest costs what is here,
//! and its session: no task, no buffer.

use std::io::{self, IoSlice, Read};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use socket2::SockRef;
use sv1::LineDecoder;
use sv1::notification::{self, Reconnect};
use translate::Delivery;

use crate::config::Limits;
use crate::dealer::Place;
use crate::listener::Connection;
use crate::pace::Pace;

/// Bytes of replies for which a buffer is kept for the next miner.
const KEPT_REPLIES: usize = 4_096;
/// Bytes that are thrown away as a connection is closed. With any unread the network would answer the miner with a reset,
/// and that may take away the last reply.
const LAST_BYTES: usize = 16_384;

/// What the driver holds of a miner's connection.
#[derive(Debug)]
pub(crate) struct MinerLink {
    stream: TcpStream,
    /// Held until the connection ends.
    _place: Place,
    /// Cuts what is read into lines.
    pub(crate) decoder: LineDecoder,
    /// Counts the requests.
    pub(crate) pace: Pace,
    /// Whether the miner is in line to be read.
    pub(crate) is_in_line: bool,
    /// Whether it is in line to be written to.
    pub(crate) is_to_write: bool,
    /// Whether the miner sends no more; it is read until its end is found.
    pub(crate) has_ended: bool,
    /// What was read and is not looked at before the pause ends.
    pub(crate) unread: Vec<u8>,
    /// Replies that have not been written.
    replies: Vec<u8>,
    /// The newest work that has not been written.
    delivery: Option<Delivery>,
    /// How many bytes of `replies` are older than the work, and go before it: a share that is refused because of
    /// new work is answered after that work, so that the miner can tell why, unless still newer work takes its place.
    older_replies: usize,
    /// What the socket had no room for. It goes before all else.
    rest: Vec<u8>,
    /// How many bytes of `rest` are work, at the most: newer replies may follow it.
    rest_of_work: usize,
    /// Since when the socket has taken nothing in.
    blocked_since: Option<Instant>,
    /// Whether the connection is to be closed once all is written.
    is_closing: bool,
}

/// What became of an attempt to write.
#[derive(Debug)]
pub(crate) enum Flushed {
    /// All is written, or the socket has no room now.
    Fine,
    /// All is written, and the connection was to be closed then.
    Done,
    /// The connection is lost.
    Broken(io::Error),
}

/// What became of an attempt to read.
#[derive(Debug)]
pub(crate) enum Received {
    /// So many bytes.
    Bytes(usize),
    /// Nothing is there.
    Nothing,
    /// The other end sends no more.
    End,
    /// The connection is lost.
    Broken(io::Error),
}

impl MinerLink {
    /// Takes over a connection.
    pub(crate) fn new(connection: Connection, limits: &Limits) -> Self {
        Self {
            stream: connection.stream,
            _place: connection.place,
            decoder: LineDecoder::new(limits.line_bytes),
            pace: Pace::new(limits.requests_per_second),
            is_in_line: false,
            is_to_write: false,
            has_ended: false,
            unread: Vec::new(),
            replies: Vec::new(),
            delivery: None,
            older_replies: 0,
            rest: Vec::new(),
            rest_of_work: 0,
            blocked_since: None,
            is_closing: false,
        }
    }

    /// Gives the socket, to wait for.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads what is there.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Received {
        receive(&self.stream, buffer)
    }

    /// Gives the buffer that replies are appended to; a spare one where there is none.
    pub(crate) fn replies(&mut self, spare: &mut Vec<Vec<u8>>) -> &mut Vec<u8> {
        if self.replies.capacity() == 0
            && let Some(buffer) = spare.pop()
        {
            self.replies = buffer;
        }
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
        let place = names_place.then(|| self.stream.local_addr().ok()).flatten();
        let place = place.map(|place| Reconnect {
            host: host(place).into(),
            port: place.port(),
            wait: 0,
        });
        notification::reconnect(&mut self.replies, place.as_ref());
    }

    /// Closes the connection after what is in line has been written.
    pub(crate) fn close_when_written(&mut self) {
        self.is_closing = true;
    }

    /// Tells whether it is to be closed: nothing more is read.
    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Tells since when the miner has not taken in what was written.
    pub(crate) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Tells how many bytes wait, but for the newest work.
    pub(crate) fn waiting(&self) -> usize {
        (self.rest.len() - self.rest_of_work) + self.replies.len()
    }

    /// Writes what is in line, as far as the socket takes it without waiting. The buffer of replies becomes a spare one.
    pub(crate) fn flush(&mut self, now: Instant, spare: &mut Vec<Vec<u8>>) -> Flushed {
        if self.blocked_since.is_some() {
            return Flushed::Fine;
        }
        let delivery = self.delivery.take();
        let (rest, rest_of_work) = match self.send(delivery.as_ref()) {
            Ok(rest) => rest,
            Err(error) => return Flushed::Broken(error),
        };
        // A buffer is not kept for miners at rest.
        let mut replies = std::mem::take(&mut self.replies);
        if (1..=KEPT_REPLIES).contains(&replies.capacity()) && spare.len() < spare.capacity() {
            replies.clear();
            spare.push(replies);
        }
        self.older_replies = 0;
        self.blocked_since = (!rest.is_empty()).then_some(now);
        self.rest = rest;
        self.rest_of_work = rest_of_work;
        self.written()
    }

    /// Goes on writing what the socket had no room for, now that it has some.
    pub(crate) fn write_rest(&mut self, now: Instant) -> Flushed {
        match write_some(&self.stream, &[IoSlice::new(&self.rest)]) {
            Ok(0) => {}
            Ok(sent) if sent == self.rest.len() => {
                self.rest = Vec::new();
                self.rest_of_work = 0;
                self.blocked_since = None;
            }
            Ok(sent) => {
                self.rest.drain(..sent);
                self.rest_of_work = self.rest_of_work.min(self.rest.len());
                self.blocked_since = Some(now);
            }
            Err(error) => return Flushed::Broken(error),
        }
        Flushed::Fine
    }

    /// Tells whether the connection is still of use once something has been written.
    fn written(&self) -> Flushed {
        if self.is_closing && self.rest.is_empty() {
            Flushed::Done
        } else {
            Flushed::Fine
        }
    }

    /// Tries one write without waiting; gives what is left over, and how many bytes of that are work.
    fn send(&self, delivery: Option<&Delivery>) -> io::Result<(Vec<u8>, usize)> {
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
            return Ok((Vec::new(), 0));
        }
        let sent = write_some(&self.stream, &slices)?;
        if sent == total {
            return Ok((Vec::new(), 0));
        }
        let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
        let work = total - older.len() - newer.len();
        Ok((bytes.skip(sent).collect(), unsent(sent, older.len(), work)))
    }
}

/// Gives how many bytes of a part are left after so many were sent of what is before it and of it.
fn unsent(sent: usize, before: usize, part: usize) -> usize {
    part - sent.saturating_sub(before).min(part)
}

/// Reads what is there.
pub(crate) fn receive(mut stream: &TcpStream, buffer: &mut [u8]) -> Received {
    loop {
        return match stream.read(buffer) {
            Ok(0) => Received::End,
            Ok(length) => Received::Bytes(length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Received::Nothing,
            Err(error) => Received::Broken(error),
        };
    }
}

/// Writes as much as the socket takes without waiting, which may be nothing; where that is not all, the poller tells when
/// there is room.
pub(crate) fn write_some(stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        return match SockRef::from(stream).send_vectored(slices) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            sent => sent,
        };
    }
}

/// Ends a connection that is about to be closed, so that what was written last arrives.
pub(crate) fn say_goodbye(stream: &TcpStream) {
    // An error means that the connection has ended by itself.
    let _ = stream.shutdown(Shutdown::Write);
    let mut bytes = [0; 2_048];
    for _ in 0..LAST_BYTES / bytes.len() {
        if !matches!(receive(stream, &mut bytes), Received::Bytes(_)) {
            return;
        }
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
        say_goodbye(&self.stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_work_that_a_socket_took_in_part_the_rest_counts_as_work() {
        let unsent = |sent| unsent(sent, 10, 100);
        let left: Vec<_> = [0, 10, 11, 109, 110, 150].map(unsent).into();
        assert_eq!(left, [100, 100, 99, 1, 0, 0]);
    }
}
