//! The name that a server gives to a job in `mining.notify`, and a miner repeats in `mining.submit`.

use std::fmt;

use crate::hex;

/// Bound of a job id, in bytes. Ours have at most 8; the longest that public pools send have 32.
pub const MAX_JOB_ID: usize = 32;

/// A Stratum V1 job id: up to [`MAX_JOB_ID`] printable ASCII characters, held in place.
///
/// A quote or backslash is not taken, so that a job id stands in JSON as it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId {
    // Bytes past the length are zero, so the derived comparisons hold.
    bytes: [u8; MAX_JOB_ID],
    length: u8,
}

impl JobId {
    /// Takes the id from its text; `None` if it is too long or has a character that is not taken.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; MAX_JOB_ID];
        bytes
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        text.bytes().all(plain).then_some(Self {
            bytes,
            length: u8::try_from(text.len()).ok()?,
        })
    }

    /// Makes the id of a number: its lower-case hex digits, without leading zeros.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        let mut bytes = [0; MAX_JOB_ID];
        let mut length = 0;
        let digits = (u64::BITS - (number | 1).leading_zeros()).div_ceil(4);
        for (byte, place) in bytes.iter_mut().zip((0..digits).rev()) {
            let [low, ..] = (number >> (4 * place)).to_le_bytes();
            *byte = hex::digit(low & 0x0f);
            length += 1;
        }
        Self { bytes, length }
    }

    /// Returns the number that the id was made of, if it is one that [`Self::from_number`] makes.
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        let number = u64::from_str_radix(self.as_str(), 16).ok()?;
        (Self::from_number(number) == *self).then_some(number)
    }

    /// Returns the id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self
            .bytes
            .get(..usize::from(self.length))
            .unwrap_or_default();
        // Only ASCII was taken, so this cannot fail.
        str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_up_to_the_bound_is_kept() {
        for text in ["", "1", "47961", &"x".repeat(MAX_JOB_ID)] {
            assert_eq!(JobId::new(text).unwrap().as_str(), text);
        }
        assert_eq!(JobId::new(&"x".repeat(MAX_JOB_ID + 1)), None);
    }

    #[test]
    fn what_json_would_escape_is_not_taken() {
        for text in ["a\"b", "a\\b", "a\nb", "ü", "\u{7f}"] {
            assert_eq!(JobId::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_short_and_come_back() {
        for number in [0, 1, 15, 16, 0xabc, u64::from(u32::MAX), u64::MAX] {
            let id = JobId::from_number(number);
            assert_eq!(id.as_str(), format!("{number:x}"));
            assert_eq!(id.as_number(), Some(number));
            assert_eq!(JobId::new(id.as_str()), Some(id));
        }
        for text in ["", "01", "AB", "+1", "x", "10000000000000000"] {
            assert_eq!(JobId::new(text).unwrap().as_number(), None, "{text}");
        }
    }
}
