//! Identifiers: integers that must not be confused with each other.

use std::fmt;

use crate::codec::{DataType, DecodeError, Reader};

macro_rules! identifier {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl DataType for $name {
            const MIN_ENCODED_LEN: usize = <$inner>::MIN_ENCODED_LEN;

            fn encoded_len(&self) -> usize {
                self.0.encoded_len()
            }

            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }

            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(<$inner>::decode(reader)?))
            }
        }
    )*};
}

identifier! {
    /// A mining channel or a group channel: both share one name space within a connection (SV2 §5.2.3).
    ChannelId(u32);
    /// A job as the server numbers it, within a channel.
    JobId(u32);
    /// Pairs a response with its request, within a connection.
    RequestId(u32);
    /// Numbers the submits of a channel (SV2 §5.3.11).
    SequenceNumber(u32);
    /// A block template of a template provider (SV2 §7).
    TemplateId(u64);
    /// An extension without the channel bit (SV2 §3.4).
    ExtensionType(u16);
}
