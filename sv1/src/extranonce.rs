//! The two extranonces: the part of the coinbase that tells connections apart, and the miner's own.

use std::fmt;

use crate::hex;

/// Bound of each extranonce, in bytes: Stratum V2's bound on both of them together.
pub const MAX_EXTRANONCE: usize = 32;

/// Makes a type of up to [`MAX_EXTRANONCE`] bytes that are held in place.
macro_rules! extranonce {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $name {
            // Bytes past the length are zero, so the derived comparisons hold.
            bytes: [u8; MAX_EXTRANONCE],
            length: u8,
        }

        impl $name {
            /// Takes the bytes, in the order in which they stand in the coinbase; `None` if there
            /// are more than [`MAX_EXTRANONCE`].
            #[must_use]
            pub fn new(bytes: &[u8]) -> Option<Self> {
                let mut taken = Self { bytes: [0; MAX_EXTRANONCE], length: u8::try_from(bytes.len()).ok()? };
                taken.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
                Some(taken)
            }

            /// Reads the bytes from hex digits; `None` if they are not that, or too many.
            #[must_use]
            pub fn from_hex(digits: &str) -> Option<Self> {
                let length = digits.len() / 2;
                let mut taken = Self { bytes: [0; MAX_EXTRANONCE], length: u8::try_from(length).ok()? };
                hex::decode_into(digits.as_bytes(), taken.bytes.get_mut(..length)?).then_some(taken)
            }

            /// Returns the bytes, in the order in which they stand in the coinbase.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.bytes.get(..usize::from(self.length)).unwrap_or_default()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.as_bytes()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

extranonce! {
    /// What the server gives a connection at subscribe: unique to it, the first part of the extranonce.
    Extranonce1
}

extranonce! {
    /// What the miner rolls, of the length told at subscribe: the second part of the extranonce.
    Extranonce2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_the_bound_every_length_is_kept() {
        for length in 0..=MAX_EXTRANONCE {
            let bytes: Vec<u8> = (1..=u8::try_from(length).unwrap()).collect();
            let extranonce = Extranonce2::new(&bytes).unwrap();
            assert_eq!(extranonce.as_bytes(), bytes);
            assert_eq!(
                Extranonce2::from_hex(&extranonce.to_string()),
                Some(extranonce)
            );
        }
        assert_eq!(Extranonce2::new(&[0; MAX_EXTRANONCE + 1]), None);
        assert_eq!(
            Extranonce2::from_hex(&"0".repeat(2 * MAX_EXTRANONCE + 2)),
            None
        );
    }

    #[test]
    fn half_a_byte_is_none() {
        assert_eq!(Extranonce1::from_hex("abc"), None);
        assert_eq!(Extranonce1::from_hex("zz"), None);
    }
}
