//! The programs of Millstream.
//!
//! ```text
//!   options ── configuration ──┬── --show-config, --check-config
//!                              ├── --detect ── detect
//!                              ├── --explain ── explain
//!                              ├── --demo ── demo
//!                              ├── --control ── control
//!                              └── (in the background) daemon: launcher, listen, privileges, service on a runtime,
//!                                  signals, host names, log
//! ```

#![forbid(unsafe_code)]

mod backend;
mod control;
mod current;
mod custom_directory;
mod daemon;
mod demo;
mod detect;
mod explain;
mod launcher;
mod log;
mod names;
mod options;
mod reach;
mod sentences;
mod service;
mod settings;
mod statistics;
mod supervisor;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use daemon::DaemonError;
use millstream_config::{LoadOptions, Loaded, Message, Problem};
use millstream_core::policy::RemarkLevel;
use millstream_service::{Behind, start_behind};
use options::{Action, Options};

/// The options of `milter-manager`.
#[must_use]
pub fn command() -> clap::Command {
    <Options as clap::CommandFactory>::command()
}

/// Runs `milter-manager` with its command line and returns its exit status: 0 when all went well, 1 otherwise.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let [_, step, command @ ..] = &arguments[..]
        && step == launcher::STEP
    {
        return launcher::start_milter(command);
    }
    let options = match Options::parse(arguments) {
        Ok(Action::Run(options)) => options,
        Ok(Action::Print(text)) => return print(&text, ExitCode::SUCCESS),
        // milter manager's scripts look for this on standard output.
        Err(text) => return print(&text, ExitCode::FAILURE),
    };
    // Who stays at the terminal has said it.
    if !options.service.detached() {
        for argument in &options.ignored {
            complain(&format!("not an option, and ignored: {}", argument.display()));
        }
        for problem in log::Environment::read().problems {
            complain(&problem);
        }
    }
    if options.demo {
        return demo::run();
    }
    if options.launcher {
        return launcher::serve(&options);
    }
    let load_options = options.load_options();
    let mut loaded = load(&load_options, &options);
    if let Some(command) = options.control {
        return match control::run(command, options.json, &loaded) {
            Ok(text) => print(&text, ExitCode::SUCCESS),
            Err(text) if options.json => print(&text, ExitCode::FAILURE),
            Err(text) => {
                complain(&text);
                ExitCode::FAILURE
            }
        };
    }
    if options.show_config || options.check_config {
        let mut problems = loaded.problems;
        // What would stand in the way of a start, too.
        if problems.is_empty() {
            let hosts = names::hosts(&names::of(&loaded.configuration), &loaded.configuration);
            problems.extend(loaded.configuration.policy_at(&hosts).err().into_iter().flatten());
        }
        report(&problems);
        for remark in loaded.configuration.without_effect() {
            complain(&remark.to_string());
        }
        for warning in loaded.configuration.warnings() {
            complain(&warning.to_string());
        }
        warn_of(&loaded.messages);
        if options.check_config && options.root.is_none() {
            let who = reach::Who::configured(&loaded.configuration.security);
            for unreachable in who.iter().flat_map(|who| who.cannot_reach(&loaded.configuration)) {
                complain(&unreachable.text);
            }
        }
        let status = if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        if options.check_config {
            if !problems.is_empty() {
                complain(&format!("{} in the configuration", count(problems.len(), "problem")));
                return status;
            }
            // Of another system it is not known who is there.
            let missing = match options.root {
                None => settings::missing_accounts(&loaded.configuration),
                Some(_) => Vec::new(),
            };
            missing.iter().for_each(|account| complain(account));
            return if missing.is_empty() { status } else { ExitCode::FAILURE };
        }
        let shown = loaded.configuration.shown();
        for lost in &shown.lost {
            complain(&format!("{lost}; what is printed does not load to the same"));
        }
        return print(&shown.text, if shown.lost.is_empty() { status } else { ExitCode::FAILURE });
    }
    if options.detect {
        report(&loaded.problems);
        let status = if loaded.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        return print(&detect::detect(&loaded, options.root.as_deref(), options.json), status);
    }
    if !loaded.problems.is_empty() {
        report(&loaded.problems);
        let lacking = if options.explain { "nothing is explained" } else { "not started" };
        complain(&format!("{lacking}: {} in the configuration", count(loaded.problems.len(), "problem")));
        return ExitCode::FAILURE;
    }
    if options.explain {
        return match explain::explain(&loaded.configuration, &options.mail, options.json) {
            Ok(text) => print(&text, ExitCode::SUCCESS),
            Err(errors) => {
                errors.iter().for_each(|error| complain(error));
                ExitCode::FAILURE
            }
        };
    }
    // Only looked at here, and not kept for the life of the process.
    loaded.detected = Vec::new();
    let behind = if options.service.detached() {
        Some(Behind::leave_terminal())
    } else if options.service.daemon(loaded.configuration.manager.daemon) {
        return start_behind().unwrap_or_else(|error| fail(&DaemonError::Background(error)));
    } else {
        None
    };
    match behind
        .transpose()
        .map_err(DaemonError::Background)
        .and_then(|behind| daemon::run(&loaded, &options, behind))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &DaemonError) -> ExitCode {
    complain(&error.to_string());
    ExitCode::FAILURE
}

/// Loads the configuration and applies what the command line says about the log.
fn load(load_options: &LoadOptions, options: &Options) -> Loaded {
    let mut loaded = millstream_config::load(load_options);
    if let Some(directory) = custom_directory::of(&loaded.configuration) {
        loaded = millstream_config::load(&directory.with(load_options));
    }
    log::Environment::read().apply(&mut loaded.configuration.log);
    options.service.apply_to_log(&mut loaded.configuration.log);
    loaded.problems.extend(backend::chosen(&loaded.configuration).err());
    loaded
}

/// What the files have to warn of, and what is odd about installed milters.
fn warn_of(messages: &[Message]) {
    let warns = |level| matches!(level, RemarkLevel::Critical | RemarkLevel::Error | RemarkLevel::Warning);
    for message in messages.iter().filter(|message| warns(message.level)) {
        let place = message.location.as_ref().map_or(String::new(), |place| format!("{place}: "));
        complain(&format!("{place}{}", log::printable(message.text.as_bytes())));
    }
}

fn report(problems: &[Problem]) {
    for problem in problems {
        complain(&problem.to_string());
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A line for the person at the terminal. When there is nobody to read it, nothing can be done about that.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "milter-manager: {text}");
}

fn print(text: &str, status: ExitCode) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let ended = if text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{ended}").and_then(|()| out.flush()) {
        Ok(()) => status,
        Err(_) => ExitCode::FAILURE,
    }
}
