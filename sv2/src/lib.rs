//! Stratum V2 on the wire, without I/O.
//!
//! | question | module |
//! |---|---|
//! | which bytes is this message? | [`messages`]: one table per subprotocol |
//! | any message from or to a frame | [`message`], [`frame`], [`tlv`] |
//! | how is a field encoded? | [`types`], [`codec`] |
//! | is this share good, what is its hash? | [`bitcoin`] |
//! | who is the server, and how are frames encrypted? | [`noise`], [`authority_key`], [`url`] |
//!
//! Everything here is a function of its arguments: no socket, no clock. Nothing that a peer sends can make it
//! panic or allocate more than what has arrived.

pub mod authority_key;
pub mod bitcoin;
pub mod codec;
pub mod frame;
#[doc(hidden)]
pub mod fuzz;
pub mod message;
pub mod messages;
pub mod noise;
#[cfg(feature = "serde")]
mod serde_forms;
pub mod tlv;
pub mod types;
pub mod url;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
