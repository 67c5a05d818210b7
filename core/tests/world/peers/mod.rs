//! The far ends of the session's connections, and the rules for what it may send them.

pub(crate) mod child;
pub(crate) mod child_watch;
pub(crate) mod mta;
pub(crate) mod mta_watch;
