//! What is wrong with a command line, in milter manager's words.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

use crate::help::help;

/// What is wrong: `OPTION: TEXT` for a value that cannot be; behind an unknown option, all that there are.
#[must_use]
pub fn complaint(error: &Error, command: Command) -> String {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let said = text.split("\n\nUsage:").next().unwrap_or(&text).trim_end();
            format!("{said}\n\n{}", help(command))
        }
        ErrorKind::ValueValidation => wrong_value(error).unwrap_or(text),
        _ => text,
    }
}

fn wrong_value(error: &Error) -> Option<String> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    // With the name of its value behind.
    let option = context(ContextKind::InvalidArg)?.split_whitespace().next()?;
    let value = context(ContextKind::InvalidValue)?;
    let reason = error.source()?.to_string();
    // Not every parser names it.
    let value = if reason.contains(value) { String::new() } else { format!(": <{value}>") };
    Some(format!("{option}: {reason}{value}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use clap::{Arg, value_parser};

    use super::*;
    use crate::parse_socket_mode;

    fn said(argument: &str) -> String {
        let mode = Arg::new("mode").long("mode").value_name("MODE").value_parser(parse_socket_mode);
        let number = Arg::new("number").short('n').long("number").value_parser(value_parser!(u32));
        let command = Command::new("milter-example").arg(mode).arg(number);
        complaint(&command.clone().try_get_matches_from(["milter-example", argument]).unwrap_err(), command)
    }

    #[test]
    fn a_value_that_cannot_be_is_told_with_its_option() {
        assert_eq!(said("--mode=0660"), "--mode: must be at most 3 digits: <0660>");
        assert_eq!(said("-nx"), "--number: invalid digit found in string: <x>");
    }

    #[test]
    fn behind_an_unknown_option_are_those_that_there_are() {
        let text = said("--nothing");
        assert!(
            text.starts_with("error: unexpected argument '--nothing' found\n\nUsage:\n  milter-example "),
            "{text}"
        );
        assert!(text.contains("\n  --mode=MODE"), "{text}");
    }
}
