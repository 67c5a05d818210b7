//! The milter protocol on the wire: frames, commands, replies, negotiation, macros.
//!
//! ```text
//!   u32 length (of letter and payload, at least 1) | u8 letter | payload
//! ```
//!
//! [`Decoder`] cuts bytes into [`Frame`]s; [`Command::decode`] and [`Reply::decode`] read them in the two directions.
//! [`facts`] is the table of everything that the protocol says about letters, stages and bits.

mod chunks;
mod command;
mod decoder;
mod error;
pub mod facts;
mod foreign;
mod frame;
mod macros;
mod negotiation;
mod payload;
mod reply;

pub use chunks::Chunks;
pub use command::{ClientAddress, Command, ConnectInfo, first_string, head, split_header};
pub use decoder::{Ahead, Decoder};
pub use error::{Culprit, Fault, Letter, WireError};
pub use facts::{Actions, CHUNK_SIZE, HEAD, Protocol, Stage, VERSION_MAX, VERSION_MIN};
pub use frame::Frame;
pub use macros::{Macros, bare, encode_macros, pairs, take_macro};
pub use negotiation::{Negotiation, names};
pub use reply::{Edit, Final, Reply};
