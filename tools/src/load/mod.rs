//! Many conversations in one thread, and what they took.
//!
//! ```text
//!   source ---> driver (poll, sockets, time limits) ---> stream (TCP, unix; TLS) ---> the server
//!     |  ^        |  ^
//!     |  |        v  |
//!     |  +---- talk (pure: SMTP, or the milter protocol)
//!     v
//!   tally (counts, histogram)
//! ```

pub mod driver;
pub mod stream;
pub mod talk;
pub mod tally;
#[cfg(feature = "tls")]
pub mod tls;
