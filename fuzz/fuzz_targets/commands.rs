//! The milter's role: any bytes of an MTA.

#![no_main]

#[allow(dead_code, reason = "each target runs one of the checks")]
#[path = "../src/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::commands(data));
