//! What an administrator has for looking after a running manager: its log's statistics, and its control socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

mod control;
mod environment;
mod statistics;
