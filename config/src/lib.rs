//! `milter-manager.conf`: the language, the settings and what `--show-config` prints.
//!
//! A configuration file is written in a part of Ruby. It is read with a Ruby parser, turned into rules of our own, checked
//! against two closed tables (constructs, and methods of each kind of value), and evaluated: nothing in a configuration file
//! can run a program, read another file than by `load`, as a list of domains or as a Postfix table, or look at the
//! environment. What is not known is a [`Problem`] that names the place and says what to write instead.
//!
//! ```text
//!   load ── paths ── syntax ────────── language::check ── evaluate ──── settings ── Configuration ── policy
//!           which    Ruby parser, then kinds and methods  statements,   one table    │                for core: asks
//!           files    rules                                blocks        of settings  ├ conditions     conditions
//!                                                                                   ├ show: as a file, with blocks by code
//!                                                                                   ├ effect: what does nothing yet
//!                                                                                   ├ hosts: addresses of host names
//!                                                                                   └ warning: what is hardly meant
//! ```
//!
//! # Where this differs from milter manager
//!
//! - Where the reference stops at the first error, a load here goes on with the next statement, so that one run tells
//!   all that is wrong. A file with an error of syntax is not used at all; the others are.
//! - The conditions that milter manager brings are programs of ours, there without being loaded. Its own condition files are recognised, served
//!   by them and not evaluated; one that was edited is a problem.
//! - A condition that is defined again keeps its stoppers. Stoppers share no variables between sessions; what they keep for a
//!   message is gone with it.
//! - There are settings of our own. `--show-config` prints them behind those of milter manager in their group, and what it leaves
//!   out (stoppers, calls of built-in conditions) where its format has room, so that the output loads to the same.
//! - A milter that is defined again keeps its `fallback_status` and `evaluation_mode`; `command_options` can be nil;
//!   `manager.packet_buffer_size` remembers its place; `fallback_status_at_disconnect` is read in any spelling and
//!   checked; an unknown `log.syslog_facility` is a problem instead of `mail`; the log settings are reset with all
//!   others at each load.
//! - The files of a directory are loaded sorted by name.
//! - The machine-written file cannot have root start programs unless it belongs to root or to the owner of the main file.
//! - Control characters that end a Ruby program in silence (NUL, ^D, ^Z) are a problem.
//! - Loads and stoppers are bounded: size of a file, depth of nesting and of loads, number of steps, length of texts.

#![forbid(unsafe_code)]

mod backend;
mod code;
mod conditions;
mod configuration;
mod connection_spec;
mod custom;
mod detection;
mod effect;
mod evaluate;
mod explain;
mod hosts;
mod inspect;
mod language;
mod load;
mod log_level;
mod milter;
mod paths;
mod policy;
mod problem;
mod rule;
mod settings;
mod shelf;
mod shell;
mod show;
mod source;
mod syntax;
mod value;
mod warning;

pub use backend::EventLoopBackend;
pub use conditions::Condition;
pub use configuration::{Configuration, Controller, Database, Location, Log, Manager, Package, Security};
pub use connection_spec::{ConnectionSpec, Family, Host, Place, SpecError};
pub use detection::{Detected, Refused};
pub use effect::{Ineffective, Lack};
pub use explain::{Decided, Said, Says, Witness};
pub use hosts::{Addresses, HostChange, Hosts, Resolver, SystemResolver};
pub use language::language_page;
pub use load::{LoadOptions, Loaded, Message, Overrides, load, load_str};
pub use log_level::{LogLevel, LogLevelError};
pub use millstream_detection::{Evidence, Found, Looked, Report};
pub use milter::{AppliedCondition, Connections, FallbackByKind, Milter};
pub use policy::ManagerPolicy;
pub use problem::Problem;
pub use show::Shown;
pub use warning::{About, Answered, Warning};
