//! systemd's units, read from their files: neither systemd nor `systemctl` is asked.
//!
//! | module | what |
//! |---|---|
//! | `unit` | the lines of a unit file |
//! | `directories` | where a unit and its drop-ins are found |
//! | `state` | what `systemctl is-enabled` would say |
//! | `links` | the links by which a unit is enabled |
//! | `service` | a service with its drop-ins and environment, and the socket unit that activates it |
//! | `specifiers` | `%n` and its kin |

mod detector;
mod directories;
mod links;
mod program;
mod service;

mod specifiers;
mod state;
mod unit;

#[cfg(test)]
mod compared;

pub(crate) use detector::{Places, detect, socket_option};
pub(crate) use program::service_program;
pub(crate) use service::dropped_in;
pub(crate) use state::{State, state};
