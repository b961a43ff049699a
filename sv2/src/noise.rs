//! Noise NX over secp256k1, as Stratum V2 uses it (SV2 §4): handshake, certificate, encrypted frames. No I/O, no clock.
//!
//! A client makes an [`Initiator`], sends its act 1, and finishes with the server's act 2 and the time. A server
//! answers act 1 through a [`Responder`]. Both end with a [`Transport`]: a [`FrameEncryptor`] and a [`FrameDecryptor`]
//! that may live in different tasks.
//!
//! ```text
//! initiator                                    responder
//! act 1   64 bytes: e                     ──►
//!                                         ◄──  act 2   64 e + 80 s + 90 certificate = 234 bytes
//! frame   22 header + payload blocks      ◄─►  frame
//! ```

use crate::frame::Header;

mod certificate;
mod decryptor;
mod encryptor;
mod handshake;
mod key_pair;
mod primitives;
mod unix_seconds;

pub use certificate::{CERTIFICATE_LEN, CERTIFICATE_VERSION, Certificate, CertificateError};
pub use decryptor::{DEFAULT_MAX_MSG_LENGTH, DecryptError, FrameDecryptor};
pub use encryptor::{EncryptError, FrameEncryptor};
pub use handshake::{
    ACT_1_LEN, ACT_2_LEN, CLOCK_LEEWAY_SECONDS, HandshakeError, Initiator, Responder, Transport,
};
pub use key_pair::{KeyPair, KeyPairError};
pub use unix_seconds::UnixSeconds;

/// Length of the message authentication code that each block ends with.
const MAC_LEN: usize = 16;

/// Length of an encrypted frame header.
const HEADER_BLOCK_LEN: usize = Header::LEN + MAC_LEN;

/// Longest piece of payload in one block: a Noise message has at most 65,535 bytes, 16 of them MAC (SV2 §4.6).
const MAX_BLOCK_PLAINTEXT: usize = 65_535 - MAC_LEN;
