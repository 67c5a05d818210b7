//! The milter protocol, its sessions and chains, as pure state machines.
//!
//! There is no socket, thread, clock, log or environment in here: a runtime moves bytes and time in and out through
//! [`machine::Machine`], and everything that is proven about these machines holds for every runtime.
//!
//! | module | what it is |
//! |---|---|
//! | [`wire`] | frames, commands, replies, negotiation, macros |
//! | [`filter`] | the milter's end of a connection: faces an MTA |
//! | [`client`] | the MTA's end of a connection: faces a milter |
//! | [`message`] | headers, body and edits of one message |
//! | [`chain`] | the session: N clients behind one filter |
//! | [`policy`], [`limits`] | who runs, fallbacks and bounds, decided by the configuration |
//! | [`pool`] | connections to children |
//! | [`machine`], [`service`] | the contract with runtimes and programs |
//! | [`event`] | what happened, for logs and metrics |

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod chain;
pub mod client;
mod conversation;
pub mod event;
pub mod filter;
pub mod limits;
pub mod machine;
pub mod message;
mod outbox;
pub mod policy;
pub mod pool;
pub mod reserve;
pub mod service;
pub mod situation;
pub mod time;
pub mod wire;
