//! `manager.event_loop_backend`: on what the program serves.

use std::str::FromStr;

use crate::settings::{list, meaning, word};

/// On what the program serves. Which of them are there was decided when it was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventLoopBackend {
    /// A few threads that poll.
    Std,
    /// Threads on smol's reactor.
    Smol,
    /// A thread for each core, on `io_uring`.
    Glommio,
    /// GLib, which only milter manager has: the program's default.
    Glib,
    /// libev, which only milter manager has: the program's default.
    Libev,
}

impl EventLoopBackend {
    /// Whether it is a library that only milter manager has, which stands for the program's default.
    #[must_use]
    pub const fn is_foreign(self) -> bool {
        matches!(self, Self::Glib | Self::Libev)
    }

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        word(&BACKENDS, self)
    }
}

impl FromStr for EventLoopBackend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        meaning(&BACKENDS, text).ok_or_else(|| format!("it should be one of {}", list(&BACKENDS)))
    }
}

/// In the order of error messages.
pub(crate) const BACKENDS: [(&str, EventLoopBackend); 5] = [
    ("std", EventLoopBackend::Std),
    ("smol", EventLoopBackend::Smol),
    ("glommio", EventLoopBackend::Glommio),
    ("glib", EventLoopBackend::Glib),
    ("libev", EventLoopBackend::Libev),
];
