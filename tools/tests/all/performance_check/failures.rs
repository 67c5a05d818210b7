//! What becomes of a mail at each stage, and what is said of it.

use super::server::{CONTENT, GREETING, HANG_UP, Pieces, Server};
use super::{run, send};

/// A server that says `answer` to lines that begin with `to`.
fn saying(to: &'static str, answer: &'static str) -> Server {
    Server::new(move |question| question.starts_with(to).then_some(answer))
}

#[test]
fn a_no_at_each_stage() {
    let cases = [
        (GREETING, "554 5.3.2 no\r\n", [1, 0, 1, 0], "554 5.3.2 no", "QUIT"),
        (GREETING, "421 4.3.2 not now\r\n", [1, 1, 0, 0], "421 4.3.2 not now", ""),
        ("EHLO", "450 later\r\n", [1, 1, 0, 0], "450 later", "QUIT"),
        (
            "MAIL",
            "550-5.1.0 who\r\n550 5.1.0 are you\r\n",
            [1, 0, 1, 0],
            "550 5.1.0 who 5.1.0 are you",
            "QUIT",
        ),
        ("RCPT", "451 4.7.1 Greylisting\r\n", [1, 1, 0, 0], "451 4.7.1 Greylisting", "QUIT"),
        ("DATA", "554 5.7.1 no\r\n", [1, 0, 1, 0], "554 5.7.1 no", "QUIT"),
        (CONTENT, "554 5.7.1 spam\r\n", [1, 0, 1, 0], "554 5.7.1 spam", "QUIT"),
        (CONTENT, "451 4.7.1 busy\r\n", [1, 1, 0, 0], "451 4.7.1 busy", "QUIT"),
    ];
    for (stage, answer, counts, text, last) in cases {
        let server = saying(stage, answer);
        let ran = send(&server, &["--n-mails=1", "--report-failure-responses"]);
        assert_eq!(ran.counts(), counts, "{stage}: {ran:?}");
        assert!(ran.text.contains(&format!("\n  1 {text}\n")), "{stage}: {}", ran.text);
        assert_eq!((ran.errors.as_str(), ran.status), ("", 0), "{stage}");
        assert_eq!(server.session().last().map_or("", String::as_str), last, "{stage}");
    }
}

#[test]
fn an_error_names_server_stage_what_was_expected_and_what_came() {
    let cases = [
        (
            GREETING,
            "hello\r\n",
            "protocol",
            "greeting: expected 220, came a line that begins with no code: \"hello\"",
        ),
        (GREETING, "200 hello\r\n", "protocol", "greeting: expected 220, came 200 hello"),
        (GREETING, HANG_UP, "connection", "greeting: expected 220, came the end of the connection"),
        ("MAIL", "503 5.5.1 HELO first\r\n", "protocol", "MAIL: expected 250, came 503 5.5.1 HELO first"),
        (
            "MAIL",
            "530 5.7.0 STARTTLS first\r\n",
            "protocol",
            "MAIL: expected 250, came 530 5.7.0 STARTTLS first",
        ),
        ("RCPT", HANG_UP, "connection", "RCPT: expected 250, came the end of the connection"),
        ("DATA", "250 Ok\r\n", "protocol", "DATA: expected 354, came 250 Ok"),
        (CONTENT, HANG_UP, "connection", "end of message: expected 250, came the end of the connection"),
        (CONTENT, "", "timeout", "end of message: expected 250, came nothing for 0.3 seconds"),
        ("EHLO", "250-a\r\n", "timeout", "EHLO: expected 250, came nothing for 0.3 seconds"),
        (
            "EHLO",
            "250-a\r\n251 b\r\n",
            "protocol",
            "EHLO: expected 250, came one reply with code 250 and 251",
        ),
    ];
    for (stage, answer, class, text) in cases {
        let server = saying(stage, answer);
        let ran = send(&server, &["--n-mails=2", "--reading-timeout=0.3", "--report-failure-responses"]);
        assert_eq!(ran.counts(), [2, 0, 0, 2], "{stage}: {ran:?}");
        let whole = format!("{class}: {}: {text}", server.address);
        // It is told when it first happens, and counted.
        assert_eq!(ran.errors, format!("{whole}\n"), "{stage}");
        assert!(ran.text.contains(&format!("\nErrors:\n  2 {whole}\n")), "{stage}: {}", ran.text);
    }
}

#[test]
fn a_server_that_is_not_there() {
    let port = millstream_tests::ports::free(1);
    let ran = run(&["--smtp-server=127.0.0.1", &format!("--smtp-port={port}"), "--n-mails=3"]);
    assert_eq!(ran.counts(), [3, 0, 0, 3]);
    let expected =
        format!("connection: 127.0.0.1:{port}: connecting: expected a connection, came Connection refused\n");
    assert_eq!(ran.errors, expected);
}

#[test]
fn of_several_addresses_the_one_that_answers_counts() {
    // Mostly ::1 is the first, where nobody listens.
    let server = Server::new(|_| None);
    let port = format!("--smtp-port={}", server.address.port());
    let ran = run(&["--smtp-server=localhost", &port, "--n-mails=3", "--n-concurrent-connections=2"]);
    assert_eq!((ran.counts(), ran.errors.as_str()), ([3, 0, 0, 0], ""));
}

#[test]
fn a_name_without_an_address_is_an_error_of_the_command_line() {
    let ran = run(&["--smtp-server=nosuch.invalid"]);
    assert_eq!(ran.status, 1);
    assert!(ran.text.starts_with("nosuch.invalid:25: "), "{}", ran.text);
}

#[test]
fn a_refusal_after_the_mail_changes_nothing() {
    for answer in ["500 what\r\n", HANG_UP, "rubbish\r\n"] {
        let ran = send(&saying("QUIT", answer), &["--n-mails=1"]);
        assert_eq!(ran.counts(), [1, 0, 0, 0], "{answer}");
        assert_eq!(ran.errors, "");
    }
}

#[test]
fn a_server_that_knows_no_ehlo_is_told_helo() {
    let server = saying("EHLO", "502 5.5.2 what\r\n");
    assert_eq!(send(&server, &["--n-mails=1", "--helo-fqdn=me.test"]).counts(), [1, 0, 0, 0]);
    assert_eq!(server.session()[..2], ["EHLO me.test", "HELO me.test"]);
}

#[test]
fn answers_may_come_byte_by_byte_and_ahead() {
    let slow = Server::with(Pieces::Bytes, |_| None);
    assert_eq!(send(&slow, &["--n-mails=2"]).counts(), [2, 0, 0, 0]);
    // Three answers with the greeting, and none to the commands that they are for.
    let ahead = Server::new(|question| match question.split(' ').next() {
        _ if question == GREETING => Some("220 a\r\n250 b\r\n250 c\r\n250 d\r\n"),
        Some("EHLO" | "MAIL" | "RCPT") => Some(""),
        _ => None,
    });
    assert_eq!(send(&ahead, &["--n-mails=1"]).counts(), [1, 0, 0, 0]);
}

#[test]
fn a_server_that_says_no_end_of_lines_is_left() {
    let server = saying(GREETING, Box::leak("220-more\r\n".repeat(300).into_boxed_str()));
    let ran = send(&server, &["--n-mails=1"]);
    let expected = format!(
        "protocol: {}: greeting: expected 220, came a reply of more than 256 lines\n",
        server.address
    );
    assert_eq!((ran.counts(), ran.errors), ([1, 0, 0, 1], expected));
}

#[test]
fn a_large_mail_that_is_refused_in_the_middle() {
    // Answered before the content has come, of which the server reads nothing more.
    let server = saying("DATA", "354 go on\r\n552 5.3.4 too much\r\n");
    let ran = send(&server, &["--n-mails=1", "--n-additional-lines=300000", "--report-failure-responses"]);
    assert_eq!(ran.counts(), [1, 0, 1, 0], "{ran:?}");
    assert!(ran.text.contains("  1 552 5.3.4 too much\n"), "{}", ran.text);
}
