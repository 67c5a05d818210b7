//! How the manager comes by its connections to milters, with MTA and milters both played by the test: several sockets, a
//! limit, kept connections, connections made late, commands written back to back.
//!
//! The milters count and write down what reaches them. Where it must be certain that no fallback was answered, the
//! fallback is `reject`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

mod conditions;
mod endpoints;
mod lazy;
mod limit;
mod names;
mod pipelining;
mod reuse;
