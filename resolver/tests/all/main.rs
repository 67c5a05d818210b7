//! All tests of the resolver: a module for each subject, in one program, which is linked once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod answers;
mod common;
mod crowd;
mod holding;
mod system_files;
