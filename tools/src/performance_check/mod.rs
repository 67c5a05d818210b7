//! `milter-performance-check`: loads an SMTP server, or a milter, and tells what mails took.

mod address;
mod auth_map;
mod generated;
mod mails;
mod milter;
mod options;
mod period;
mod progress;
mod report;
mod run;
mod sender;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory as _;
use options::Options;

use crate::program;

/// Its options.
#[must_use]
pub fn command() -> clap::Command {
    Options::command()
}

/// Runs the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (options, matches) = match program::parse::<Options>(command(), arguments) {
        Ok(parsed) => parsed,
        Err(ending) => return ending,
    };
    let run = options.request(&matches).and_then(|request| {
        run::run(&request, options.report_statistics_data.as_deref())
            .map(|run| (run, request.table_interval.is_some()))
    });
    match run {
        Ok((run, _)) if options.json => program::print(format!("{}\n", report::json(&run)).as_bytes()),
        Ok((run, had_table)) => {
            let gap = if had_table { "\n" } else { "" };
            let text = report::text(&run, options.report_failure_responses);
            program::print(format!("{gap}{text}").as_bytes());
        }
        Err(message) => return program::fail(&message),
    }
    ExitCode::SUCCESS
}
