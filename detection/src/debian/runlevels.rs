//! Whether an init script is started with the system.

use crate::report::Evidence;
use crate::survey::Survey;
use crate::systemd::{State, state};

/// What says that the candidate's script is not started: a unit of its name that is masked, or links that stop it in runlevels 2 to 5 and
/// none that starts it, which is what `systemctl disable` makes for a service that has a script.
pub(crate) fn stopped(survey: &mut Survey<'_>) -> Option<Evidence> {
    let unit = state(survey, &format!("{}.service", survey.candidate));
    if matches!(unit.state, State::Masked | State::MaskedRuntime) {
        return Some(unit.by);
    }
    let mut stops = None;
    for level in 2..=5 {
        let directory = format!("/etc/rc{level}.d");
        for name in survey.root().names(&directory).unwrap_or_default() {
            match is_link(&name, survey.candidate) {
                Some(b'S') => return None,
                Some(_) => stops = stops.or(Some(format!("{directory}/{name}"))),
                None => {}
            }
        }
    }
    stops.map(|link| Evidence::whole(&link, "disabled: no runlevel from 2 to 5 starts it"))
}

/// The letter of a runlevel's link to `script`.
pub(crate) fn is_link(name: &str, script: &str) -> Option<u8> {
    let [letter @ (b'S' | b'K'), b'0'..=b'9', b'0'..=b'9', rest @ ..] = name.as_bytes() else { return None };
    (rest == script.as_bytes()).then_some(*letter)
}
