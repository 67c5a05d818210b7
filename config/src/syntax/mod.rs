//! How a configuration file becomes rules.
//!
//! ```text
//!   bytes ── parse (lib-ruby-parser) ──> Ruby's tree ── lower ──> rules
//!            problems of syntax                         problems of what is not supported
//! ```

mod lower;
mod parse;
mod unsupported;

pub(crate) use lower::File;
pub(crate) use parse::{MAX_FILE, parse};
