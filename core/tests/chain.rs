//! The session as an administrator sees it: fallbacks, time limits, order, bounds, conditions.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests report by panicking")]

#[path = "chain/bounds.rs"]
mod bounds;
#[path = "chain/client_gone.rs"]
mod client_gone;
#[path = "chain/conditions.rs"]
mod conditions;
#[path = "chain/driver.rs"]
mod driver;
#[path = "chain/fallback.rs"]
mod fallback;
#[path = "chain/first_commands.rs"]
mod first_commands;
#[path = "chain/independent.rs"]
mod independent;
#[path = "chain/kept.rs"]
mod kept;
#[path = "chain/kept_content.rs"]
mod kept_content;
#[path = "chain/lazy.rs"]
mod lazy;
#[path = "chain/order.rs"]
mod order;
#[path = "chain/pipelining.rs"]
mod pipelining;
#[path = "chain/runs.rs"]
mod runs;
#[path = "chain/runtime.rs"]
mod runtime;
#[path = "chain/shared_bounds.rs"]
mod shared_bounds;
#[path = "chain/situation.rs"]
mod situation;
#[path = "chain/spill.rs"]
mod spill;
#[path = "chain/statistics.rs"]
mod statistics;
#[path = "chain/time.rs"]
mod time;
