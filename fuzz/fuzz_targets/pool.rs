//! The pools of a process: any sequence of calls to them.

#![no_main]

#[path = "../src/pool.rs"]
mod pool;

libfuzzer_sys::fuzz_target!(|data: &[u8]| pool::pool(data));
