//! An rc script, read as text.

use std::collections::BTreeMap;

use crate::setting::{Setting, joined, numbered};
use crate::shell::{Names, Variables, assignment, expand, without_comment};
use crate::survey::Survey;

/// How many defaults are taken from one line.
const MAX_DEFAULTS: usize = 32;
/// The longest default.
const MAX_VALUE: usize = 4096;

/// What an rc script says.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// `name=`: what its variables in `rc.conf` begin with.
    pub(crate) name: String,
    /// The defaults of the variables `NAME_key`, by key, as written.
    pub(crate) defaults: BTreeMap<String, Setting>,
    /// Everything that is assigned.
    pub(crate) variables: Variables,
    /// `command_args=`, as written.
    pub(crate) command_args: Option<Setting>,
    /// `rcvar=`: the variable that switches the service on, where a plain word says so.
    pub(crate) rcvar: Option<String>,
}

impl Script {
    /// The script at `path`; `None` when there is none, or it has no name, which is a warning.
    pub(crate) fn read(survey: &mut Survey<'_>, path: &str) -> Option<Self> {
        let text = survey.read(path)?;
        let Some(script) = parse(path, &text) else {
            survey.warn(
                path,
                None,
                "a line that begins with name= was expected in an rc script; the milter is not defined",
            );
            return None;
        };
        Some(script)
    }
}

fn parse(path: &str, text: &str) -> Option<Script> {
    let name = name(path, text)?;
    let variables = variables(path, text, &name);
    let rcvar = variables.value("rcvar").filter(|value| is_name(value)).map(ToOwned::to_owned);
    let prefix = format!("{name}_");
    let mut script = Script { name, defaults: BTreeMap::new(), variables, command_args: None, rcvar };
    for (number, line) in joined(numbered(text), "") {
        script.read_line(&prefix, path, number, without_comment(&line));
    }
    Some(script)
}

impl Script {
    fn read_line(&mut self, prefix: &str, path: &str, number: u32, line: &str) {
        let mut has_default = false;
        for (key, value) in defaults(line, prefix) {
            self.defaults.insert(key.to_owned(), Setting::new(value, path, number, line));
            has_default = true;
        }
        let Some((variable, value)) = assignment_at_start(line) else { return };
        let setting = Setting::new(unquoted(value), path, number, line);
        if variable == "command_args" {
            self.command_args = Some(setting);
        } else if let Some(key) = variable.strip_prefix(prefix).filter(|key| !key.is_empty() && !has_default)
        {
            let before = self.defaults.get(key).map(|setting| setting.value.as_str());
            let value = expand(&setting.value, |name| before.filter(|_| name == variable));
            self.defaults.insert(key.to_owned(), setting.with(value));
        }
    }
}

/// The last `name=` at the beginning of a line; where there is none, one that is indented.
fn name(path: &str, text: &str) -> Option<String> {
    let mut variables = Variables::new(Names::Any);
    let (mut name, mut indented) = (None, None);
    for (number, line) in joined(numbered(text), "") {
        let Some((variable, value)) = assignment(&line, Names::Any) else { continue };
        variables.set(variable, Setting::new(value, path, number, &line), "");
        if variable == "name" {
            let found = if line.starts_with(variable) { &mut name } else { &mut indented };
            *found = variables.value(variable).map(ToOwned::to_owned);
        }
    }
    name.or(indented).filter(|name| is_name(name))
}

fn variables(path: &str, text: &str, name: &str) -> Variables {
    let mut variables = Variables::new(Names::Any);
    for (number, line) in joined(numbered(text), "") {
        let Some((variable, value)) = assignment(&line, Names::Any) else { continue };
        if !is_own_default(variable, value) {
            variables.set(variable, Setting::new(value, path, number, &line), name);
        }
    }
    variables
}

/// Whether it is `foo=${foo-default}`, which says nothing that [`defaults`] does not know.
fn is_own_default(variable: &str, value: &str) -> bool {
    let value = value.strip_prefix('"').unwrap_or(value);
    let behind = value.strip_prefix("${").and_then(|value| value.strip_prefix(variable));
    behind.is_some_and(|behind| behind.starts_with([':', '-', '=']))
}

fn assignment_at_start(line: &str) -> Option<(&str, &str)> {
    assignment(line, Names::Any).filter(|(variable, _)| line.starts_with(variable))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The defaults that a line gives to variables that begin with `prefix`: `${NAME_key=default}`, and the same with `-`, `:-` and `:=`.
///
/// milter manager does not know `:=`, which nearly all ports use by now. Its own `connection_spec` stays without it, as it was.
fn defaults<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let own = line
        .match_indices("${")
        .filter_map(move |(at, braces)| line[at + braces.len()..].strip_prefix(prefix));
    own.take(MAX_DEFAULTS).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|end| *end > 0)?;
        let (key, rest) = rest.split_at(end);
        let value = match rest.strip_prefix(":=") {
            Some(value) if key != "connection_spec" => value,
            Some(_) => return None,
            None => rest.strip_prefix(":-").or_else(|| rest.strip_prefix(['=', '-']))?,
        };
        let value = &value[..closing_brace(value)?];
        (value.len() <= MAX_VALUE).then(|| (key, unquoted(value)))
    })
}

/// Where the brace is that closes what `text` is inside of, else the last one.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    text.rfind('}')
}

/// A text without one pair of equal quotes around it.
fn unquoted(text: &str) -> &str {
    ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_have_four_operators_and_may_be_nested() {
        for (line, expected) in [
            (": ${foo_a=\"NO\"}", vec![("a", "NO")]),
            ("foo_a=${foo_a-'x y'}", vec![("a", "x y")]),
            (": ${foo_a:-}", vec![("a", "")]),
            (": ${foo_a:=/x}", vec![("a", "/x")]),
            (": ${foo_connection_spec:=inet:1@h}", vec![]),
            (": ${foo_a=\"-p ${foo_b:-/x} -u ${c}\"}", vec![("a", "-p ${foo_b:-/x} -u ${c}"), ("b", "/x")]),
            ("command_args=\"-p ${foo_a-local:/x} -u ${foo_b}\"", vec![("a", "local:/x")]),
            (": ${foo_a={} x}", vec![("a", "{} x")]),
            (": ${foo_a={x}", vec![("a", "{x")]),
            (": ${foo_a=x", vec![]),
            ("${bar_a=x} ${foo_=x} ${foo_a##x} ${foo_a+x} ${foo_a}", vec![]),
        ] {
            assert_eq!(defaults(line, "foo_").collect::<Vec<_>>(), expected, "{line}");
        }
    }

    #[test]
    fn a_script_has_a_name_which_its_settings_begin_with() {
        let text = "prog=mimedefang\n  name=$prog\nrcvar=${prog}_enable\nmimedefang_flags=\"-a\"\n\
                    mimedefang_flags=\"${mimedefang_flags} -b\"\n  command_args=\"-c\"\n";
        let script = parse("/s", text).unwrap();
        assert_eq!(script.name, "mimedefang");
        assert_eq!(script.rcvar.as_deref(), Some("mimedefang_enable"));
        assert_eq!(script.defaults["flags"].value, "-a -b");
        assert_eq!(script.defaults["flags"].by.line, Some(5));
        assert_eq!(script.command_args, None);
        assert_eq!(parse("/s", "rcvar=`set_rcvar`\nname=foo\n").unwrap().rcvar, None);
        for text in ["", "aname=foo\n", "name=\n", "name=`x`\n", "name=../x\n"] {
            assert!(parse("/s", text).is_none(), "{text}");
        }
    }
}
