//! A service with its drop-ins and environment, and the socket unit that activates it.

use super::directories::{PACKAGES, drop_ins};
use super::specifiers::specifiers;
use super::state::{State, Unit, state};
use super::unit::Entry;
use crate::report::Evidence;
use crate::setting::Setting;
use crate::shell::{Names, Variables, expand};
use crate::survey::Survey;

/// What may stand before the program of a command, and is none of its words.
const PREFIXES: [char; 6] = ['@', '-', ':', '+', '!', '|'];
/// How many files of a service's environment are read.
const MAX_FILES: usize = 32;
/// How many bytes of them: more than any service has in one, and no time to read.
const MAX_ENVIRONMENT: usize = 1 << 20;

/// The service of a candidate.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// Its name, without `.service`.
    pub(crate) name: String,
    /// Whether it is started with the system, or by its socket.
    pub(crate) is_started: bool,
    /// What decided that.
    pub(crate) by: Evidence,
    /// `Description`.
    pub(crate) description: Option<String>,
    /// `ExecStart`, with what is known of its variables in place.
    pub(crate) command: Option<Setting>,
    /// `Environment`, and the files of `EnvironmentFile` over it.
    pub(crate) variables: Variables,
    /// Where systemd listens for it.
    pub(crate) listens: Option<Setting>,
}

/// The service `name`; `None` when there is no such unit.
pub(crate) fn service(survey: &mut Survey<'_>, name: &str) -> Option<Service> {
    let unit = state(survey, &format!("{name}.service"));
    if unit.state == State::NotFound {
        survey.look(&format!("{PACKAGES}/{name}.service"), false);
        return None;
    }
    let variables = environment(survey, &unit);
    let command = last(&unit, "Service", "ExecStart").map(|command| {
        let words = specifiers(command.value.trim_start_matches(PREFIXES), &unit.name);
        command.with(expand(&words, |name| variables.value(name)))
    });
    let description =
        last(&unit, "Unit", "Description").map(|description| specifiers(&description.value, &unit.name));
    let is_masked = matches!(unit.state, State::Masked | State::MaskedRuntime);
    let name = name.to_owned();
    let mut service = Service {
        name,
        is_started: unit.is_started,
        by: unit.by,
        description,
        command,
        variables,
        listens: None,
    };
    if !is_masked {
        activated(survey, &mut service);
    }
    Some(service)
}

/// The command that drop-ins give to a service that has no unit: systemd makes one for an init script, and they count for that too.
pub(crate) fn dropped_in(survey: &mut Survey<'_>) -> Option<Setting> {
    let name = format!("{}.service", survey.candidate);
    let entries = drop_ins(survey, &name);
    let command = since_reset(&entries, "Service", "ExecStart").last().map(|entry| entry.value.clone())?;
    Some(command.with(specifiers(command.value.trim_start_matches(PREFIXES), &name)))
}

/// Looks for a socket unit that starts the service when somebody connects.
fn activated(survey: &mut Survey<'_>, service: &mut Service) {
    let socket = state(survey, &format!("{}.socket", service.name));
    let Some(stream) = last(&socket, "Socket", "ListenStream") else { return };
    if socket.is_started {
        service.listens = spec(&specifiers(&stream.value, &socket.name)).map(|spec| stream.with(spec));
        if !service.is_started {
            service.is_started = true;
            service.by = socket.by;
        }
    }
}

/// A `ListenStream` as a connection spec; none for what is no path and no port.
fn spec(stream: &str) -> Option<String> {
    if stream.starts_with('/') {
        return Some(stream.to_owned());
    }
    let (address, port) = stream.rsplit_once(':').unwrap_or(("", stream));
    if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(match address {
        "" => format!("inet:{port}"),
        _ if address.starts_with('[') => format!("inet6:{port}@{address}"),
        _ => format!("inet:{port}@{address}"),
    })
}

fn environment(survey: &mut Survey<'_>, unit: &Unit) -> Variables {
    let candidate = survey.candidate;
    let mut variables = Variables::new(Names::Any);
    for entry in since_reset(&unit.entries, "Service", "Environment") {
        for word in shlex::split(&specifiers(&entry.value.value, &unit.name)).unwrap_or_default() {
            if let Some((name, value)) = word.split_once('=') {
                variables.set(name, entry.value.with(value), candidate);
            }
        }
    }
    let mut room = MAX_ENVIRONMENT;
    for (path, named) in environment_files(unit) {
        let Some(text) = survey.read(&path) else { continue };
        let Some(left) = room.checked_sub(text.len()) else {
            let bound = format!(
                "at most {MAX_ENVIRONMENT} bytes of environment were expected: {path} and what is behind it counts as missing"
            );
            survey.warn(&named.path, named.line, bound);
            break;
        };
        room = left;
        variables.read(&path, &text, candidate);
    }
    variables
}

/// The files of a service's environment, and what names each of them. The later ones go over those before: of one that is named again
/// the last place counts.
fn environment_files(unit: &Unit) -> Vec<(String, Evidence)> {
    let mut files: Vec<(String, Evidence)> = Vec::new();
    for entry in since_reset(&unit.entries, "Service", "EnvironmentFile") {
        let path = specifiers(entry.value.value.trim_start_matches('-'), &unit.name);
        files.retain(|(known, _)| *known != path);
        files.push((path, entry.value.by.clone()));
    }
    files.truncate(MAX_FILES);
    files
}

/// The last value of a key.
fn last(unit: &Unit, section: &str, key: &str) -> Option<Setting> {
    since_reset(&unit.entries, section, key).last().map(|entry| entry.value.clone())
}

/// The entries of a key since the last empty one, which takes back those before it.
fn since_reset<'a>(entries: &'a [Entry], section: &str, key: &str) -> Vec<&'a Entry> {
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| entry.section == section && entry.key == key) {
        if entry.value.value.is_empty() {
            found.clear();
        } else {
            found.push(entry);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::spec;

    #[test]
    fn a_stream_is_a_path_or_a_port() {
        for (stream, expected) in [
            ("/run/foo.sock", Some("/run/foo.sock")),
            ("8893", Some("inet:8893")),
            ("127.0.0.1:8893", Some("inet:8893@127.0.0.1")),
            ("[::1]:8893", Some("inet6:8893@[::1]")),
            ("@abstract", None),
            ("vsock:2:x", None),
        ] {
            assert_eq!(spec(stream).as_deref(), expected, "{stream}");
        }
    }
}
