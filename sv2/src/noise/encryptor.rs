//! The sending half of a connection: plaintext frames become ciphertext (SV2 §4.6).

use std::fmt;
use std::sync::Arc;

use snow::StatelessTransportState;
use thiserror::Error;

use super::{MAC_LEN, MAX_BLOCK_PLAINTEXT};
use crate::codec::DecodeError;
use crate::frame::{self, Header};

/// Encrypts frames, each block with the next nonce.
pub struct FrameEncryptor {
    transport: Arc<StatelessTransportState>,
    nonce: u64,
}

impl FrameEncryptor {
    pub(super) const fn new(transport: Arc<StatelessTransportState>) -> Self {
        let nonce = 0;
        Self { transport, nonce }
    }

    /// Appends to `out` the ciphertext of one frame (header of 6 bytes and payload): a block of 22 bytes for the
    /// header, then blocks of at most 65,535 bytes for the payload, none when it is empty.
    ///
    /// # Errors
    /// The bytes are not exactly one frame, or the nonces are used up. `out` is as before then, and nothing that
    /// the peer would miss has been used.
    pub fn encrypt(&mut self, frame: &[u8], out: &mut Vec<u8>) -> Result<(), EncryptError> {
        frame::split(frame)?;
        let (header, payload) = frame.split_at_checked(Header::LEN).unwrap_or_default();
        let blocks = payload.len().div_ceil(MAX_BLOCK_PLAINTEXT) + 1;
        if (u64::MAX - self.nonce) < blocks as u64 {
            return Err(EncryptError::NoncesUsedUp);
        }
        out.reserve(frame.len() + blocks * MAC_LEN);
        self.seal(header, out)?;
        for piece in payload.chunks(MAX_BLOCK_PLAINTEXT) {
            self.seal(piece, out)?;
        }
        Ok(())
    }

    /// Appends one block.
    fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), EncryptError> {
        let start = out.len();
        out.resize(start + plaintext.len() + MAC_LEN, 0);
        let block = out.get_mut(start..).unwrap_or_default();
        // Fails only for blocks of a wrong length or the reserved last nonce, both excluded by `encrypt`.
        self.transport
            .write_message(self.nonce, plaintext, block)
            .map_err(|_| EncryptError::NoncesUsedUp)?;
        self.nonce += 1;
        Ok(())
    }
}

impl fmt::Debug for FrameEncryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("FrameEncryptor");
        debug.field("nonce", &self.nonce).finish_non_exhaustive()
    }
}

/// Why a frame was not encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncryptError {
    /// A mistake of our own caller, after which the peer would lose its place in the stream.
    #[error("not exactly one frame to encrypt: {0}")]
    NotOneFrame(#[from] DecodeError),
    /// No nonce may be used twice, so the connection has to be made anew.
    #[error("this connection's nonces are used up")]
    NoncesUsedUp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Certificate, Initiator, KeyPair, Responder, UnixSeconds};

    fn encryptor() -> FrameEncryptor {
        let certificate = Certificate {
            version: 0,
            valid_from: UnixSeconds(0),
            not_valid_after: UnixSeconds::MAX,
            signature: [0; 64],
        };
        let initiator = Initiator::new(None).unwrap();
        let static_key = KeyPair::generate();
        let responder = Responder::new(&static_key, certificate);
        responder.respond(initiator.act1()).unwrap().1.encryptor
    }

    #[test]
    fn what_is_not_exactly_one_frame_is_refused_and_uses_no_nonce() {
        let mut encryptor = encryptor();
        let mut out = vec![1, 2, 3];
        for bytes in [&[0; 5][..], &[0, 0, 0, 2, 0, 0, 9], &[0, 0, 0, 0, 0, 0, 9]] {
            let error = encryptor.encrypt(bytes, &mut out).unwrap_err();
            assert!(matches!(error, EncryptError::NotOneFrame(_)), "{error}");
        }
        assert_eq!((out.as_slice(), encryptor.nonce), (&[1, 2, 3][..], 0));
    }

    #[test]
    fn a_frame_that_would_need_the_last_nonce_is_refused_whole() {
        let mut encryptor = encryptor();
        encryptor.nonce = u64::MAX - 3;
        let mut out = Vec::new();
        let frame = [0, 0, 0, 1, 0, 0, 9];
        assert_eq!(encryptor.encrypt(&frame, &mut out), Ok(()));
        let sent = out.len();
        let error = EncryptError::NoncesUsedUp;
        assert_eq!(encryptor.encrypt(&frame, &mut out), Err(error));
        assert_eq!(out.len(), sent);
        assert_eq!(encryptor.encrypt(&[0; 6], &mut out), Ok(()));
        assert_eq!(encryptor.encrypt(&[0; 6], &mut out), Err(error));
    }
}
