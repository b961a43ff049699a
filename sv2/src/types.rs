//! The data types of SV2 §3.1 and the identifiers built from them.
//!
//! Integers are little-endian on the wire. A value of these types always fits its wire form: lengths are
//! checked where a value is made, so that encoding cannot fail.

mod bytes;
mod ids;
mod integers;
mod sequence;
mod text;

pub use bytes::{B0_16M, B0_32, B0_64K, B0_255, TooLong};
pub use ids::{ChannelId, ExtensionType, JobId, RequestId, SequenceNumber, TemplateId};
pub use integers::{U24, U256};
pub use sequence::{Seq0_64K, Seq0_255, TooMany};
pub use text::Str0_255;
