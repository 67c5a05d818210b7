//! Init scripts with `/etc/sysconfig`.

use super::chkconfig::{Header, header};
use super::{OLD_CLAMAV, PLACES};
use crate::files;
use crate::init::Script;
use crate::listening::Listening;
use crate::report::{Evidence, Found};
use crate::runlevels::{links, masked};
use crate::setting::Setting;
use crate::shell::{Names, Variables, option};
use crate::survey::Survey;

/// Looks for the candidate's init script.
pub(crate) fn init(survey: &mut Survey<'_>) -> Option<Found> {
    let candidate = survey.candidate;
    let script = Script::read(survey, "/etc/sysconfig", Names::Any)?;
    let header = header(&script.text);
    let listening = listening(survey, &header, &script.variables);
    let spec = survey.spec(candidate, listening.socket);
    let links = links(survey);
    let enabled = if let Some(refused) = listening.refused {
        (false, refused)
    } else if let Some(stopped) = masked(survey).or_else(|| links.stopped()) {
        (false, stopped)
    } else {
        match (links.managed(), &spec) {
            (Some(link), Some(_)) => (true, link),
            (Some(link), None) => (
                false,
                Evidence { says: format!("{}, but where it listens was not found", link.says), ..link },
            ),
            (None, _) => (false, Evidence::whole(&script.path, "disabled: no runlevel has it")),
        }
    };
    Some(script.found(candidate, enabled, header.description, spec, listening.tarpit))
}

/// Where the script's milter listens: its own file first, then the script's variables; milter-greylist's file is the last.
fn listening(survey: &mut Survey<'_>, header: &Header, variables: &Variables) -> Listening {
    let path = |variable, default: &str| {
        variables.first(&[variable]).map_or(default.to_owned(), |path| path.value.clone())
    };
    let own = match survey.candidate {
        "enma" => Listening::at(files::enma(survey, &path("CONF_FILE", "/etc/enma.conf"))),
        "clamav-milter" if variables.first(&["SOCKET_ADDRESS"]).is_none() => {
            let flags = variables.get("CLAMAV_FLAGS");
            let named = option(survey, flags, "--config-file").or_else(|| option(survey, flags, "-c"));
            Listening::clamav(survey, &named.map_or(OLD_CLAMAV.to_owned(), |named| named.value))
        }
        "opendkim" => Listening::at(files::opendkim(survey, &path("CONFIG", "/etc/opendkim.conf"))),
        "opendmarc" => Listening::at(files::opendkim(survey, &path("CONFIG", "/etc/opendmarc.conf"))),
        "milter-greylist" => {
            let named = option(survey, variables.get("OPTIONS"), "-f").map(|named| named.value);
            let path = named.or_else(|| header.config.clone()).unwrap_or(PLACES.greylist.to_owned());
            let socket = general(survey, variables);
            Listening::greylist(survey, &path).preferring(socket)
        }
        "rspamd" => Listening::rspamd(survey, "/etc/rspamd"),
        _ => Listening::default(),
    };
    own.or(|| general(survey, variables))
}

fn general(survey: &mut Survey<'_>, variables: &Variables) -> Option<Setting> {
    let socket = variables.first(&["SOCKET", "SOCKET_ADDRESS", "MILTER_SOCKET", "CONNECTION_SPEC"]).cloned();
    // amavisd-milter's `-p` is the file of its process's number.
    let name = if survey.candidate == "amavisd-milter" { "-s" } else { "-p" };
    socket.or_else(|| option(survey, variables.get("OPTIONS"), name))
}
