//! Hostile MTAs, or what claims to be one, against the running manager. No Postfix: raw sockets, so that every byte can be
//! wrong. After each of them an ordinary message still passes, and the manager still runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

mod admission;
mod bench;
mod descriptors;
mod foreign_protocols;
mod frames;
mod silence;
mod states;
