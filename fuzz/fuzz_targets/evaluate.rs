//! Any text as a configuration file, and its stoppers asked about a session.

#![no_main]

#[path = "../src/bounds.rs"]
mod bounds;
#[path = "../src/evaluate.rs"]
mod evaluate;

libfuzzer_sys::fuzz_target!(|data: &[u8]| evaluate::evaluate(data));
