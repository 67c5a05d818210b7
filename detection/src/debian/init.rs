//! Init scripts with `/etc/default`.

use super::PLACES;
use super::lsb::header;
use crate::files;
use crate::init::Script;
use crate::listening::Listening;
use crate::report::{Evidence, Found};
use crate::runlevels::{links, masked};
use crate::setting::Setting;
use crate::shell::{Names, Variables, option};
use crate::survey::Survey;
use crate::systemd::{dropped_in, socket_option};

/// Looks for the candidate's init script.
pub(crate) fn init(survey: &mut Survey<'_>) -> Option<Found> {
    let candidate = survey.candidate;
    let script = Script::read(survey, "/etc/default", Names::Capital)?;
    let (header, variables) = (header(&script.text), &script.variables);
    if let Some(removed) = removed(survey, variables) {
        survey.leave_out_because(removed);
        return None;
    }
    let name = variables.value("NAME").or(header.provides.as_deref()).unwrap_or(candidate).to_owned();
    let listening = listening(survey, variables);
    let spec = survey.spec(&name, listening.socket);
    let switch = variables.get("ENABLED");
    let enabled = if let Some(off) = switch.filter(|switch| switch.value == "0") {
        (false, off.by.clone())
    } else if let Some(refused) = listening.refused {
        (false, refused)
    } else if let Some(stopped) = masked(survey).or_else(|| links(survey).stopped()) {
        (false, stopped)
    } else if let Some(switch) = switch {
        (true, switch.by.clone())
    } else {
        (true, Evidence::whole(&script.path, "it is there, and nothing says ENABLED=0"))
    };
    let description = header.description.or_else(|| variables.value("DESC").map(str::to_owned));
    Some(script.found(candidate, enabled, description, spec, listening.tarpit))
}

/// What says that the package has been removed: its script stays as long as its configuration does, and does nothing without the program.
fn removed(survey: &mut Survey<'_>, variables: &Variables) -> Option<Evidence> {
    let daemon = variables
        .get("DAEMON")
        .filter(|daemon| daemon.value.starts_with('/') && !daemon.value.contains('$'))?;
    let is_there = survey.exists(&daemon.value);
    (!is_there)
        .then(|| Evidence { says: format!("{}, which is not there", daemon.by.says), ..daemon.by.clone() })
}

/// Where the script's milter listens: as a drop-in has it started, else its own file, then the script's variables.
fn listening(survey: &mut Survey<'_>, variables: &Variables) -> Listening {
    let command = dropped_in(survey);
    let socket = option(survey, command.as_ref(), socket_option(survey.candidate));
    let own = match survey.candidate {
        "clamav-milter" => match option(survey, command.as_ref(), "-c") {
            Some(path) => Listening::clamav(survey, &path.value),
            None => clamav(survey, variables),
        },
        "milter-greylist" => greylist(survey, variables),
        "opendkim" => Listening::at(files::opendkim(survey, "/etc/opendkim.conf")),
        "opendmarc" => Listening::at(files::opendkim(survey, "/etc/opendmarc.conf")),
        name @ ("dkimpy-milter" | "pyspf-milter") => {
            Listening::at(files::opendkim(survey, &format!("/etc/{name}/{name}.conf")))
        }
        "rspamd" => Listening::rspamd(survey, "/etc/rspamd"),
        _ => Listening::default(),
    };
    own.preferring(socket).or(|| general(survey, variables))
}

/// clamav-milter from 0.95 on has a file of its own, which its script names.
fn clamav(survey: &mut Survey<'_>, variables: &Variables) -> Listening {
    let of_clamav = variables.first(&["CLAMAVCONF"]).filter(|path| path.value.contains("clamav-milter"));
    match of_clamav.or_else(|| variables.first(&["CLAMAVMILTERCONF"])) {
        Some(path) => Listening::clamav(survey, &path.value),
        None => Listening::default(),
    }
}

/// milter-greylist's script gives it the socket; its file says how long it makes clients wait.
fn greylist(survey: &mut Survey<'_>, variables: &Variables) -> Listening {
    let named = option(survey, variables.get("OPTIONS"), "-f");
    let path = named.map_or_else(|| PLACES.greylist.to_owned(), |named| named.value);
    let read = Listening::greylist(survey, &path);
    let socket = general(survey, variables);
    read.preferring(socket)
}

fn general(survey: &mut Survey<'_>, variables: &Variables) -> Option<Setting> {
    if let Some(socket) = variables.first(&["SOCKET", "SOCKFILE", "CONNECTION_SPEC"]) {
        // What its script says in words that only a shell understands.
        let is_usual = survey.candidate == "mimedefang" && socket.value.starts_with("${SOCKET:=");
        return Some(if is_usual {
            socket.with("/var/spool/MIMEDefang/mimedefang.sock")
        } else {
            socket.clone()
        });
    }
    let flags = ["OPTARGS", "DAEMON_ARGS", "PARAMS"];
    let socket = flags.into_iter().find_map(|flags| option(survey, variables.get(flags), "-p"));
    socket.or_else(|| variables.first(&["MILTERSOCKET"]).cloned())
}
