//! Byte arrays with a length prefix: B0_32, B0_255, B0_64K, B0_16M (SV2 §3.1).

use std::fmt;
use std::ops::Deref;

use crate::codec::{DataType, DecodeError, Reader};
use crate::types::U24;

/// A value longer than its type can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes exceed the {max} that the type can carry")]
pub struct TooLong {
    /// Bytes given.
    pub length: usize,
    /// The most that the type carries.
    pub max: usize,
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Up to 32 bytes, held in place: extranonces are copied often and never allocated.
#[derive(Clone, Copy, Default)]
pub struct B0_32 {
    length: u8,
    bytes: [u8; 32],
}

impl B0_32 {
    /// The most bytes that fit.
    pub const MAX_LEN: usize = 32;

    /// Copies `bytes`.
    ///
    /// # Errors
    /// [`TooLong`] for more than 32.
    pub fn new(bytes: &[u8]) -> Result<Self, TooLong> {
        let mut this = Self::default();
        let error = TooLong {
            length: bytes.len(),
            max: Self::MAX_LEN,
        };
        let place = this.bytes.get_mut(..bytes.len()).ok_or(error)?;
        place.copy_from_slice(bytes);
        this.length = u8::try_from(bytes.len()).map_err(|_| error)?;
        Ok(this)
    }

    /// Gives `length` zero bytes.
    ///
    /// # Errors
    /// [`TooLong`] for more than 32.
    pub fn zeros(length: usize) -> Result<Self, TooLong> {
        let error = TooLong {
            length,
            max: Self::MAX_LEN,
        };
        let zeros = [0; Self::MAX_LEN];
        Self::new(zeros.get(..length).ok_or(error)?)
    }

    /// Puts `tail` behind these bytes.
    ///
    /// # Errors
    /// [`TooLong`] where both together exceed 32.
    pub fn join(&self, tail: &[u8]) -> Result<Self, TooLong> {
        let start = usize::from(self.length);
        let length = start + tail.len();
        let error = TooLong {
            length,
            max: Self::MAX_LEN,
        };
        let mut joined = *self;
        let place = joined.bytes.get_mut(start..length).ok_or(error)?;
        place.copy_from_slice(tail);
        joined.length = u8::try_from(length).map_err(|_| error)?;
        Ok(joined)
    }
}

impl Deref for B0_32 {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or(&self.bytes)
    }
}

impl PartialEq for B0_32 {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for B0_32 {}

impl std::hash::Hash for B0_32 {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl TryFrom<&[u8]> for B0_32 {
    type Error = TooLong;

    fn try_from(bytes: &[u8]) -> Result<Self, TooLong> {
        Self::new(bytes)
    }
}

/// Shows the bytes in hex.
impl fmt::Display for B0_32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self)
    }
}

impl fmt::Debug for B0_32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "B0_32({self})")
    }
}

impl DataType for B0_32 {
    const MIN_ENCODED_LEN: usize = 1;

    fn encoded_len(&self) -> usize {
        1 + self.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.length);
        out.extend_from_slice(self);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = usize::from(u8::decode(reader)?);
        if length > Self::MAX_LEN {
            return Err(DecodeError::LengthOverMaximum {
                length,
                max: Self::MAX_LEN,
            });
        }
        let bytes = reader.bytes(length)?;
        Self::new(bytes).map_err(|e| DecodeError::LengthOverMaximum {
            length: e.length,
            max: e.max,
        })
    }
}

macro_rules! byte_array {
    ($(#[$doc:meta])* $name:ident, $prefix:ty, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Default)]
        pub struct $name(Vec<u8>);

        impl $name {
            /// The most bytes that fit.
            pub const MAX_LEN: usize = $max;

            /// Gives the bytes away.
            #[must_use]
            pub fn into_vec(self) -> Vec<u8> {
                self.0
            }
        }

        impl Deref for $name {
            type Target = [u8];

            fn deref(&self) -> &[u8] {
                &self.0
            }
        }

        impl TryFrom<Vec<u8>> for $name {
            type Error = TooLong;

            fn try_from(bytes: Vec<u8>) -> Result<Self, TooLong> {
                if bytes.len() > Self::MAX_LEN {
                    return Err(TooLong { length: bytes.len(), max: Self::MAX_LEN });
                }
                Ok(Self(bytes))
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = TooLong;

            fn try_from(bytes: &[u8]) -> Result<Self, TooLong> {
                if bytes.len() > Self::MAX_LEN {
                    return Err(TooLong { length: bytes.len(), max: Self::MAX_LEN });
                }
                Ok(Self(bytes.to_vec()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                write_hex(f, self)?;
                f.write_str(")")
            }
        }

        impl DataType for $name {
            const MIN_ENCODED_LEN: usize = <$prefix>::MIN_ENCODED_LEN;

            fn encoded_len(&self) -> usize {
                Self::MIN_ENCODED_LEN + self.0.len()
            }

            fn encode(&self, out: &mut Vec<u8>) {
                // The length fits: no constructor takes more than MAX_LEN bytes.
                out.extend(self.0.len().to_le_bytes().iter().take(Self::MIN_ENCODED_LEN));
                out.extend_from_slice(&self.0);
            }

            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let mut length = [0; size_of::<usize>()];
                for (place, byte) in length.iter_mut().zip(reader.bytes(Self::MIN_ENCODED_LEN)?) {
                    *place = *byte;
                }
                Ok(Self(reader.bytes(usize::from_le_bytes(length))?.to_vec()))
            }
        }
    };
}

impl DataType for U24 {
    const MIN_ENCODED_LEN: usize = 3;

    fn encoded_len(&self) -> usize {
        3
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from_le_bytes(reader.array()?))
    }
}

byte_array!(
    /// Up to 255 bytes behind a length of one byte.
    B0_255, u8, 255
);
byte_array!(
    /// Up to 65,535 bytes behind a length of two bytes.
    B0_64K, u16, 65_535
);
byte_array!(
    /// Up to 2^24 − 1 bytes behind a length of three bytes.
    B0_16M, U24, 16_777_215
);
