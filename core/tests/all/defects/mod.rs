//! The defects of the reference (`chain.md`, section 13), one test each, named after what a user saw.
//!
//! Two are not the session's to have: W14 (a child that is defined twice) is tested in `config/tests/all/milters.rs`, W18 (as many
//! connections as are allowed) in `runtime/tests/all/admission.rs` and `tests/tests/hostile/admission.rs`.

mod dialogue;
mod edits;
mod failures;
mod macros;
mod negotiation;
mod replies;
