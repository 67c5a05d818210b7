//! The MTA's end of a connection: what a milter is sent, and what it may reply.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "client/dialogue.rs"]
mod dialogue;

#[path = "client/abort.rs"]
mod abort;
#[path = "client/macros.rs"]
mod macros;
#[path = "client/negotiation.rs"]
mod negotiation;
#[path = "client/replies.rs"]
mod replies;
