//! Events of a session as lines of the log, each with what an administrator needs at three in the morning: the session,
//! the child, the stage, what happened, and what was answered instead.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use millstream_config::LogLevel;
use millstream_core::event::{
    ChildReport, Event, Failure, FallbackReason, LimitName, MessageEnd, MessageReport, Outcome, Status,
    Verdict,
};
use millstream_core::machine::{IoError, IoKind, Refusal};
use millstream_core::policy::{FailureKind, RemarkLevel};
use millstream_core::pool::AddressState;
use millstream_core::service::{Notice, PauseReason, SessionId};
use millstream_core::time::Instant;

use crate::log::{About, printable, put_milliseconds, put_number, put_printable};
use crate::statistics;

/// Room for most lines.
const USUAL: usize = 224;

/// The level at which an event is logged.
pub(crate) fn level(event: &Event) -> LogLevel {
    match event {
        Event::Negotiated { .. } | Event::ChildStopped { .. } => LogLevel::DEBUG,
        Event::Answered { .. } => LogLevel::INFO,
        Event::ClientGone { .. } => LogLevel::STATISTICS,
        // That it is down was told once; the line of each message says what was answered instead.
        Event::ChildFailed { failure: Failure::Connect(Refusal::Down { .. }), .. } => LogLevel::INFO,
        Event::EditIgnored { .. } => LogLevel::WARNING,
        Event::ChildFailed { .. } | Event::MtaFailed { .. } | Event::SpillFailed { .. } => LogLevel::ERROR,
        Event::ConditionRemarked { remark, .. } => level_of_remark(remark.level),
        Event::Message(_) | Event::EditsOverlap { .. } => LogLevel::MESSAGE,
        Event::HeaderAdded { .. } | Event::Quarantined | Event::Ended(_) => LogLevel::STATISTICS,
    }
}

/// The level that a condition has named.
pub(crate) fn level_of_remark(level: RemarkLevel) -> LogLevel {
    match level {
        RemarkLevel::Critical => LogLevel::CRITICAL,
        RemarkLevel::Error => LogLevel::ERROR,
        RemarkLevel::Warning => LogLevel::WARNING,
        RemarkLevel::Message => LogLevel::MESSAGE,
        RemarkLevel::Info => LogLevel::INFO,
        RemarkLevel::Debug => LogLevel::DEBUG,
        RemarkLevel::Trace => LogLevel::TRACE,
        RemarkLevel::Statistics => LogLevel::STATISTICS,
        RemarkLevel::Profile => LogLevel::PROFILE,
    }
}

/// What an event is about.
pub(crate) fn about(session: SessionId, event: &Event) -> About {
    let about = About { session: Some(session), ..About::default() };
    match event {
        Event::ChildFailed { name, .. } => {
            About { milter: Some(name.clone()), status: Some(Status::Error.name()), ..about }
        }
        Event::ChildStopped { name, .. } => {
            About { milter: Some(name.clone()), status: Some(Status::Stop.name()), ..about }
        }
        Event::ConditionRemarked { name, .. }
        | Event::EditsOverlap { name, .. }
        | Event::EditIgnored { name, .. }
        | Event::HeaderAdded { by: Some(name), .. } => About { milter: Some(name.clone()), ..about },
        Event::Answered { verdict, by, .. } => {
            About { milter: by.clone(), status: Some(verdict.name()), ..about }
        }
        Event::Message(report) => About {
            queue_id: Some(report.queue_id.clone()).filter(|id| !id.is_empty()),
            milter: report.decided_by.clone(),
            status: Some(status(report)),
            ..about
        },
        Event::Quarantined => About { status: Some(Status::Quarantine.name()), ..about },
        Event::MtaFailed { .. } => About { status: Some(Status::Error.name()), ..about },
        Event::Negotiated { .. }
        | Event::ClientGone { .. }
        | Event::SpillFailed { .. }
        | Event::HeaderAdded { by: None, .. }
        | Event::Ended(_) => about,
    }
}

/// How a message ended, in a word.
fn status(report: &MessageReport) -> &'static str {
    let status = match &report.end {
        MessageEnd::Answered(verdict) if verdict.delivers() && held_by(report).is_some() => {
            Status::Quarantine
        }
        MessageEnd::Answered(verdict) => Status::of(verdict),
        MessageEnd::Aborted | MessageEnd::Disconnected => Status::Abort,
        MessageEnd::OverLimit(_) => Status::TemporaryFailure,
    };
    status.name()
}

/// An event as a line.
pub(crate) fn event(session: SessionId, event: &Event) -> String {
    let mut line = String::with_capacity(USUAL);
    line.push('[');
    put_number(&mut line, session.0);
    line.push_str("] ");
    let text = match event {
        // Analysers know these by how they begin.
        Event::HeaderAdded { name, value, by } => {
            return statistics::header(session, name, value, by.as_deref());
        }
        Event::Quarantined => return statistics::quarantine(session),
        Event::Ended(report) => return statistics::session_end(session, report),
        Event::Negotiated { version, children } => {
            format!("[session][negotiated] version {version}, {}", crate::count(*children, "child milter"))
        }
        Event::ChildFailed { name, stage, failure, fallback, reason, evaluation, .. } => {
            let consequence = match reason {
                _ if *evaluation => "it is in evaluation mode, so the mail goes on without it".to_owned(),
                FallbackReason::Ours => {
                    "a limit of this process and not of the milter, so answered: temporary-failure".to_owned()
                }
                FallbackReason::NoQuarantine => {
                    format!("answered instead: {fallback}, since the MTA offers no quarantine")
                }
                FallbackReason::Child => format!("answered instead: {fallback} (milter.fallback_status)"),
                FallbackReason::Kind => format!("answered instead: {fallback} ({})", of_kind(failure.kind())),
            };
            format!("[milter][failed] {name}: {failure}, at {stage}; {consequence}")
        }
        // As milter manager writes it: its analysers read this.
        Event::ClientGone { elapsed, .. } => {
            return statistics::disconnected(session, *elapsed);
        }
        Event::ChildStopped { name, stage, why, .. } => {
            format!("[milter][stopped] {name}: by condition {:?} ({}), at {stage}", why.condition, why.place)
        }
        Event::ConditionRemarked { name, stage, remark, .. } => {
            let from = &remark.from;
            let text = printable(remark.text.as_bytes());
            format!("[condition] {name}: {:?} ({}), at {stage}: {text}", from.condition, from.place)
        }
        Event::Answered { stage, verdict, by, recipient } => {
            let by = by.as_deref().map_or(String::new(), |name| format!(" by {name}"));
            let recipient =
                recipient.as_deref().map_or(String::new(), |text| format!(" {}", printable(text)));
            let mut text = format!("[session][{stage}]{recipient} ");
            put_verdict(&mut text, verdict);
            text + &by
        }
        Event::EditsOverlap { name, headers } => format!(
            "[milter][overlap] {name}: has changed {} that an independent milter before it has changed, too; those of \
             {name} hold",
            crate::count(*headers, "header")
        ),
        Event::EditIgnored { name, edit, reason } => format!("[milter][ignored] {name}: {edit}: {reason}"),
        Event::SpillFailed { error } => spill_failed(&std::env::temp_dir(), *error),
        Event::Message(report) => {
            put_message(&mut line, report);
            return line;
        }
        Event::MtaFailed { stage, failure } => format!("[session][failed] MTA: {failure}, at {stage}"),
    };
    line.push_str(&text);
    line
}

/// One line for one message: `[message] QUEUE-ID from=SENDER to=ACCEPTED+REFUSED body=BYTES CHILD=VERDICT@STAGE/MS ...
/// -> ANSWER by CHILD in MS`.
fn put_message(text: &mut String, report: &MessageReport) {
    text.push_str("[message] ");
    match &report.queue_id[..] {
        [] => text.push('-'),
        queue_id => put_printable(text, queue_id),
    }
    text.push_str(" from=");
    put_printable(text, &report.sender);
    let (accepted, refused) = report.recipients;
    for (what, number) in [(" to=", accepted as u64), ("+", refused as u64), (" body=", report.body_bytes)] {
        text.push_str(what);
        put_number(text, number);
    }
    for child in &report.children {
        text.push(' ');
        put_child(text, child);
    }
    text.push_str(" -> ");
    match &report.end {
        MessageEnd::Answered(verdict) => match held_by(report) {
            Some(name) if verdict.delivers() => text.extend(["quarantine by ", name]),
            _ => put_verdict(text, verdict),
        },
        MessageEnd::Aborted => text.push_str("taken back by the MTA"),
        MessageEnd::Disconnected => text.push_str("the MTA has closed the connection"),
        MessageEnd::OverLimit(limit) => {
            let _ = write!(text, "temporary-failure: {limit} ({})", setting(*limit));
        }
    }
    if let Some(name) = report.decided_by.as_deref() {
        text.extend([" by ", name]);
    }
    text.extend([" at ", report.stage.name(), " in "]);
    put_milliseconds(text, report.elapsed);
}

fn spill_failed(folder: &Path, error: IoError) -> String {
    let reason = match error.kind {
        IoKind::NotFound => "there is no such folder".to_owned(),
        _ => error.to_string(),
    };
    format!(
        "[session][spill] the file for a body in {} failed: {reason}; temporary-failure. Make room there, or start with \
         TMPDIR set to another folder",
        folder.display()
    )
}

/// The first milter that had the message put into quarantine.
fn held_by(report: &MessageReport) -> Option<&str> {
    report.children.iter().find(|child| child.quarantined).map(|child| &*child.name)
}

/// The setting of a limit.
const fn setting(limit: LimitName) -> &'static str {
    match limit {
        LimitName::Recipients => "manager.max_recipients",
        LimitName::EnvelopeBytes => "manager.max_envelope_size",
        LimitName::Headers => "manager.max_headers",
        LimitName::HeaderBytes => "manager.max_header_size",
        LimitName::BodyBytes => "manager.max_body_memory",
        LimitName::MacroBytes => "manager.max_macro_size",
        LimitName::SpillBytes => "manager.max_body_file",
        LimitName::TotalBodyBytes => "manager.max_total_body_memory",
        LimitName::TotalSpillBytes => "manager.max_total_body_file",
        LimitName::MessageTime => "manager.max_message_time",
        LimitName::SpillFile => "see the line before",
    }
}

fn put_child(text: &mut String, child: &ChildReport) {
    text.push_str(&child.name);
    text.push_str(if child.evaluation { "(evaluation)=" } else { "=" });
    match &child.outcome {
        Outcome::Decided(_) if child.quarantined => text.push_str("quarantine"),
        Outcome::Decided(verdict) => text.push_str(verdict.name()),
        Outcome::Failed(fallback) => {
            let _ = write!(text, "failed({fallback})");
        }
        Outcome::Stopped => text.push_str("stopped"),
        Outcome::Aborted => text.push_str("not-asked"),
        Outcome::Absent => text.push_str("absent"),
    }
    text.extend(["@", child.stage.name(), "/"]);
    put_milliseconds(text, child.elapsed);
    if child.edits > 0 {
        let _ = write!(text, "/{}", crate::count(child.edits, "edit"));
    }
}

fn put_verdict(text: &mut String, verdict: &Verdict) {
    text.push_str(verdict.name());
    if let Some(reply) = verdict.text() {
        text.push_str(" \"");
        put_printable(text, reply);
        text.push('"');
    }
}

/// An error without a number is one that no system call gave.
pub(crate) fn io_error(error: IoError) -> String {
    match error {
        IoError { kind: IoKind::Reset, code: 0 } => {
            "it takes connections and closes them without an answer".to_owned()
        }
        IoError { kind, code: 0 } => kind.to_string(),
        error => error.to_string(),
    }
}

/// Seconds, with a fraction where that matters.
fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 && seconds.fract() > 0.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}

/// A notice of the runtime: its level and line.
pub(crate) fn notice(notice: &Notice) -> (LogLevel, String) {
    match notice {
        Notice::ListenerPaused(PauseReason::MaxConnections(limit)) => (
            LogLevel::WARNING,
            format!(
                "[accept][paused] {limit} sessions are running (manager.max_connections); further connections wait \
                 until one of them ends"
            ),
        ),
        Notice::ListenerPaused(PauseReason::AcceptFailed(error)) => (
            LogLevel::ERROR,
            format!(
                "[accept][paused] {error}; running sessions go on, further connections wait. Raise \
                 manager.max_file_descriptors, or limit manager.max_connections"
            ),
        ),
        Notice::ListenerResumed => (LogLevel::MESSAGE, "[accept][resumed]".to_owned()),
        Notice::SessionPanicked { session, message } => (
            LogLevel::CRITICAL,
            format!(
                "[{session}] [session][panic] {message}; this session was closed, the others go on. Please report it"
            ),
        ),
        Notice::StopTimedOut { sessions, after } => (
            LogLevel::WARNING,
            format!(
                "[stop] {sessions} sessions were still running after {} s and were closed",
                after.as_secs()
            ),
        ),
        Notice::ChildDown { child, address, error, next_try } => (
            LogLevel::ERROR,
            format!(
                "[milter][down] {child} at {address}: {}; not asked there for now, tried again every {} \
                 (milter.retry_interval)",
                io_error(*error),
                seconds(*next_try)
            ),
        ),
        Notice::ChildUp { child, address, down_for } => (
            LogLevel::MESSAGE,
            format!("[milter][up] {child} at {address}: answers again after {}", seconds(*down_for)),
        ),
        Notice::WritesAlone(error) => (
            LogLevel::MESSAGE,
            format!(
                "[loop][io_uring] not to be had: {}; what sessions write takes a system call each, which costs processor \
                 time under load. See the sysctl kernel.io_uring_disabled, the seccomp profile, and SystemCallFilter= of \
                 the unit; manager.use_io_uring = false if it is to be so",
                io_error(*error)
            ),
        ),
        Notice::LoopFailed(error) => (LogLevel::CRITICAL, format!("[loop][failed] {error}")),
    }
}

/// The setting of the fallback for a kind of failure.
const fn of_kind(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Connect => "milter.fallback_status_at_connect",
        FailureKind::Timeout => "milter.fallback_status_at_timeout",
        FailureKind::Protocol => "milter.fallback_status_at_protocol_error",
        FailureKind::Closed => "milter.fallback_status_at_close",
    }
}

/// The line about how an address of a milter stands.
pub(crate) fn state(state: &AddressState, now: Instant) -> String {
    format!("[state] {} at {}", state.child, standing(state, now))
}

/// How an address of a milter stands.
pub(crate) fn standing(state: &AddressState, now: Instant) -> String {
    let AddressState { child: _, address, outage, in_use, kept, waiting } = state;
    let mut text = format!("{address}: {in_use} in use, {kept} kept, {waiting} waiting for the milter; ");
    let _ = match outage {
        None => write!(text, "up"),
        Some(outage) => write!(
            text,
            "down for {}: {}; tried again in {}",
            seconds(now.since(outage.since)),
            io_error(outage.error),
            seconds(outage.next_try.since(now))
        ),
    };
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use millstream_core::pool::Address;
    use millstream_core::pool::breaker::Outage;

    use super::*;

    #[test]
    fn a_milter_that_goes_down_and_comes_back_has_a_line_with_name_socket_and_reason() {
        let (child, address) = (Arc::<str>::from("clamav"), Address::Unix(Arc::from(*b"/run/clamav")));
        let down = |error| {
            let (child, address) = (Arc::clone(&child), address.clone());
            notice(&Notice::ChildDown { child, address, error, next_try: Duration::from_secs(5) }).1
        };
        assert_eq!(
            down(IoError { kind: IoKind::Refused, code: 111 }),
            "[milter][down] clamav at unix:/run/clamav: connection refused (os error 111); not asked there for now, \
             tried again every 5 s (milter.retry_interval)"
        );
        assert!(down(IoError { kind: IoKind::Reset, code: 0 }).contains("closes them without an answer"));
        let state = |outage| {
            let (child, address) = (Arc::from("clamav"), Address::Unix(Arc::from(*b"/run/clamav")));
            super::state(
                &AddressState { child, address, outage, in_use: 3, kept: 2, waiting: 1 },
                Instant::from_nanos(9_000_000_000),
            )
        };
        let up = "[state] clamav at unix:/run/clamav: 3 in use, 2 kept, 1 waiting for the milter; up";
        assert_eq!(state(None), up);
        let since = Instant::from_nanos(1_000_000_000);
        let next_try = Instant::from_nanos(11_000_000_000);
        let error = IoError { kind: IoKind::Refused, code: 111 };
        let down = state(Some(Outage { since, next_try, error }));
        assert!(
            down.ends_with("; down for 8 s: connection refused (os error 111); tried again in 2 s"),
            "{down}"
        );
        let up = Notice::ChildUp { child, address, down_for: Duration::from_millis(1500) };
        assert_eq!(notice(&up).1, "[milter][up] clamav at unix:/run/clamav: answers again after 1.5 s");
    }

    #[test]
    fn a_file_for_a_body_that_failed_names_the_folder_and_what_to_do() {
        let of = |kind, code| spill_failed(Path::new("/var/spill"), IoError { kind, code });
        assert_eq!(
            of(IoKind::NotFound, 2),
            "[session][spill] the file for a body in /var/spill failed: there is no such folder; temporary-failure. Make \
             room there, or start with TMPDIR set to another folder"
        );
        assert!(of(IoKind::NoSpace, 28).contains("failed: no space left (os error 28); temporary-failure."));
    }

    /// A hundred sessions a second do not need a hundred lines a second.
    #[test]
    fn that_a_milter_is_down_is_told_once_and_not_by_each_session() {
        let failed = |why| Event::ChildFailed {
            child: millstream_core::policy::ChildIndex(0),
            name: Arc::from("clamav"),
            stage: millstream_core::wire::Stage::Negotiate,
            failure: Failure::Connect(why),
            fallback: millstream_core::policy::Fallback::Accept,
            reason: FallbackReason::Child,
            evaluation: false,
        };
        let error = IoError { kind: IoKind::Refused, code: 111 };
        assert_eq!(level(&failed(Refusal::Failed(error))), LogLevel::ERROR);
        assert_eq!(level(&failed(Refusal::Full)), LogLevel::ERROR);
        let since = Instant::from_nanos(0);
        assert_eq!(level(&failed(Refusal::Down { error, since })), LogLevel::INFO);
    }
}
