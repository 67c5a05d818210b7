//! Red Hat Enterprise Linux and its kin.

use crate::report::Found;
use crate::survey::Survey;

pub(crate) fn detect(survey: &mut Survey<'_>) -> Vec<Found> {
    let found = systemd(survey).filter(|found| found.enabled);
    let found = found.or_else(|| upstart(survey).filter(|found| found.enabled)).or_else(|| init(survey));
    found.into_iter().collect()
}

pub(crate) fn init(_survey: &mut Survey<'_>) -> Option<Found> {
    None
}

pub(crate) fn upstart(_survey: &mut Survey<'_>) -> Option<Found> {
    None
}

pub(crate) fn systemd(_survey: &mut Survey<'_>) -> Option<Found> {
    None
}
