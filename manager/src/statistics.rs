//! The lines that log analysers parse: one for the end of each session and of each child in it, for each header that was
//! added, and for how many sessions run. Word for word as milter manager writes them, without the number in front.

use std::time::{Duration, Instant};

use millstream_config::LogLevel;
use millstream_core::event::{ChildEnd, SessionReport, Status};
use millstream_core::service::SessionId;
use millstream_core::wire::Stage;
use millstream_shared::{Rounds, Told};

use crate::log::{About, Line, put_number, put_printable, put_printable_to, put_seconds};

/// How often at most it is told how many sessions have ended, while others run.
const PAUSE: Duration = Duration::from_secs(1);
/// Of a header's value no more than this is told: what analysers look for in it comes early.
const LONGEST_VALUE: usize = 2000;
/// Room for most lines.
const USUAL: usize = 96;

/// The lines for the end of `session`: first the children, in chain order.
pub(crate) fn end(session: SessionId, report: &SessionReport) -> Vec<Line> {
    // With room for the line about all sessions.
    let mut lines = Vec::with_capacity(report.children.len() + 2);
    lines.extend(report.children.iter().map(|child| child_end(session, child)));
    let text = session_end(session, report);
    let about = About { session: Some(session), status: Some(report.status.name()), ..About::default() };
    lines.push(Line::about(LogLevel::STATISTICS, text, about));
    lines
}

/// The line for the session itself.
pub(crate) fn session_end(session: SessionId, report: &SessionReport) -> String {
    ended("[session][end][", report.stage, report.status, report.elapsed, session)
}

fn child_end(session: SessionId, child: &ChildEnd) -> Line {
    let mut text = ended("[milter][end][", child.stage, child.status, child.elapsed, session);
    text.push_str(": ");
    text.push_str(&child.name);
    let about = About {
        session: Some(session),
        milter: Some(child.name.clone()),
        status: Some(child.status.name()),
        ..About::default()
    };
    Line::about(LogLevel::STATISTICS, text, about)
}

fn ended(what: &str, stage: Stage, status: Status, elapsed: Duration, session: SessionId) -> String {
    let mut text = String::with_capacity(USUAL);
    for part in [what, stage.name(), "][", status.name(), "]["] {
        text.push_str(part);
    }
    put_seconds(&mut text, elapsed);
    text.push(']');
    put_session(&mut text, session);
    text
}

fn put_session(text: &mut String, session: SessionId) {
    text.push('(');
    put_number(text, session.0);
    text.push(')');
}

/// The line for a header that a child has added, or that was added to the MTA's message.
pub(crate) fn header(session: SessionId, name: &[u8], value: &[u8], by: Option<&str>) -> String {
    let mut text = String::with_capacity(USUAL + value.len().min(LONGEST_VALUE));
    text.push_str(if by.is_some() { "[milter][header][add]" } else { "[session][header][add]" });
    put_session(&mut text, session);
    text.push_str(": <");
    let begin = text.len();
    put_printable(&mut text, name);
    shut_in(&mut text, begin);
    text.push_str(">=<");
    let begin = text.len();
    put_printable_to(&mut text, value.strip_prefix(b" ").unwrap_or(value), LONGEST_VALUE);
    shut_in(&mut text, begin);
    text.push('>');
    if let Some(child) = by {
        text.push_str(": ");
        text.push_str(child);
    }
    text
}

/// What comes from outside, from `begin` on, must not look like the end of the value with another name behind it.
fn shut_in(text: &mut String, begin: usize) {
    if text[begin..].contains('>') {
        let inside = text[begin..].replace(">: ", "\\x3e: ").replace(">=<", "\\x3e=<");
        text.truncate(begin);
        text.push_str(&inside);
    }
}

/// The line for a message that was put into the MTA's quarantine.
pub(crate) fn quarantine(session: SessionId) -> String {
    format!("[reply][end-of-message][quarantine]({session})")
}

/// The line for a session whose client has gone while something was waited for.
pub(crate) fn disconnected(session: SessionId, elapsed: Duration) -> String {
    let mut text = "[session][disconnected][".to_owned();
    put_seconds(&mut text, elapsed);
    text.push(']');
    put_session(&mut text, session);
    text
}

/// How many sessions have ended, and how many of them were told.
#[derive(Debug, Default)]
pub(crate) struct Finished(Rounds);

impl Finished {
    /// A session has ended at `now` and `running` others run. Returns the line about that, where it is time for one: when no
    /// other runs, and once a second.
    pub(crate) fn one_more(&self, running: u32, now: Instant) -> Option<Line> {
        let Told { all, new } = self.0.one_more(running == 0, now, PAUSE)?;
        let text = format!("[sessions][finished] {all}(+{new}) {running}");
        Some(Line::about(LogLevel::STATISTICS, text, About::default()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_session_that_ends_has_a_line_for_each_child_and_one_for_itself() {
        let child = |name: &str, status| ChildEnd {
            name: Arc::from(name),
            stage: Stage::EndOfMessage,
            status,
            elapsed: Duration::from_micros(303),
        };
        let report = SessionReport {
            stage: Stage::Rcpt,
            status: Status::Abort,
            elapsed: Duration::from_micros(2376),
            children: vec![child("clamav", Status::Pass), child("milter-greylist", Status::TemporaryFailure)],
        };
        let lines = end(SessionId(3), &report);
        assert_eq!(
            lines.iter().map(Line::text).collect::<Vec<_>>(),
            [
                "[milter][end][end-of-message][pass][0.000303](3): clamav",
                "[milter][end][end-of-message][temporary-failure][0.000303](3): milter-greylist",
                "[session][end][envelope-recipient][abort][0.002376](3)",
            ]
        );
    }

    #[test]
    fn a_client_that_has_gone_is_counted_with_the_seconds_since_it_came() {
        let line = disconnected(SessionId(5), Duration::from_millis(12_500));
        assert_eq!(line, "[session][disconnected][12.5](5)");
    }

    #[test]
    fn how_many_sessions_run_is_told_when_none_does_and_once_a_second() {
        let finished = Finished::default();
        let begin = Instant::now();
        let one_more = |running, milliseconds| {
            let line = finished.one_more(running, begin + Duration::from_millis(milliseconds));
            line.map(|line| line.text().to_owned())
        };
        assert_eq!(one_more(4, 0).as_deref(), Some("[sessions][finished] 1(+1) 4"));
        assert_eq!(one_more(4, 10), None);
        assert_eq!(one_more(3, 999), None);
        assert_eq!(one_more(2, 1000).as_deref(), Some("[sessions][finished] 4(+3) 2"));
        assert_eq!(one_more(0, 1001).as_deref(), Some("[sessions][finished] 5(+1) 0"));
    }

    /// A child's name is the end of the line, whatever the value of the header is.
    #[test]
    fn no_header_can_be_counted_for_another_milter() {
        let line = header(SessionId(1), b"X-Spam", b" yes>: clamav\r\n\tand more", Some("spamass"));
        assert_eq!(line, "[milter][header][add](1): <X-Spam>=<yes\\x3e: clamav\\r\\n\\tand more>: spamass");
        let told = header(SessionId(1), b"X-Spam", b"yes", None);
        assert_eq!(told, "[session][header][add](1): <X-Spam>=<yes>");
    }
}
