//! BOOL, U8 to U64, U24, F32 and U256 (SV2 §3.1), all little-endian.

use std::fmt;

use crate::codec::{DataType, DecodeError, Reader};

macro_rules! little_endian {
    ($($type:ty),*) => {$(
        impl DataType for $type {
            const MIN_ENCODED_LEN: usize = size_of::<$type>();

            fn encoded_len(&self) -> usize {
                size_of::<$type>()
            }

            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(reader.array()?))
            }
        }
    )*};
}

little_endian!(u8, u16, u32, u64, f32);

impl DataType for bool {
    const MIN_ENCODED_LEN: usize = 1;

    fn encoded_len(&self) -> usize {
        1
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    /// Reads the least significant bit; the other seven carry no meaning.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [byte] = reader.array()?;
        Ok(byte & 1 == 1)
    }
}

/// An unsigned integer of 24 bits, three bytes little-endian on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct U24(u32);

impl U24 {
    /// 2^24 − 1.
    pub const MAX: Self = Self(0x00ff_ffff);

    /// Takes `value` where it fits 24 bits.
    #[must_use]
    pub fn new(value: u32) -> Option<Self> {
        (value <= Self::MAX.0).then_some(Self(value))
    }

    /// Gives the value.
    #[must_use]
    pub fn value(self) -> u32 {
        self.0
    }

    /// Gives the three bytes, little-endian.
    #[must_use]
    pub fn to_le_bytes(self) -> [u8; 3] {
        let [low, middle, high, _] = self.0.to_le_bytes();
        [low, middle, high]
    }

    /// Reads three bytes, little-endian.
    #[must_use]
    pub fn from_le_bytes([low, middle, high]: [u8; 3]) -> Self {
        Self(u32::from_le_bytes([low, middle, high, 0]))
    }
}

/// An unsigned integer of 256 bits as its 32 bytes, little-endian: a hash as SHA-256 gives it, or a target.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct U256(pub [u8; 32]);

impl DataType for U256 {
    const MIN_ENCODED_LEN: usize = 32;

    fn encoded_len(&self) -> usize {
        32
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.array()?))
    }
}

/// Shows the number as people write hashes and targets: most significant byte first.
impl fmt::Display for U256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .rev()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for U256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U256({self})")
    }
}
