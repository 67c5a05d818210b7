//! All tests of core but the simulations: a module for each subject, in one program, which is linked once.
//!
//! The `world` and the `crowd` are run by themselves, optimised; `wire_limits` counts what its process allocates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::duplicate_mod, reason = "what a fuzz target checks brings its model of Postfix along")]

mod chain;
mod client;
mod defects;
mod filter;
mod fuzz_corpus;
mod matrix;
mod memory;
mod message;
mod message_properties;
mod names;
mod pool;
mod wire;
