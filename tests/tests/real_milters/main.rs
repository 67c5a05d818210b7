//! The chain that administrators run: opendkim, clamav-milter, spamass-milter and rspamd, in this order, in a private Postfix.
//!
//! Every message goes in twice: where Postfix talks to each of them, and where it talks to the manager. SMTP replies and
//! delivered mail have to be equal, but for what [`millstream_tests::compare`] lists. Both ways lead to the same processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

mod children;
mod content;
mod disposal;
mod kept;
mod left_out;
mod lost;
mod office;
mod outages;
mod relay;
mod restart;
mod sessions;
mod signatures;
mod test_server;
mod verdicts;
