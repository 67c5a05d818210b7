//! `milter-test-server`: plays the MTA's side against one milter.

mod options;

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::CommandFactory as _;
use options::{Options, Request};

use crate::connection::Connection;
use crate::dialogue::Dialogue;
use crate::mask::{self, Mask};
use crate::outcome::{Outcome, Status};
use crate::record::{self, Entry};
use crate::replay::{Difference, Replay};
use crate::{flags, json, program, report};

/// The result is one that `--fail-on` names, or a record was answered otherwise.
const NAMED: u8 = 2;

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
    let request = match options.request(&matches) {
        Ok(request) => request,
        Err(message) => return program::fail(&message),
    };
    if let Some(file) = &options.replay {
        return replayed(&request, file);
    }
    let statuses: Vec<u8> = match options.threads {
        0 | 1 => vec![session(&options, &request)],
        threads => std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| session(&options, &request))).collect();
            running.into_iter().map(|session| session.join().unwrap_or(program::FAILED)).collect()
        }),
    };
    // Nobody reached is worse than an answer that was not wished for.
    let status = if statuses.contains(&program::FAILED) {
        program::FAILED
    } else {
        statuses.into_iter().max().unwrap_or(0)
    };
    ExitCode::from(status)
}

/// One session, printed. Returns the exit status that it asks for.
fn session(options: &Options, request: &Request) -> u8 {
    let begin = Instant::now();
    let mut dialogue = Dialogue::new(request.plan.clone());
    let opened = Connection::open(&request.spec, request.timeouts);
    let begin = if opened.is_ok() { Instant::now() } else { begin };
    let mut recorded = Ok(());
    let result = opened.and_then(|mut connection| {
        if let Some(file) = &options.record {
            connection.record();
            let result = connection.drive(&mut dialogue);
            recorded = save(connection.take_record(), file, &request.mask);
            return result;
        }
        connection.drive(&mut dialogue)
    });
    if let Err(message) = recorded {
        program::print(format!("{message}\n").as_bytes());
        return program::FAILED;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let text = match &result {
        Err(error) if options.json => line(&json::broken(&error.to_string(), seconds)),
        Err(error) => format!("{error}\n").into_bytes(),
        Ok(()) => {
            let (mail, outcome) = dialogue.into_outcome();
            return concluded(options, request, &mail, &outcome, seconds);
        }
    };
    program::print(&text);
    match result {
        Err(error) if error.is_unconnected() => program::FAILED,
        _ => named(request, Status::Error),
    }
}

fn save(mut entries: Vec<Entry>, file: &Path, masks: &[Mask]) -> Result<(), String> {
    mask::mask(&mut entries, masks);
    record::save(&entries, file)
        .map_err(|error| format!("{}: the record cannot be written: {error}", file.display()))
}

/// Plays a record, and tells what was answered otherwise.
fn replayed(request: &Request, file: &Path) -> ExitCode {
    let text = fs::read_to_string(file).map_err(|error| error.to_string());
    let entries = text.and_then(|text| record::read(&text).map_err(|error| error.to_string()));
    let entries = match entries {
        Ok(entries) => entries,
        Err(message) => return program::fail(&format!("{}: {message}", file.display())),
    };
    let mut replay = Replay::new(entries);
    let result = Connection::open(&request.spec, request.timeouts)
        .and_then(|mut connection| connection.drive(&mut replay));
    let mut text = String::new();
    for Difference { number, command, recorded, came } in &replay.differences {
        text += &format!("answer {number}, to {command}: recorded {recorded}, came {came}\n");
    }
    text += &format!(
        "replayed: {} commands, {} answers, {} of them other ones\n",
        replay.commands,
        replay.answers,
        replay.differences.len()
    );
    match result {
        Err(error) if error.is_unconnected() => program::fail(&error.to_string()),
        Err(error) => {
            program::print(format!("{text}{error}\n").as_bytes());
            ExitCode::from(NAMED)
        }
        Ok(()) => {
            program::print(text.as_bytes());
            ExitCode::from(if replay.differences.is_empty() { 0 } else { NAMED })
        }
    }
}

fn concluded(
    options: &Options,
    request: &Request,
    mail: &crate::mail::Mail,
    outcome: &Outcome,
    seconds: f64,
) -> u8 {
    let spaced = outcome.negotiated.protocol.has(millstream_core::wire::Protocol::HEADER_LEADING_SPACE);
    let edited = mail.edited(&outcome.edits, spaced);
    let mut text = if options.json {
        line(&json::outcome(outcome, seconds, &edited))
    } else {
        report::summary(outcome, seconds)
    };
    if options.verbose && !options.json {
        text = [conversation(outcome).into_bytes(), text].concat();
    }
    if options.output_message && !options.json {
        text.push(b'\n');
        text.extend_from_slice(&report::message(mail, &edited, request.color));
    }
    program::print(&text);
    named(request, outcome.status)
}

/// What was negotiated and what each command was answered.
fn conversation(outcome: &Outcome) -> String {
    let negotiated = &outcome.negotiated;
    let mut text = format!(
        "negotiate: version=<{}>, action=<{}>, step=<{}>\n",
        negotiated.version,
        flags::actions(negotiated.actions).join("|"),
        flags::steps(negotiated.protocol).join("|"),
    );
    for (stage, answer) in &outcome.answers {
        text += &format!("{stage}: {answer}\n");
    }
    text
}

/// The exit status for a result.
fn named(request: &Request, status: Status) -> u8 {
    if request.fail_on.contains(&status) { NAMED } else { 0 }
}

fn line(value: &serde_json::Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}
