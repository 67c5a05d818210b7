//! Black-box suites for Millstream's programs: what is tested is what an administrator runs.
//!
//! Nothing here uses the crates under test. The milter wire helper ([`wire`], [`mta_side`], [`child_side`]) is a second,
//! independent reading of the protocol; mail goes through a real MTA to a sink of our own, so that every delivered byte
//! can be looked at.
//!
//! | suite | what it runs |
//! |---|---|
//! | `tests/real_mail` | Postfix, Sendmail, opendkim and python3-milter children, with and without the manager between them |
//! | `tests/real_milters` | opendkim, clamav-milter, spamass-milter and rspamd in one chain, directly in Postfix and behind the manager |
//! | `tests/administration` | statistics in the log, the environment's say about it, the control socket |
//! | `tests/detection` | milters that packages have installed: found by the program, given mail, switched off by their own switches |
//! | `tests/connections` | the manager between an MTA and milters of the test's own that count: sockets, names, limits, kept and late connections |
//! | `tests/hostile` | raw sockets against the manager: garbage, silence, floods |
//! | `tests/overload` | more than the manager is allowed, or the machine has: places, descriptors, disk, log, time |
//! | `tests/soak` | thousands of sessions with faults, after which nothing is left behind |
//!
//! | variable | effect |
//! |---|---|
//! | `MILTER_MANAGER` | the program to test, instead of this workspace's |
//! | `MILLSTREAM_KEEP` | private folders below `/run/millstream-*` stay, with every log in them |
//! | `MILLSTREAM_BACKEND` | the runtime on which the manager serves, instead of its default |
//! | `MILLSTREAM_SOAK` | how many sessions the soak runs |
//! | `CI` | what is not installed fails a test instead of skipping it |
//!
//! Everything a test starts is ended by the [`guardian`] at the latest, however the test process ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test helper reports by panicking"
)]

pub mod account;
pub mod bench;
pub mod child_side;
pub mod children;
pub mod compare;
pub mod counting_child;
pub mod dkim;
pub mod guardian;
pub mod guides;
pub mod holdings;
pub mod lane;
pub mod manager;
pub mod manager_log;
pub mod message;
pub mod mta;
pub mod mta_side;
pub mod name_server;
pub mod ports;
pub mod post;
pub mod postfix;
pub mod process;
pub mod programs;
pub mod real_children;
pub mod require;
pub mod scratch;
pub mod sendmail;
pub mod sink;
pub mod smtp;
pub mod tree;
pub mod until;
pub mod wire;
