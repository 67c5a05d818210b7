//! Any bytes as choices in the grammar of the language, and the stoppers asked about a session.

#![no_main]

#[path = "../src/bounds.rs"]
mod bounds;
#[path = "../src/grammar.rs"]
mod grammar;
#[path = "../src/stoppers.rs"]
mod stoppers;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stoppers::stoppers(data);
});
