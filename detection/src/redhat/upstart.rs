//! Upstart jobs.

use super::{OLD_CLAMAV, PLACES};
use crate::listening::Listening;
use crate::report::{Evidence, Found};
use crate::setting::{Setting, numbered};
use crate::shell::option;
use crate::survey::{Spec, Survey};
use crate::systemd::service_program;

/// Looks for the candidate's job.
pub(crate) fn upstart(survey: &mut Survey<'_>) -> Option<Found> {
    let candidate = survey.candidate;
    let path = format!("/etc/event.d/{candidate}");
    let text = survey.read(&path)?;
    let line = |start: &str| numbered(&text).filter(|(_, line)| line.starts_with(start)).last();
    let command =
        line("exec ").map(|(number, line)| Setting::new(&line["exec ".len()..], &path, number, line));
    let listening = match candidate {
        "clamav-milter" => {
            let named = option(survey, command.as_ref(), "-c");
            Listening::clamav(survey, &named.map_or(OLD_CLAMAV.to_owned(), |named| named.value))
        }
        "milter-greylist" => {
            let named = option(survey, command.as_ref(), "-f");
            Listening::greylist(survey, &named.map_or(PLACES.greylist.to_owned(), |named| named.value))
        }
        _ => Listening::default(),
    };
    let spec = survey.spec(candidate, listening.socket);
    let (enabled, enabled_by) = match (line("start on "), listening.refused, &spec) {
        (Some((number, line)), None, Some(_)) => (true, Evidence::line(&path, number, line)),
        (None, ..) => (false, Evidence::whole(&path, "no line starts with \"start on\"")),
        (_, Some(refused), _) => (false, refused),
        (_, None, None) => (false, Evidence::whole(&path, "where it listens was not found")),
    };
    let (command, command_options) = match service_program(survey) {
        Some(service) => (service, format!("{candidate} start")),
        None => ("/sbin/start", candidate.to_owned()),
    };
    let (connection_spec, connection_spec_by) = Spec::parts(spec);
    Some(Found {
        name: candidate.to_owned(),
        enabled,
        enabled_by,
        description: description(&text),
        command: Some(command.to_owned()),
        command_options: Some(command_options),
        connection_spec,
        connection_spec_by,
        tarpit: listening.tarpit,
    })
}

/// The first comments of a job, those that are more than a line of `#`.
fn description(text: &str) -> Option<String> {
    let comments = text.lines().take_while(|line| line.starts_with('#'));
    let words: Vec<_> = comments.filter_map(|line| line.strip_prefix("# ")).map(str::trim).collect();
    (!words.is_empty()).then(|| words.join(" "))
}
