//! The receiving half of a connection: ciphertext, in pieces of any size, becomes plaintext frames (SV2 §4.6).

use std::fmt;
use std::sync::Arc;

use snow::StatelessTransportState;
use thiserror::Error;

use super::{HEADER_BLOCK_LEN, MAC_LEN, MAX_BLOCK_PLAINTEXT};
use crate::frame::Header;

/// Longest payload that is taken unless the caller says otherwise, in bytes.
///
/// The mining protocol's longest message is SetGroupChannel: 4 + 2 + 65,535 × 4 = 262,146 bytes. Twice that leaves
/// room for TLVs. Job declaration and template distribution carry transactions and need up to 16,777,215 (U24).
pub const DEFAULT_MAX_MSG_LENGTH: u32 = 512 * 1024;

/// Buffer space kept between frames, in bytes: enough for all but large jobs, little for an idle connection.
const KEPT_CAPACITY: usize = 1024;

/// Decrypts frames from a stream of bytes.
///
/// Whole blocks are decrypted straight from the caller's buffer; only the beginning of a block that has not all come
/// is copied. Memory is bounded by what has arrived, and by the longest payload allowed.
pub struct FrameDecryptor {
    opener: Opener,
    max_msg_length: u32,
    expected: Expected,
    /// The beginning of a block.
    block: Vec<u8>,
    /// Plaintext of the current frame: the header and the payload so far.
    frame: Vec<u8>,
}

/// What the next block of the stream is.
#[derive(Clone, Copy)]
enum Expected {
    Header,
    /// A piece of payload, of which this many bytes (plaintext, at least 1) are still to come.
    Payload(usize),
    /// Nothing: the stream is broken.
    Nothing(DecryptError),
}

impl FrameDecryptor {
    pub(super) const fn new(transport: Arc<StatelessTransportState>) -> Self {
        let nonce = 0;
        Self {
            opener: Opener { transport, nonce },
            max_msg_length: DEFAULT_MAX_MSG_LENGTH,
            expected: Expected::Header,
            block: Vec::new(),
            frame: Vec::new(),
        }
    }

    /// Sets the longest payload to take, in bytes; [`DEFAULT_MAX_MSG_LENGTH`] otherwise.
    pub const fn set_max_msg_length(&mut self, max_msg_length: u32) {
        self.max_msg_length = max_msg_length;
    }

    /// Takes bytes off the front of `input` until a frame is complete, and returns it: header (6 bytes) and payload.
    /// `None` means that all of `input` is taken and more is needed.
    ///
    /// To be called until it returns `None`; that call also gives back the memory of a large frame.
    ///
    /// # Errors
    /// The stream is broken for good: every later call returns the same error, and the connection has to be closed.
    pub fn next_frame(&mut self, input: &mut &[u8]) -> Result<Option<&[u8]>, DecryptError> {
        if matches!(self.expected, Expected::Header) {
            empty(&mut self.frame);
        }
        match self.read_frame(input) {
            Ok(true) => Ok(Some(&self.frame)),
            Ok(false) => Ok(None),
            Err(error) => {
                self.break_off(error);
                Err(error)
            }
        }
    }

    /// Reads blocks until a frame is complete (true) or the input is used up (false).
    fn read_frame(&mut self, input: &mut &[u8]) -> Result<bool, DecryptError> {
        loop {
            let block_len = match self.expected {
                Expected::Header => HEADER_BLOCK_LEN,
                Expected::Payload(missing) => missing.min(MAX_BLOCK_PLAINTEXT) + MAC_LEN,
                Expected::Nothing(error) => return Err(error),
            };
            if !self.read_block(block_len, input)? {
                return Ok(false);
            }
            let missing = self.missing_payload(block_len - MAC_LEN)?;
            if missing == 0 {
                self.expected = Expected::Header;
                return Ok(true);
            }
            self.expected = Expected::Payload(missing);
        }
    }

    /// Decrypts one block onto the frame, if it has all come.
    fn read_block(&mut self, block_len: usize, input: &mut &[u8]) -> Result<bool, DecryptError> {
        if self.block.is_empty()
            && let Some((block, rest)) = input.split_at_checked(block_len)
        {
            *input = rest;
            self.open(block)?;
            return Ok(true);
        }
        let wanted = block_len.saturating_sub(self.block.len()).min(input.len());
        let (piece, rest) = input.split_at(wanted);
        *input = rest;
        self.block.extend_from_slice(piece);
        if self.block.len() < block_len {
            return Ok(false);
        }
        let mut block = std::mem::take(&mut self.block);
        self.open(&block)?;
        empty(&mut block);
        self.block = block;
        Ok(true)
    }

    fn open(&mut self, block: &[u8]) -> Result<(), DecryptError> {
        let not_authentic = match self.expected {
            Expected::Payload(_) => DecryptError::PayloadNotAuthentic,
            _ => DecryptError::HeaderNotAuthentic,
        };
        self.opener.open(block, &mut self.frame, not_authentic)
    }

    /// Bytes of payload that are still to come after a block with `plaintext_len` bytes of plaintext.
    fn missing_payload(&self, plaintext_len: usize) -> Result<usize, DecryptError> {
        if let Expected::Payload(missing) = self.expected {
            return Ok(missing.saturating_sub(plaintext_len));
        }
        let header = self.frame.first_chunk().copied().unwrap_or_default();
        let header = Header::from_bytes(header);
        let (msg_length, limit) = (header.msg_length.value(), self.max_msg_length);
        if msg_length > limit {
            return Err(DecryptError::MessageTooLong { msg_length, limit });
        }
        Ok(header.payload_len())
    }

    fn break_off(&mut self, error: DecryptError) {
        self.expected = Expected::Nothing(error);
        self.block = Vec::new();
        self.frame = Vec::new();
    }
}

impl fmt::Debug for FrameDecryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("FrameDecryptor");
        let debug = debug.field("nonce", &self.opener.nonce);
        debug.finish_non_exhaustive()
    }
}

/// The key and the nonce of the next block.
struct Opener {
    transport: Arc<StatelessTransportState>,
    nonce: u64,
}

impl Opener {
    /// Decrypts one block onto `out`.
    fn open(
        &mut self,
        block: &[u8],
        out: &mut Vec<u8>,
        not_authentic: DecryptError,
    ) -> Result<(), DecryptError> {
        // Noise reserves the last nonce.
        if self.nonce == u64::MAX {
            return Err(DecryptError::NoncesUsedUp);
        }
        let start = out.len();
        out.resize(start + block.len(), 0);
        let plaintext = out.get_mut(start..).unwrap_or_default();
        let len = self
            .transport
            .read_message(self.nonce, block, plaintext)
            .map_err(|_| not_authentic)?;
        out.truncate(start + len);
        self.nonce += 1;
        Ok(())
    }
}

/// Empties a buffer and gives most of a large one's memory back.
fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEPT_CAPACITY {
        *buffer = Vec::new();
    }
}

/// Why the stream of frames is broken. The peer is at fault, or somebody between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecryptError {
    /// The MAC of a header is wrong: changed, lost or repeated bytes, or another key.
    #[error("the header of a frame is not authentic (bad MAC)")]
    HeaderNotAuthentic,
    /// The MAC of a piece of payload is wrong.
    #[error("the payload of a frame is not authentic (bad MAC)")]
    PayloadNotAuthentic,
    /// The peer announces more than is allowed here.
    #[error("a frame announces a payload of {msg_length} bytes, and at most {limit} are taken")]
    MessageTooLong {
        /// msg_length of the header, bytes.
        msg_length: u32,
        /// The longest payload allowed, bytes.
        limit: u32,
    },
    /// No nonce may be used twice, so the connection has to be made anew.
    #[error("this connection's nonces are used up")]
    NoncesUsedUp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{
        Certificate, FrameEncryptor, Initiator, KeyPair, Responder, Transport, UnixSeconds,
    };

    /// A client's sending half and its server's receiving half.
    fn one_way() -> (FrameEncryptor, FrameDecryptor) {
        let certificate = Certificate {
            version: 0,
            valid_from: UnixSeconds(0),
            not_valid_after: UnixSeconds::MAX,
            signature: [0; 64],
        };
        let initiator = Initiator::new(None).unwrap();
        let static_key = KeyPair::generate();
        let responder = Responder::new(&static_key, certificate);
        let (act_2, server) = responder.respond(initiator.act1()).unwrap();
        let (client, _): (Transport, _) = initiator.finish(&act_2, UnixSeconds(0)).unwrap();
        (client.encryptor, server.decryptor)
    }

    fn wire(encryptor: &mut FrameEncryptor, payload: usize) -> Vec<u8> {
        let [low, middle, high, _] = u32::try_from(payload).unwrap().to_le_bytes();
        let mut frame = vec![0, 0, 0, low, middle, high];
        frame.resize(frame.len() + payload, 0x77);
        let mut wire = Vec::new();
        encryptor.encrypt(&frame, &mut wire).unwrap();
        wire
    }

    fn held(decryptor: &FrameDecryptor) -> usize {
        decryptor.block.capacity() + decryptor.frame.capacity()
    }

    #[test]
    fn an_announced_payload_takes_no_memory_before_it_comes() {
        let (mut encryptor, mut decryptor) = one_way();
        let wire = wire(&mut encryptor, 500_000);
        let mut input = &wire[..22 + 100];
        assert_eq!(decryptor.next_frame(&mut input), Ok(None));
        assert!(held(&decryptor) <= 4 * (22 + 100), "{}", held(&decryptor));
    }

    #[test]
    fn the_memory_of_a_large_frame_is_given_back() {
        let (mut encryptor, mut decryptor) = one_way();
        let wire = wire(&mut encryptor, 500_000);
        let mut pieces = wire.chunks(1_000);
        let frames = pieces.by_ref().filter(|piece| {
            let mut input = *piece;
            let frame = decryptor.next_frame(&mut input).unwrap();
            frame.is_some()
        });
        assert_eq!(frames.count(), 1);
        assert_eq!(decryptor.next_frame(&mut [].as_slice()), Ok(None));
        assert!(held(&decryptor) <= 2 * KEPT_CAPACITY);
    }

    #[test]
    fn the_last_nonce_is_never_used() {
        let (mut encryptor, mut decryptor) = one_way();
        decryptor.opener.nonce = u64::MAX;
        let wire = wire(&mut encryptor, 0);
        assert_eq!(
            decryptor.next_frame(&mut wire.as_slice()),
            Err(DecryptError::NoncesUsedUp)
        );
    }
}
