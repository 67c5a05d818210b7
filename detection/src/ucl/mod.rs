//! The part of UCL, the language of rspamd's files, by which its workers are found. JSON is UCL too.
//!
//! No library that is kept well reads UCL without one in C behind it. What is here: objects, named ones, arrays, strings of all kinds,
//! comments, variables, `.include` with priorities and ways of merging; other macros are passed over, and files given by a pattern are not
//! read. Files, values and depth are bounded.
//!
//! | module | what |
//! |---|---|
//! | `value` | what is read, and which of two values with one key counts |
//! | `cursor` | a text, and the words of it |
//! | `parser` | objects, arrays and values |
//! | `reader` | files, and those that they include |

mod cursor;
mod parser;
mod reader;
mod value;

pub(crate) use reader::read;
pub(crate) use value::{Object, Value};
