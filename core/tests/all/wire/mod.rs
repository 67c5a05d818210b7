//! The codec: frames, commands, replies, and what is negotiated.

mod chunking;
mod differential;
mod examples;
mod facts;
mod foreign;
mod leniency;
mod macros;
mod round_trip;
pub(crate) mod specification;
