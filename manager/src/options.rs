//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use clap::error::ErrorKind;
use millstream_config::{ConnectionSpec, EventLoopBackend, LoadOptions, LogLevel, Overrides};

/// Where the configuration is looked for after `--config-dir`.
const CONFIG_DIR_VARIABLE: &str = "MILTER_MANAGER_CONFIG_DIR";

/// Puts several milters behind one, for Postfix and Sendmail.
#[derive(Debug, Clone, Parser)]
#[command(name = "milter-manager", disable_version_flag = true, args_override_self = true)]
pub(crate) struct Options {
    /// Look for the configuration in DIRECTORY first
    #[arg(short = 'c', long, value_name = "DIRECTORY")]
    pub(crate) config_dir: Option<PathBuf>,

    /// Listen at SPEC: unix:PATH, inet:PORT@HOST or inet6:PORT@HOST
    #[arg(short = 's', long, visible_alias = "spec", value_name = "SPEC", value_parser = connection_spec)]
    pub(crate) connection_spec: Option<String>,

    /// Print the configuration and exit
    #[arg(long)]
    pub(crate) show_config: bool,

    /// Look for everything that is wrong with the configuration, print it and exit; status 1 when there is anything
    #[arg(long, conflicts_with = "show_config")]
    pub(crate) check_config: bool,

    /// Serve on BACKEND: std, smol or glommio, as far as they are built in
    #[arg(long, value_name = "BACKEND")]
    pub(crate) event_loop_backend: Option<EventLoopBackend>,

    /// Stay in the foreground, whatever the configuration says
    #[arg(long)]
    pub(crate) no_daemon: bool,

    /// Log everything
    #[arg(short = 'v', long)]
    pub(crate) verbose: bool,

    /// Log nothing
    #[arg(short = 'q', long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Log LEVEL: names joined by |, a leading + or - changes the configured level
    #[arg(long, value_name = "LEVEL", value_parser = log_level, allow_hyphen_values = true)]
    pub(crate) log_level: Option<String>,

    /// Show the whole program at work: two built-in milters, two messages, real sockets
    #[arg(long)]
    pub(crate) demo: bool,

    /// Print the version and exit
    #[arg(long)]
    version: bool,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Action {
    Run(Box<Options>),
    Print(String),
}

impl Options {
    /// Reads the command line. An error is a text for standard output.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Action, String> {
        match Self::try_parse_from(arguments) {
            Ok(options) if options.version => {
                Ok(Action::Print(format!("milter-manager {}", env!("CARGO_PKG_VERSION"))))
            }
            Ok(options) => Ok(Action::Run(Box::new(options))),
            Err(error) if error.kind() == ErrorKind::DisplayHelp => Ok(Action::Print(error.to_string())),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Where the configuration comes from.
    pub(crate) fn load_options(&self) -> LoadOptions {
        let mut options = LoadOptions::default();
        let first = self.config_dir.clone().into_iter();
        // An empty one would mean the working directory.
        let second = std::env::var_os(CONFIG_DIR_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
        options.config_dirs = first.chain(second).chain(options.config_dirs).collect();
        options.overrides = Overrides {
            connection_spec: self.connection_spec.clone(),
            event_loop_backend: self.event_loop_backend,
            ..Overrides::default()
        };
        options
    }

    /// The log level that the command line asks for, given the configured one.
    pub(crate) fn log_level(&self, configured: LogLevel) -> Option<LogLevel> {
        if self.verbose {
            return Some(LogLevel::ALL);
        }
        if self.quiet {
            return Some(LogLevel::NONE);
        }
        configured.apply(self.log_level.as_deref()?).ok()
    }
}

fn connection_spec(text: &str) -> Result<String, String> {
    text.parse::<ConnectionSpec>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn log_level(text: &str) -> Result<String, String> {
    LogLevel::DEFAULT.apply(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Action, String> {
        Options::parse(std::iter::once("milter-manager").chain(arguments.iter().copied()).map(OsString::from))
    }

    fn options(arguments: &[&str]) -> Options {
        match parse(arguments) {
            Ok(Action::Run(options)) => *options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn version_is_the_line_that_scripts_know() {
        let Ok(Action::Print(text)) = parse(&["--version"]) else { panic!() };
        assert_eq!(text, format!("milter-manager {}", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn a_wrong_connection_spec_is_refused_with_its_reason() {
        let Err(text) = parse(&["-s", "inet:x"]) else { panic!() };
        assert!(text.contains("port number has invalid character: <inet:x>: <x>"), "{text}");
    }

    #[test]
    fn an_event_loop_that_nobody_knows_is_refused_with_those_that_are_known() {
        let Err(text) = parse(&["--event-loop-backend", "epoll"]) else { panic!() };
        assert!(text.contains("it should be one of [\"std\", \"smol\", "), "{text}");
        let chosen = options(&["--event-loop-backend=libev"]).load_options().overrides.event_loop_backend;
        assert_eq!(chosen, Some(EventLoopBackend::Libev));
    }

    #[test]
    fn the_last_of_repeated_options_wins() {
        let options = options(&["-c", "/a", "--config-dir=/b"]);
        assert_eq!(options.config_dir, Some(PathBuf::from("/b")));
    }

    #[test]
    fn a_log_level_with_a_sign_changes_the_configured_one() {
        let options = options(&["--log-level", "-statistics"]);
        let level = options.log_level(LogLevel::DEFAULT).unwrap();
        assert!(!level.logs(LogLevel::STATISTICS));
        assert!(level.logs(LogLevel::ERROR));
    }

    #[test]
    fn what_is_unknown_is_an_error() {
        assert!(parse(&["--no-such-option"]).is_err());
    }
}
