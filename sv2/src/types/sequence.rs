//! SEQ0_255, SEQ0_64K and OPTION (SV2 §3.1).

use std::fmt;
use std::ops::Deref;

use crate::codec::{DataType, DecodeError, Reader};

/// More elements than a sequence can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{count} elements exceed the {max} that the sequence can carry")]
pub struct TooMany {
    /// Elements given.
    pub count: usize,
    /// The most that the sequence carries.
    pub max: usize,
}

fn decode_elements<T: DataType>(
    reader: &mut Reader<'_>,
    count: usize,
) -> Result<Vec<T>, DecodeError> {
    // The count is the peer's claim; what has arrived bounds it.
    let possible = reader.remaining() / T::MIN_ENCODED_LEN.max(1);
    let mut elements = Vec::with_capacity(count.min(possible));
    for _ in 0..count {
        elements.push(T::decode(reader)?);
    }
    Ok(elements)
}

macro_rules! sequence {
    ($(#[$doc:meta])* $name:ident, $prefix:ty, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name<T>(Vec<T>);

        impl<T> $name<T> {
            /// The most elements that fit.
            pub const MAX_COUNT: usize = $max;

            /// Gives the elements away.
            #[must_use]
            pub fn into_vec(self) -> Vec<T> {
                self.0
            }
        }

        impl<T> Default for $name<T> {
            fn default() -> Self {
                Self(Vec::new())
            }
        }

        impl<T> Deref for $name<T> {
            type Target = [T];

            fn deref(&self) -> &[T] {
                &self.0
            }
        }

        impl<T> TryFrom<Vec<T>> for $name<T> {
            type Error = TooMany;

            fn try_from(elements: Vec<T>) -> Result<Self, TooMany> {
                if elements.len() > Self::MAX_COUNT {
                    return Err(TooMany { count: elements.len(), max: Self::MAX_COUNT });
                }
                Ok(Self(elements))
            }
        }

        impl<T: fmt::Debug> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(&self.0).finish()
            }
        }

        impl<T: DataType> DataType for $name<T> {
            const MIN_ENCODED_LEN: usize = <$prefix>::MIN_ENCODED_LEN;

            fn encoded_len(&self) -> usize {
                Self::MIN_ENCODED_LEN + self.0.iter().map(T::encoded_len).sum::<usize>()
            }

            fn encode(&self, out: &mut Vec<u8>) {
                // The count fits: no constructor takes more than MAX_COUNT elements.
                out.extend(self.0.len().to_le_bytes().iter().take(Self::MIN_ENCODED_LEN));
                self.0.iter().for_each(|element| element.encode(out));
            }

            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let count = usize::from(<$prefix>::decode(reader)?);
                Ok(Self(decode_elements(reader, count)?))
            }
        }
    };
}

sequence!(
    /// Up to 255 elements behind a count of one byte.
    Seq0_255, u8, 255
);
sequence!(
    /// Up to 65,535 elements behind a count of two bytes.
    Seq0_64K, u16, 65_535
);

/// OPTION\[T\]: a sequence of at most one element.
impl<T: DataType> DataType for Option<T> {
    const MIN_ENCODED_LEN: usize = 1;

    fn encoded_len(&self) -> usize {
        1 + self.as_ref().map_or(0, T::encoded_len)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.encode(out);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(reader)? {
            0 => Ok(None),
            1 => Ok(Some(T::decode(reader)?)),
            length => Err(DecodeError::LengthOverMaximum {
                length: usize::from(length),
                max: 1,
            }),
        }
    }
}
