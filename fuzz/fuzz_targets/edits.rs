//! Edits of several milters to one message.

#![no_main]

#[path = "../src/edits.rs"]
mod edits;
#[allow(dead_code, reason = "each target needs some of it")]
#[path = "../src/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|data: &[u8]| edits::edits(data));
