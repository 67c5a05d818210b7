//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser};
use millstream_config::{ConnectionSpec, LoadOptions, Overrides};
use millstream_service::{ServiceOptions, absolute_path, complaint, with_help};

use crate::control;
use crate::explain::MailOptions;

/// Where the configuration is looked for after `--config-dir`.
const CONFIG_DIR_VARIABLE: &str = "MILTER_MANAGER_CONFIG_DIR";

/// Puts several milters behind one, for Postfix and Sendmail.
///
/// Of options that say the same the last one counts.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "milter-manager",
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true
)]
pub(crate) struct Options {
    /// Look for the configuration in DIRECTORY first
    #[arg(short = 'c', long, value_name = "DIRECTORY", value_parser = absolute_path)]
    pub(crate) config_dir: Option<PathBuf>,

    /// What the variable of the environment says, as seen from where the program was started: at a reload in the background the
    /// working directory is another one.
    #[arg(skip)]
    second_config_dir: Option<PathBuf>,

    /// Listen at SPEC: unix:PATH, inet:PORT@HOST or inet6:PORT@HOST
    #[arg(short = 's', long, visible_alias = "spec", value_name = "SPEC", value_parser = connection_spec)]
    connection_spec: Option<String>,

    /// Print the configuration and exit
    #[arg(long)]
    pub(crate) show_config: bool,

    /// Look for everything that is wrong with the configuration, print it and exit; status 1 when there is anything
    #[arg(long, conflicts_with = "show_config")]
    pub(crate) check_config: bool,

    /// Print for each milter whether it would be shown a mail, and if not, which condition stops it
    #[arg(long, group = "has_json", conflicts_with_all = ["show_config", "check_config"])]
    pub(crate) explain: bool,

    /// Ask the running milter-manager, at controller.connection_spec, or have it reload
    #[arg(long, value_name = "COMMAND", value_enum, group = "has_json", conflicts_with_all = ["show_config", "check_config"])]
    pub(crate) control: Option<control::Command>,

    /// Print which milters are installed, and why each is enabled, disabled or not defined
    #[arg(long, group = "has_json", conflicts_with_all = ["show_config", "check_config", "explain", "control"])]
    pub(crate) detect: bool,

    /// Look for installed milters below DIRECTORY, as in an image or a container; nothing of it is run
    #[arg(long, value_name = "DIRECTORY", value_parser = folder)]
    pub(crate) root: Option<PathBuf>,

    /// With --control, --explain or --detect: answer as JSON, for programs
    #[arg(long, requires = "has_json")]
    pub(crate) json: bool,

    /// Show the whole program at work: two built-in milters, two messages, real sockets
    #[arg(long)]
    pub(crate) demo: bool,

    /// Print the version and exit
    #[arg(long)]
    version: bool,

    /// Print this
    #[arg(short = 'h', long, visible_aliases = ["help-all", "help-milter"], action = ArgAction::Help)]
    help: Option<bool>,

    /// This is the process that stays root and starts milters; its standard input leads to the manager
    #[arg(long, hide = true)]
    pub(crate) launcher: bool,

    /// milter manager ignores them; here that is told
    #[arg(hide = true)]
    pub(crate) ignored: Vec<OsString>,

    // Last: what stands behind would come under their titles.
    #[command(flatten)]
    pub(crate) mail: MailOptions,

    #[command(flatten)]
    pub(crate) service: ServiceOptions,
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
        let matches = with_help(Self::command()).try_get_matches_from(arguments);
        match matches.and_then(|matches| Self::from_arg_matches(&matches)) {
            Ok(options) if options.version => {
                Ok(Action::Print(format!("milter-manager {}", env!("CARGO_PKG_VERSION"))))
            }
            Ok(options) if !options.explain && options.mail.tell_something() => {
                Err("which mail is meant can be told with --explain only".to_owned())
            }
            Ok(mut options) => {
                options.second_config_dir = variable_config_dir()?;
                Ok(Action::Run(Box::new(options)))
            }
            Err(error) if error.kind() == ErrorKind::DisplayHelp => Ok(Action::Print(error.to_string())),
            Err(error) => Err(complaint(&error, Self::command())),
        }
    }

    /// Where the configuration comes from.
    pub(crate) fn load_options(&self) -> LoadOptions {
        let mut options = LoadOptions::default();
        let named = [&self.config_dir, &self.second_config_dir].into_iter().flatten().cloned();
        options.config_dirs = named.chain(options.config_dirs).collect();
        if let Some(root) = &self.root {
            options.root.clone_from(root);
        }
        options.overrides =
            Overrides { connection_spec: self.connection_spec.clone(), ..self.service.overrides() };
        options
    }
}

/// An empty one would mean the working directory, and is none.
fn variable_config_dir() -> Result<Option<PathBuf>, String> {
    let name = std::env::var_os(CONFIG_DIR_VARIABLE).filter(|name| !name.is_empty());
    let path = name.map(std::path::absolute).transpose();
    path.map_err(|error| format!("{CONFIG_DIR_VARIABLE}: {error}"))
}

/// One that is there: below a mistyped one nothing would be installed.
fn folder(text: &str) -> Result<PathBuf, String> {
    let path = absolute_path(text)?;
    let metadata = std::fs::metadata(&path).map_err(|error| error.to_string())?;
    if metadata.is_dir() { Ok(path) } else { Err("a directory was expected".to_owned()) }
}

fn connection_spec(text: &str) -> Result<String, String> {
    text.parse::<ConnectionSpec>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use millstream_config::{EventLoopBackend, Log, LogLevel};

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
        assert_eq!(text, "--connection-spec: port number has invalid character: <inet:x>: <x>");
    }

    #[test]
    fn an_event_loop_that_nobody_knows_is_refused_with_those_that_are_known() {
        let Err(text) = parse(&["--event-loop-backend", "epoll"]) else { panic!() };
        assert!(text.contains("it should be one of [\"std\", \"smol\", "), "{text}");
        let chosen = options(&["--event-loop-backend=libev"]).load_options().overrides.event_loop_backend;
        assert_eq!(chosen, Some(EventLoopBackend::Libev));
    }

    #[test]
    fn the_last_of_options_that_say_the_same_wins() {
        let options = options(&[
            "-c",
            "/a",
            "--config-dir=/b",
            "-u5",
            "--user-name",
            "filter",
            "--daemon",
            "--no-daemon",
        ]);
        assert_eq!(options.config_dir, Some(PathBuf::from("/b")));
        let Overrides { effective_user, .. } = options.load_options().overrides;
        assert_eq!(effective_user.as_deref(), Some("filter"));
        assert!(!options.service.daemon(true));
    }

    #[test]
    fn the_background_is_configured_unless_the_command_line_says_otherwise() {
        assert!(options(&["--no-daemon", "--daemon"]).service.daemon(false));
        assert!(options(&[]).service.daemon(true));
        assert!(!options(&[]).service.daemon(false));
    }

    #[test]
    fn what_the_packaged_services_pass_is_understood() {
        let options = options(&[
            "--daemon",
            "--pid-file",
            "/run/m.pid",
            "--connection-spec",
            "inet:10025",
            "--user-name",
            "milter-manager",
            "--group-name",
            "mail",
            "--unix-socket-group",
            "postfix",
            "--unix-socket-mode=ug=rw",
            "--n-workers=2",
        ]);
        let overrides = options.load_options().overrides;
        assert_eq!(overrides.pid_file.as_deref(), Some("/run/m.pid"));
        assert_eq!(overrides.effective_group.as_deref(), Some("mail"));
        assert_eq!(overrides.unix_socket_group.as_deref(), Some("postfix"));
        assert_eq!((overrides.unix_socket_mode, overrides.n_workers), (Some(0o660), Some(2)));
    }

    #[test]
    fn a_number_that_is_none_is_refused_with_what_is_wrong_about_it() {
        for (argument, reason) in [
            ("--user-id=12x4", "invalid integer value: <12x4>(12>x<4)"),
            ("--n-workers=1001", "too big: <1001>: parsed=<1001>, max=<1000>"),
        ] {
            let Err(text) = parse(&[argument]) else { panic!() };
            assert!(text.contains(reason), "{text}");
        }
    }

    #[test]
    fn a_log_level_with_a_sign_changes_the_configured_one() {
        let mut log = Log::default();
        options(&["--log-level", "-statistics", "--log-path", "-"]).service.apply_to_log(&mut log);
        assert!(!log.level.logs(LogLevel::STATISTICS));
        assert!(log.level.logs(LogLevel::ERROR));
        assert_eq!(log.path.as_deref(), Some("-"));
    }

    #[test]
    fn paths_are_as_seen_from_here() {
        let mut log = Log::default();
        let options = options(&["--log-path=m.log", "-c", "etc"]);
        options.service.apply_to_log(&mut log);
        let here = std::env::current_dir().unwrap();
        assert_eq!(log.path, Some(here.join("m.log").to_str().unwrap().to_owned()));
        assert_eq!(options.config_dir, Some(here.join("etc")));
    }

    #[test]
    fn what_is_unknown_is_an_error_and_what_is_left_over_is_not() {
        let Err(text) = parse(&["--no-such-option"]) else { panic!() };
        // The help stands behind, as in milter manager.
        assert!(
            text.contains("'--no-such-option'")
                && text.contains("\n\nUsage:\n  milter-manager [OPTION...]\n")
        );
        assert_eq!(options(&["start"]).ignored, ["start"]);
    }
}
