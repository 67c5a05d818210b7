//! pkgsrc's rc scripts.
//!
//! The scripts of today's packages were looked at (NetBSD's pkgsrc: milter-greylist, spamass-milter, opendkim, opendmarc, dk-milter).

use crate::files;
use crate::rc::Service;
use crate::report::Found;
use crate::setting::Setting;
use crate::survey::Survey;

/// Where the packages' configuration is, unless `package.options` say so.
const PREFIX: &str = "/usr/pkg/etc";
/// What sets the scripts: the last one wins.
const CONF: [&str; 2] = ["/etc/rc.conf", "/etc/rc.conf.local"];
/// Where there is a file or directory for each service.
const CONF_DIRECTORIES: [&str; 1] = ["/etc/rc.conf.d"];

pub(crate) fn detect(survey: &mut Survey<'_>) -> Vec<Found> {
    let option =
        |name: &str| survey.host.options.get(name).map(|value| value.trim_end_matches('/').to_owned());
    let prefix = option("prefix").unwrap_or_else(|| PREFIX.to_owned());
    let scripts = option("rcddir").unwrap_or_else(|| format!("{prefix}/rc.d"));
    let path = format!("{scripts}/{}", survey.candidate);
    let Some(service) = Service::read(survey, path, &CONF, &CONF_DIRECTORIES) else { return Vec::new() };
    let is = |name: &str| survey.candidate == name || service.name() == name;
    let (is_enma, is_greylist) = (is("enma"), is("milter-greylist") || is("miltergreylist"));
    let (is_opendkim, is_opendmarc) = (is("opendkim"), is("opendmarc"));

    let own = if is_enma {
        let path = Service::path_of([service.argument(survey, "-c")], &format!("{prefix}/enma.conf"));
        files::enma(survey, &path)
    } else {
        None
    };
    let mut socket = own.or_else(|| service.socket(survey));
    if socket.is_none() && (is_opendkim || is_opendmarc) {
        let (of, file) = if is_opendkim { ("-x", "opendkim.conf") } else { ("-c", "opendmarc.conf") };
        let path = [service.flag(survey, of), service.argument(survey, of)];
        socket = files::opendkim(survey, &Service::path_of(path, &format!("{prefix}/{file}")));
    }
    let greylist = is_greylist.then(|| {
        let path = Service::path_of([service.argument(survey, "-f")], &format!("{prefix}/greylist.conf"));
        files::greylist(survey, &path)
    });
    let (last, tarpit) = greylist.map(|greylist| (greylist.socket, greylist.tarpit)).unwrap_or_default();
    let mut found = service.found(survey, &switch(&service), socket.or(last));
    found.tarpit = tarpit;
    vec![found]
}

/// The variable that switches it on: the one that `rcvar=` names, which milter manager looks for in `rc.conf`, or the service's name.
fn switch(service: &Service) -> [String; 1] {
    let rcvar: Option<Setting> = service.conf_only("rcvar");
    let rcvar = rcvar.map(|rcvar| rcvar.value).or_else(|| service.rcvar().map(ToOwned::to_owned));
    [rcvar.unwrap_or_else(|| service.name().to_owned())]
}
