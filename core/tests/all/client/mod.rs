//! The MTA's end of a connection: what a milter is sent, and what it may reply.

mod dialogue;

mod abort;
mod macros;
mod negotiation;
mod replies;
