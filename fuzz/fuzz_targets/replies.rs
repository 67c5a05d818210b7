//! The MTA's role: any bytes of a milter.

#![no_main]

#[allow(dead_code, reason = "each target runs one of the checks")]
#[path = "../src/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::replies(data));
