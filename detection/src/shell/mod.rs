//! What shell scripts and files of `NAME=value` lines say, read as text: no line of them is run.
//!
//! | module | what |
//! |---|---|
//! | `variables` | assignments, the last one of each name |
//! | `expand` | `$name` and `${name}` in a value |
//! | `options` | the word behind an option in a command's words |
//! | `spec` | a connection spec as it is defined |

mod expand;
mod options;
mod spec;
mod variables;

pub(crate) use expand::expand;
pub(crate) use options::option;
pub(crate) use spec::normalise;
pub(crate) use variables::{Names, Variables, assignment, without_comment};
