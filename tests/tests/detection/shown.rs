//! What `--show-config` prints of milters.

use std::path::Path;
use std::process::Command;

use millstream_tests::manager::program;

/// A milter of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) spec: Option<String>,
    pub(crate) conditions: Vec<String>,
}

/// The milters that the program has for the configuration in `folder`, in order; `command` ends in the program, and gets `arguments`.
pub(crate) fn milters(mut command: Command, folder: &Path, arguments: &[&str]) -> Vec<Shown> {
    command
        .arg("-c")
        .arg(folder)
        .args(arguments)
        .arg("--show-config")
        .env_remove("MILTER_MANAGER_CONFIG_DIR");
    let output = command.output().expect("the program runs");
    let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{said}");
    read(&text)
}

/// The program itself.
pub(crate) fn plain() -> Command {
    Command::new(program())
}

fn read(text: &str) -> Vec<Shown> {
    let mut milters: Vec<Shown> = Vec::new();
    let mut lists_conditions = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("define_milter(").and_then(quoted) {
            let name = name.to_owned();
            milters.push(Shown { name, enabled: true, spec: None, conditions: Vec::new() });
        }
        let Some(milter) = milters.last_mut() else { continue };
        if lists_conditions {
            lists_conditions = line != "]";
            milter.conditions.extend(quoted(line).map(str::to_owned));
        } else if let Some(value) = line.strip_prefix("milter.enabled = ") {
            milter.enabled = value == "true";
        } else if let Some(value) = line.strip_prefix("milter.connection_spec = ") {
            milter.spec = quoted(value).map(str::to_owned);
        } else if let Some(value) = line.strip_prefix("milter.applicable_conditions = ") {
            milter.conditions = value.split(", ").filter_map(quoted).map(str::to_owned).collect();
            lists_conditions = !value.ends_with(']');
        } else if let Some(value) = line.strip_prefix("milter.add_applicable_condition(") {
            milter.conditions.extend(quoted(value).map(str::to_owned));
        }
    }
    milters
}

/// What stands between the first quotes.
fn quoted(text: &str) -> Option<&str> {
    text.split('"').nth(1)
}
