//! Bytes as lines of a miner and of a server.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sv1::fuzz::fuzz_call(bytes);
    sv1::fuzz::fuzz_from_server(bytes);
    sv1::fuzz::fuzz_lines(bytes);
});
