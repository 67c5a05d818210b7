//! The word behind an option in a command's words.

use crate::setting::Setting;
use crate::survey::Survey;

/// What stands behind `option` in the words of `flags`: the word after the last one that is the option, else the rest of the last one
/// that starts with it, less one `=`. A value that starts with `$` does not count, nor does anything behind a lone `--`, which is for
/// another program. Words that cannot be split are a warning, and nothing is found.
pub(crate) fn option(survey: &mut Survey<'_>, flags: Option<&Setting>, option: &str) -> Option<Setting> {
    let flags = flags?;
    let Some(words) = shlex::split(&flags.value) else {
        let text = format!(
            "words of a command were expected, and a quote is not closed; {option} is not looked for in them"
        );
        survey.warn(&flags.by.path, flags.by.line, text);
        return None;
    };
    value(words, option).map(|value| flags.with(value))
}

fn value(mut words: Vec<String>, option: &str) -> Option<String> {
    if let Some(end) = words.iter().position(|word| word == "--") {
        words.truncate(end);
    }
    let value = match words.iter().rposition(|word| word == option) {
        Some(at) => words.into_iter().nth(at + 1),
        None => {
            let rest = |word: &String| {
                let rest = word.strip_prefix(option)?;
                let rest = rest.strip_prefix('=').unwrap_or(rest);
                (!rest.starts_with('$')).then(|| rest.to_owned())
            };
            words.iter().rev().find_map(rest)
        }
    };
    value.filter(|value| !value.starts_with('$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_has_its_word_behind_it_or_attached() {
        for (flags, of, expected) in [
            ("-p inet:8@h", "-p", Some("inet:8@h")),
            ("-pinet:8@h", "-p", Some("inet:8@h")),
            ("--config-file=/c", "--config-file", Some("/c")),
            ("--config-file /c", "--config-file", Some("/c")),
            ("-p $SOCK", "-p", None),
            ("-p$S -p inet:9@h", "-p", Some("inet:9@h")),
            ("-pa -pb -p$S", "-p", Some("b")),
            ("-p a -p 'b c'", "-p", Some("b c")),
            ("-p a -p", "-p", None),
            ("-P x", "-p", None),
            ("-p /s -- -p 783", "-p", Some("/s")),
            ("", "-p", None),
        ] {
            let found = value(shlex::split(flags).unwrap(), of);
            assert_eq!(found.as_deref(), expected, "{flags}");
        }
    }
}
