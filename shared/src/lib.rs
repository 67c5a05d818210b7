//! What the event loops of a process share, and nothing else.
//!
//! Each type is a few words or a lock, and a rule that holds whatever the threads do; `tests/loom` has every interleaving of
//! small cases tried (of three threads, up to three interruptions; `docs/proofs.md` says more):
//!
//! ```text
//!   RUSTFLAGS="--cfg loom" cargo test -p millstream-shared --release --test loom
//! ```
//!
//! | type | what it holds | modelled |
//! |---|---|---|
//! | [`Counted`] | bytes that all sessions keep | never past the limit |
//! | [`Admission`] | running sessions | no wake-up is lost |
//! | [`Breaker`] | whether an address of a child is down | each change told once, one probe at a time |
//! | [`PlaceCount`] | connections to a child in use | never past the limit, every loop that waits is served |
//! | [`Mailbox`] | what is on its way to a loop | nothing is lost or had twice, no wake-up is lost |
//! | [`Inbox`] | what a reactor says to a loop that is a future | every report is heard once, no wake-up is lost |
//! | [`Loops`] | how a server stops | every session that was accepted is served or counted as cut; the last loop is told once |
//! | [`Snapshot`] | the policy that holds | who begins after a reload follows the new one; the old one is freed |
//! | [`Queue`] | lines for the log | taken and lost are all that was offered |
//! | [`Tallies`], [`Rounds`] | what was said how often | nothing is lost or told twice, a message is counted in one step |
//! | [`Children`] | breakers and places, by child | (a list behind a lock, asked when a loop first meets a child) |

mod admission;
mod atomic;
mod children;
mod inbox;
mod loops;
mod mailbox;
mod places;
mod queue;
mod reserve;
mod snapshot;
mod switch;
mod tallies;

pub use admission::Admission;
pub use children::Children;
pub use inbox::Inbox;
pub use loops::{Loops, StopLevel};
pub use mailbox::Mailbox;
pub use places::PlaceCount;
pub use queue::{Queue, Taken};
pub use reserve::Counted;
pub use snapshot::Snapshot;
pub use switch::Breaker;
pub use tallies::{Rounds, Tallies, Told};
