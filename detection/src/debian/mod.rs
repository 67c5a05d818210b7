//! Debian and Ubuntu.

mod init;
mod lsb;

use crate::report::Found;
use crate::survey::Survey;
use crate::systemd::{self, Places};

/// Where Debian has the files of milters.
const PLACES: Places = Places {
    clamav: "/etc/clamav/clamav-milter.conf",
    greylist: "/etc/milter-greylist/greylist.conf",
    amavisd: "/var/lib/amavis/amavisd-milter.sock",
};

/// The service when it is enabled, else the init script.
pub(crate) fn detect(survey: &mut Survey<'_>) -> Vec<Found> {
    let service = systemd(survey);
    let found = match service {
        Some(service) if service.enabled => Some(service),
        service => init(survey).or_else(|| survey.leave_out(service)),
    };
    found.into_iter().collect()
}

pub(crate) use init::init;

pub(crate) fn systemd(survey: &mut Survey<'_>) -> Option<Found> {
    systemd::detect(survey, PLACES)
}
