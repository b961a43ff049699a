//! Accepting connections, the Noise handshake, reading and writing messages.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use async_channel::{Receiver, Sender};
use async_std::future;
use async_std::io::{ReadExt, WriteExt};
use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use sv2::bitcoin::BlockHash;
use sv2::message::Message;
use sv2::messages::mining::Mining;
use sv2::noise::{
    ACT_1_LEN, Certificate, FrameDecryptor, FrameEncryptor, HandshakeError, KeyPair, Responder,
    Transport,
};

use super::{Input, Link};
use crate::config::Limits;
use crate::event::BlockWrite;
use crate::outbox::ConnectionId;

/// Bytes read at a time: some dozens of shares.
const READ_BUFFER: usize = 4_096;
/// Messages encrypted into one write at the most.
const MESSAGES_PER_WRITE: usize = 64;

/// What the pool proves itself with, and the bounds of a connection.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    key_pair: Arc<KeyPair>,
    certificate: Certificate,
    limits: Limits,
}

impl Identity {
    pub(super) fn new(key_pair: KeyPair, certificate: Certificate, limits: Limits) -> Self {
        Self {
            key_pair: Arc::new(key_pair),
            certificate,
            limits,
        }
    }
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the client closed it")]
    ClosedByClient,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the handshake took too long")]
    HandshakeTimeout,
    #[error("handshake: {0}")]
    Handshake(#[from] HandshakeError),
    #[error("{0}")]
    Decrypt(#[from] sv2::noise::DecryptError),
    #[error("{0}")]
    Decode(#[from] sv2::codec::DecodeError),
    #[error("the pool has stopped")]
    Stopped,
}

/// Accepts until the pool stops.
pub(super) async fn accept(listener: TcpListener, identity: Identity, inputs: Sender<Input>) {
    while !inputs.is_closed() {
        match listener.accept().await {
            Ok((socket, peer)) => {
                task::spawn(serve(socket, peer, identity.clone(), inputs.clone()));
            }
            Err(error) => {
                // Out of file descriptors, for example: others must end first.
                log::warn!("cannot accept: {error}");
                task::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(socket: TcpStream, peer: SocketAddr, identity: Identity, inputs: Sender<Input>) {
    let transport = match handshake(&socket, &identity).await {
        Ok(transport) => transport,
        Err(ended) => {
            log::info!("{peer}: {ended}");
            return;
        }
    };
    let (messages, queue) = async_channel::bounded(identity.limits.outgoing_queue.max(1));
    let (reply, id) = async_channel::bounded(1);
    let link = Link {
        messages,
        socket: socket.clone(),
        peer,
    };
    if inputs.send(Input::Connected(link, reply)).await.is_err() {
        return;
    }
    // No number: the pool has too many connections, or has stopped.
    let Ok(id) = id.recv().await else {
        return;
    };
    let writer = Writer {
        id,
        socket: socket.clone(),
        encryptor: transport.encryptor,
        limits: identity.limits,
        inputs: inputs.clone(),
    };
    task::spawn(writer.run(queue));
    if let Err(ended) = read(&socket, transport.decryptor, id, &inputs).await {
        let ended = Input::Disconnected(id, ended.to_string());
        // Fails only where the pool has stopped, which knows by itself.
        let _ = inputs.send(ended).await;
    }
}

async fn handshake(socket: &TcpStream, identity: &Identity) -> Result<Transport, Ended> {
    let exchange = async {
        socket.set_nodelay(true)?;
        let (mut reader, mut writer) = (socket, socket);
        let mut act1 = [0; ACT_1_LEN];
        reader.read_exact(&mut act1).await?;
        let responder = Responder::new(&identity.key_pair, identity.certificate);
        let (act2, transport) = responder.respond(&act1)?;
        writer.write_all(&act2).await?;
        Ok(transport)
    };
    future::timeout(identity.limits.handshake_timeout, exchange)
        .await
        .unwrap_or(Err(Ended::HandshakeTimeout))
}

async fn read(
    mut socket: &TcpStream,
    mut decryptor: FrameDecryptor,
    id: ConnectionId,
    inputs: &Sender<Input>,
) -> Result<(), Ended> {
    let mut buffer = [0; READ_BUFFER];
    loop {
        let length = socket.read(&mut buffer).await?;
        if length == 0 {
            return Err(Ended::ClosedByClient);
        }
        let mut bytes = buffer.get(..length).unwrap_or_default();
        while let Some(frame) = decryptor.next_frame(&mut bytes)? {
            let input = Input::Message(id, Message::decode(frame)?);
            inputs.send(input).await.map_err(|_| Ended::Stopped)?;
        }
    }
}

/// The writing half of a connection.
struct Writer {
    id: ConnectionId,
    socket: TcpStream,
    encryptor: FrameEncryptor,
    limits: Limits,
    inputs: Sender<Input>,
}

impl Writer {
    /// Writes what is queued until the driver drops its end, then closes the socket.
    async fn run(mut self, queue: Receiver<Message>) {
        let mut frame = Vec::new();
        let mut bytes = Vec::new();
        while let Ok(first) = queue.recv().await {
            bytes.clear();
            let mut block = None;
            let waiting = std::iter::from_fn(|| queue.try_recv().ok()).take(MESSAGES_PER_WRITE - 1);
            for message in std::iter::once(first).chain(waiting) {
                if !self.encrypt(&message, &mut frame, &mut bytes) {
                    return close(&self.socket);
                }
                block = new_block(&message).or(block);
            }
            if !self.write(&bytes, block).await {
                break;
            }
        }
        close(&self.socket);
    }

    /// Appends a message to what is written next; `false` where the connection is of no more use.
    fn encrypt(&mut self, message: &Message, frame: &mut Vec<u8>, bytes: &mut Vec<u8>) -> bool {
        frame.clear();
        if let Err(error) = message.encode(frame) {
            log::error!("{} cannot be sent: {error}", message.name());
            return true;
        }
        let encrypted = self.encryptor.encrypt(frame, bytes);
        if let Err(error) = &encrypted {
            log::error!("{} cannot be encrypted: {error}", message.name());
        }
        encrypted.is_ok()
    }

    /// Writes, and tells when a new block was; `false` where the connection is of no more use.
    async fn write(&self, bytes: &[u8], block: Option<BlockHash>) -> bool {
        let began = Instant::now();
        let mut socket = &self.socket;
        let written = future::timeout(self.limits.write_timeout, socket.write_all(bytes)).await;
        if let Some(prev_hash) = block {
            let connection = self.id;
            let write = BlockWrite {
                connection,
                prev_hash,
                began,
            };
            // Fails only where the pool has stopped.
            let _ = self.inputs.send(Input::BlockWrite(write)).await;
        }
        matches!(written, Ok(Ok(())))
    }
}

/// Gives the block that a message starts.
fn new_block(message: &Message) -> Option<BlockHash> {
    match message {
        Message::Mining(Mining::SetNewPrevHash(message)) => Some(BlockHash(message.prev_hash.0)),
        _ => None,
    }
}

fn close(socket: &TcpStream) {
    // An error means that the socket is closed already.
    let _ = socket.shutdown(Shutdown::Both);
}
