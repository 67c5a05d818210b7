//! Taking a message back, and ending the conversation.

use bytes::BytesMut;
use millstream_core::client::{Client, FromMilter};
use millstream_core::wire::{Fault, Final, Protocol, Stage};

use super::dialogue::{
    LIMIT, encoded, full_offer, letters, negotiated, payload, replies, reply, send, talk, written,
};

#[test]
fn abort_is_sent_only_when_a_message_is_open_and_once() {
    let ways = [
        ("", ""),
        ("C", ""),
        ("CH", ""),
        ("CHU", ""),
        ("CHM", "A"),
        ("CHMR", "A"),
        ("CHMRT", "A"),
        ("CHMRTU", "A"),
        ("CHMRTL", "A"),
        ("CHMRTN", "A"),
        ("CHMRTB", "A"),
        ("CHMRTE", ""),
        ("CHMH", ""),
        ("CHMHM", "A"),
    ];
    for (way, expected) in ways {
        let mut client = negotiated(6, Protocol::NONE);
        talk(&mut client, way);
        written(&mut client);
        client.abort();
        client.abort();
        assert_eq!(letters(&mut client), expected, "after {way}");
        assert!(!client.in_message());
    }
}

#[test]
fn abort_takes_back_an_end_of_message_that_is_not_answered() {
    let mut client = negotiated(6, Protocol::NONE);
    talk(&mut client, "CHMRT");
    send(&mut client, Stage::EndOfMessage);
    written(&mut client);
    client.abort();
    client.abort();
    assert_eq!(letters(&mut client), "A");
    assert!(!client.is_busy());
    assert_eq!(client.awaits(), Some(Stage::EndOfMessage));
}

#[test]
fn late_replies_to_what_was_taken_back_are_swallowed_with_their_changes() {
    let mut client = negotiated(6, Protocol::NONE);
    talk(&mut client, "CHMRT");
    send(&mut client, Stage::EndOfMessage);
    client.abort();

    let late: [(u8, &[u8]); 6] = [
        (b'p', b""),
        (b'h', b"A\0b\0"),
        (b'b', b"new body"),
        (b'+', b"<u@v>\0"),
        (b'q', b"held\0"),
        (b'r', b""),
    ];
    for (letter, payload) in &late {
        assert_eq!(client.awaits(), Some(Stage::EndOfMessage));
        assert_eq!(reply(&mut client, *letter, payload), Ok(None));
    }
    assert_eq!(client.awaits(), None);

    talk(&mut client, "MRTE");
}

#[test]
fn a_new_message_may_overtake_late_replies() {
    let mut client = negotiated(6, Protocol::NONE);
    talk(&mut client, "CH");
    send(&mut client, Stage::Mail);
    send(&mut client, Stage::Rcpt);
    client.abort();
    send(&mut client, Stage::Mail);
    assert_eq!(letters(&mut client), "CHMRAM");
    assert!(client.is_busy());

    // The late reply to the first MAIL does not end the second message.
    replies(&mut client, &[(b'r', b""), (b't', b""), (b'c', b"")]);
    assert_eq!(client.poll_reply(), Ok(Some(FromMilter::Final(Stage::Mail, Final::Continue))));
    assert!(client.in_message());
    assert_eq!((client.poll_reply(), client.awaits()), (Ok(None), None));

    client.abort();
    assert_eq!(letters(&mut client), "A");
}

#[test]
fn a_late_reply_may_still_be_a_fault() {
    for came in [b'O', b'h', b'p', b'f', b'!'] {
        let mut client = negotiated(6, Protocol::NONE);
        talk(&mut client, "CHMRT");
        send(&mut client, Stage::Header);
        client.abort();
        assert!(reply(&mut client, came, payload(came)).is_err(), "{}", char::from(came));
        assert!(client.poll_reply().is_err());
    }
}

#[test]
fn abort_after_a_verdict_that_ended_the_message() {
    let mut client = negotiated(6, Protocol::NONE);
    talk(&mut client, "CHM");
    send(&mut client, Stage::Rcpt);
    reply(&mut client, b'a', b"").unwrap();
    written(&mut client);
    client.abort();
    assert_eq!(letters(&mut client), "");
    talk(&mut client, "MRTE");
}

#[test]
fn giving_up_sends_nothing() {
    let mut client = negotiated(6, Protocol::NONE);
    talk(&mut client, "CHM");
    send(&mut client, Stage::Rcpt);
    written(&mut client);
    client.give_up();
    assert_eq!(letters(&mut client), "");
    assert_eq!((client.is_busy(), client.awaits()), (false, Some(Stage::Rcpt)));
    assert!(client.in_message());
    assert_eq!(reply(&mut client, b'r', b""), Ok(None));
    talk(&mut client, "RTE");
}

#[test]
fn quit_is_sent_once_wherever_the_conversation_stands() {
    for way in ["", "C", "CH", "CHMR", "CHMRTLNB", "CHMRTE"] {
        let mut client = negotiated(6, Protocol::NONE);
        talk(&mut client, way);
        written(&mut client);
        client.quit();
        client.quit();
        client.abort();
        assert_eq!(letters(&mut client), "Q", "after {way}");
        assert!(!client.in_message());
    }
}

#[test]
fn what_comes_after_quit_is_swallowed_where_it_was_owed() {
    let mut client = negotiated(6, Protocol::NONE);
    talk(&mut client, "CHMRT");
    send(&mut client, Stage::EndOfMessage);
    client.quit();
    replies(&mut client, &[(b'h', b"A\0b\0"), (b'c', b"")]);
    assert_eq!(client.poll_reply(), Ok(None));
    assert!(matches!(reply(&mut client, b'c', b""), Err(Fault::OutOfTurn { .. })));
}

#[test]
fn quit_before_the_answer_to_the_offer() {
    let mut client = Client::new(LIMIT, &full_offer());
    client.quit();
    assert_eq!(letters(&mut client), "OQ");
    client.receive(BytesMut::from(&encoded(&full_offer())[..]));
    assert_eq!(client.poll_reply(), Ok(None));
}
