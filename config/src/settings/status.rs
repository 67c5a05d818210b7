//! The words for fallbacks, the order of recipients, the choice of sockets and syslog facilities.

use millstream_core::policy::{EndpointChoice, Fallback, Recipients};

/// The statuses of milter manager, in the order of error messages.
pub(super) const STATUSES: [(&str, Fallback); 4] = [
    ("accept", Fallback::Accept),
    ("reject", Fallback::Reject),
    ("temporary-failure", Fallback::TemporaryFailure),
    ("discard", Fallback::Discard),
];

/// The statuses of a milter, in the order of error messages.
pub(super) const MILTER_STATUSES: [(&str, Fallback); 6] = [
    ("accept", Fallback::Accept),
    ("reject", Fallback::Reject),
    ("temporary-failure", Fallback::TemporaryFailure),
    ("discard", Fallback::Discard),
    ("quarantine", Fallback::Quarantine),
    ("shutdown", Fallback::Shutdown),
];

/// In the order of error messages.
pub(super) const RECIPIENTS: [(&str, Recipients); 2] =
    [("in-order", Recipients::InOrder), ("parallel", Recipients::Parallel)];

/// In the order of error messages.
pub(super) const ENDPOINT_CHOICES: [(&str, EndpointChoice); 3] = [
    ("failover", EndpointChoice::Failover),
    ("round-robin", EndpointChoice::RoundRobin),
    ("least-busy", EndpointChoice::LeastBusy),
];

/// The facilities that milter manager knows; `auth` is `authpriv` to it.
pub(super) const FACILITIES: [(&str, &str); 19] = [
    ("auth", "auth"),
    ("authpriv", "authpriv"),
    ("cron", "cron"),
    ("daemon", "daemon"),
    ("ftp", "ftp"),
    ("kern", "kern"),
    ("local0", "local0"),
    ("local1", "local1"),
    ("local2", "local2"),
    ("local3", "local3"),
    ("local4", "local4"),
    ("local5", "local5"),
    ("local6", "local6"),
    ("local7", "local7"),
    ("lpr", "lpr"),
    ("mail", "mail"),
    ("news", "news"),
    ("user", "user"),
    ("uucp", "uucp"),
];

/// The meaning of `word`; case does not matter, `_` and blanks are as good as `-`.
pub(crate) fn meaning<T: Copy>(table: &[(&'static str, T)], word: &str) -> Option<T> {
    let normal = word.trim().to_ascii_lowercase().replace(['_', ' '], "-");
    table.iter().find(|(name, _)| *name == normal).map(|(_, meaning)| *meaning)
}

/// The word for `meaning`.
pub(crate) fn word<T: Copy + PartialEq>(table: &[(&'static str, T)], meaning: T) -> &'static str {
    table.iter().find(|(_, known)| *known == meaning).map_or("", |(name, _)| name)
}

/// `["accept", "reject"]`
pub(crate) fn list<T>(table: &[(&'static str, T)]) -> String {
    format!("[{}]", table.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", "))
}
