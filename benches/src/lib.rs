//! What the benches share: traffic, a reader like that of a runtime, a whole session, and an allocator that counts.

pub mod counting;
pub mod reader;
pub mod session;
pub mod traffic;
