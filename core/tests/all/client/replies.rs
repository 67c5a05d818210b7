//! Which replies a milter may give, at which stage.

use bytes::{Bytes, BytesMut};
use millstream_core::client::{Client, FromMilter};
use millstream_core::wire::facts::{REPLIES, STAGES};
use millstream_core::wire::{Culprit, Edit, Fault, Final, Frame, Protocol, Reply, Stage, WireError, head};

use super::dialogue::{
    LIMIT, commands, full_offer, negotiated, payload, replies, reply, send, talk, written,
};

const WAYS: [&str; 10] = ["C", "CH", "CHM", "CHMR", "CHMRT", "CU", "CHMRTL", "CHMRTN", "CHMRTB", "CHMRTE"];

/// A client that waits for the reply to a stage.
fn waiting_at(stage: Stage) -> Client {
    if stage == Stage::Negotiate {
        return Client::new(LIMIT, &full_offer());
    }
    let way = WAYS.iter().find(|way| way.ends_with(char::from(stage.letter()))).unwrap();
    let mut client = negotiated(6, Protocol::NONE);
    talk(&mut client, &way[..way.len() - 1]);
    assert!(send(&mut client, stage));
    client
}

fn expected_at(stage: Stage) -> &'static str {
    match stage {
        Stage::Negotiate => "the answer to the negotiation",
        Stage::EndOfMessage => "an edit, progress or a verdict",
        _ => "a verdict",
    }
}

#[test]
fn every_letter_at_every_stage() {
    for fact in &STAGES {
        let (stage, expected) = (fact.stage, expected_at(fact.stage));
        for came in 0..=u8::MAX {
            let mut client = waiting_at(stage);

            let result = reply(&mut client, came, payload(came));

            let known = REPLIES.iter().any(|(letter, _, _)| *letter == came);
            let verdict = b"cadrtys4".contains(&came) && stage != Stage::Negotiate;
            let on_the_way = b"p+2-bhimeq".contains(&came) && stage == Stage::EndOfMessage;
            let place = format!("{came:#x} at {stage}");
            if !known {
                let error = WireError::UnknownLetter(came);
                let fault = Fault::Frame { culprit: Culprit::Child, expected, error };
                assert_eq!(result, Err(fault), "{place}");
            } else if came == b'O' && stage == Stage::Negotiate {
                assert_eq!(result, Ok(Some(FromMilter::Negotiated)), "{place}");
            } else if verdict {
                let Ok(Reply::Final(verdict)) = Reply::decode(came, Bytes::from_static(payload(came))) else {
                    panic!("{place}: no verdict");
                };
                assert_eq!(result, Ok(Some(FromMilter::Final(stage, verdict))), "{place}");
                assert_eq!((client.awaits(), client.is_busy()), (None, false), "{place}");
            } else if on_the_way {
                let event = match Reply::decode(came, Bytes::from_static(payload(came))).unwrap() {
                    Reply::Edit(edit) => FromMilter::Edit(edit),
                    _ => FromMilter::Progress,
                };
                assert_eq!(result, Ok(Some(event)), "{place}");
                assert_eq!(client.awaits(), Some(stage), "{place}");
            } else {
                assert_eq!(result, Err(Fault::Reply { stage, expected, came }), "{place}");
            }
            if result.is_err() {
                assert_eq!(reply(&mut client, b'c', b""), result, "{place}: a fault stays");
            }
        }
    }
}

#[test]
fn a_reply_that_nobody_waits_for() {
    let expected = "nothing, since no reply is owed";
    for (came, _, _) in REPLIES {
        let mut client = negotiated(6, Protocol::NR_HELO);
        talk(&mut client, "CH");
        let fault = Fault::OutOfTurn { culprit: Culprit::Child, expected, came };
        assert_eq!(reply(&mut client, came, payload(came)), Err(fault));
        send(&mut client, Stage::Mail);
        assert_eq!(reply(&mut client, b'c', b""), Err(fault), "a fault stays");
    }
}

#[test]
fn a_second_reply_to_one_command() {
    let mut client = waiting_at(Stage::Mail);
    replies(&mut client, &[(b'c', b""), (b'c', b"")]);
    assert_eq!(client.poll_reply(), Ok(Some(FromMilter::Final(Stage::Mail, Final::Continue))));
    assert!(matches!(client.poll_reply(), Err(Fault::OutOfTurn { came: b'c', .. })));
}

#[test]
fn replies_that_cannot_be_read() {
    let cases: [(Stage, u8, &[u8], WireError); 6] = [
        (Stage::Helo, b'c', b"x", WireError::Trailing { letter: b'c', extra: 1 }),
        (Stage::Rcpt, b'y', b"250 ok\0", WireError::ReplyCode),
        (Stage::Rcpt, b'y', b"550 4.7.1 no\0", WireError::ReplyCode),
        (
            Stage::EndOfMessage,
            b'h',
            b"X\0",
            WireError::Truncated { letter: b'h', missing: "a NUL behind the value" },
        ),
        (Stage::EndOfMessage, b'h', b"\0x\0", WireError::Truncated { letter: b'h', missing: "a name" }),
        (
            Stage::EndOfMessage,
            b'i',
            b"\x80\0\0\0X\0y\0",
            WireError::Range { letter: b'i', what: "index", value: 0x8000_0000 },
        ),
    ];
    for (stage, came, payload, error) in cases {
        let mut client = waiting_at(stage);
        let expected = expected_at(stage);
        let fault = Fault::Frame { culprit: Culprit::Child, expected, error };
        assert_eq!(reply(&mut client, came, payload), Err(fault));
        assert_eq!(client.poll_reply(), Err(fault));
    }
}

#[test]
fn a_fault_reads_as_a_sentence() {
    let texts = [
        (Stage::Helo, b'h', "the milter replied 'h' (add-header) to helo, expected a verdict"),
        (Stage::Rcpt, b'p', "the milter replied 'p' (progress) to envelope-recipient, expected a verdict"),
        (Stage::Body, b'!', "the milter sent unknown letter '!', expected a verdict"),
    ];
    for (stage, came, text) in texts {
        let mut client = waiting_at(stage);
        assert_eq!(reply(&mut client, came, payload(came)).unwrap_err().to_string(), text);
    }
}

#[test]
fn changes_and_progress_come_before_the_verdict_in_their_order() {
    let mut client = waiting_at(Stage::EndOfMessage);
    replies(&mut client, &[(b'p', b""), (b'h', b"A\0b\0"), (b'b', b""), (b'p', b""), (b'a', b"")]);
    let text = Bytes::from_static;
    let expected = [
        FromMilter::Progress,
        FromMilter::Edit(Edit::AddHeader(text(b"A"), text(b"b"))),
        FromMilter::Edit(Edit::ReplaceBody(text(b""))),
        FromMilter::Progress,
        FromMilter::Final(Stage::EndOfMessage, Final::Accept),
    ];
    for event in expected {
        assert!(client.is_busy());
        assert_eq!(client.poll_reply(), Ok(Some(event)));
    }
    assert!(!client.is_busy());
    assert_eq!(client.poll_reply(), Ok(None));
}

#[test]
fn replies_byte_by_byte() {
    let mut client = waiting_at(Stage::EndOfMessage);
    let mut events = Vec::new();
    for piece in [&head(b'h', 4)[..], b"A\0b\0", &head(b'c', 0)].concat() {
        client.receive(BytesMut::from(&[piece][..]));
        events.extend(client.poll_reply().unwrap());
    }
    let edit = Edit::AddHeader(Bytes::from_static(b"A"), Bytes::from_static(b"b"));
    let verdict = FromMilter::Final(Stage::EndOfMessage, Final::Continue);
    assert_eq!(events, [FromMilter::Edit(edit), verdict]);
}

#[test]
fn a_verdict_ends_the_message_or_not() {
    // Section 3 of the protocol description: what may end a message, and what a single recipient or command only.
    let ends = [
        ("CHM", "adrty4"),
        ("CHMR", "ad"),
        ("CHMRT", "adrty4"),
        ("CHMRTL", "adrty4"),
        ("CHMRTN", "adrty4"),
        ("CHMRTB", "adrty4"),
        ("CHMRU", ""),
    ];
    for (way, ending) in ends {
        for verdict in b"cadrtys4" {
            let mut client = negotiated(6, Protocol::NONE);
            let (before, last) = way.split_at(way.len() - 1);
            talk(&mut client, before);
            send(&mut client, Stage::of_letter(last.as_bytes()[0]).unwrap());
            reply(&mut client, *verdict, payload(*verdict)).unwrap();
            let open = !ending.as_bytes().contains(verdict);
            assert_eq!(client.in_message(), open, "{} after {way}", char::from(*verdict));
        }
    }
}

#[test]
fn a_message_is_open_from_mail_to_its_end() {
    let mut client = negotiated(6, Protocol::NONE);
    for (letter, open) in [
        ("C", false),
        ("H", false),
        ("M", true),
        ("R", true),
        ("T", true),
        ("L", true),
        ("N", true),
        ("B", true),
    ] {
        talk(&mut client, letter);
        assert_eq!(client.in_message(), open, "{letter}");
    }
    talk(&mut client, "E");
    assert!(!client.in_message());
}

#[test]
fn commands_go_out_as_they_are_told() {
    let mut client = negotiated(6, Protocol::NO_REPLY);
    talk(&mut client, "CHMRT");
    client.header(b"Subject", b"a\n b");
    talk(&mut client, "N");
    let large = Frame::new(b'B', Bytes::from(vec![b'x'; 65535]));
    client.body(&large);
    let sent = commands(&mut client);
    assert_eq!(sent.len(), 8);
    let text = Bytes::from_static;
    assert_eq!(
        sent[5],
        millstream_core::wire::Command::Header { name: text(b"Subject"), value: text(b"a\n b") }
    );
    assert_eq!(sent[7], millstream_core::wire::Command::Body(Bytes::from(vec![b'x'; 65535])));
    assert!(client.awaits().is_none());
    assert!(written(&mut client).is_empty());
}
