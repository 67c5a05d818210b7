//! Edits of several milters to one message.

#![no_main]

#[path = "../src/edits.rs"]
mod edits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| edits::edits(data));
