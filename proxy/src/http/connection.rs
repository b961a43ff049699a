//! A socket as hyper wants it. Written here because it is some lines, and nothing that is well kept does it.

use std::io;
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_io::Async;
use futures_lite::{AsyncRead, AsyncWrite};
use hyper::rt::ReadBufCursor;

/// Bytes read at a time: a request of usual size in one piece.
const READ_BUFFER: usize = 2_048;

/// A client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Async<TcpStream>,
    buffer: Box<[u8; READ_BUFFER]>,
}

impl Connection {
    pub(super) fn new(stream: Async<TcpStream>) -> Self {
        Self {
            stream,
            buffer: Box::new([0; READ_BUFFER]),
        }
    }
}

impl hyper::rt::Read for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, buffer } = &mut *self;
        let room = into.remaining().min(buffer.len());
        let buffer = buffer.get_mut(..room).unwrap_or_default();
        let length = ready!(Pin::new(stream).poll_read(context, buffer))?;
        into.put_slice(buffer.get(..length).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}
