//! The defects of the reference (`chain.md`, section 13), one test each, named after what a user saw.
//!
//! Two are not the session's to have: W14 (a child that is defined twice) is tested in `config/tests/milters.rs`, W18 (as many
//! connections as are allowed) in `runtime/tests/admission.rs` and `tests/tests/hostile/admission.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a session that is not as it should be is a failed test"
)]

#[path = "defects/dialogue.rs"]
mod dialogue;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "matrix/driver.rs"]
mod driver;
#[path = "defects/edits.rs"]
mod edits;
#[path = "defects/failures.rs"]
mod failures;
#[path = "defects/macros.rs"]
mod macros;
#[path = "defects/negotiation.rs"]
mod negotiation;
#[path = "defects/replies.rs"]
mod replies;
