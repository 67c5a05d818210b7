//! The milter's end of a connection: which commands may follow each other, and which replies are owed.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "filter/dialogue.rs"]
mod dialogue;

#[path = "filter/order.rs"]
mod order;
#[path = "filter/replies.rs"]
mod replies;
#[path = "filter/stream.rs"]
mod stream;
