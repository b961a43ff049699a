//! The body of the fuzz target, as a plain function that `cargo test` runs too.
//!
//! It panics where a property of the decoder does not hold; what the bytes say does not matter.

use crate::frame;
use crate::message::{Message, Received};

/// Frames up to this length are also printed, as a log would.
const PRINTED_LEN: usize = 1024;

/// Reads bytes as a frame: no panic, and what was understood is written as the bytes that it came as.
///
/// Only two things are written otherwise: the channel bit is the one of the message's table, and of a BOOL's byte
/// only the lowest bit remains.
pub fn fuzz_frame(frame: &[u8]) {
    match Message::decode(frame) {
        Ok(received) => check(frame, &received),
        Err(error) => drop(error.to_string()),
    }
}

fn check(frame: &[u8], received: &Received) {
    let encoded = encode(&received.message);
    let again = Message::decode(&encoded).expect("what we write is a frame");
    assert!(again.tlvs.is_empty());
    assert_eq!(encode(&again.message), encoded);

    let (came, payload) = frame::split(frame).expect("what was decoded is a frame");
    let (written, fields) = frame::split(&encoded).expect("what we write is a frame");
    assert_eq!(came.extension_type, written.extension_type);
    assert_eq!(came.msg_type, written.msg_type);
    // TLV fields are not written again.
    let tlvs = &received.tlvs;
    assert_eq!(payload.len(), fields.len() + tlvs.as_bytes().len());
    assert!(payload.ends_with(tlvs.as_bytes()));
    let mut bytes = payload.iter().zip(fields);
    assert!(bytes.all(|(came, written)| came == written || came & 1 == *written));
    if matches!(received.message, Message::Unknown(_)) {
        assert_eq!(frame, encoded);
    }

    if frame.len() <= PRINTED_LEN {
        drop(format!("{received:?}"));
    }
    drop(tlvs.user_identity().map(|name| name.to_string()));
}

fn encode(message: &Message) -> Vec<u8> {
    let mut encoded = Vec::new();
    let outcome = message.encode(&mut encoded);
    assert_eq!(outcome, Ok(()), "what came in a frame fits a frame");
    encoded
}
