//! `milter-manager.conf`: the language, the settings and what `--show-config` prints.
//!
//! A configuration file is written in a part of Ruby. It is read with a Ruby parser and evaluated by an evaluator of
//! our own, which knows a closed set of constructs: nothing in a configuration file can run a program, read another
//! file than by `load`, or look at the environment. What is not known is a [`Problem`] that names the place and says
//! what to write instead.
//!
//! ```text
//!   load ── paths ── syntax ──────────── evaluate ─────────────── settings ── Configuration ── policy
//!           which    Ruby parser, then   statements, values,      one table    │                for core
//!           files    our own small tree  blocks, vocabulary       of settings  └ show
//! ```
//!
//! Where the reference stops at the first error, a load here goes on with the next statement, so that one run tells all
//! that is wrong with a file.

#![forbid(unsafe_code)]

mod configuration;
mod connection_spec;
mod evaluate;
mod inspect;
mod load;
mod log_level;
mod milter;
mod paths;
mod platform;
mod policy;
mod problem;
mod settings;
mod shell;
mod show;
mod source;
mod syntax;
mod value;

pub use configuration::{
    Condition, Configuration, Controller, Database, EventLoopBackend, Location, Log, Manager, Package,
    Security,
};
pub use connection_spec::{ConnectionSpec, Host, SpecError};
pub use load::{LoadOptions, Loaded, Overrides, load, load_str};
pub use log_level::{LogLevel, LogLevelError};
pub use milter::Milter;
pub use policy::ManagerPolicy;
pub use problem::Problem;
