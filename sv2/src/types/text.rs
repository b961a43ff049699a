//! STR0_255 (SV2 §3.1).

use std::fmt;

use crate::codec::{DataType, DecodeError, Reader};
use crate::types::TooLong;

/// Up to 255 bytes of text.
///
/// The specification recommends UTF-8 without asking for it (`user_identity` is "an unconstrained sequence
/// of bytes"), so the bytes are kept as they came; [`Display`](fmt::Display) shows what cannot be text as
/// replacement characters and escapes control characters, so that a log line stays one line.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Str0_255(Box<[u8]>);

impl Str0_255 {
    /// The most bytes that fit.
    pub const MAX_LEN: usize = 255;

    /// Copies `text`.
    ///
    /// # Errors
    /// [`TooLong`] for more than 255 bytes.
    pub fn new(text: &str) -> Result<Self, TooLong> {
        Self::from_bytes(text.as_bytes())
    }

    /// Copies `text`, cut at the last character that ends within 255 bytes.
    #[must_use]
    pub fn truncated(text: &str) -> Self {
        let end = text.floor_char_boundary(Self::MAX_LEN);
        Self(text.as_bytes().iter().copied().take(end).collect())
    }

    /// Copies bytes of unknown encoding.
    ///
    /// # Errors
    /// [`TooLong`] for more than 255 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TooLong> {
        if bytes.len() > Self::MAX_LEN {
            return Err(TooLong {
                length: bytes.len(),
                max: Self::MAX_LEN,
            });
        }
        Ok(Self(bytes.into()))
    }

    /// Gives the bytes as they are on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Gives the text, where it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok()
    }
}

impl fmt::Display for Str0_255 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0)
            .chars()
            .try_for_each(|c| match c.is_control() {
                true => write!(f, "{}", c.escape_default()),
                false => write!(f, "{c}"),
            })
    }
}

impl fmt::Debug for Str0_255 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl DataType for Str0_255 {
    const MIN_ENCODED_LEN: usize = 1;

    fn encoded_len(&self) -> usize {
        1 + self.0.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        // The length fits: no constructor takes more than 255 bytes.
        out.extend(self.0.len().to_le_bytes().iter().take(1));
        out.extend_from_slice(&self.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = usize::from(u8::decode(reader)?);
        Ok(Self(reader.bytes(length)?.into()))
    }
}
