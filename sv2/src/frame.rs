//! Frames: the six-byte header before every message (SV2 §3.2).

use crate::codec::DecodeError;
use crate::types::{ExtensionType, U24};

/// Bit 15 of the header's first field: the message concerns one channel, whose id is its first field.
const CHANNEL_MSG: u16 = 0x8000;

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The extension that defines the message, 0 for the core protocols; without the channel bit.
    pub extension_type: ExtensionType,
    /// Whether the payload starts with the id of the channel that it concerns.
    pub channel_msg: bool,
    /// Number of the message within its extension.
    pub msg_type: u8,
    /// Length of the payload in bytes, TLV fields included.
    pub msg_length: U24,
}

impl Header {
    /// Bytes of a header.
    pub const LEN: usize = 6;

    /// Gives the header's bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let channel_bit = if self.channel_msg { CHANNEL_MSG } else { 0 };
        let [e0, e1] = (self.extension_type.0 & !CHANNEL_MSG | channel_bit).to_le_bytes();
        let [l0, l1, l2] = self.msg_length.to_le_bytes();
        [e0, e1, self.msg_type, l0, l1, l2]
    }

    /// Reads a header; any six bytes are one.
    #[must_use]
    pub fn from_bytes([e0, e1, msg_type, l0, l1, l2]: [u8; Self::LEN]) -> Self {
        let extension = u16::from_le_bytes([e0, e1]);
        Self {
            extension_type: ExtensionType(extension & !CHANNEL_MSG),
            channel_msg: extension & CHANNEL_MSG != 0,
            msg_type,
            msg_length: U24::from_le_bytes([l0, l1, l2]),
        }
    }

    /// Gives the payload's length as a size.
    #[must_use]
    pub fn payload_len(self) -> usize {
        self.msg_length.value() as usize
    }
}

/// Splits one whole frame into header and payload.
///
/// # Errors
/// Where the bytes are fewer or more than header and payload.
pub fn split(frame: &[u8]) -> Result<(Header, &[u8]), DecodeError> {
    let Some((header, payload)) = frame.split_first_chunk::<{ Header::LEN }>() else {
        return Err(DecodeError::FrameWithoutHeader(frame.len()));
    };
    let header = Header::from_bytes(*header);
    if payload.len() != header.payload_len() {
        let announced = header.payload_len();
        return Err(DecodeError::FrameLengthMismatch {
            announced,
            actual: payload.len(),
        });
    }
    Ok((header, payload))
}

/// A frame that no table of ours knows: carried, not fatal (SV2 §3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFrame {
    /// Its header.
    pub header: Header,
    /// Its payload as it came.
    pub payload: Vec<u8>,
}
