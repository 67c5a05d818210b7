//! A whole session: any sequence of what can happen to it.

#![no_main]

#[path = "../src/script.rs"]
mod script;
#[path = "../src/session/mod.rs"]
mod session;

libfuzzer_sys::fuzz_target!(|data: &[u8]| session::session(data));
