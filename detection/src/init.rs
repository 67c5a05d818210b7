//! An init script with the file of its settings: what Debian's and Red Hat's have in common.

use std::time::Duration;

use crate::report::{Evidence, Found};
use crate::shell::{Names, Variables};
use crate::survey::{Spec, Survey};

/// The candidate's script, as it is read.
pub(crate) struct Script {
    /// Where it is.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
    /// Its variables, and those of its settings over them.
    pub(crate) variables: Variables,
}

impl Script {
    /// Reads the candidate's script, and its settings in the folder `settings`; `None` where there is no script.
    pub(crate) fn read(survey: &mut Survey<'_>, settings: &str, names: Names) -> Option<Self> {
        let candidate = survey.candidate;
        let path = format!("/etc/init.d/{candidate}");
        let text = survey.read(&path)?;
        let mut variables = Variables::new(names);
        variables.read(&path, &text, candidate);
        let settings_path = format!("{settings}/{candidate}");
        if let Some(text) = survey.read(&settings_path) {
            variables.read(&settings_path, &text, candidate);
        }
        Some(Self { path, text, variables })
    }

    /// The milter that it starts.
    pub(crate) fn found(
        self,
        candidate: &str,
        (enabled, enabled_by): (bool, Evidence),
        description: Option<String>,
        spec: Option<Spec>,
        tarpit: Duration,
    ) -> Found {
        let (connection_spec, connection_spec_by) = Spec::parts(spec);
        Found {
            name: candidate.to_owned(),
            enabled,
            enabled_by,
            description,
            command: Some(self.path),
            command_options: Some("start".to_owned()),
            connection_spec,
            connection_spec_by,
            tarpit,
        }
    }
}
