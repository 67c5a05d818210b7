//! The options that every program that serves has, as milter manager's library gives them to its programs.

use std::path::PathBuf;

use clap::Args;
use millstream_config::{EventLoopBackend, Log, LogLevel, Overrides};

use crate::socket_mode;

/// As many loops as the language allows.
const MOST_WORKERS: u32 = 1000;

/// What a program that serves can be told at its start, besides where it listens.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Milter Common Options")]
pub struct ServiceOptions {
    /// Let the group GROUP use the unix socket
    #[arg(long, alias = "socket-group-name", value_name = "GROUP")]
    unix_socket_group: Option<String>,

    /// Let those use the unix socket that MODE names: up to three octal digits, or as in ug=rw
    #[arg(long, value_name = "MODE", value_parser = socket_mode::parse)]
    unix_socket_mode: Option<u32>,

    /// Serve on BACKEND: std, smol or glommio, as far as they are built in
    #[arg(long, value_name = "BACKEND")]
    event_loop_backend: Option<EventLoopBackend>,

    /// Serve with N event loops; 0 is one for each core
    #[arg(long, value_name = "N", value_parser = workers)]
    n_workers: Option<u32>,

    /// Serve in the background: the command ends when it serves, or with what stands in the way
    #[arg(long, overrides_with = "no_daemon")]
    daemon: bool,

    /// Stay in the foreground, whatever the configuration says
    #[arg(long, overrides_with = "daemon")]
    no_daemon: bool,

    /// Write the process id to FILE
    #[arg(long, value_name = "FILE", value_parser = absolute_text)]
    pid_file: Option<String>,

    /// Serve as this user when started as root
    #[arg(short = 'u', long, value_name = "UID_OR_USER_NAME", overrides_with_all = ["user_id", "user_name"])]
    user: Option<String>,

    /// The same, as a number
    #[arg(long, value_name = "UID", value_parser = number, overrides_with_all = ["user", "user_name"])]
    user_id: Option<u32>,

    /// The same, as a name
    #[arg(long, value_name = "USER_NAME", overrides_with_all = ["user", "user_id"])]
    user_name: Option<String>,

    /// Serve as this group when started as root
    #[arg(short = 'g', long, value_name = "GID_OR_GROUP_NAME", overrides_with_all = ["group_id", "group_name"])]
    group: Option<String>,

    /// The same, as a number
    #[arg(long, value_name = "GID", value_parser = number, overrides_with_all = ["group", "group_name"])]
    group_id: Option<u32>,

    /// The same, as a name
    #[arg(long, value_name = "GROUP_NAME", overrides_with_all = ["group", "group_id"])]
    group_name: Option<String>,

    /// Log everything
    #[arg(short = 'v', long)]
    verbose: bool,

    /// Log nothing
    #[arg(short = 'q', long, conflicts_with = "verbose")]
    quiet: bool,

    /// Log LEVEL: names joined by |, a leading + or - changes the configured level
    #[arg(long, value_name = "LEVEL", value_parser = log_level, allow_hyphen_values = true)]
    log_level: Option<String>,

    /// Log to the file PATH; - is standard output
    #[arg(long, value_name = "PATH", value_parser = log_path, allow_hyphen_values = true)]
    log_path: Option<String>,

    /// Log to syslog, too, whatever the configuration says
    #[arg(long)]
    syslog: bool,

    /// Log to this syslog facility, as mail or local3
    #[arg(long, value_name = "FACILITY")]
    syslog_facility: Option<String>,

    /// Taken for milter manager's sake: what is written to an MTA or a milter is gathered anyhow
    #[arg(long, value_name = "SIZE")]
    packet_buffer_size: Option<u32>,

    /// Taken for milter manager's sake: sessions that are over are gone at once
    #[arg(long, value_name = "N")]
    max_pending_finished_sessions: Option<u32>,

    /// This is the process in the background, whose standard input takes the word that it serves
    #[arg(long, hide = true)]
    detached: bool,
}

impl ServiceOptions {
    /// What goes before a configuration.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        let either = |any: &Option<String>, id: Option<u32>, name: &Option<String>| {
            any.clone().or_else(|| id.map(|id| id.to_string())).or_else(|| name.clone())
        };
        Overrides {
            connection_spec: None,
            pid_file: self.pid_file.clone(),
            effective_user: either(&self.user, self.user_id, &self.user_name),
            effective_group: either(&self.group, self.group_id, &self.group_name),
            unix_socket_mode: self.unix_socket_mode,
            unix_socket_group: self.unix_socket_group.clone(),
            n_workers: self.n_workers,
            event_loop_backend: self.event_loop_backend,
            packet_buffer_size: self.packet_buffer_size,
            max_pending_finished_sessions: self.max_pending_finished_sessions,
        }
    }

    /// Whether to serve in the background, given what is configured.
    #[must_use]
    pub fn daemon(&self, configured: bool) -> bool {
        self.daemon || configured && !self.no_daemon
    }

    /// Whether this is the process in the background already.
    #[must_use]
    pub fn detached(&self) -> bool {
        self.detached
    }

    /// What the command line says about the log goes before what is configured.
    pub fn apply_to_log(&self, log: &mut Log) {
        if self.verbose {
            log.level = LogLevel::ALL;
        } else if self.quiet {
            log.level = LogLevel::NONE;
        } else if let Some(level) = self.log_level.as_deref().and_then(|text| log.level.apply(text).ok()) {
            log.level = level;
        }
        if let Some(path) = &self.log_path {
            log.path = Some(path.clone());
        }
        log.use_syslog |= self.syslog;
        if let Some(facility) = &self.syslog_facility {
            log.syslog_facility = facility.to_lowercase();
        }
    }
}

/// As seen from here: in the background the working directory is another one.
///
/// # Errors
///
/// The working directory is unknown.
pub fn absolute_path(text: &str) -> Result<PathBuf, String> {
    std::path::absolute(text).map_err(|error| error.to_string())
}

fn absolute_text(text: &str) -> Result<String, String> {
    let path = absolute_path(text)?;
    path.into_os_string().into_string().map_err(|path| format!("not UTF-8: {}", path.display()))
}

fn log_path(text: &str) -> Result<String, String> {
    if text == "-" { Ok(text.to_owned()) } else { absolute_text(text) }
}

/// A user or group id.
fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (parsed, rest) = text.split_at(digits);
        let mut rest = rest.chars();
        let bad = rest.next().map(String::from).unwrap_or_default();
        format!("invalid integer value: <{text}>({parsed}>{bad}<{})", rest.as_str())
    })
}

fn workers(text: &str) -> Result<u32, String> {
    match number(text)? {
        parsed if parsed > MOST_WORKERS => {
            Err(format!("too big: <{text}>: parsed=<{parsed}>, max=<{MOST_WORKERS}>"))
        }
        parsed => Ok(parsed),
    }
}

fn log_level(text: &str) -> Result<String, String> {
    LogLevel::DEFAULT.apply(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}
