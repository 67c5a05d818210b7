//! What comes between the greeting and the mail: encryption, another client, authentication.

use super::server::Server;
use super::{Ran, run, send};

/// A server that offers these, and answers AUTH.
fn offering(
    ehlo: &'static str,
    auth: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static,
) -> Server {
    Server::new(move |question| if question.starts_with("EHLO") { Some(ehlo) } else { auth(question) })
}

#[track_caller]
fn assert_passed(ran: &Ran) {
    assert_eq!(ran.counts(), [1, 0, 0, 0], "{ran:?}");
}

const ALL: &str = "250-mx.test\r\n250-AUTH PLAIN LOGIN CRAM-MD5\r\n250 XCLIENT NAME ADDR\r\n";

#[test]
fn xclient_says_who_the_client_is_and_begins_anew() {
    let cases = [
        (
            &["--connect-host=mx.example.net", "--connect-address=192.168.123.123"][..],
            "XCLIENT NAME=mx.example.net ADDR=192.168.123.123",
        ),
        (&["--connect-host=a+b c"], "XCLIENT NAME=a+2Bb+20c"),
        (&["--connect-address=2001:db8::1"], "XCLIENT ADDR=IPV6:2001:db8::1"),
    ];
    for (options, expected) in cases {
        let server = offering(ALL, |_| None);
        assert_passed(&send(&server, &[options, &["--n-mails=1"]].concat()));
        let hello = "EHLO localhost.localdomain";
        assert_eq!(server.session()[..3], [hello, expected, hello]);
        assert_eq!(server.session()[3], "MAIL FROM:<from@example.com>");
    }
}

#[test]
fn a_server_without_xclient_says_where_it_is_allowed() {
    let server = Server::new(|_| None);
    let ran = send(&server, &["--n-mails=1", "--connect-host=x"]);
    assert_eq!(ran.counts(), [1, 0, 0, 1]);
    assert!(ran.errors.contains("smtpd_authorized_xclient_hosts"), "{}", ran.errors);
}

#[test]
fn authentication_takes_the_best_mechanism_or_the_named_one() {
    let challenge = "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n";
    let script = move |question: &str| match question {
        "AUTH CRAM-MD5" => Some(challenge),
        "AUTH LOGIN" => Some("334 VXNlcm5hbWU6\r\n"),
        "dGlt" => Some("334 UGFzc3dvcmQ6\r\n"),
        _ if question.starts_with("AUTH") || question.len() > 20 && !question.contains([' ', '\n']) => {
            Some("235 2.7.0 Ok\r\n")
        }
        _ => None,
    };
    let cram: &[&str] = &["AUTH CRAM-MD5", "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"];
    let plain: &[&str] = &["AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm"];
    let login: &[&str] = &["AUTH LOGIN", "dGlt", "dGFuc3RhYWZ0YW5zdGFhZg=="];
    for (mechanism, expected) in
        [("auto", cram), ("cram-md5", cram), ("cram_md5", cram), ("plain", plain), ("login", login)]
    {
        let server = offering(ALL, script);
        let mechanism = format!("--auth-mechanism={mechanism}");
        let options = ["--n-mails=1", "--auth-user=tim", "--auth-password=tanstaaftanstaaf", &mechanism];
        assert_passed(&send(&server, &options));
        assert_eq!(server.session()[1..=expected.len()], *expected, "{mechanism}");
    }
}

#[test]
fn the_order_of_mechanisms_is_ours_and_not_the_servers() {
    for (offered, expected) in [
        ("250-mx\r\n250 AUTH LOGIN PLAIN\r\n", "AUTH PLAIN AGEAYg=="),
        ("250-mx\r\n250 AUTH=LOGIN\r\n", "AUTH LOGIN"),
    ] {
        let server = offering(offered, |question| match question {
            _ if question.starts_with("AUTH PLAIN") => Some("235 Ok\r\n"),
            "AUTH LOGIN" | "YQ==" => Some("334 \r\n"),
            "Yg==" => Some("235 Ok\r\n"),
            _ => None,
        });
        assert_passed(&send(&server, &["--n-mails=1", "--auth-user=a", "--auth-password=b"]));
        assert_eq!(server.session()[1], expected);
    }
}

#[test]
fn authentication_that_fails_names_what_came() {
    let cases = [
        (
            "250 mx\r\n",
            "",
            "EHLO: expected AUTH CRAM-MD5 or PLAIN or LOGIN among what the server offers, came AUTH of no kind",
        ),
        (
            "250-mx\r\n250 AUTH GSSAPI\r\n",
            "",
            "EHLO: expected AUTH CRAM-MD5 or PLAIN or LOGIN among what the server offers, came AUTH GSSAPI",
        ),
        ("250-mx\r\n250 AUTH PLAIN\r\n", "535 5.7.8 no\r\n", "AUTH: expected 235, came 535 5.7.8 no"),
        (
            "250-mx\r\n250 AUTH CRAM-MD5\r\n",
            "334 ???\r\n",
            "AUTH: expected 235, came a challenge that cannot be answered: 334 ???",
        ),
    ];
    for (offered, answer, expected) in cases {
        let server = offering(offered, move |question| question.starts_with("AUTH").then_some(answer));
        let ran = send(&server, &["--n-mails=1", "--auth-user=a", "--auth-password=b"]);
        assert_eq!(ran.counts(), [1, 0, 0, 1], "{ran:?}");
        assert_eq!(ran.errors, format!("protocol: {}: {expected}\n", server.address));
    }
}

#[test]
fn the_map_has_users_for_servers() {
    let server = offering(ALL, |question| question.starts_with("AUTH").then_some("235 Ok\r\n"));
    let scratch = millstream_tests::scratch::Scratch::new("auth-map");
    let map = scratch.join("map");
    let text = format!("# users\nother:25 x:y\n127.0.0.1:{} a:b\n", server.address.port());
    std::fs::write(&map, text).unwrap();
    let option = format!("--auth-map={}", map.display());
    assert_passed(&send(&server, &["--n-mails=1", "--auth-mechanism=plain", &option]));
    assert_eq!(server.session()[1], "AUTH PLAIN AGEAYg==");
    std::fs::write(&map, "mx.test\n").unwrap();
    let ran = run(&[&option]);
    let expected =
        format!("--auth-map: {}:1: expected SERVER:PORT USER:PASSWORD: <mx.test>\n", map.display());
    assert_eq!((ran.text, ran.status), (expected, 1));
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;

    const OFFERED: &str = "250-mx.test\r\n250-XCLIENT NAME\r\n250 STARTTLS\r\n";
    const HELLO: &str = "EHLO localhost.localdomain";

    #[test]
    fn what_is_offered_is_taken() {
        for how in ["auto", "always"] {
            let server = offering(OFFERED, |_| None);
            let options = ["--n-mails=1", &format!("--starttls={how}"), "--connect-host=c.test"];
            assert_passed(&send(&server, &options));
            let expected = [HELLO, "STARTTLS", "TLS", HELLO, "XCLIENT NAME=c.test", HELLO];
            assert_eq!(server.session()[..6], expected, "{how}");
            assert_eq!(server.session().last().unwrap(), "QUIT");
        }
    }

    #[test]
    fn a_large_mail_goes_through() {
        let server = offering(OFFERED, |_| None);
        assert_passed(&send(&server, &["--n-mails=1", "--n-additional-lines=50000"]));
        let content = server.session().into_iter().find(|line| line.starts_with("Return-Path")).unwrap();
        assert_eq!(content.lines().filter(|line| line.starts_with("0123456789 abc")).count(), 50_000);
    }

    #[test]
    fn disable_leaves_it() {
        let server = offering(OFFERED, |_| None);
        assert_passed(&send(&server, &["--n-mails=1", "--starttls=disable"]));
        assert_eq!(server.session()[..2], [HELLO, "MAIL FROM:<from@example.com>"]);
    }

    #[test]
    fn always_is_not_only_if_it_is_offered() {
        let server = Server::new(|_| None);
        let ran = send(&server, &["--n-mails=1", "--starttls=always"]);
        assert_eq!(ran.counts(), [1, 0, 0, 1]);
        assert!(
            ran.errors.contains("EHLO: expected STARTTLS among what the server offers"),
            "{}",
            ran.errors
        );
    }

    #[test]
    fn what_somebody_says_behind_the_yes_is_not_taken_for_the_servers() {
        let inject = "220 go on\r\n250-mx.test\r\n250 AUTH PLAIN\r\n";
        let server = offering(OFFERED, move |question| (question == "STARTTLS").then_some(inject));
        let ran = send(&server, &["--n-mails=1"]);
        assert_eq!(ran.counts(), [1, 0, 0, 1]);
        assert!(ran.errors.contains("came more in clear text"), "{}", ran.errors);
    }

    #[test]
    fn who_says_yes_and_speaks_no_tls() {
        use std::io::{BufRead as _, BufReader, Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            for answer in ["220 mx.test\r\n", OFFERED, "220 go on\r\n"] {
                stream.write_all(answer.as_bytes()).unwrap();
                if !answer.starts_with("220 go") {
                    lines.read_line(&mut String::new()).unwrap();
                }
            }
            lines.read_exact(&mut [0]).unwrap();
            stream.write_all(b"500 what?\r\n").unwrap();
            // Until the client leaves.
            let _ = lines.read_to_end(&mut Vec::new());
        });
        let port = format!("--smtp-port={}", address.port());
        let ran = run(&["--smtp-server=127.0.0.1", &port, "--n-mails=1"]);
        server.join().unwrap();
        assert_eq!(ran.counts(), [1, 0, 0, 1], "{ran:?}");
        let expected = format!("TLS: {address}: TLS handshake: expected TLS, came ");
        assert!(ran.errors.starts_with(&expected), "{}", ran.errors);
    }

    #[test]
    fn a_no_to_starttls_is_the_servers_word() {
        let server =
            offering(OFFERED, |question| (question == "STARTTLS").then_some("454 4.7.0 not now\r\n"));
        assert_eq!(send(&server, &["--n-mails=1"]).counts(), [1, 1, 0, 0]);
    }
}
