//! Any message, from and to a frame.

use crate::codec::{DecodeError, Reader};
use crate::frame::{self, Header, UnknownFrame};
use crate::messages::common::Common;
use crate::messages::extensions::ExtensionsNegotiation;
use crate::messages::job_declaration::JobDeclaration;
use crate::messages::mining::Mining;
use crate::messages::template_distribution::TemplateDistribution;
use crate::tlv::{EXTENSIONS_NEGOTIATION, Tlvs, UserIdentity};
use crate::types::{ExtensionType, U24};

/// A message of any subprotocol, or a frame that none of them knows.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Common messages (SV2 §3.6).
    Common(Common),
    /// Mining Protocol (SV2 §5).
    Mining(Mining),
    /// Job Declaration Protocol (SV2 §6).
    JobDeclaration(JobDeclaration),
    /// Template Distribution Protocol (SV2 §7).
    TemplateDistribution(TemplateDistribution),
    /// Extensions negotiation (SV2 ext 0x0001).
    ExtensionsNegotiation(ExtensionsNegotiation),
    /// A frame of an unknown extension or number, to be ignored or passed on (SV2 §3.4.1).
    Unknown(UnknownFrame),
}

/// A message as it came, with its TLV fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The message.
    pub message: Message,
    /// The TLV fields behind it; none for most.
    pub tlvs: Tlvs,
}

/// A message too long for a frame, whose length field has 24 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payload of {0} bytes does not fit a frame, whose limit is 16777215")]
pub struct PayloadTooLong(pub usize);

impl Message {
    /// Reads one whole frame.
    ///
    /// # Errors
    /// Where the frame is cut or over-long, a field is cut, or what follows the last field is no TLV.
    pub fn decode(frame: &[u8]) -> Result<Received, DecodeError> {
        let (header, payload) = frame::split(frame)?;
        Self::decode_payload(header, payload)
    }

    /// Reads the payload that belongs to `header`.
    ///
    /// # Errors
    /// Where a field is cut, or what follows the last field is no TLV.
    pub fn decode_payload(header: Header, payload: &[u8]) -> Result<Received, DecodeError> {
        let mut reader = Reader::new(payload);
        let Some(message) = Self::decode_known(header, &mut reader) else {
            let unknown = UnknownFrame {
                header,
                payload: payload.to_vec(),
            };
            return Ok(Received {
                message: Self::Unknown(unknown),
                tlvs: Tlvs::default(),
            });
        };
        let message = message?;
        Ok(Received {
            message,
            tlvs: Tlvs::new(reader.into_rest())?,
        })
    }

    fn decode_known(header: Header, reader: &mut Reader<'_>) -> Option<Result<Self, DecodeError>> {
        let number = header.msg_type;
        if header.extension_type == EXTENSIONS_NEGOTIATION {
            let message = ExtensionsNegotiation::decode_payload(number, reader)?;
            return Some(message.map(Self::ExtensionsNegotiation));
        }
        if header.extension_type != ExtensionType(0) {
            return None;
        }
        // The core protocols share one range of numbers (SV2 §8).
        match number {
            0x00..=0x0f => Some(Common::decode_payload(number, reader)?.map(Self::Common)),
            0x10..=0x4f => Some(Mining::decode_payload(number, reader)?.map(Self::Mining)),
            0x50..=0x6f => {
                Some(JobDeclaration::decode_payload(number, reader)?.map(Self::JobDeclaration))
            }
            _ => Some(
                TemplateDistribution::decode_payload(number, reader)?
                    .map(Self::TemplateDistribution),
            ),
        }
    }

    /// Tells the message's name in the specification.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Common(message) => message.name(),
            Self::Mining(message) => message.name(),
            Self::JobDeclaration(message) => message.name(),
            Self::TemplateDistribution(message) => message.name(),
            Self::ExtensionsNegotiation(message) => message.name(),
            Self::Unknown(_) => "unknown message",
        }
    }

    /// Appends the message as a frame.
    ///
    /// # Errors
    /// [`PayloadTooLong`] where the payload exceeds 2^24 − 1 bytes; `out` is then as before.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), PayloadTooLong> {
        self.encode_with(None, out)
    }

    /// Appends the message as a frame, with the worker's name of SV2 ext 0x0002 where one is given.
    ///
    /// # Errors
    /// [`PayloadTooLong`] where the payload exceeds 2^24 − 1 bytes; `out` is then as before.
    pub fn encode_with(
        &self,
        worker: Option<&UserIdentity>,
        out: &mut Vec<u8>,
    ) -> Result<(), PayloadTooLong> {
        let length = self.payload_len() + worker.map_or(0, UserIdentity::encoded_len);
        let msg_length = u32::try_from(length).ok().and_then(U24::new);
        let msg_length = msg_length.ok_or(PayloadTooLong(length))?;
        let (extension_type, channel_msg, msg_type) = self.header_fields();
        let header = Header {
            extension_type,
            channel_msg,
            msg_type,
            msg_length,
        };
        out.reserve(Header::LEN + length);
        out.extend_from_slice(&header.to_bytes());
        self.encode_payload(out);
        if let Some(worker) = worker {
            worker.encode(out);
        }
        Ok(())
    }

    fn payload_len(&self) -> usize {
        match self {
            Self::Common(message) => message.payload_len(),
            Self::Mining(message) => message.payload_len(),
            Self::JobDeclaration(message) => message.payload_len(),
            Self::TemplateDistribution(message) => message.payload_len(),
            Self::ExtensionsNegotiation(message) => message.payload_len(),
            Self::Unknown(frame) => frame.payload.len(),
        }
    }

    fn header_fields(&self) -> (ExtensionType, bool, u8) {
        match self {
            Self::Common(message) => message.header_fields(),
            Self::Mining(message) => message.header_fields(),
            Self::JobDeclaration(message) => message.header_fields(),
            Self::TemplateDistribution(message) => message.header_fields(),
            Self::ExtensionsNegotiation(message) => message.header_fields(),
            Self::Unknown(UnknownFrame { header, .. }) => {
                (header.extension_type, header.channel_msg, header.msg_type)
            }
        }
    }

    fn encode_payload(&self, out: &mut Vec<u8>) {
        match self {
            Self::Common(message) => message.encode_payload(out),
            Self::Mining(message) => message.encode_payload(out),
            Self::JobDeclaration(message) => message.encode_payload(out),
            Self::TemplateDistribution(message) => message.encode_payload(out),
            Self::ExtensionsNegotiation(message) => message.encode_payload(out),
            Self::Unknown(frame) => out.extend_from_slice(&frame.payload),
        }
    }
}
