//! Bytes that miners send to a farm whose pool has dealt a job: `translate` behind the bench of its stories.

#![no_main]
#![allow(dead_code, reason = "no target uses all of the bench")]

#[path = "../../../proxy/translate/tests/bench/mod.rs"]
mod bench;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bench::fuzz::fuzz_session(bytes));
