//! What a configuration has detectors look for, and what they say.

use std::fmt;
use std::sync::Arc;

use millstream_detection::{Detector, Report};

use crate::configuration::Location;
use crate::language::procs::Callable;
use crate::language::shared::Shared;

/// One candidate that a configuration asked a detector about, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// Where it was asked: the line of `apply`, or that of `detect` where nothing was applied.
    pub location: Option<Location>,
    /// The detector's name in the language, as `DebianDetector`.
    pub detector: &'static str,
    /// The name of the script or unit.
    pub candidate: String,
    /// What was found.
    pub report: Report,
    /// Whether the milters of the report were defined.
    pub applied: bool,
    /// What of it could not be used.
    pub refused: Vec<Refused>,
}

/// Something that was found and cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The milter.
    pub milter: String,
    /// What was expected, what came, and what is done instead.
    pub text: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.milter, self.text)
    }
}

/// A detector that a configuration has made.
#[derive(Debug)]
pub(crate) struct Detection {
    pub(crate) detector: Detector,
    pub(crate) candidate: String,
    /// What may know the socket better.
    pub(crate) improve: Option<Arc<Callable>>,
    /// What it has said, as a place in the list of the load.
    pub(crate) said: Shared<Option<usize>>,
}

/// The detectors of milter manager, by their names there.
pub(crate) const DETECTORS: [(&str, Detector); 9] = [
    ("DebianDetector", Detector::Debian),
    ("DebianInitDetector", Detector::DebianInit),
    ("DebianSystemdDetector", Detector::DebianSystemd),
    ("RedHatDetector", Detector::RedHat),
    ("RedHatInitDetector", Detector::RedHatInit),
    ("RedHatUpstartDetector", Detector::RedHatUpstart),
    ("RedHatSystemdDetector", Detector::RedHatSystemd),
    ("FreeBSDRCDetector", Detector::FreeBsd),
    ("PkgsrcRCDetector", Detector::Pkgsrc),
];

/// The name in the language.
pub(crate) fn name(detector: Detector) -> &'static str {
    DETECTORS.iter().find(|(_, known)| *known == detector).map_or("", |(name, _)| name)
}
