//! The detectors: which system's ways they know.

use std::collections::BTreeMap;

use crate::report::Report;
use crate::root::Root;
use crate::survey::Survey;
use crate::{debian, freebsd, pkgsrc, redhat};

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// Its files.
    pub root: Root,
    /// `package.options`: `prefix` and `rcddir` say where pkgsrc's files are.
    pub options: BTreeMap<String, String>,
}

/// May give a better socket than the one that was found, or one where none was: it is given the detector's name for the milter and
/// what was found.
pub type Improve<'a> = &'a mut dyn FnMut(&str, Option<&str>) -> Option<String>;

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detector {
    /// Debian: the systemd unit when it is enabled, else the init script.
    Debian,
    /// Debian's init scripts only.
    DebianInit,
    /// Debian's systemd units only.
    DebianSystemd,
    /// Red Hat: the systemd unit when it is enabled, else the upstart job when it is, else the init script.
    RedHat,
    /// Red Hat's init scripts only.
    RedHatInit,
    /// Red Hat's upstart jobs only.
    RedHatUpstart,
    /// Red Hat's systemd units only.
    RedHatSystemd,
    /// FreeBSD's rc scripts.
    FreeBsd,
    /// pkgsrc's rc scripts.
    Pkgsrc,
}

/// Asks `detector` about `candidate`, the name of a script or unit.
#[must_use]
pub fn detect(detector: Detector, host: &Host, candidate: &str, improve: Improve<'_>) -> Report {
    let mut survey = Survey::new(host, candidate, improve);
    let milters = match detector {
        Detector::Debian => debian::detect(&mut survey),
        Detector::DebianInit => debian::init(&mut survey).into_iter().collect(),
        Detector::DebianSystemd => debian::systemd(&mut survey).into_iter().collect(),
        Detector::RedHat => redhat::detect(&mut survey),
        Detector::RedHatInit => redhat::init(&mut survey).into_iter().collect(),
        Detector::RedHatUpstart => redhat::upstart(&mut survey).into_iter().collect(),
        Detector::RedHatSystemd => redhat::systemd(&mut survey).into_iter().collect(),
        Detector::FreeBsd => freebsd::detect(&mut survey),
        Detector::Pkgsrc => pkgsrc::detect(&mut survey),
    };
    survey.into_report(milters)
}
