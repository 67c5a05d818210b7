//! Connections to children, with the words that the loops of a process really share.

mod breaker;
mod endpoints;
mod kept;
mod lab;
mod memory;
mod model;
mod places;
