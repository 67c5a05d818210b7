//! The programs that start milters, as root's own files have them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use millstream_config::{Configuration, Loaded, Milter};

use super::trust;

/// How a milter is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    /// The program and its arguments, at least one word.
    pub(super) words: Vec<String>,
    /// As whom; nobody named is root, as init scripts need it.
    pub(super) user: Option<String>,
}

/// The enabled milters; those that nobody starts have nothing.
pub(super) type Commands = BTreeMap<String, Option<Start>>;

/// What `loaded` says, if root alone has said it, and what is wrong with single commands.
///
/// # Errors
///
/// The configuration has problems, or somebody else than root can write one of its files.
pub(super) fn of(loaded: &Loaded) -> Result<(Commands, Vec<String>), String> {
    if let Some(problem) = loaded.problems.first() {
        return Err(problem.to_string().replace('\n', " | "));
    }
    match loaded.files.iter().find_map(|file: &PathBuf| trust::doubt(file)) {
        Some(doubt) => Err(doubt),
        None => Ok(in_configuration(&loaded.configuration)),
    }
}

fn in_configuration(configuration: &Configuration) -> (Commands, Vec<String>) {
    let mut wrong = Vec::new();
    let mut start = |milter: &Milter| match start(milter) {
        Ok(start) => start,
        Err(reason) => {
            wrong.push(format!("{}: {reason}", milter.name));
            None
        }
    };
    let enabled = configuration.milters.iter().filter(|milter| milter.enabled);
    let commands = enabled.map(|milter| (milter.name.clone(), start(milter))).collect();
    (commands, wrong)
}

fn start(milter: &Milter) -> Result<Option<Start>, String> {
    let Some(command) = &milter.command else { return Ok(None) };
    let line = match &milter.command_options {
        Some(options) => format!("{command} {options}"),
        None => command.clone(),
    };
    let words = shlex::split(&line)
        .ok_or_else(|| format!("milter.command is no command line, a quote is not closed: {line}"))?;
    if words.is_empty() {
        return Err("milter.command is empty".to_owned());
    }
    Ok(Some(Start { words, user: milter.user_name.clone() }))
}

#[cfg(test)]
mod tests {
    use millstream_config::{LoadOptions, load_str};

    use super::*;

    fn loaded(source: &str) -> Loaded {
        load_str("test.conf", source, &LoadOptions::default())
    }

    fn define(name: &str, lines: &str) -> String {
        format!("define_milter(\"{name}\") {{|milter| milter.connection_spec = \"unix:/m\"; {lines} }}\n")
    }

    #[test]
    fn a_command_is_split_as_a_shell_does_and_nothing_is_expanded() {
        let source = define("one", "milter.command = \"/usr/bin/start 'the tagger'\"")
            + &define(
                "two",
                "milter.command = \"/bin/start\"; milter.command_options = [\"a b\", \"$HOME\", \"*\", \"\"]; \
                 milter.user_name = \"filter\"",
            )
            + &define("three", "")
            + &define("four", "milter.enabled = false; milter.command = \"/bin/start\"");
        let (commands, wrong) = of(&loaded(&source)).unwrap();
        let start = |words: &[&str], user: Option<&str>| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            Some(Start { words, user: user.map(str::to_owned) })
        };
        let expected = [
            ("one", start(&["/usr/bin/start", "the tagger"], None)),
            ("three", None),
            ("two", start(&["/bin/start", "a b", "$HOME", "*", ""], Some("filter"))),
        ];
        assert_eq!(commands, expected.map(|(name, start)| (name.to_owned(), start)).into());
        assert_eq!(wrong, [""; 0]);
    }

    #[test]
    fn a_command_that_is_none_is_told_and_the_others_count() {
        let source = define("open", "milter.command = \"/bin/start 'x\"")
            + &define("blank", "milter.command = \" \"")
            + &define("good", "milter.command = \"/bin/start\"");
        let (commands, wrong) = of(&loaded(&source)).unwrap();
        assert_eq!(commands.values().filter(|start| start.is_some()).count(), 1);
        assert_eq!(
            wrong,
            [
                "open: milter.command is no command line, a quote is not closed: /bin/start 'x",
                "blank: milter.command is empty"
            ]
        );
    }

    #[test]
    fn a_configuration_with_problems_is_not_followed() {
        let reason = of(&loaded("manager.no_such_thing = 1")).unwrap_err();
        assert!(reason.starts_with("test.conf:1:"), "{reason}");
    }
}
