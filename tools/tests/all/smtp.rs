//! The SMTP client without sockets: what is said to what, whatever the pieces in which bytes come and go.

use std::sync::Arc;

use millstream_tools::smtp::{
    Failure, Letter, Login, Malformed, Manners, Mechanism, Reply, Session, Stage, StartTls, XClient, content,
};

fn letter() -> Letter {
    Letter {
        helo: "c.test".to_owned(),
        sender: b"<a@x>".to_vec(),
        recipients: vec![b"<b@x>".to_vec(), b"<c@x>".to_vec()],
        content: content(b"Subject: x\n\n.\nbody").into(),
    }
}

fn session(manners: Manners) -> Session {
    Session::new(Arc::new(manners), letter())
}

/// What the session wants to say by now, taken in pieces of so many bytes.
fn said(session: &mut Session, most: usize) -> String {
    let mut all = Vec::new();
    while !session.is_over() && !session.transmit().is_empty() {
        let piece = &session.transmit()[..most.min(session.transmit().len())];
        all.extend_from_slice(piece);
        let length = piece.len();
        session.wrote(length);
    }
    String::from_utf8(all).unwrap()
}

/// Goes through a dialogue: what the server says, and what is said to it.
#[track_caller]
fn goes(session: &mut Session, dialogue: &[(&str, &str)], most: usize) {
    for (server, client) in dialogue {
        for piece in server.as_bytes().chunks(most) {
            session.receive(piece);
        }
        assert_eq!(said(session, most), *client, "to {server:?}");
    }
}

const MAIL: [(&str, &str); 6] = [
    ("250 Ok\r\n", "RCPT TO:<b@x>\r\n"),
    ("250 Ok\r\n", "RCPT TO:<c@x>\r\n"),
    ("251 Elsewhere\r\n", "DATA\r\n"),
    ("354 go on\r\n", "Subject: x\r\n\r\n..\r\nbody\r\n.\r\n"),
    ("250 2.0.0 queued\r\n", "QUIT\r\n"),
    ("221 Bye\r\n", ""),
];

#[test]
fn a_mail_is_sent_whatever_the_pieces() {
    for most in [1, 2, 3, 7, usize::MAX] {
        let mut session = session(Manners::default());
        assert_eq!(session.stage(), Stage::Greeting);
        goes(
            &mut session,
            &[("220-mx\r\n220 ESMTP\r\n", "EHLO c.test\r\n"), ("250 mx\r\n", "MAIL FROM:<a@x>\r\n")],
            most,
        );
        goes(&mut session, &MAIL[..4], most);
        assert_eq!((session.fate(), session.stage()), (None, Stage::EndOfMessage));
        goes(&mut session, &MAIL[4..5], most);
        // The mail is decided before the session is over.
        assert_eq!((session.fate(), session.is_over()), (Some(&Ok(())), false));
        goes(&mut session, &MAIL[5..], most);
        assert!(session.is_over());
    }
}

#[test]
fn everything_before_the_mail_has_its_order() {
    let manners = Manners {
        starttls: StartTls::Auto,
        xclient: Some(XClient { name: Some("o.test".to_owned()), address: None }),
        login: Some(Login {
            user: "u".to_owned(),
            password: "p".to_owned(),
            mechanism: Some(Mechanism::Login),
        }),
    };
    let mut session = session(manners);
    let hello = "250-mx\r\n250-STARTTLS\r\n250-XCLIENT NAME\r\n250 AUTH PLAIN LOGIN\r\n";
    goes(
        &mut session,
        &[("220 mx\r\n", "EHLO c.test\r\n"), (hello, "STARTTLS\r\n"), ("220 go on\r\n", "")],
        5,
    );
    assert!(session.wants_tls());
    session.secured();
    assert!(!session.wants_tls());
    let dialogue = [
        ("", "EHLO c.test\r\n"),
        // Offered once more, and not taken twice.
        (hello, "XCLIENT NAME=o.test\r\n"),
        ("220 mx\r\n", "EHLO c.test\r\n"),
        (hello, "AUTH LOGIN\r\n"),
        ("334 VXNlcm5hbWU6\r\n", "dQ==\r\n"),
        ("334 UGFzc3dvcmQ6\r\n", "cA==\r\n"),
        ("235 Ok\r\n", "MAIL FROM:<a@x>\r\n"),
    ];
    goes(&mut session, &dialogue, 5);
    goes(&mut session, &MAIL, 5);
    assert_eq!(session.fate(), Some(&Ok(())));
}

/// The dialogue up to each stage, and the replies to those before.
const WAY: [(Stage, &str); 7] = [
    (Stage::Greeting, "220 mx\r\n"),
    (Stage::Ehlo, "250 mx\r\n"),
    (Stage::Mail, "250 Ok\r\n"),
    (Stage::Recipient, "250 Ok\r\n"),
    (Stage::Recipient, "250 Ok\r\n"),
    (Stage::Data, "354 go on\r\n"),
    (Stage::EndOfMessage, "250 Ok\r\n"),
];

/// A session that waits for the reply at `WAY[at]`.
fn waiting(at: usize) -> Session {
    let mut session = session(Manners::default());
    for (stage, reply) in &WAY[..at] {
        assert_eq!(session.stage(), *stage);
        session.receive(reply.as_bytes());
        said(&mut session, usize::MAX);
    }
    session
}

#[test]
fn every_code_at_every_stage_has_one_meaning() {
    for (at, (stage, _)) in WAY.iter().enumerate() {
        for code in 0..1000 {
            let mut session = waiting(at);
            session.receive(format!("{code:03} x\r\n").as_bytes());
            let reply = Reply { code, lines: vec!["x".to_owned()] };
            let is_yes = match stage {
                Stage::Greeting => code == 220,
                Stage::Ehlo => code == 250 || code / 100 == 5,
                Stage::Recipient => (250..=252).contains(&code),
                Stage::Data => code == 354,
                _ => code == 250,
            };
            let fate = session.fate().cloned();
            let refused = Some(Err(Failure::Refused { stage: *stage, reply }));
            match (is_yes, *stage) {
                (true, Stage::EndOfMessage) => assert_eq!(fate, Some(Ok(()))),
                (true, _) => assert_eq!(fate, None, "{stage} {code}"),
                (false, _) => assert_eq!(fate, refused, "{stage} {code}"),
            }
            // 421 ends the connection, every other no is told good-bye.
            let expected = if code == 421 { "" } else { "QUIT\r\n" };
            if !is_yes {
                assert_eq!(said(&mut session, 4), expected, "{stage} {code}");
            }
            assert_eq!(session.is_over(), code == 421 && !is_yes);
        }
    }
}

#[test]
fn the_end_of_the_connection_at_every_stage() {
    for (at, (stage, _)) in WAY.iter().enumerate() {
        let mut session = waiting(at);
        session.closed();
        assert_eq!(session.fate(), Some(&Err(Failure::Closed { stage: *stage })));
        assert!(session.is_over());
        let mut session = waiting(at);
        session.receive(b"rubbish\r\n");
        let what = Malformed::NoCode("rubbish".to_owned());
        assert_eq!(session.fate(), Some(&Err(Failure::Malformed { stage: *stage, what })));
        assert!(session.is_over());
    }
}

#[test]
fn a_no_in_the_middle_of_the_content_is_heard() {
    let mut session = waiting(5);
    session.receive(b"354 go on\r\n");
    session.wrote(4);
    session.receive(b"552 too much\r\n");
    let reply = Reply { code: 552, lines: vec!["too much".to_owned()] };
    let refused = Failure::Refused { stage: Stage::EndOfMessage, reply };
    assert_eq!((session.fate(), session.is_over()), (Some(&Err(refused)), true));
    // A yes there is that to the whole.
    let mut session = waiting(5);
    session.receive(b"354 go on\r\n250 Ok\r\n");
    assert_eq!(session.fate(), None);
    assert!(said(&mut session, 3).ends_with(".\r\nQUIT\r\n"));
    assert_eq!(session.fate(), Some(&Ok(())));
}

#[test]
fn what_came_before_the_end_says_more_than_the_end() {
    let mut session = waiting(5);
    session.receive(b"354 go on\r\n250 Ok\r\n");
    session.closed();
    assert_eq!(session.fate(), Some(&Ok(())));
}

#[test]
fn a_server_that_never_stops_talking_is_left() {
    let mut session = waiting(2);
    session.receive(&vec![b'2'; 2 << 20]);
    let what = Malformed::ManyLines;
    assert_eq!(session.fate(), Some(&Err(Failure::Malformed { stage: Stage::Mail, what })));
}

#[test]
fn content_is_as_smtp_has_it() {
    for (message, expected) in [
        (&b""[..], &b".\r\n"[..]),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r\nb\n", b"a\r\nb\r\n.\r\n"),
        (b".\n..\n.x", b"..\r\n...\r\n..x\r\n.\r\n"),
        (b"\0\xff\r\n\r\n", b"\0\xff\r\n\r\n.\r\n"),
        (b"a\rb\n", b"a\rb\r\n.\r\n"),
    ] {
        assert_eq!(content(message), expected);
    }
}
