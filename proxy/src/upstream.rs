//! An upstream's side: dialling, the Noise handshake, reading and writing messages.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use async_channel::{Receiver, Sender, TrySendError};
use async_std::io::{ReadExt, WriteExt};
use async_std::net::TcpStream;
use sv2::codec::DecodeError;
use sv2::message::Message;
use sv2::noise::{
    ACT_2_LEN, DecryptError, FrameDecryptor, FrameEncryptor, HandshakeError, Initiator, Transport,
    UnixSeconds,
};
use sv2::tlv::UserIdentity;
use sv2::url::PoolUrl;
use translate::UpstreamId;

use crate::dial::{DialError, dial};
use crate::driver::Input;
use crate::runtime;

/// Bytes read at a time: a job of usual size in one piece.
const READ_BUFFER: usize = 16_384;
/// Messages encrypted into one write at the most.
const MESSAGES_PER_WRITE: usize = 256;
/// Messages that wait for the network; at 200 shares a second that is 20 s of a connection that stalls.
const QUEUE: usize = 4_096;

/// Tells one connection to an upstream from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Attempt(pub(crate) u64);

/// A message on its way out, with the worker's name where one goes on it.
pub(crate) type Outgoing = (Message, Option<UserIdentity>);

/// The driver's end of a connection. Dropping it ends the connection once what is in line has gone out.
#[derive(Debug)]
pub(crate) struct UpstreamLink {
    messages: Sender<Outgoing>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is in line.
    InLine,
    /// The line is full because the network stalls.
    NoRoom,
    /// The connection has ended; why is on its way to the driver.
    Ended,
}

impl UpstreamLink {
    /// Puts a message in line.
    pub(crate) fn send(&self, message: Outgoing) -> Sent {
        match self.messages.try_send(message) {
            Ok(()) => Sent::InLine,
            Err(TrySendError::Full(_)) => Sent::NoRoom,
            Err(TrySendError::Closed(_)) => Sent::Ended,
        }
    }
}

/// Where and how to dial.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) url: Arc<PoolUrl>,
    /// Another host and port, whose certificate the same authority must have signed.
    pub(crate) redirect: Option<(String, u16)>,
    pub(crate) connect_timeout: Duration,
    pub(crate) setup_timeout: Duration,
    pub(crate) write_timeout: Duration,
}

/// Why there is no connection, or no longer one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("connection closed by the upstream")]
    Closed,
    #[error(
        "connection closed by the upstream during the Noise handshake; does the authority key in the url belong to it?"
    )]
    ClosedInHandshake,
    #[error("no answer to the Noise handshake within {0:?}")]
    HandshakeTimeout(Duration),
    #[error("connection closed by the upstream in the middle of a frame")]
    ClosedInFrame,
    #[error("connection lost: {0}")]
    Lost(io::Error),
    #[error("Noise handshake: {0}")]
    Handshake(#[from] HandshakeError),
    #[error("received what cannot be decrypted: {0}")]
    Decrypt(#[from] DecryptError),
    #[error("received a frame that is no message: {0}")]
    Decode(#[from] DecodeError),
    #[error("has taken in nothing of what we send for {0:?}")]
    Stalled(Duration),
    #[error("the proxy stops")]
    Stopped,
}

/// Dials an upstream and reads from it until it ends; the driver hears of everything through `inputs`.
pub(crate) async fn run(
    upstream: UpstreamId,
    attempt: Attempt,
    place: Place,
    inputs: Sender<Input>,
) {
    let ended = match serve(upstream, attempt, &place, &inputs).await {
        Ok(()) => Ended::Closed,
        Err(ended) => ended,
    };
    // Fails only where the driver has ended.
    let _ = inputs
        .send(Input::UpstreamLost(upstream, attempt, ended.to_string()))
        .await;
}

async fn serve(
    upstream: UpstreamId,
    attempt: Attempt,
    place: &Place,
    inputs: &Sender<Input>,
) -> Result<(), Ended> {
    let (stream, transport) = connect(place).await?;
    let (messages, queue) = async_channel::bounded(QUEUE);
    let connected = Input::UpstreamConnected(upstream, attempt, UpstreamLink { messages });
    inputs.send(connected).await.map_err(|_| Ended::Stopped)?;
    let stalled = Arc::new(AtomicBool::new(false));
    runtime::spawn(write(
        stream.clone(),
        transport.encryptor,
        queue,
        place.write_timeout,
        stalled.clone(),
    ));
    let ended = read(&stream, transport.decryptor, upstream, attempt, inputs).await;
    if stalled.load(Ordering::Relaxed) {
        // The writer closed the connection, and that is all that the reader saw.
        return Err(Ended::Stalled(place.write_timeout));
    }
    ended
}

/// Connects and shakes hands: a server that does not prove its authority key is none.
pub(crate) async fn connect(place: &Place) -> Result<(TcpStream, Transport), Ended> {
    let to = match &place.redirect {
        Some((host, port)) => (host.as_str(), *port),
        None => (place.url.host.as_str(), place.url.port),
    };
    let stream = dial(to, place.connect_timeout).await?;
    let handshake = shake_hands(&stream, place);
    let transport = runtime::within(place.setup_timeout, handshake)
        .await
        .ok_or(Ended::HandshakeTimeout(place.setup_timeout))??;
    Ok((stream, transport))
}

async fn shake_hands(mut stream: &TcpStream, place: &Place) -> Result<Transport, Ended> {
    stream.set_nodelay(true).map_err(Ended::Lost)?;
    let initiator = Initiator::new(place.url.authority_key)?;
    stream
        .write_all(initiator.act1())
        .await
        .map_err(Ended::Lost)?;
    let mut act2 = [0; ACT_2_LEN];
    stream
        .read_exact(&mut act2)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Ended::ClosedInHandshake,
            _ => Ended::Lost(error),
        })?;
    let (transport, _) = initiator.finish(&act2, UnixSeconds::from(SystemTime::now()))?;
    Ok(transport)
}

async fn read(
    mut stream: &TcpStream,
    mut decryptor: FrameDecryptor,
    upstream: UpstreamId,
    attempt: Attempt,
    inputs: &Sender<Input>,
) -> Result<(), Ended> {
    let mut buffer = vec![0; READ_BUFFER];
    let mut in_frame = false;
    loop {
        let length = stream.read(&mut buffer).await.map_err(Ended::Lost)?;
        if length == 0 && in_frame {
            return Err(Ended::ClosedInFrame);
        }
        if length == 0 {
            return Ok(());
        }
        let received = Instant::now();
        let mut bytes = buffer.get(..length).unwrap_or_default();
        loop {
            // What is taken without making a frame is the beginning of one.
            in_frame = !bytes.is_empty();
            let Some(frame) = decryptor.next_frame(&mut bytes)? else {
                break;
            };
            let message = Message::decode(frame)?.message;
            let input = Input::UpstreamMessage(upstream, attempt, Box::new(message), received);
            inputs.send(input).await.map_err(|_| Ended::Stopped)?;
        }
    }
}

/// Writes what is in line, many messages at once, until the driver drops its end; then closes the connection. Sets
/// `stalled` where the network takes nothing in for the timeout; of another end the reader tells.
async fn write(
    mut stream: TcpStream,
    mut encryptor: FrameEncryptor,
    queue: Receiver<Outgoing>,
    timeout: Duration,
    stalled: Arc<AtomicBool>,
) {
    let (mut frame, mut bytes) = (Vec::new(), Vec::new());
    while let Ok(first) = queue.recv().await {
        bytes.clear();
        let waiting = std::iter::from_fn(|| queue.try_recv().ok()).take(MESSAGES_PER_WRITE - 1);
        for (message, worker) in std::iter::once(first).chain(waiting) {
            frame.clear();
            if let Err(error) = message.encode_with(worker.as_ref(), &mut frame) {
                log::error!("{} cannot be sent: {error}", message.name());
                continue;
            }
            if let Err(error) = encryptor.encrypt(&frame, &mut bytes) {
                log::error!("{} cannot be encrypted: {error}", message.name());
                return close(&stream);
            }
        }
        match runtime::within(timeout, stream.write_all(&bytes)).await {
            Some(Ok(())) => {}
            Some(Err(_)) => break,
            None => {
                stalled.store(true, Ordering::Relaxed);
                break;
            }
        }
    }
    close(&stream);
}

fn close(stream: &TcpStream) {
    // An error means that the connection has ended by itself; the reader tells of it.
    let _ = stream.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests;
