//! Bytes as a frame: the message of any subprotocol, and its TLVs.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sv2::fuzz::fuzz_frame(bytes));
