//! Connections to children, with the words that the loops of a process really share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

#[path = "pool/breaker.rs"]
mod breaker;
#[path = "pool/endpoints.rs"]
mod endpoints;
#[path = "pool/kept.rs"]
mod kept;
#[path = "pool/lab.rs"]
mod lab;
#[path = "pool/memory.rs"]
mod memory;
#[path = "pool/model.rs"]
mod model;
#[path = "pool/places.rs"]
mod places;
