//! The messages of SV2 §8, one table per subprotocol.
//!
//! Each table reads like the specification's: the message's number, its channel bit, its name, then its
//! fields in wire order. The macro makes from it one struct per message with its codec, and one enum per
//! subprotocol.

pub mod common;
pub mod extensions;
pub mod job_declaration;
pub mod mining;
pub mod template_distribution;

use crate::types::ExtensionType;

/// What a message's table says of it.
pub trait MessageType {
    /// The extension that defines the message; 0 for the core protocols.
    const EXTENSION_TYPE: ExtensionType;
    /// Number of the message within its extension.
    const MSG_TYPE: u8;
    /// Whether bit 15 of the header's first field is set.
    const CHANNEL_MSG: bool;
    /// The specification's name.
    const NAME: &'static str;
}

/// Makes structs, codecs and the enum of one subprotocol from its table.
macro_rules! messages {
    (
        $(#[$enum_doc:meta])*
        pub enum $subprotocol:ident, extension $extension:literal;
        $(
            $(#[$doc:meta])*
            $msg_type:literal, $channel_msg:literal, $name:ident $spec_name:literal {
                $(
                    $(#[$field_doc:meta])*
                    $field:ident: $type:ty,
                )*
            }
        )*
    ) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
            pub struct $name {
                $(
                    $(#[$field_doc])*
                    pub $field: $type,
                )*
            }

            impl $crate::messages::MessageType for $name {
                const EXTENSION_TYPE: $crate::types::ExtensionType =
                    $crate::types::ExtensionType($extension);
                const MSG_TYPE: u8 = $msg_type;
                const CHANNEL_MSG: bool = $channel_msg == 1;
                const NAME: &'static str = $spec_name;
            }

            impl $crate::codec::DataType for $name {
                const MIN_ENCODED_LEN: usize =
                    0 $(+ <$type as $crate::codec::DataType>::MIN_ENCODED_LEN)*;

                fn encoded_len(&self) -> usize {
                    0 $(+ $crate::codec::DataType::encoded_len(&self.$field))*
                }

                fn encode(&self, out: &mut Vec<u8>) {
                    $($crate::codec::DataType::encode(&self.$field, out);)*
                }

                fn decode(
                    reader: &mut $crate::codec::Reader<'_>,
                ) -> Result<Self, $crate::codec::DecodeError> {
                    Ok(Self { $($field: $crate::codec::DataType::decode(reader)?,)* })
                }
            }

            impl From<$name> for $subprotocol {
                fn from(message: $name) -> Self {
                    Self::$name(message)
                }
            }

            impl From<$name> for $crate::message::Message {
                fn from(message: $name) -> Self {
                    Self::$subprotocol(message.into())
                }
            }
        )*

        $(#[$enum_doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $subprotocol {
            $(
                #[doc = concat!("`", $spec_name, "`.")]
                $name($name),
            )*
        }

        impl $subprotocol {
            /// Tells the message's name in the specification.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $spec_name,)*
                }
            }

            /// Tells the payload's length in bytes, without TLV fields.
            #[must_use]
            pub fn payload_len(&self) -> usize {
                match self {
                    $(Self::$name(message) => $crate::codec::DataType::encoded_len(message),)*
                }
            }

            /// Reads the fields of the message that the specification calls `name` from any serde format;
            /// `None` where the table has no such name.
            #[cfg(feature = "serde")]
            pub fn deserialize_fields<'de, D: serde::Deserializer<'de>>(
                name: &str,
                fields: D,
            ) -> Option<Result<Self, D::Error>> {
                match name {
                    $($spec_name => Some(
                        <$name as serde::Deserialize>::deserialize(fields).map(Self::$name),
                    ),)*
                    _ => None,
                }
            }

            /// Writes the message's fields to any serde format.
            ///
            /// # Errors
            /// The serializer's.
            #[cfg(feature = "serde")]
            pub fn serialize_fields<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$name(message) => serde::Serialize::serialize(message, serializer),)*
                }
            }

            /// Gives extension, channel bit and number: the header but for its length.
            pub(crate) fn header_fields(&self) -> ($crate::types::ExtensionType, bool, u8) {
                match self {
                    $(Self::$name(_) => ($crate::types::ExtensionType($extension), $channel_msg == 1, $msg_type),)*
                }
            }

            pub(crate) fn encode_payload(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$name(message) => $crate::codec::DataType::encode(message, out),)*
                }
            }

            /// Reads the payload of message `msg_type`; `None` where the table has no such number.
            pub(crate) fn decode_payload(
                msg_type: u8,
                reader: &mut $crate::codec::Reader<'_>,
            ) -> Option<Result<Self, $crate::codec::DecodeError>> {
                match msg_type {
                    $($msg_type => Some(
                        <$name as $crate::codec::DataType>::decode(reader).map(Self::$name),
                    ),)*
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use messages;
