//! The pools of a process: any sequence of calls to them.

#![no_main]

#[path = "../src/pool.rs"]
mod pool;
#[allow(dead_code, reason = "each target needs some of it")]
#[path = "../src/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|data: &[u8]| pool::pool(data));
