//! Edits of children: what the next child is shown, and what the MTA is asked for.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "message/body.rs"]
mod body;
#[path = "message/envelope.rs"]
mod envelope;
#[path = "message/headers.rs"]
mod headers;
#[path = "message/leading_space.rs"]
mod leading_space;
#[path = "message/rights.rs"]
mod rights;
#[path = "message/sendmail.rs"]
mod sendmail;
#[path = "message/words.rs"]
mod words;
