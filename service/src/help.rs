//! `--help` in the layout of milter manager's programs: an option a line, groups of them with a title.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

/// The title of options that belong to no group.
const OWN: &str = "Application Options";

/// The command with that help.
#[must_use]
pub fn with_help(command: Command) -> Command {
    let text = help(command.clone());
    command.override_help(text)
}

/// The text: help options, then the groups, then what is the program's own.
#[must_use]
pub fn help(mut command: Command) -> String {
    command.build();
    let mut text = format!("Usage:\n  {}\n", usage(&command));
    if let Some(about) = command.get_about() {
        let _ = write!(text, "\n{about}\n");
    }
    let shown: Vec<(&str, String, String)> = command
        .get_arguments()
        .filter(|option| !option.is_hide_set() && !option.is_positional())
        .map(|option| (group(option), names(option), meaning(option)))
        .collect();
    let width = shown.iter().map(|(_, names, _)| names.len()).max().unwrap_or(0);
    let mut groups = vec!["Help Options"];
    groups.extend(shown.iter().map(|(group, ..)| *group));
    groups.retain(|group| *group != OWN);
    groups.push(OWN);
    let mut printed = Vec::new();
    for group in groups {
        let mut options = shown.iter().filter(|(of, ..)| *of == group).peekable();
        if options.peek().is_none() || printed.contains(&group) {
            continue;
        }
        printed.push(group);
        let _ = write!(text, "\n{group}:\n");
        for (_, names, meaning) in options {
            let _ = writeln!(text, "{names:<width$}  {meaning}");
        }
    }
    text
}

/// How it is called: its name, options, and what stands behind them.
#[must_use]
pub fn usage(command: &Command) -> String {
    let operands = command.get_positionals().filter(|operand| !operand.is_hide_set());
    let operands: String = operands.map(|operand| format!(" [{}...]", value_name(operand))).collect();
    format!("{} [OPTION...]{operands}", command.get_name())
}

fn group(option: &Arg) -> &str {
    match option.get_action() {
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong => "Help Options",
        _ => option.get_help_heading().unwrap_or(OWN),
    }
}

/// As they are written: `  -s, --connection-spec=SPEC`.
fn names(option: &Arg) -> String {
    let mut text = match (option.get_short(), option.get_long()) {
        (Some(short), Some(long)) => format!("  -{short}, --{long}"),
        (Some(short), None) => format!("  -{short}"),
        (None, long) => format!("  --{}", long.unwrap_or_default()),
    };
    let values = option.get_num_args().unwrap_or_default();
    if option.get_action().takes_values() && values.takes_values() {
        let optional = values.min_values() == 0;
        let (open, close) = if optional { ("[", "]") } else { ("", "") };
        let _ = write!(text, "{open}={}{close}", value_name(option));
    }
    text
}

fn value_name(option: &Arg) -> String {
    let names = option.get_value_names().unwrap_or_default();
    names.iter().map(clap::builder::Str::as_str).collect::<Vec<_>>().join(" ")
}

/// What it is for, what may stand there, and what counts when it is not given.
fn meaning(option: &Arg) -> String {
    let mut text = option.get_help().map(ToString::to_string).unwrap_or_default();
    let mut add = |what: &str, values: Vec<String>| {
        if !values.is_empty() {
            let _ = write!(text, " [{what}: {}]", values.join(", "));
        }
    };
    if option.get_action().takes_values() {
        let possible = option.get_possible_values();
        add("one of", possible.iter().map(|value| value.get_name().to_owned()).collect());
    }
    if !option.is_hide_default_value_set() && option.get_action().takes_values() {
        let defaults = option.get_default_values();
        add("default", defaults.iter().map(|value| value.to_string_lossy().into_owned()).collect());
    }
    let also = option.get_visible_aliases().unwrap_or_default();
    add("also", also.iter().map(|name| format!("--{name}")).collect());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_a_line_in_its_group() {
        let command = Command::new("milter-example")
            .about("Shows something")
            .arg(
                Arg::new("spec")
                    .short('s')
                    .long("spec")
                    .value_name("SPEC")
                    .help("Where")
                    .default_value("inet:1"),
            )
            .arg(Arg::new("color").long("color").value_name("WHEN").num_args(0..=1).help("Colors"))
            .arg(
                Arg::new("quiet")
                    .long("quiet")
                    .visible_alias("silent")
                    .action(ArgAction::SetTrue)
                    .help("Nothing"),
            )
            .arg(Arg::new("hidden").long("hidden").hide(true))
            .arg(
                Arg::new("user")
                    .long("user")
                    .value_name("NAME")
                    .help("As whom")
                    .help_heading("Common Options"),
            )
            .arg(Arg::new("files").value_name("FILE").num_args(0..));
        assert_eq!(
            help(command),
            "Usage:\n  milter-example [OPTION...] [FILE...]\n\nShows something\n\n\
             Help Options:\n  -h, --help       Print help\n\n\
             Common Options:\n  --user=NAME      As whom\n\n\
             Application Options:\n  -s, --spec=SPEC  Where [default: inet:1]\n  --color[=WHEN]   Colors\n  \
             --quiet          Nothing [also: --silent]\n"
        );
    }
}
