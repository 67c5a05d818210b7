//! The session as an administrator sees it: fallbacks, time limits, order, bounds, conditions.

mod bounds;
mod client_gone;
mod conditions;
mod driver;
mod fallback;
mod first_commands;
mod independent;
mod kept;
mod kept_content;
mod lazy;
mod order;
mod pipelining;
mod runs;
mod runtime;
mod shared_bounds;
mod situation;
mod spill;
mod statistics;
mod time;
