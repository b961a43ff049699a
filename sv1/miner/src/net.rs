//! Sockets, time and tasks: the one file that knows which runtime this crate runs on.

use std::io;
use std::time::{Duration, Instant};

use async_channel::Receiver;
use async_std::future::timeout;
use async_std::io::{self as async_io, ReadExt, WriteExt};
use async_std::net::TcpStream;
pub(crate) use async_std::task::{sleep, spawn};
use futures_lite::future::or;
use sv1::{LineDecoder, LineError, MAX_SERVER_LINE};

/// Read buffer of a connection, in bytes: a notify of usual size in one piece.
const READ_BUFFER: usize = 4096;

/// How long a server may take to accept a connection, or to take in what we write.
const STALL: Duration = Duration::from_secs(30);

/// A connection to a server, with what has come of its next line.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    decoder: LineDecoder,
    buffer: Box<[u8; READ_BUFFER]>,
    /// How much of the buffer the latest read has filled.
    filled: usize,
    read_at: Instant,
}

/// What ended a wait.
#[derive(Debug)]
pub(crate) enum Heard<M> {
    /// The server sent something: [`Connection::for_each_line`] has it.
    Server,
    /// A message came from this process.
    Message(M),
    /// Nobody will send messages any more.
    Stop,
    /// The server closed the connection.
    Closed,
    /// The server sent nothing for too long.
    Silent,
}

impl Connection {
    /// Dials `host:port`.
    pub(crate) async fn dial(address: &str) -> io::Result<Self> {
        let stream = async_io::timeout(STALL, TcpStream::connect(address)).await?;
        // Nagle's algorithm would hold every second small write back for a round trip.
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            decoder: LineDecoder::new(MAX_SERVER_LINE),
            buffer: Box::new([0; READ_BUFFER]),
            filled: 0,
            read_at: Instant::now(),
        })
    }

    /// Waits for the server or for a message, whichever is first.
    pub(crate) async fn hear<M>(
        &mut self,
        inbox: &Receiver<M>,
        silence: Duration,
    ) -> io::Result<Heard<M>> {
        let left = silence.saturating_sub(self.read_at.elapsed());
        if left.is_zero() {
            return Ok(Heard::Silent);
        }
        let read = async { Either::Left(self.stream.read(self.buffer.as_mut_slice()).await) };
        let message = async { Either::Right(inbox.recv().await) };
        match timeout(left, or(read, message)).await {
            Err(_) => Ok(Heard::Silent),
            Ok(Either::Right(Ok(message))) => Ok(Heard::Message(message)),
            Ok(Either::Right(Err(_))) => Ok(Heard::Stop),
            Ok(Either::Left(read)) => {
                self.read_at = Instant::now();
                self.filled = read?;
                Ok(match self.filled {
                    0 => Heard::Closed,
                    _ => Heard::Server,
                })
            }
        }
    }

    /// Returns when the server was last heard.
    pub(crate) const fn read_at(&self) -> Instant {
        self.read_at
    }

    /// Hands out the lines of the latest read, until one is refused.
    pub(crate) fn for_each_line<E: From<LineError>>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut chunk = self.buffer.get(..self.filled).unwrap_or_default();
        while let Some(line) = self.decoder.next_line(&mut chunk) {
            take(line?)?;
        }
        Ok(())
    }

    /// Writes all of it, as one batch.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        async_io::timeout(STALL, self.stream.write_all(bytes)).await
    }
}

/// Waits for at most `duration`; returns whether nobody will send messages any more.
pub(crate) async fn rest<M>(inbox: &Receiver<M>, duration: Duration) -> bool {
    let until_closed = async { while inbox.recv().await.is_ok() {} };
    timeout(duration, until_closed).await.is_ok()
}

enum Either<A, B> {
    Left(A),
    Right(B),
}
