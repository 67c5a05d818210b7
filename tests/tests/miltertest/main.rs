//! `miltertest` in front of the manager: an MTA that others have written, with scripts of ours, and python3-milter children
//! behind, some of which negotiate what few do; or in front of `milter-test-client`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

mod dialogue;
mod run;
mod test_client;
mod unusual;
