//! TLV fields behind the last field of a message (SV2 §3.4.3), and the one in use: the worker's name on a
//! share (SV2 ext 0x0002).
//!
//! The specification is at odds with itself about the byte order of a TLV's type and length: §3.1 makes every
//! multibyte type little-endian, its examples are big-endian. We send little-endian, as §3.1 and the reference
//! implementation do, and read both.

use std::fmt;

use crate::codec::{DataType, DecodeError, Reader};
use crate::types::ExtensionType;

/// SV2 ext 0x0001, extensions negotiation.
pub const EXTENSIONS_NEGOTIATION: ExtensionType = ExtensionType(0x0001);

/// SV2 ext 0x0002, worker-specific hashrate tracking.
pub const WORKER_SPECIFIC_HASHRATE_TRACKING: ExtensionType = ExtensionType(0x0002);

/// Field type of `user_identity` within SV2 ext 0x0002.
const USER_IDENTITY: u8 = 0x01;

/// One TLV field as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The extension that defines the field.
    pub extension_type: ExtensionType,
    /// The field within its extension.
    pub field_type: u8,
    /// The value's bytes.
    pub value: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    fn number(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    fn next<'a>(self, reader: &mut Reader<'a>) -> Result<Tlv<'a>, DecodeError> {
        let extension_type = ExtensionType(self.number(reader.array()?));
        let field_type = u8::decode(reader)?;
        let length = self.number(reader.array()?);
        let value = reader.bytes(usize::from(length))?;
        Ok(Tlv {
            extension_type,
            field_type,
            value,
        })
    }

    fn reads(self, bytes: &[u8]) -> bool {
        let mut reader = Reader::new(bytes);
        while reader.remaining() > 0 {
            if self.next(&mut reader).is_err() {
                return false;
            }
        }
        true
    }

    fn find(self, bytes: &[u8], extension: ExtensionType, field: u8) -> Option<&[u8]> {
        let mut reader = Reader::new(bytes);
        while reader.remaining() > 0 {
            let tlv = self.next(&mut reader).ok()?;
            if tlv.extension_type == extension && tlv.field_type == field {
                return Some(tlv.value);
            }
        }
        None
    }
}

/// The TLV fields of a received message, kept as they came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tlvs(Box<[u8]>);

impl Tlvs {
    /// Takes the bytes behind a message's last field.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytesAreNoTlv`] where they are no sequence of TLV fields in either byte order.
    pub fn new(bytes: &[u8]) -> Result<Self, DecodeError> {
        if ByteOrder::Little.reads(bytes) || ByteOrder::Big.reads(bytes) {
            return Ok(Self(bytes.into()));
        }
        Err(DecodeError::TrailingBytesAreNoTlv(bytes.len()))
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives their bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Finds a field's value, read little-endian or, failing that, big-endian.
    #[must_use]
    pub fn find(&self, extension: ExtensionType, field_type: u8) -> Option<&[u8]> {
        let little = ByteOrder::Little.find(&self.0, extension, field_type);
        little.or_else(|| ByteOrder::Big.find(&self.0, extension, field_type))
    }

    /// Finds the worker's name that SV2 ext 0x0002 puts on a share; `None` also where it exceeds 32 bytes.
    #[must_use]
    pub fn user_identity(&self) -> Option<UserIdentity> {
        let value = self.find(WORKER_SPECIFIC_HASHRATE_TRACKING, USER_IDENTITY)?;
        UserIdentity::from_bytes(value)
    }
}

/// A worker's name as SV2 ext 0x0002 carries it: at most 32 bytes of UTF-8, held in place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct UserIdentity(crate::types::B0_32);

impl UserIdentity {
    /// The most bytes that a name may have.
    pub const MAX_LEN: usize = 32;

    /// Takes a name of at most 32 bytes.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        Self::from_bytes(name.as_bytes())
    }

    /// Takes a name's bytes, whatever their encoding.
    #[must_use]
    pub fn from_bytes(name: &[u8]) -> Option<Self> {
        crate::types::B0_32::new(name).ok().map(Self)
    }

    /// Gives the name's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Tells how many bytes [`encode`](Self::encode) appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        5 + self.0.len()
    }

    /// Appends the name as a TLV field, type and length little-endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        WORKER_SPECIFIC_HASHRATE_TRACKING.encode(out);
        out.push(USER_IDENTITY);
        // The value fits 32 bytes, so its length is one byte, low byte first.
        out.extend(self.0.len().to_le_bytes().iter().take(2));
        out.extend_from_slice(&self.0);
    }
}

impl fmt::Display for UserIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for UserIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserIdentity({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LITTLE: &[u8] = b"\x02\x00\x01\x0a\x00Worker_001";
    const BIG: &[u8] = b"\x00\x02\x01\x00\x0aWorker_001";

    #[test]
    fn a_worker_name_is_read_in_either_byte_order() {
        for bytes in [LITTLE, BIG] {
            let tlvs = Tlvs::new(bytes).unwrap();
            assert_eq!(tlvs.user_identity(), UserIdentity::new("Worker_001"));
        }
    }

    #[test]
    fn an_empty_worker_name_is_read_in_either_byte_order() {
        for bytes in [b"\x02\x00\x01\x00\x00", b"\x00\x02\x01\x00\x00"] {
            let tlvs = Tlvs::new(bytes).unwrap();
            assert_eq!(tlvs.user_identity(), UserIdentity::new(""));
        }
    }

    #[test]
    fn a_worker_name_is_sent_little_endian() {
        let mut out = Vec::new();
        UserIdentity::new("Worker_001").unwrap().encode(&mut out);
        assert_eq!(out, LITTLE);
    }

    #[test]
    fn unknown_fields_are_skipped() {
        let bytes = [b"\x07\x40\x09\x03\x00abc", LITTLE].concat();
        let tlvs = Tlvs::new(&bytes).unwrap();
        assert_eq!(tlvs.user_identity(), UserIdentity::new("Worker_001"));
    }

    #[test]
    fn a_cut_field_is_an_error() {
        for end in 1..LITTLE.len() {
            assert!(Tlvs::new(&LITTLE[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_name_over_32_bytes_is_no_name() {
        let mut bytes = b"\x02\x00\x01\x21\x00".to_vec();
        bytes.extend_from_slice(&[b'w'; 33]);
        assert_eq!(Tlvs::new(&bytes).unwrap().user_identity(), None);
    }
}
