//! Look-ups in the domain name system, for all sessions of a process.
//!
//! ```text
//!   event loops, reloads            one thread, from the first question on
//!
//!   Resolver::ask --- bounded ----> merge ---- equal to one in flight ----> waits for its answer
//!        ^            queue           |
//!        |                            +------- another, if there is room -> library: hosts file, cache, name servers
//!        +-------- reply ---------------------------------------------------- answer, or the time limit
//! ```
//!
//! The library (`hickory-resolver`) reads `/etc/hosts` and `/etc/resolv.conf`, asks over UDP and over TCP what was
//! truncated, and keeps answers for their time to live. What it does not do is here: nothing exists before the first
//! question, equal questions are one, what is under way is bounded, each question has a time limit, and a file of the system
//! that has changed is read again.

#![forbid(unsafe_code)]

mod library;
mod options;
mod question;
mod service;
mod system;

pub use options::Options;
pub use question::{Answer, Failure, Family, Question};
pub use service::{Reply, Resolver};
