//! What the event loops of a process share, and nothing else.
//!
//! Each type is a few atomics and a rule that holds whatever the threads do; `tests/loom.rs` has every interleaving of
//! small cases tried:
//!
//! ```text
//!   RUSTFLAGS="--cfg loom" cargo test -p millstream-shared --release --test loom
//! ```

mod atomic;
mod reserve;

pub use reserve::Counted;
