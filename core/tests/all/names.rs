//! The words by which logs and configuration name things. People search their logs for them, so they do not change by
//! accident.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::event::{Failure, LimitName, TimerName, Verdict};
use millstream_core::policy::Fallback;
use millstream_core::service::SessionId;
use millstream_core::wire::Letter;

#[test]
fn a_time_limit_is_named_as_its_setting() {
    for (timer, name) in [
        (TimerName::Connection, "connection_timeout"),
        (TimerName::Writing, "writing_timeout"),
        (TimerName::Reading, "reading_timeout"),
        (TimerName::EndOfMessage, "end_of_message_timeout"),
        (TimerName::MtaGreeting, "no negotiation"),
        (TimerName::MtaIdle, "no command"),
        (TimerName::MtaWriting, "does not read its replies"),
    ] {
        let failure = Failure::Timeout { timer, limit: Duration::from_millis(1500) };
        assert_eq!(failure.to_string(), format!("{name} after 1500 ms"));
    }
    assert!(TimerName::Budget.to_string().contains("the MTA waits for an answer"));
}

#[test]
fn a_limit_is_named_by_what_was_too_much() {
    for (limit, name) in [
        (LimitName::Recipients, "too many recipients"),
        (LimitName::EnvelopeBytes, "envelope too long"),
        (LimitName::Headers, "too many headers"),
        (LimitName::HeaderBytes, "headers too long"),
        (LimitName::BodyBytes, "body too long for memory"),
        (LimitName::MacroBytes, "macros too long"),
        (LimitName::SpillBytes, "body too long for its file"),
        (LimitName::TotalBodyBytes, "too much in memory for all messages together"),
        (LimitName::TotalSpillBytes, "too much in files for all messages together"),
        (LimitName::MessageTime, "the message took too long"),
        (LimitName::SpillFile, "the file for the body failed"),
    ] {
        assert_eq!(limit.to_string(), name);
    }
}

#[test]
fn a_fallback_is_named_as_in_the_configuration() {
    for (fallback, name, delivers) in [
        (Fallback::Accept, "accept", true),
        (Fallback::TemporaryFailure, "temporary-failure", false),
        (Fallback::Reject, "reject", false),
        (Fallback::Discard, "discard", false),
        (Fallback::Quarantine, "quarantine", true),
        (Fallback::Shutdown, "shutdown", false),
    ] {
        assert_eq!(fallback.to_string(), name);
        assert_eq!(Verdict::from(fallback).delivers(), delivers, "{name}");
    }
}

#[test]
fn a_verdict_has_a_name_and_the_milters_text() {
    let text = || Some(Arc::from(&b"550 no"[..]));
    for (verdict, name, said) in [
        (Verdict::Continue, "continue", None),
        (Verdict::Accept, "accept", None),
        (Verdict::Discard, "discard", None),
        (Verdict::Reject(None), "reject", None),
        (Verdict::Reject(text()), "reject", Some(&b"550 no"[..])),
        (Verdict::TemporaryFailure(text()), "temporary-failure", Some(&b"550 no"[..])),
    ] {
        assert_eq!((verdict.name(), verdict.text()), (name, said));
    }
}

#[test]
fn a_letter_is_printed_with_what_it_means() {
    for (letter, name) in [
        (b'D', "'D' (macro)"),
        (b'A', "'A' (abort)"),
        (b'Q', "'Q' (quit)"),
        (b'K', "'K' (quit, connection stays)"),
        (b'M', "'M' (envelope-from)"),
        (b'!', "'!'"),
        (0, "0x00"),
    ] {
        assert_eq!(Letter(letter).to_string(), name);
    }
}

#[test]
fn a_session_is_its_number() {
    assert_eq!(SessionId(17).to_string(), "17");
}
