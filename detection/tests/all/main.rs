//! All tests of the detectors: a module for each subject, in one program, which is linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod bsd;
mod debian;
mod freebsd;
mod fuzz_corpus;
mod guides;
mod linux;
mod packages;
mod pkgsrc;
mod redhat;
mod rspamd;
