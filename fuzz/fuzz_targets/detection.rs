//! Any files below a root, looked at by every detector.

#![no_main]

#[path = "../src/detection.rs"]
mod detection;

libfuzzer_sys::fuzz_target!(|data: &[u8]| detection::detection(data));
