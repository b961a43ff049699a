//! The driver's end of a connection to an upstream: encrypted frames, read and written without waiting.

use std::io::IoSlice;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use sv2::message::Message;
use sv2::noise::{FrameDecryptor, FrameEncryptor, Transport};
use sv2::tlv::UserIdentity;

use super::Ended;
use crate::downstream::{Received, receive, say_goodbye, write_some};

/// Bytes that wait for the network before miners have to: at 200 shares a second 20 s of a connection that stalls, in
/// which the upstream is found to hang and left.
const PUSH_BACK: usize = 512 * 1024;
/// Bytes that wait for the network at the most: what a batch of lines that was read at once can lead to stays far below.
const MOST_WAITING: usize = 4 * 1024 * 1024;
/// Reads of 4 kB when parting: the answers to some thousand shares.
const LAST_READS: usize = 64;
/// Capacity kept while nothing waits: a batch of shares.
const KEPT_CAPACITY: usize = 16 * 1024;

/// A connection that has shaken hands. Dropping it ends the connection.
#[derive(Debug)]
pub(crate) struct UpstreamLink {
    stream: TcpStream,
    encryptor: FrameEncryptor,
    decryptor: FrameDecryptor,
    /// Plaintext of the frame that is being made.
    frame: Vec<u8>,
    /// Ciphertext that has not been written.
    outgoing: Vec<u8>,
    /// Since when the socket has taken nothing in.
    blocked_since: Option<Instant>,
    /// Since when so much waits that no more shares are to come.
    pushing_back_since: Option<Instant>,
    /// Whether the socket may have room.
    has_room: bool,
    /// Whether the beginning of a frame has come, and not its end.
    is_in_frame: bool,
    /// Whether it is in line to be read.
    pub(crate) is_in_line: bool,
    /// Whether the upstream sends no more; it is read until its end is found.
    pub(crate) has_ended: bool,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It goes out with the next [`flush`](UpstreamLink::flush).
    InLine,
    /// Too much waits because the network stalls.
    NoRoom,
    /// It cannot be encrypted; nothing can be from now on.
    Broken,
}

impl UpstreamLink {
    /// Takes over a connection whose socket does not wait.
    pub(crate) fn new(stream: TcpStream, transport: Transport) -> Self {
        Self {
            stream,
            encryptor: transport.encryptor,
            decryptor: transport.decryptor,
            frame: Vec::new(),
            outgoing: Vec::new(),
            blocked_since: None,
            pushing_back_since: None,
            has_room: true,
            is_in_frame: false,
            is_in_line: false,
            has_ended: false,
        }
    }

    /// Gives the socket, to wait for.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Encrypts a message, with the worker's name where one goes on it.
    pub(crate) fn send(&mut self, message: &Message, worker: Option<&UserIdentity>) -> Sent {
        if self.outgoing.len() > MOST_WAITING {
            return Sent::NoRoom;
        }
        self.frame.clear();
        if let Err(error) = message.encode_with(worker, &mut self.frame) {
            log::error!("{} cannot be sent: {error}", message.name());
            return Sent::InLine;
        }
        if let Err(error) = self.encryptor.encrypt(&self.frame, &mut self.outgoing) {
            log::error!("{} cannot be encrypted: {error}", message.name());
            return Sent::Broken;
        }
        Sent::InLine
    }

    /// Tells whether anything waits to be written.
    pub(crate) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Tells whether so much waits that no more shares are to come.
    pub(crate) fn pushes_back(&self) -> bool {
        self.outgoing.len() > PUSH_BACK
    }

    /// Notes that the socket may have room.
    pub(crate) fn note_room(&mut self) {
        self.has_room = true;
    }

    /// Writes what is in line, as far as the socket takes it without waiting.
    pub(crate) fn flush(&mut self, now: Instant) -> Result<(), Ended> {
        self.write(now)?;
        let since = self.pushing_back_since.or(Some(now));
        self.pushing_back_since = since.filter(|_| self.pushes_back());
        Ok(())
    }

    fn write(&mut self, now: Instant) -> Result<(), Ended> {
        if self.outgoing.is_empty() || !self.has_room {
            return Ok(());
        }
        let sent =
            write_some(&self.stream, &[IoSlice::new(&self.outgoing)]).map_err(Ended::Lost)?;
        if sent == self.outgoing.len() {
            self.outgoing.clear();
            self.outgoing.shrink_to(KEPT_CAPACITY);
            self.blocked_since = None;
        } else {
            self.outgoing.drain(..sent);
            self.has_room = false;
            let blocked_since = self.blocked_since.filter(|_| sent == 0);
            self.blocked_since = blocked_since.or(Some(now));
        }
        Ok(())
    }

    /// Fails where it has taken nothing in for `timeout`, or for as long so little that miners were not read.
    pub(crate) fn check(&self, now: Instant, timeout: Duration) -> Result<(), Ended> {
        let since = [self.blocked_since, self.pushing_back_since];
        let since = since.into_iter().flatten().min();
        match since.map(|since| now.saturating_duration_since(since)) {
            Some(waits) if waits >= timeout => Err(Ended::Stalled(timeout)),
            _ => Ok(()),
        }
    }

    /// Reads what is there into `buffer`; gives how many bytes, which may be none.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Ended> {
        match receive(&self.stream, buffer) {
            Received::Bytes(length) => Ok(length),
            Received::Nothing => Ok(0),
            Received::End if self.is_in_frame => Err(Ended::ClosedInFrame),
            Received::End => Err(Ended::Closed),
            Received::Broken(error) => Err(Ended::Lost(error)),
        }
    }

    /// Writes what is in line, ends our direction and reads the other's without a look at it. Tells whether all is over:
    /// the other has ended its direction too, or says more than last words.
    pub(crate) fn part(&mut self) -> bool {
        self.has_room = true;
        if self.flush(Instant::now()).is_err() {
            return true;
        }
        if self.has_outgoing() {
            return false;
        }
        // An error means that the connection has ended by itself.
        let _ = self.stream.shutdown(Shutdown::Write);
        let mut buffer = [0; 4_096];
        for _ in 0..LAST_READS {
            match receive(&self.stream, &mut buffer) {
                Received::Bytes(_) => {}
                Received::Nothing => return false,
                Received::End | Received::Broken(_) => return true,
            }
        }
        true
    }

    /// Takes the next message off the front of `bytes`; `None` where more has to come.
    pub(crate) fn next_message(&mut self, bytes: &mut &[u8]) -> Result<Option<Message>, Ended> {
        if bytes.is_empty() {
            return Ok(None);
        }
        match self.decryptor.next_frame(bytes)? {
            Some(frame) => {
                self.is_in_frame = false;
                Ok(Some(Message::decode(frame)?.message))
            }
            None => {
                // What is taken without making a frame is the beginning of one.
                self.is_in_frame = true;
                Ok(None)
            }
        }
    }
}

impl Drop for UpstreamLink {
    fn drop(&mut self) {
        say_goodbye(&self.stream);
    }
}

#[cfg(test)]
mod tests {
    //! A socket that takes nothing in, and a connection that ends within a frame.

    use std::io::{Read, Write};
    use std::net::TcpListener;

    use sv2::messages::mining::CloseChannel;
    use sv2::noise::{Certificate, Initiator, KeyPair, Responder, UnixSeconds};
    use sv2::types::{ChannelId, Str0_255};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A link, and the pool's end of it.
    fn pair() -> (UpstreamLink, TcpStream, Transport) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        let initiator = Initiator::new(None).unwrap();
        let key = KeyPair::generate();
        // Nobody asks for its signature: no authority is given above.
        let certificate = Certificate {
            version: 0,
            valid_from: UnixSeconds(0),
            not_valid_after: UnixSeconds(u32::MAX),
            signature: [0; 64],
        };
        let responder = Responder::new(&key, certificate);
        let (act_2, pools) = responder.respond(initiator.act1()).unwrap();
        let (transport, _) = initiator.finish(&act_2, UnixSeconds(1)).unwrap();
        (UpstreamLink::new(ours, transport), theirs, pools)
    }

    fn message() -> Message {
        let reason_code = Str0_255::truncated("");
        let channel_id = ChannelId(1);
        CloseChannel {
            channel_id,
            reason_code,
        }
        .into()
    }

    #[test]
    fn a_socket_that_takes_nothing_in_bounds_what_waits_and_is_noticed_in_time() {
        let (mut link, _theirs, _) = pair();
        let start = Instant::now();
        let timeout = Duration::from_secs(30);
        // The kernel takes some megabytes first.
        let mut sent = 0;
        while link.send(&message(), None) == Sent::InLine {
            sent += 1;
            if sent % 1_000 == 0 {
                link.flush(start).unwrap();
            }
        }
        assert_eq!(link.send(&message(), None), Sent::NoRoom);
        assert!(link.pushes_back() && link.outgoing.len() < MOST_WAITING + 1_000);
        assert!(link.check(start + timeout / 2, timeout).is_ok());
        // The kernel may find room for some more, each time a sign of life.
        let mut taken_at = start;
        loop {
            let (at, waiting) = (taken_at + timeout / 2, link.outgoing.len());
            link.note_room();
            link.flush(at).unwrap();
            if link.outgoing.len() == waiting {
                break;
            }
            taken_at = at;
        }
        // The bound on pushing back counts from the start, whatever is taken.
        link.pushing_back_since = None;
        assert!(link.check(taken_at + timeout - SECOND, timeout).is_ok());
        let late = link.check(taken_at + timeout, timeout);
        assert!(
            matches!(late, Err(Ended::Stalled(_))),
            "a vain try is no sign"
        );
    }

    #[test]
    fn a_socket_that_takes_in_a_little_now_and_then_does_not_hold_miners_up_for_ever() {
        let (mut link, mut theirs, _) = pair();
        let start = Instant::now();
        let timeout = Duration::from_secs(30);
        while link.outgoing.len() < MOST_WAITING / 2 {
            assert_eq!(link.send(&message(), None), Sent::InLine);
            // The kernel takes some megabytes first.
            if link.outgoing.len() > PUSH_BACK {
                link.flush(start).unwrap();
            }
        }
        let waiting = link.outgoing.len();
        let mut buffer = [0; 16_384];
        while link.outgoing.len() == waiting {
            assert_ne!(theirs.read(&mut buffer).unwrap(), 0);
            link.note_room();
            link.flush(start + timeout / 2).unwrap();
        }
        assert!(link.pushes_back());
        assert!(link.check(start + timeout - SECOND, timeout).is_ok());
        let late = link.check(start + timeout, timeout);
        assert!(matches!(late, Err(Ended::Stalled(_))));
        while link.has_outgoing() {
            assert_ne!(theirs.read(&mut buffer).unwrap(), 0);
            link.note_room();
            link.flush(start + timeout).unwrap();
        }
        assert!(link.check(start + 9 * timeout, timeout).is_ok());
    }

    #[test]
    fn an_upstream_that_still_sends_is_not_cut_short_when_it_is_parted_with() {
        let (mut link, mut theirs, _) = pair();
        assert_eq!(link.send(&message(), None), Sent::InLine);
        let sent = link.outgoing.len();
        assert!(!link.part(), "the other direction is open");
        let mut buffer = [0; 1_000];
        for _ in 0..3 {
            // A socket that is closed would answer the first with a reset, and the second would fail.
            theirs.write_all(b"an answer").unwrap();
            assert!(!link.part());
        }
        assert_eq!(theirs.read(&mut buffer).unwrap(), sent);
        assert_eq!(theirs.read(&mut buffer).unwrap(), 0, "its end");
        drop(theirs);
        while !link.part() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_message_is_read_from_pieces_and_an_end_within_one_is_told() {
        let (mut link, mut theirs, mut pools) = pair();
        let (mut frame, mut bytes) = (Vec::new(), Vec::new());
        message().encode_with(None, &mut frame).unwrap();
        pools.encryptor.encrypt(&frame, &mut bytes).unwrap();
        pools.encryptor.encrypt(&frame, &mut bytes).unwrap();
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let (begun, _) = second.split_at(5);
        theirs.write_all(first).unwrap();
        theirs.write_all(begun).unwrap();
        drop(theirs);
        let mut buffer = [0; 7];
        let mut messages = Vec::new();
        let ended = loop {
            match link.receive(&mut buffer) {
                Ok(length) => {
                    let mut bytes = buffer.get(..length).unwrap();
                    while let Some(message) = link.next_message(&mut bytes).unwrap() {
                        messages.push(message);
                    }
                }
                Err(ended) => break ended,
            }
        };
        assert_eq!(messages, [message()]);
        assert!(matches!(ended, Ended::ClosedInFrame), "{ended}");
    }
}
