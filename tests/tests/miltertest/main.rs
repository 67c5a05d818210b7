//! `miltertest` in front of the manager: an MTA that others have written, with scripts of ours, and python3-milter children
//! behind, some of which negotiate what few do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

mod dialogue;
mod run;
mod unusual;
