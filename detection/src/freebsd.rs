//! FreeBSD's rc scripts.
//!
//! The scripts of ports were looked at (freebsd-ports: clamav, milter-greylist, opendkim, opendmarc, spamass-milter, amavisd-milter,
//! milter-regex, mimedefang, py-spf-engine, py-dkimpy-milter, rspamd).

use std::collections::BTreeMap;

use crate::files;
use crate::rc::Service;
use crate::report::Found;
use crate::setting::Setting;
use crate::survey::Survey;

/// Where ports have their scripts.
const SCRIPTS: &str = "/usr/local/etc/rc.d";
/// What sets them, as rc.subr(8) reads it: the last one wins.
const CONF: [&str; 3] = ["/etc/defaults/vendor.conf", "/etc/rc.conf", "/etc/rc.conf.local"];
/// Where there is a file or directory for each service.
const CONF_DIRECTORIES: [&str; 2] = ["/etc/rc.conf.d", "/usr/local/etc/rc.conf.d"];

/// opendkim's file, where nothing else is said.
const OPENDKIM_CONF: &str = "/usr/local/etc/opendkim.conf";
/// How many profiles of opendkim are looked at.
const MAX_PROFILES: usize = 32;

/// Milters of which more is known than what their script is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Amavisd,
    Clamav,
    Enma,
    Greylist,
    Mimedefang,
    Opendkim,
    Opendmarc,
    Python,
    Regex,
    Rspamd,
}

/// By the names of their scripts, and of the services in them.
const KINDS: [(&str, Kind); 20] = [
    ("amavisd-milter", Kind::Amavisd),
    ("amavisd_milter", Kind::Amavisd),
    ("clamav-milter", Kind::Clamav),
    ("clamav_milter", Kind::Clamav),
    ("milter-enma", Kind::Enma),
    ("milterenma", Kind::Enma),
    ("milter-greylist", Kind::Greylist),
    ("miltergreylist", Kind::Greylist),
    ("mimedefang", Kind::Mimedefang),
    ("milter-opendkim", Kind::Opendkim),
    ("milteropendkim", Kind::Opendkim),
    ("opendmarc", Kind::Opendmarc),
    ("milter-opendmarc", Kind::Opendmarc),
    ("dkimpy-milter", Kind::Python),
    ("dkimpy_milter", Kind::Python),
    ("pyspf-milter", Kind::Python),
    ("pyspf_milter", Kind::Python),
    ("milterregex", Kind::Regex),
    ("milter-regex", Kind::Regex),
    ("rspamd", Kind::Rspamd),
];

pub(crate) fn detect(survey: &mut Survey<'_>) -> Vec<Found> {
    let path = format!("{SCRIPTS}/{}", survey.candidate);
    let Some(service) = Service::read(survey, path, &CONF, &CONF_DIRECTORIES) else { return Vec::new() };
    let names = [survey.candidate, service.name()];
    let kind = KINDS.iter().find(|(name, _)| names.contains(name)).map(|(_, kind)| *kind);
    if kind == Some(Kind::Opendkim) && service.get("profiles").is_some() {
        return profiles(survey, &service);
    }
    let socket = socket(survey, &service, kind);
    let switch = service.rcvar().map_or_else(|| format!("{}_enable", service.name()), ToOwned::to_owned);
    let mut found = service.found(survey, &[switch], socket);
    if kind == Some(Kind::Greylist) {
        found.tarpit = greylist(survey, &service).tarpit;
    }
    vec![found]
}

fn socket(survey: &mut Survey<'_>, service: &Service, kind: Option<Kind>) -> Option<Setting> {
    let own = match kind {
        Some(Kind::Clamav) => {
            let path = Service::path_of(
                [service.variable("conf_file"), service.argument(survey, "-c")],
                "/usr/local/etc/clamav-milter.conf",
            );
            files::clamav(survey, &path).socket
        }
        Some(Kind::Enma) => {
            let path = Service::path_of(
                [service.get("cfgfile"), service.argument(survey, "-c")],
                "/usr/local/etc/enma.conf",
            );
            files::enma(survey, &path)
        }
        Some(Kind::Opendkim) => {
            let path =
                Service::path_of([service.get("cfgfile"), service.argument(survey, "-C")], OPENDKIM_CONF);
            files::opendkim(survey, &path)
        }
        // The file is a word of their command.
        Some(Kind::Python) => service.get("conffile").and_then(|path| files::opendkim(survey, &path.value)),
        Some(Kind::Rspamd) => files::rspamd(survey, "/usr/local/etc/rspamd"),
        // Its `-p` is a file for the process's number.
        Some(Kind::Amavisd) => {
            let named = service.get("socket").or_else(|| service.flag(survey, "-s"));
            return named.or_else(|| service.argument(survey, "-s"));
        }
        Some(Kind::Greylist | Kind::Mimedefang | Kind::Opendmarc | Kind::Regex) | None => None,
    };
    own.or_else(|| service.socket(survey)).or_else(|| last_resort(survey, service, kind?))
}

/// Where a milter listens whose script does not say it.
fn last_resort(survey: &mut Survey<'_>, service: &Service, kind: Kind) -> Option<Setting> {
    match kind {
        Kind::Greylist => greylist(survey, service).socket,
        Kind::Opendmarc => {
            let cfgfile =
                [service.get("cfgfile"), service.flag(survey, "-c"), service.argument(survey, "-c")];
            files::opendkim(survey, &Service::path_of(cfgfile, "/usr/local/etc/mail/opendmarc.conf"))
        }
        Kind::Mimedefang => {
            service.variable("SOCKET").or_else(|| spooled(service, "SPOOLDIR", "mimedefang.sock"))
        }
        Kind::Regex => spooled(service, "spooldir", "sock"),
        _ => None,
    }
}

fn greylist(survey: &mut Survey<'_>, service: &Service) -> files::Greylist {
    let path = [service.get("cfgfile"), service.flag(survey, "-f")];
    files::greylist(survey, &Service::path_of(path, "/usr/local/etc/mail/greylist.conf"))
}

/// A socket that the program has by itself, in the folder that its script names.
fn spooled(service: &Service, directory: &str, socket: &str) -> Option<Setting> {
    let directory = service.variable(directory)?;
    Some(directory.with(format!("{}/{socket}", directory.value)))
}

/// A milter for each profile of opendkim.
///
/// `NAME_PROFILE_enable` and `NAME_PROFILE_cfgfile` set it, and what is not set there is as in `NAME_enable`. A socket of its
/// own counts only where its configuration file and `NAME_socket` say nothing: so milter manager has it.
fn profiles(survey: &mut Survey<'_>, service: &Service) -> Vec<Found> {
    let name = service.name();
    let Some(list) = service.get("profiles") else { return Vec::new() };
    let mut milters = Vec::new();
    // Most profiles have the same file.
    let mut sockets = BTreeMap::new();
    let mut profiles = list.value.split_whitespace();
    for profile in profiles.by_ref().take(MAX_PROFILES) {
        let own = |key: &str| service.conf_only(&format!("{name}_{profile}_{key}"));
        let path = Service::path_of([own("cfgfile")], OPENDKIM_CONF);
        let file = sockets.entry(path).or_insert_with_key(|path| files::opendkim(survey, path)).clone();
        let socket = match (file, service.get("socket"), own("socket")) {
            (Some(socket), ..) | (None, None, Some(socket)) => Some(socket),
            (None, base, own) => {
                if let (Some(base), Some(own)) =
                    (&base, own.filter(|own| Some(&own.value) != base.as_ref().map(|base| &base.value)))
                {
                    let text = format!(
                        "no {name}_socket was expected beside it: {} is taken, as milter manager does",
                        base.value
                    );
                    survey.warn(&own.by.path, own.by.line, text);
                }
                base
            }
        };
        let switch = [format!("{name}_{profile}_enable"), format!("{name}_enable")];
        let mut found = service.found(survey, &switch, socket);
        found.name = format!("{}-{profile}", survey.candidate);
        found.command_options = Some(format!("start {profile}"));
        milters.push(found);
    }
    if let Some(profile) = profiles.next() {
        let text = format!(
            "at most {MAX_PROFILES} profiles were expected: {profile} and those behind it are not defined"
        );
        survey.warn(&list.by.path, list.by.line, text);
    }
    milters
}
