//! What the event loops of a process share, and nothing else.
//!
//! Each type is a few atomics and a rule that holds whatever the threads do; `tests/loom.rs` has every interleaving of
//! small cases tried:
//!
//! ```text
//!   RUSTFLAGS="--cfg loom" cargo test -p millstream-shared --release --test loom
//! ```
//!
//! | type | what it counts | modelled |
//! |---|---|---|
//! | [`Counted`] | bytes that all sessions keep | never past the limit |
//! | [`Admission`] | running sessions | no wake-up is lost |
//! | [`Breaker`] | whether an address of a child is down | each change told once, one probe at a time |
//! | [`PlaceCount`] | connections to a child in use | never past the limit, every loop that waits is served |
//! | [`Children`] | the last two, by child | (a list behind a lock, asked when a loop first meets a child) |

mod admission;
mod atomic;
mod children;
mod places;
mod reserve;
mod switch;

pub use admission::Admission;
pub use children::Children;
pub use places::PlaceCount;
pub use reserve::Counted;
pub use switch::Breaker;
