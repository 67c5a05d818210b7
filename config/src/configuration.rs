//! Everything that a configuration says, with the defaults of a generic build.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use millstream_core::limits::Limits;
use millstream_core::policy::{Fallback, Recipients};
use millstream_detection::{Root, platform};

use crate::backend::EventLoopBackend;
use crate::conditions::{Condition, Knobs};
use crate::connection_spec::{ConnectionSpec, Host, Place};
use crate::language::procs::HeldFrames;
use crate::log_level::LogLevel;
use crate::milter::Milter;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Configuration {
    /// On what kind of system this runs.
    pub package: Package,
    /// As whom it runs.
    pub security: Security,
    /// What is logged where.
    pub log: Log,
    /// The manager itself.
    pub manager: Manager,
    /// The control socket.
    pub controller: Controller,
    /// A database for models; remembered and shown only.
    pub database: Database,
    /// The applicable conditions that are defined.
    pub conditions: Vec<Condition>,
    /// The milters in the order in which they are asked, disabled ones included.
    pub milters: Vec<Milter>,
    /// Where a setting was given its value, by its full name such as `manager.pid_file`; absent: it is the default.
    pub locations: BTreeMap<&'static str, Location>,
    /// Where a setting was assigned last, also when `--show-config` calls its value the default.
    pub(crate) assigned: BTreeMap<&'static str, Location>,
    /// What is set on the objects of built-in conditions.
    pub(crate) knobs: Arc<Knobs>,
    /// The variables that stoppers can see.
    pub(crate) frames: HeldFrames,
}

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The path under which the file was opened.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// `package`: the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Which `defaults/PLATFORM.conf` `load_default` loads. Default: found out.
    pub platform: Option<String>,
    /// `N1=V1,N2=V2`, for the detection of installed milters.
    pub options: Option<String>,
}

/// It does not change while the program runs.
static PLATFORM: LazyLock<String> = LazyLock::new(|| platform(&Root::default()));

impl Default for Package {
    fn default() -> Self {
        Self { platform: Some(PLATFORM.clone()), options: None }
    }
}

/// `security`: privileges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Security {
    /// A process keeps root, to start milters.
    pub privilege_mode: bool,
    /// The user to run as.
    pub effective_user: Option<String>,
    /// The group to run as.
    pub effective_group: Option<String>,
}

/// `log`: what is logged where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Which levels.
    pub level: LogLevel,
    /// The file; `None` and `-` are standard output.
    pub path: Option<String>,
    /// Also to syslog.
    pub use_syslog: bool,
    /// The syslog facility, in lower case.
    pub syslog_facility: String,
}

impl Log {
    /// The file, where it is one and not standard output.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.path.as_deref().filter(|path| *path != "-")
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::DEFAULT, path: None, use_syslog: true, syslog_facility: "mail".to_owned() }
    }
}

/// `manager`: the manager itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// Where the MTA connects to.
    pub connection_spec: ConnectionSpec,
    /// The mode of its unix socket.
    pub unix_socket_mode: u32,
    /// The group of its unix socket.
    pub unix_socket_group: Option<String>,
    /// Remove a left unix socket before listening.
    pub remove_unix_socket_on_create: bool,
    /// Remove the unix socket at the end.
    pub remove_unix_socket_on_close: bool,
    /// Run in the background.
    pub daemon: bool,
    /// Where the process id is written.
    pub pid_file: Option<String>,
    /// Sessions between two maintenances; 0: never.
    pub maintenance_interval: u32,
    /// Seconds without accepting after accepting failed.
    pub suspend_time_on_unacceptable: u32,
    /// Most sessions at a time; 0: no limit.
    pub max_connections: u32,
    /// The limit of open files; 0: as it is.
    pub max_file_descriptors: u32,
    /// Sessions that may wait for being cleaned up; 0: only when idle.
    pub max_pending_finished_sessions: u32,
    /// Where the machine-written configuration is.
    pub custom_configuration_directory: Option<String>,
    /// What is answered when the manager itself fails, or without milters.
    pub fallback_status: Fallback,
    /// What is answered when the SMTP client is gone.
    pub fallback_status_at_disconnect: Fallback,
    /// On which runtime the program serves; `None`: on its default.
    pub event_loop_backend: Option<EventLoopBackend>,
    /// Whether another runtime serves where that one cannot be had.
    pub event_loop_fallback: bool,
    /// Whether `std` and `smol` write by io_uring what many sessions have to write, where that can be had.
    pub use_io_uring: bool,
    /// Worker processes or threads; 0: as the program decides.
    pub n_workers: u32,
    /// Bytes gathered before they are sent; 0: sent at once.
    pub packet_buffer_size: u32,
    /// Seconds between two looks whether the SMTP client is there; 0: never.
    pub connection_check_interval: u32,
    /// Longest body chunk in bytes, 1 to 65535.
    pub chunk_size: u32,
    /// In which order milters are shown a recipient.
    pub recipients: Recipients,
    /// The header that marks mail which a milter did not see.
    pub unfiltered_header: Option<String>,
    /// Milters are connected only when they are to be shown something.
    pub lazy_connect: bool,
    /// Seconds between two look-ups of a host name of a milter when nobody says for how long its addresses hold; 0: no
    /// name is looked up again.
    pub resolve_interval: u32,
    /// The name servers that are asked; empty: those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// The bounds and time limits of each session. Those without a setting have core's defaults.
    pub limits: Limits,
}

impl Default for Manager {
    fn default() -> Self {
        Self {
            connection_spec: default_connection_spec(),
            unix_socket_mode: 0o660,
            unix_socket_group: None,
            remove_unix_socket_on_create: true,
            remove_unix_socket_on_close: true,
            daemon: false,
            pid_file: None,
            maintenance_interval: 10,
            suspend_time_on_unacceptable: 5,
            max_connections: 0,
            max_file_descriptors: 0,
            max_pending_finished_sessions: 0,
            custom_configuration_directory: None,
            fallback_status: Fallback::Accept,
            fallback_status_at_disconnect: Fallback::TemporaryFailure,
            event_loop_backend: None,
            event_loop_fallback: true,
            use_io_uring: true,
            n_workers: 0,
            packet_buffer_size: 0,
            connection_check_interval: 0,
            chunk_size: 65535,
            recipients: Recipients::InOrder,
            unfiltered_header: None,
            lazy_connect: true,
            resolve_interval: 60,
            name_servers: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// `inet:10025@[127.0.0.1]`
pub(crate) fn default_connection_spec() -> ConnectionSpec {
    Place::Inet { host: Some(Host::Address(std::net::Ipv4Addr::LOCALHOST.into())), port: 10025 }.into()
}

/// `controller`: the control socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// Where it listens; `None`: there is none.
    pub connection_spec: Option<ConnectionSpec>,
    /// The mode of its unix socket.
    pub unix_socket_mode: u32,
    /// The group of its unix socket.
    pub unix_socket_group: Option<String>,
    /// Remove a left unix socket before listening.
    pub remove_unix_socket_on_create: bool,
    /// Remove the unix socket at the end.
    pub remove_unix_socket_on_close: bool,
}

impl Default for Controller {
    fn default() -> Self {
        Self {
            connection_spec: None,
            unix_socket_mode: 0o660,
            unix_socket_group: None,
            remove_unix_socket_on_create: true,
            remove_unix_socket_on_close: true,
        }
    }
}

/// `database`: remembered and shown; nothing connects to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Database {
    /// `mysql`, `sqlite3` or another kind.
    pub kind: Option<String>,
    /// The database, or its file.
    pub name: Option<String>,
    /// The server.
    pub host: Option<String>,
    /// The server's port.
    pub port: Option<u16>,
    /// The server's unix socket.
    pub path: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The password, which `--show-config` prints.
    pub password: Option<String>,
    /// Further connection options: name, and value in Ruby's `inspect` form.
    pub extra_options: Vec<(String, String)>,
}
