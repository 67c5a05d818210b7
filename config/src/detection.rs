//! What a configuration has detectors look for, and what they say.

use std::fmt;
use std::sync::Arc;

use millstream_detection::{Detector, Report};

use crate::configuration::{Configuration, Location};
use crate::language::procs::Callable;
use crate::language::shared::Shared;
use crate::load::Loaded;
use crate::milter::Milter;
use crate::problem::{Complaint, Problem};

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

impl Loaded {
    /// Which milters that `running` asks this load is not sure about: they would be asked no more or otherwise, and a file that says
    /// so could not be read. A manager that has given root up may read less than at its start.
    #[must_use = "mail would pass milters that are enabled"]
    pub fn unsure(&self, running: &Configuration) -> Vec<Problem> {
        let mut problems = Vec::new();
        for milter in running.milters.iter().filter(|milter| milter.enabled) {
            let Some(detected) = self.looked_for(milter) else { continue };
            let now = self.configuration.milters.iter().find(|now| now.name == milter.name);
            let is_same = now.is_some_and(|now| {
                (now.enabled, &now.connection_specs, &now.timeouts)
                    == (milter.enabled, &milter.connection_specs, &milter.timeouts)
            });
            if !is_same && !detected.report.unread.is_empty() {
                let file = detected.location.as_ref().map_or("detection", |location| &location.file);
                let message = format!(
                    "milter {:?} is asked, and whether it still is to be cannot be seen: {} cannot be read by the user who serves",
                    milter.name,
                    detected.report.unread.join(", "),
                );
                let hint = "let that user read it, or restart: a start by root reads it";
                problems.push(Problem::of_file(file, Complaint::with_hint(message, hint)));
            }
        }
        problems
    }

    /// Where `milter` was looked for: under its name, or as a profile of the candidate with the longest name, since a candidate's
    /// name may begin with another's.
    fn looked_for(&self, milter: &Milter) -> Option<&Detected> {
        let about = self.detected.iter().filter(|detected| detected.is_about(milter));
        about.max_by_key(|detected| detected.candidate.len())
    }
}

impl Detected {
    /// Whether `milter` is one that was looked for here: by its name, or as a profile of it.
    fn is_about(&self, milter: &Milter) -> bool {
        let rest = milter.name.strip_prefix(&self.candidate);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
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
