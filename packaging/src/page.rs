//! A manual page.

use std::io;

use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use millstream_service::usage;

use crate::Program;

/// The manual page of a program, for `man`, with its date as in `2026-11-22`.
///
/// # Errors
///
/// None that has been seen: it is written to memory.
pub fn page(program: &Program, date: &str) -> io::Result<Vec<u8>> {
    let command = (program.command)();
    let usage = usage(&command);
    let command = command.override_usage(usage).mut_args(with_aliases);
    let man = Man::new(named(command))
        .section(program.section.to_string())
        .date(date)
        .source(concat!("Millstream ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    let mut more = Roff::new();
    for (title, paragraph) in program.more {
        more.control("SH", [*title]).text([roman(*paragraph)]);
    }
    more.to_writer(&mut text)?;
    Ok(text)
}

/// The line of `whatis` is one in lower case, without a full stop.
fn named(command: Command) -> Command {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut letters = about.trim_end_matches('.').chars();
    let first = letters.next().map(|letter| letter.to_lowercase().to_string()).unwrap_or_default();
    let long = command
        .get_long_about()
        .cloned()
        .unwrap_or_else(|| format!("{}.", about.trim_end_matches('.')).into());
    command.about(format!("{first}{}", letters.as_str())).long_about(long)
}

/// Other names of an option are told in its text.
fn with_aliases(option: Arg) -> Arg {
    let others = option.get_visible_aliases().unwrap_or_default();
    if others.is_empty() {
        return option;
    }
    let others: Vec<String> = others.iter().map(|name| format!("--{name}")).collect();
    let help = option.get_help().map(ToString::to_string).unwrap_or_default();
    option.help(format!("{help}. Also {}", others.join(", ")))
}
