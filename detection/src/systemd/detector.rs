//! The milter behind a service.

use super::program::program;
use super::service::{Service, service};
use crate::files;
use crate::listening::Listening;
use crate::report::{Evidence, Found};
use crate::setting::Setting;
use crate::shell::option;
use crate::survey::{Spec, Survey};

/// Where a platform has the files of milters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    /// `clamav-milter.conf`.
    pub(crate) clamav: &'static str,
    /// `greylist.conf`.
    pub(crate) greylist: &'static str,
    /// Where amavisd-milter listens when nothing is said.
    pub(crate) amavisd: &'static str,
}

/// Looks for the candidate's service.
pub(crate) fn detect(survey: &mut Survey<'_>, places: Places) -> Option<Found> {
    let service = installed(survey)?;
    let listening = listening(survey, &service, places);
    let listening = listening.or(|| service.listens.clone()).or(|| usual(survey.candidate, &service, places));
    let spec = survey.spec(survey.candidate, listening.socket);
    let (enabled, enabled_by) = match (service.is_started, listening.refused, &spec) {
        (true, None, Some(_)) => (true, service.by),
        (true, Some(refused), _) => (false, refused),
        (true, None, None) => (
            false,
            Evidence {
                says: format!("{}, but where it listens was not found", service.by.says),
                ..service.by
            },
        ),
        (false, ..) => (false, service.by),
    };
    let (command, command_options) = program(survey, &service.name).unzip();
    let (connection_spec, connection_spec_by) = Spec::parts(spec);
    Some(Found {
        name: survey.candidate.to_owned(),
        enabled,
        enabled_by,
        description: service.description,
        command,
        command_options,
        connection_spec,
        connection_spec_by,
        tarpit: listening.tarpit,
    })
}

/// The candidate's service. spamass-milter has a second one, by which it runs as root: that counts when the first is not started.
fn installed(survey: &mut Survey<'_>) -> Option<Service> {
    let own = service(survey, survey.candidate);
    if survey.candidate != "spamass-milter" || own.as_ref().is_some_and(|own| own.is_started) {
        return own;
    }
    service(survey, "spamass-milter-root").filter(|root| root.is_started).or(own)
}

/// Where the service's milter listens: its own files first, what its command says before them where that overrides them.
fn listening(survey: &mut Survey<'_>, service: &Service, places: Places) -> Listening {
    let command = service.command.as_ref();
    let options = service.variables.get("OPTIONS");
    match survey.candidate {
        "clamav-milter" => {
            let path = file(survey, &["-c", "--config-file"], &[command], places.clamav);
            Listening::clamav(survey, &path).or(|| general(survey, service))
        }
        "milter-greylist" => {
            let path = file(survey, &["-f"], &[command], places.greylist);
            let socket = option(survey, command, "-p");
            Listening::greylist(survey, &path).preferring(socket).or(|| general(survey, service))
        }
        "opendkim" => {
            let path = file(survey, &["-x"], &[command, options], "/etc/opendkim.conf");
            let socket = option(survey, command, "-p").or_else(|| files::opendkim(survey, &path));
            Listening::at(socket).or(|| general(survey, service))
        }
        "opendmarc" => {
            let path = file(survey, &["-c"], &[command, options], "/etc/opendmarc.conf");
            let socket = option(survey, command, "-p").or_else(|| files::opendkim(survey, &path));
            Listening::at(socket).or(|| general(survey, service))
        }
        "enma" => {
            let path = file(survey, &["-c"], &[command, options], "/etc/enma.conf");
            Listening::at(files::enma(survey, &path)).or(|| general(survey, service))
        }
        "rspamd" => Listening::rspamd(survey, "/etc/rspamd"),
        "dkimpy-milter" | "pyspf-milter" => Listening::at(python(survey, command)),
        _ => Listening::at(general(survey, service)),
    }
}

/// The file that one of `names` names, in the first of `flags` that has it.
fn file(survey: &mut Survey<'_>, names: &[&str], flags: &[Option<&Setting>], default: &str) -> String {
    for flags in flags {
        for name in names {
            if let Some(found) = option(survey, *flags, name).filter(|found| found.value.starts_with('/')) {
                return found.value;
            }
        }
    }
    default.to_owned()
}

/// The socket of the milters in Python, which take the file as a word of their command.
fn python(survey: &mut Survey<'_>, command: Option<&Setting>) -> Option<Setting> {
    let name = survey.candidate;
    let words = command.and_then(|command| shlex::split(&command.value)).unwrap_or_default();
    let named = words.into_iter().skip(1).find(|word| word.starts_with('/') && word.ends_with(".conf"));
    files::opendkim(survey, &named.unwrap_or_else(|| format!("/etc/{name}/{name}.conf")))
}

/// Where a milter listens when nothing says so: what its program has as its own.
fn usual(name: &str, service: &Service, places: Places) -> Option<Setting> {
    let socket = match name {
        "dkimpy-milter" | "pyspf-milter" => format!("local:/run/{name}/{name}.sock"),
        "amavisd-milter" => places.amavisd.to_owned(),
        "mimedefang" => "/var/spool/MIMEDefang/mimedefang.sock".to_owned(),
        "milter-regex" => "/var/spool/milter-regex/sock".to_owned(),
        _ => return None,
    };
    let command = service.command.as_ref()?;
    let by = Evidence {
        says: format!("nothing says where {name} listens: its usual place"),
        ..command.by.clone()
    };
    Some(Setting { value: socket, by })
}

/// The socket of a milter that has no file of its own: `SOCKET` and its kin, then the options of its command.
fn general(survey: &mut Survey<'_>, service: &Service) -> Option<Setting> {
    let command = service.command.as_ref();
    if let Some(socket) = service.variables.first(&["SOCKET", "MILTERSOCKET", "MILTER_SOCKET"]) {
        return Some(socket.clone());
    }
    let name = socket_option(survey.candidate);
    // Of a program that is not known, `-p` may be anything.
    option(survey, command, name).filter(|socket| socket.value.starts_with('/') || socket.value.contains(':'))
}

/// The option by which a milter is told where to listen.
pub(crate) fn socket_option(name: &str) -> &'static str {
    match name {
        "amavisd-milter" | "amavisd-new-milter" | "vrfydmn" => "-s",
        _ => "-p",
    }
}
