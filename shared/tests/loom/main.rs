//! Every interleaving of small cases. Empty without `--cfg loom`.
//!
//! A wake-up that is lost is waited for in vain, which a model reports as a deadlock.

#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "tests report by panicking")]

mod bell;
mod counts;
mod inbox;
mod mailbox;
mod queue;
mod snapshot;
mod stop;
mod tallies;
