//! The daemon's life, as who runs it sees it: how it starts, what it does at signals, and how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

mod background;
mod detected;
mod fallback;
mod launcher;
mod reload_under_load;
mod service;
mod signals;
mod without_io_uring;
