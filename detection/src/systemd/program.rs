//! The program that starts a service.

use crate::survey::Survey;

const SYSTEMCTL: &str = "/usr/bin/systemctl";
const SERVICE: [&str; 2] = ["/sbin/service", "/usr/sbin/service"];

/// The program and the words behind it that start the service `name`; where there is none of the known programs, that is a warning.
pub(crate) fn program(survey: &mut Survey<'_>, name: &str) -> Option<(String, String)> {
    if survey.root().is_executable(SYSTEMCTL) {
        return Some((SYSTEMCTL.to_owned(), format!("start {name}")));
    }
    let service = service_program(survey).map(|program| (program.to_owned(), format!("{name} start")));
    if service.is_none() {
        let text = format!(
            "a program was expected here, or {}, to start {name} with: it is defined without a command",
            SERVICE.join(" or ")
        );
        survey.warn(SYSTEMCTL, None, text);
    }
    service
}

/// Where `service` is.
pub(crate) fn service_program(survey: &Survey<'_>) -> Option<&'static str> {
    SERVICE.into_iter().find(|program| survey.root().is_executable(program))
}
