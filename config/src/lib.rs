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
//!           files    our own small tree  blocks, vocabulary       of settings  ├ show
//!                                                                             ├ effect: what does nothing yet
//!                                                                             ├ hosts: addresses of host names
//!                                                                             └ warning: what is hardly meant
//! ```
//!
//! # Where this differs from milter manager
//!
//! - Where the reference stops at the first error, a load here goes on with the next statement, so that one run tells
//!   all that is wrong. A file with an error of syntax is not used at all; the others are.
//! - Applicable conditions are not there yet. Defining one and giving one to a milter are problems, never left out in
//!   silence: without its condition a milter would see other mail. So the reference's own first line,
//!   `load "applicable-conditions/*.conf"`, is a problem too where such files are (they cannot be evaluated) and where
//!   they are not (the error of a missing file).
//! - There are settings of our own. `--show-config` prints them behind those of milter manager in their group.
//! - A milter that is defined again keeps its `fallback_status` and `evaluation_mode`; `command_options` can be nil;
//!   `manager.packet_buffer_size` remembers its place; `fallback_status_at_disconnect` is read in any spelling and
//!   checked; an unknown `log.syslog_facility` is a problem instead of `mail`; the log settings are reset with all
//!   others at each load.
//! - The files of a directory are loaded sorted by name.
//! - Control characters that end a Ruby program in silence (NUL, ^D, ^Z) are a problem.
//! - Loads are bounded: size of a file, depth of nesting and of loads, number of steps, length of texts.

#![forbid(unsafe_code)]

mod backend;
mod configuration;
mod connection_spec;
mod effect;
mod evaluate;
mod hosts;
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
mod warning;

pub use backend::EventLoopBackend;
pub use configuration::{
    Condition, Configuration, Controller, Database, Location, Log, Manager, Package, Security,
};
pub use connection_spec::{ConnectionSpec, Host, SpecError};
pub use effect::{Ineffective, Lack};
pub use hosts::{HostChange, Hosts, Resolver, SystemResolver};
pub use load::{LoadOptions, Loaded, Overrides, load, load_str};
pub use log_level::{LogLevel, LogLevelError};
pub use milter::{Connections, FallbackByKind, Milter};
pub use policy::ManagerPolicy;
pub use problem::Problem;
pub use warning::{About, Answered, Warning};
