//! Many conversations in one thread, and what they took.
//!
//! ```text
//!   source ---> driver (poll, sockets, time limits) ---> stream (TCP, unix; TLS) ---> the server
//!     |  ^        |  ^
//!     |  |        v  |
//!     |  +---- talk (pure: SMTP, or a showing of the milter protocol, which says a script)
//!     v
//!   tally (counts, histogram)
//! ```

mod alarm;
pub mod driver;
pub mod script;
pub mod showing;
pub mod stream;
pub mod talk;
pub mod tally;
#[cfg(feature = "tls")]
pub mod tls;
