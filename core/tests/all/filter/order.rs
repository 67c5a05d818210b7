//! Which command may follow which: section 8 of the protocol description, seen from outside.

use millstream_core::filter::Filter;
use millstream_core::wire::facts::STAGES;
use millstream_core::wire::{Culprit, Fault, Protocol, Stage, WireError};

use super::dialogue::{
    COMMANDS, LIMIT, answer, command, frame, go_on, letter, mixtures, negotiated, receive, say, talk, written,
};

#[test]
fn dialogues_of_real_mtas() {
    let dialogues = [
        ("one message", "C H M R T L N B E Q"),
        ("no body", "C H M R T L N E Q"),
        ("no headers", "C H M R T N B E Q"),
        ("nothing but an envelope", "C H M R T E Q"),
        ("without DATA, as in version 3", "C H M R L N B E Q"),
        ("many of everything", "C H M R R R T L L L N B B B E Q"),
        ("several messages", "C H M R T L N B E  M R T N E  M R E Q"),
        ("Postfix aborts behind every message", "C H M R T L N B E A  M R T L N E A A Q"),
        ("aborted before a message was ever begun", "C A H A A Q"),
        ("aborted at every place", "C H M A M R A M R T A M R T L A M R T N A M R T N B A Q"),
        ("aborted, then QUIT", "C H M R A Q"),
        ("QUIT within a message", "C H M R T L Q"),
        ("HELO again after STARTTLS", "C H H M R T N E Q"),
        ("HELO again within the envelope, Sendmail", "C H M R H M R T N E Q"),
        ("HELO again within the envelope, Postfix", "C H M R H A M R T N E Q"),
        ("MAIL again", "C H M M R M R T N E Q"),
        ("commands without HELO", "C M R T N E Q"),
        ("unknown commands anywhere", "U C U H U M U R U T U L U L U N U B U B U E U Q"),
        ("macros anywhere", "D C D H D M D R D T D L D L D N D B D B D E D A D Q"),
        ("another session on this connection", "C H M R T N E K C H M R T N E Q"),
        ("another session at once", "C K C K C H Q"),
        ("another session out of a message", "C H M R T K C H M R E Q"),
        ("QUIT at once", "Q"),
    ];
    for (what, commands) in dialogues {
        let mut filter = negotiated(Protocol::NONE);
        assert_eq!(talk(&mut filter, commands), Ok(()), "{what}");
        assert!(filter.is_closed(), "{what}");
    }
}

/// A way to every place, and what may come there by section 8. Behind the bar: what is allowed beyond it. MACRO may
/// come everywhere.
const AFTER: [(&str, &str); 14] = [
    ("", "CUQ | HMAK"),
    ("C", "HMUAQK |"),
    ("CH", "HMUAQK |"),
    // No recipient is known of yet, but one may have been refused without being shown.
    ("CHM", "RAUHMQ | TLNBEK"),
    ("CHMR", "RTLNBEAUHMQ | K"),
    ("CHMRT", "LNBEAQ | UK"),
    ("CHMRTL", "LNEAQ | BUK"),
    ("CHMRTN", "BEAQ | UK"),
    ("CHMRTB", "BEAQ | UK"),
    ("CHMRTNE", "MHAUKQ |"),
    ("CHMRTA", "MHUAKQ |"),
    ("CHMRTU", "LNBEAQ | UK"),
    ("CHK", "CQ | HMUAK"),
    ("CHMRTNEU", "MHAUKQ |"),
];

#[test]
fn every_command_at_every_place() {
    for (way, allowed) in AFTER {
        for next in COMMANDS {
            let mut filter = negotiated(Protocol::NONE);
            talk(&mut filter, way).unwrap();
            let came = say(&mut filter, *next);
            if allowed.bytes().any(|letter| letter == *next) || *next == b'D' {
                assert_eq!(came, Ok(*next), "after {way}");
            } else {
                let is_it = matches!(
                    came,
                    Err(Fault::OutOfTurn { culprit: Culprit::Mta, came, .. }) if came == *next
                );
                assert!(is_it, "{} after {way}: {came:?}", char::from(*next));
            }
        }
    }
}

#[test]
fn the_first_thing_is_a_negotiation() {
    for next in COMMANDS.iter().filter(|letter| !b"OQ".contains(letter)) {
        let mut filter = Filter::new(LIMIT);
        let expected = "a negotiation";
        let fault = Fault::OutOfTurn { culprit: Culprit::Mta, expected, came: *next };
        assert_eq!(say(&mut filter, *next), Err(fault));
        assert!(filter.is_greeting());
    }
}

#[test]
fn an_mta_that_quits_at_once_has_said_all() {
    let mut filter = Filter::new(LIMIT);
    assert_eq!(say(&mut filter, b'Q'), Ok(b'Q'));
    assert!(filter.is_closed());
    assert_eq!(filter.owed(), None);
}

#[test]
fn nothing_may_follow_quit() {
    for next in COMMANDS {
        let mut filter = negotiated(Protocol::NONE);
        talk(&mut filter, "CHQ").unwrap();
        assert!(say(&mut filter, *next).is_err(), "{}", char::from(*next));
    }
}

#[test]
fn a_fault_names_what_was_expected_and_what_came() {
    let cases = [
        (
            "",
            b'R',
            "the MTA sent 'R' (envelope-recipient), expected connect, helo, mail, unknown, abort or quit",
        ),
        ("C", b'C', "the MTA sent 'C' (connect), expected connect, helo, mail, unknown, abort or quit"),
        ("CHM", b'C', "the MTA sent 'C' (connect), expected a recipient, data, content, abort or quit"),
        ("CHMRTN", b'L', "the MTA sent 'L' (header), expected body, end of message, abort or quit"),
        ("CHQ", b'M', "the MTA sent 'M' (envelope-from), expected nothing after quit"),
    ];
    for (way, next, text) in cases {
        let mut filter = negotiated(Protocol::NONE);
        talk(&mut filter, way).unwrap();
        assert_eq!(say(&mut filter, next).unwrap_err().to_string(), text);
    }
}

#[test]
fn a_fault_stays_whatever_comes_behind_it() {
    let mut filter = negotiated(Protocol::NONE);
    let fault = say(&mut filter, b'R').unwrap_err();
    for next in COMMANDS {
        assert_eq!(say(&mut filter, *next), Err(fault));
    }
    assert_eq!(filter.owed(), None);
    assert_eq!(filter.unwritten(), 0);
}

#[test]
fn frames_that_cannot_be_are_faults_with_the_place_where_they_came() {
    let cases: [(&[u8], WireError); 6] = [
        (&[0, 0, 0, 0, b'H'], WireError::Empty),
        (&[0, 0x20, 0, 0, b'H'], WireError::TooLong { length: 0x20_0000, limit: LIMIT }),
        (&frame(b'z', b""), WireError::UnknownLetter(b'z')),
        (&frame(b'c', b""), WireError::UnknownLetter(b'c')),
        (&frame(b'H', b"x"), WireError::Truncated { letter: b'H', missing: "a NUL behind the name" }),
        (&frame(b'A', b"xy"), WireError::Trailing { letter: b'A', extra: 2 }),
    ];
    for (bytes, error) in cases {
        let mut filter = negotiated(Protocol::NONE);
        talk(&mut filter, "C").unwrap();
        receive(&mut filter, bytes);
        let expected = "connect, helo, mail, unknown, abort or quit";
        let fault = Fault::Frame { culprit: Culprit::Mta, expected, error };
        for _ in 0..2 {
            assert_eq!(filter.poll_command().unwrap_err(), fault);
        }
    }
}

#[test]
fn every_mixture_of_stages_may_be_skipped() {
    for skipped in mixtures(Protocol::NO_SEND) {
        let mut filter = negotiated(skipped);
        let sent = |stage: &Stage| {
            *stage != Stage::Negotiate && stage.fact().no_send.is_none_or(|bit| !skipped.has(bit))
        };
        let session: Vec<Stage> = STAGES.iter().map(|fact| fact.stage).filter(sent).collect();
        let message: Vec<Stage> = session.iter().copied().filter(|stage| *stage >= Stage::Mail).collect();
        for stage in session.iter().chain(&message) {
            assert_eq!(say(&mut filter, stage.letter()), Ok(stage.letter()), "without {skipped:x?}");
            assert_eq!(filter.owed(), Some(*stage));
            go_on(&mut filter);
        }
        talk(&mut filter, "AQ").unwrap();
    }
}

#[test]
fn each_version_may_be_answered_and_spoken() {
    for (version, commands) in
        [(2, "CHMRLNBEQ"), (3, "CUHMRLNBEQ"), (4, "CUHMRTLNBEQ"), (5, "CHMRTE"), (6, "CHKCHQ")]
    {
        let mut filter = Filter::new(LIMIT);
        say(&mut filter, b'O').unwrap();
        let answer = answer(version, Protocol::NONE);
        filter.negotiate(&answer).unwrap();
        let mut expected = bytes::BytesMut::new();
        answer.encode_frame(&mut expected);
        assert_eq!(written(&mut filter), expected);
        assert_eq!(talk(&mut filter, commands), Ok(()), "version {version}");
    }
}

#[test]
fn a_closed_connection_owes_nothing_and_holds_nothing() {
    let mut filter = negotiated(Protocol::NONE);
    talk(&mut filter, "CHMRT").unwrap();
    receive(&mut filter, &[command(b'N'), command(b'E')].concat());
    assert_eq!(filter.poll_command().unwrap().map(|command| letter(&command)), Some(b'N'));
    filter.close();
    assert!(filter.is_closed());
    assert_eq!(filter.owed(), None);
    assert_eq!(filter.unwritten(), 0);
    assert!(!filter.has_input());
}
