//! All tests of the tools: a module for each subject, in one program, which is linked once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod performance_check;
mod recorded;
mod smtp;
mod test_client;
mod test_client_service;
mod test_server;
mod trace;
