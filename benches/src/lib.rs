//! What the benches share: traffic, a reader like that of a runtime, a whole session, an MTA and children that have no
//! objection, sessions as clients have them, what processes cost, an allocator that counts, and the load runner.

pub mod chain;
pub mod child;
pub mod counting;
pub mod figures;
pub mod libmilter;
pub mod load;
pub mod meter;
pub mod mta;
pub mod reader;
pub mod session;
pub mod side;
pub mod streams;
pub mod traffic;
pub mod visit;
