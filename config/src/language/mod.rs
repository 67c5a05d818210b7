//! The configuration language: its values and the closed tables that define it.
//!
//! Two tables are the language: [`nodes`] of constructs and [`methods`] of what can be called on which kind of value. What is
//! not in them is an error at load. `docs/language.md` is written from them.

pub(crate) mod address;
pub(crate) mod check;
pub(crate) mod kinds;
pub(crate) mod methods;
pub(crate) mod nodes;
mod page;
pub(crate) mod procs;
pub(crate) mod regexp;
pub(crate) mod shared;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod time;
mod translate;

pub use page::language_page;
