//! Which settings do less than a file says, so that nobody waits for what does not come.

use std::fmt;

use crate::backend::EventLoopBackend;
use crate::configuration::{Configuration, Location};
use crate::inspect;
use crate::milter::Milter;
use crate::settings::{Property, Read, SETTINGS, Setting};

/// A setting that does not do what the file says.
///
/// Shown as `FILE:LINE: manager.daemon has no effect yet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ineffective {
    /// The full name, as `manager.daemon`.
    pub setting: String,
    /// The name of the milter that a `milter.` setting is about.
    pub milter: Option<String>,
    /// Where it was set last; `None` when it is not in the files any more.
    pub location: Option<Location>,
    /// What is missing.
    pub lack: Lack,
}

/// What is missing for a setting to have its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// The program does nothing with it yet.
    NoEffectYet,
    /// `security.privilege_mode` is off.
    Unprivileged,
    /// It was changed since the start, and is only read there.
    Restart,
    /// It names an event loop library of milter manager, which this program does not have.
    ForeignBackend,
}

const BACKEND: &str = "manager.event_loop_backend";

impl fmt::Display for Ineffective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        f.write_str(&self.setting)?;
        if let Some(milter) = &self.milter {
            write!(f, " of {}", inspect::string(milter))?;
        }
        f.write_str(match self.lack {
            Lack::NoEffectYet => " has no effect yet",
            Lack::Unprivileged => " has no effect without security.privilege_mode = true",
            Lack::Restart => " counts from the next start",
            Lack::ForeignBackend => " names a library of milter manager, which stands for the default here",
        })
    }
}

impl Configuration {
    /// What the files set to something else than its default although the program does nothing with it yet, in the
    /// order of `--show-config`.
    #[must_use]
    pub fn without_effect(&self) -> Vec<Ineffective> {
        let default = Self::default();
        let settings = SETTINGS
            .iter()
            .filter(|setting| setting.read == Read::Never && self.assigned.contains_key(setting.key))
            .filter(|setting| self.differs(setting, &default))
            .map(|setting| self.ineffective(setting, Lack::NoEffectYet));
        let foreign = SETTINGS
            .iter()
            .filter(|setting| setting.key == BACKEND && self.backend_is_foreign())
            .map(|setting| self.ineffective(setting, Lack::ForeignBackend));
        let idle = self.milters.iter().filter(|_| !self.security.privilege_mode);
        settings.chain(foreign).chain(idle.flat_map(starts_without_effect)).collect()
    }

    /// What is different from `running`, the configuration that the program was started with, and only read at start.
    #[must_use]
    pub fn waiting_for_restart(&self, running: &Self) -> Vec<Ineffective> {
        SETTINGS
            .iter()
            .filter(|setting| setting.read == Read::Start && self.differs(setting, running))
            .filter(|setting| setting.key != BACKEND || self.runtime() != running.runtime())
            .map(|setting| self.ineffective(setting, Lack::Restart))
            .collect()
    }

    /// On which runtime the program is to serve; `None`: on its default.
    #[must_use]
    pub fn runtime(&self) -> Option<EventLoopBackend> {
        self.manager.event_loop_backend.filter(|backend| !backend.is_foreign())
    }

    fn backend_is_foreign(&self) -> bool {
        self.manager.event_loop_backend.is_some_and(EventLoopBackend::is_foreign)
    }

    fn differs(&self, setting: &Setting, other: &Self) -> bool {
        // Slots are made for writing; copies to read from keep the table of settings single.
        let show = |configuration: &Self| (setting.slot)(&mut configuration.clone()).show();
        show(self) != show(other)
    }

    fn ineffective(&self, setting: &Setting, lack: Lack) -> Ineffective {
        Ineffective {
            setting: setting.key.to_owned(),
            milter: None,
            location: self.assigned.get(setting.key).cloned(),
            lack,
        }
    }
}

/// What starts a milter, which nobody does without `security.privilege_mode`.
fn starts_without_effect(milter: &Milter) -> impl Iterator<Item = Ineffective> {
    let show = |property: &Property, milter: &Milter| (property.slot)(&mut milter.clone()).show();
    let default = Milter::new(&milter.name);
    Property::all()
        .filter(|property| property.read == Read::Privileged)
        .filter(move |property| show(property, milter) != show(property, &default))
        .map(|property| Ineffective {
            setting: format!("milter.{}", property.name),
            milter: Some(milter.name.clone()),
            location: milter.locations.get(property.name).cloned(),
            lack: Lack::Unprivileged,
        })
}
