//! Whether an init script is started with the system.

use crate::report::Evidence;
use crate::survey::Survey;
use crate::systemd::{State, state};

/// The links of the candidate's init script.
pub(crate) struct Links {
    /// One that starts it in a runlevel from 2 to 5.
    starts: Option<String>,
    /// One that stops it there.
    stops: Option<String>,
    /// Any, in whichever runlevel.
    any: Option<String>,
}

impl Links {
    /// What says that the script is started: a link of any kind, for a service that is known to be managed by them.
    pub(crate) fn managed(&self) -> Option<Evidence> {
        let link = self.starts.as_ref().or(self.any.as_ref())?;
        Some(Evidence::whole(link, "enabled by the links of runlevels"))
    }

    /// What says that it is not: links that stop it in runlevels 2 to 5 and none that starts it, which is what `systemctl disable` and
    /// `chkconfig off` make.
    pub(crate) fn stopped(&self) -> Option<Evidence> {
        let link = self.stops.as_ref().filter(|_| self.starts.is_none())?;
        Some(Evidence::whole(link, "disabled: no runlevel from 2 to 5 starts it"))
    }
}

/// Looks for the links of the candidate's script.
pub(crate) fn links(survey: &Survey<'_>) -> Links {
    let mut links = Links { starts: None, stops: None, any: None };
    for level in 0..=6 {
        let directory = format!("/etc/rc{level}.d");
        for name in survey.root().names(&directory).unwrap_or_default() {
            let Some(letter) = letter(&name, survey.candidate) else { continue };
            let path = format!("{directory}/{name}");
            if (2..=5).contains(&level) {
                let slot = if letter == b'S' { &mut links.starts } else { &mut links.stops };
                slot.get_or_insert_with(|| path.clone());
            }
            links.any.get_or_insert(path);
        }
    }
    links
}

/// What says that the candidate's script cannot be started although its links would have it so: a unit of its name that is masked.
pub(crate) fn masked(survey: &mut Survey<'_>) -> Option<Evidence> {
    let unit = state(survey, &format!("{}.service", survey.candidate));
    matches!(unit.state, State::Masked | State::MaskedRuntime).then_some(unit.by)
}

/// The letter of a runlevel's link to `script`.
fn letter(name: &str, script: &str) -> Option<u8> {
    let [letter @ (b'S' | b'K'), b'0'..=b'9', b'0'..=b'9', rest @ ..] = name.as_bytes() else { return None };
    (rest == script.as_bytes()).then_some(*letter)
}
