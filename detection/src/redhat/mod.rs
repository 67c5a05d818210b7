//! Red Hat Enterprise Linux and its kin.

mod chkconfig;
mod init;
mod upstart;

pub(crate) use init::init;
pub(crate) use upstart::upstart;

use crate::report::Found;
use crate::survey::Survey;
use crate::systemd::{self, Places};

/// Where Red Hat has the files of milters.
const PLACES: Places = Places {
    clamav: "/etc/mail/clamav-milter.conf",
    greylist: "/etc/mail/greylist.conf",
    amavisd: "/run/amavisd/amavisd-milter.sock",
};
/// Where upstart jobs and init scripts, which are from before, look for clamav-milter's.
const OLD_CLAMAV: &str = "/etc/clamav-milter.conf";

/// The service when it is enabled, else the upstart job when it is, else the init script.
pub(crate) fn detect(survey: &mut Survey<'_>) -> Vec<Found> {
    let mut disabled = None;
    for look in [systemd, upstart] {
        match look(survey) {
            Some(found) if found.enabled => return vec![found],
            found => disabled = disabled.or(found),
        }
    }
    init(survey).or_else(|| survey.leave_out(disabled)).into_iter().collect()
}

pub(crate) fn systemd(survey: &mut Survey<'_>) -> Option<Found> {
    systemd::detect(survey, PLACES)
}
