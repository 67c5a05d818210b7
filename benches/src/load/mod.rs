//! The load runner: sessions as Postfix has them against a null child, straight and through the running manager.
//!
//! ```text
//!   client (one thread) ──────────────────────────────▶ null child (a process, one thread)     straight
//!   client ──▶ milter-manager (the real program) ──▶ 0, 1, 3 or 10 null children               through it
//! ```
//!
//! What is compared takes its turn in each round, so that what else the machine does hits all alike. Every null child
//! counts what it was sent ([`Tally`](tally::Tally)), and a run in which it was not sent what the client sent is failed.

pub mod client;
pub mod mail;
pub mod measure;
pub mod null_child;
pub mod report;
pub mod scenario;
pub mod tally;
pub mod target;
