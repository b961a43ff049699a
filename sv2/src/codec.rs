//! How values become bytes and back: the trait behind every data type of SV2 §3.1.
//!
//! Encoding appends to a caller's buffer and cannot fail: a value that exists fits its type. Decoding
//! reads from a [`Reader`], which never looks past what has arrived, so that what is allocated is bounded
//! by the bytes received, whatever a length field claims.

/// Why bytes are not the message that their header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The payload ended inside a field.
    #[error("payload ends {missing} bytes short of a field")]
    PayloadEndsInsideField {
        /// How many bytes of the field are missing at least.
        missing: usize,
    },
    /// A length prefix exceeds what the type allows.
    #[error("length {length} exceeds the {max} that the type allows")]
    LengthOverMaximum {
        /// The length that was read.
        length: usize,
        /// The largest length of the type.
        max: usize,
    },
    /// Bytes after the last field do not form TLV fields (SV2 §3.4.3).
    #[error("{0} bytes after the last field are no TLV fields")]
    TrailingBytesAreNoTlv(usize),
    /// A frame's payload is not as long as its header says.
    #[error("frame holds {actual} payload bytes where its header says {announced}")]
    FrameLengthMismatch {
        /// `msg_length` of the header.
        announced: usize,
        /// Bytes that follow the header.
        actual: usize,
    },
    /// Fewer bytes than a frame header.
    #[error("{0} bytes are too few for a frame header")]
    FrameWithoutHeader(usize),
}

/// A cursor over the payload of one message.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `payload`.
    #[must_use]
    pub fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// Takes the next `length` bytes.
    ///
    /// # Errors
    /// [`DecodeError::PayloadEndsInsideField`] where fewer are left.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            let missing = length - self.rest.len();
            return Err(DecodeError::PayloadEndsInsideField { missing });
        };
        self.rest = rest;
        Ok(taken)
    }

    /// Takes the next `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeError::PayloadEndsInsideField`] where fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            let missing = N - self.rest.len();
            return Err(DecodeError::PayloadEndsInsideField { missing });
        };
        self.rest = rest;
        Ok(*taken)
    }

    /// Tells how many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Gives what is left, ending the reading.
    #[must_use]
    pub fn into_rest(self) -> &'a [u8] {
        self.rest
    }
}

/// A data type of SV2 §3.1.
pub trait DataType: Sized {
    /// The fewest bytes that a value takes; bounds what a sequence's count may reserve.
    const MIN_ENCODED_LEN: usize;

    /// Tells how many bytes [`encode`](Self::encode) appends.
    fn encoded_len(&self) -> usize;

    /// Appends the value to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads a value.
    ///
    /// # Errors
    /// A [`DecodeError`] where the bytes are too few or a length is over the type's maximum.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}
