//! `milter-test-client` before `milter-test-server`: what it prints, and what its options make of a message.

use std::process::{Command, Stdio};

use millstream_tests::account;
use millstream_tests::process::Process;
use millstream_tests::require;
use millstream_tests::scratch::Scratch;
use millstream_tests::until::{PATIENCE, until, until_true};

/// A milter with these options.
struct Bench {
    milter: Process,
    scratch: Scratch,
}

impl Bench {
    fn start(options: &[&str]) -> Self {
        let scratch = Scratch::new("test-client");
        if require::is_root() {
            // Who it becomes removes its socket at its end.
            account::give_to("nobody", scratch.path());
        }
        let socket = scratch.join("milter.sock");
        let mut command = Command::new(env!("CARGO_BIN_EXE_milter-test-client"));
        command.arg("-s").arg(&socket).args(options);
        let milter = Process::start("milter-test-client", &mut command, &scratch.join("output"));
        // Not by a connection, which would be a session.
        until_true("it listens", || socket.exists());
        Self { milter, scratch }
    }

    fn ask(&self, options: &[&str]) -> String {
        until(PATIENCE, "somebody who listens", || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_milter-test-server"));
            command.arg("-s").arg(self.scratch.join("milter.sock")).args(options);
            let output = command.stdin(Stdio::null()).output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            // The socket is there a moment before it is listened at.
            (!told.starts_with("Failed to connect")).then_some(told)
        })
    }

    /// What it has printed when it is stopped.
    fn stop(mut self) -> String {
        self.milter.signal("TERM");
        assert!(self.milter.wait(PATIENCE).success());
        assert!(!self.scratch.join("milter.sock").exists(), "the socket goes with it");
        self.milter.output()
    }
}

#[test]
fn it_prints_what_it_is_told() {
    let bench = Bench::start(&[]);
    assert!(bench.ask(&["--unknown", "NOOP", "-b", "one", "-b", "two"]).starts_with("status: pass\n"));
    assert_eq!(
        bench.stop(),
        "negotiate: version=<6>, action=<add-headers|change-body|add-envelope-recipient|delete-envelope-recipient|\
         change-headers|quarantine|change-envelope-from|add-envelope-recipient-with-parameters|set-symbol-list>, \
         step=<no-connect|no-helo|no-envelope-from|no-envelope-recipient|no-body|no-headers|no-end-of-header|\
         no-reply-header|no-unknown|no-data|skip|envelope-recipient-rejected|no-reply-connect|no-reply-helo|\
         no-reply-envelope-from|no-reply-envelope-recipient|no-reply-data|no-reply-unknown|no-reply-end-of-header|\
         no-reply-body|header-value-with-leading-space>\n\
         connect: host=<mx.example.net>, address=<inet:50443@[192.168.123.123]>\nmacros:\n  \
         daemon_name=milter-test-server\n  if_addr=127.0.0.1\n  if_name=localhost\n  j=mail.example.com\n\
         helo: <delian>\nmacros:\n  cert_issuer=cert_issuer\n  cert_subject=cert_subject\n  cipher=0\n  \
         cipher_bits=0\n  tls_version=0\n\
         envelope-from: <<sender@example.com>>\nmacros:\n  mail_addr=mail_addr\n  mail_host=mail_host\n  \
         mail_mailer=mail_mailer\n\
         envelope-recipient: <<receiver@example.org>>\nmacros:\n  rcpt_addr=<receiver@example.org>\n  \
         rcpt_host=rcpt_host\n  rcpt_mailer=rcpt_mailer\n\
         unknown: <NOOP>\ndata\nmacros:\n  i=i\n\
         header: <From: <sender@example.com>>\nheader: <To: <receiver@example.org>>\n\
         end-of-header\nmacros:\n  i=i\nbody: <one>\nbody: <two>\nend-of-message\nmacros:\n  i=i\nfinished\n"
    );
}

#[test]
fn it_answers_what_it_is_asked_to() {
    let cases = [
        ("helo=accept", "status: accept\n"),
        ("connect=reject", "status: reject\n"),
        ("envelope-from=discard", "status: discard\n"),
        ("data=temporary-failure", "status: temporary-failure\n"),
        ("envelope-recipient=451 4.7.1 Greylisting", "status: temporary-failure [451]<4.7.1>(Greylisting)\n"),
        ("end-of-message=550 5.7.1 no", "status: reject [550]<5.7.1>(no)\n"),
        ("end-of-header=none", "reading timeout\n"),
    ];
    for (reply, expected) in cases {
        let bench = Bench::start(&["--no-report-request", "--reply", reply]);
        let text = bench.ask(&["--reading-timeout", "0.5"]);
        assert!(text.starts_with(expected), "{reply}: {text}");
        assert_eq!(bench.stop(), "", "{reply}");
    }
}

#[test]
fn it_changes_what_it_is_asked_to() {
    let bench = Bench::start(&[
        "--replace-body",
        "new ",
        "--add-header",
        "X-Last:1",
        "--insert-header",
        "0:X-First:2",
        "--change-header",
        "1:To:changed",
        "--delete-header",
        "1:From",
        "--replace-body",
        "body",
        "--change-from",
        "other@x",
        "--add-recipient",
        "more@x",
        "--delete-recipient",
        "receiver@example.org",
        "--quarantine",
        "look",
        "--delay",
        "end-of-message=0.3",
        "--progress",
        "0.1",
    ]);
    let text = bench.ask(&["--output-message", "--end-of-message-timeout", "20"]);
    let (summary, message) = text.split_once("\n\n").unwrap();
    assert!(summary.ends_with("Quarantine reason: <look>"), "{text}");
    assert_eq!(
        message,
        "Envelope:------------------------------\n- MAIL FROM:<sender@example.com>\n+ MAIL FROM:<other@x>\n\
         - RCPT TO:<receiver@example.org>\n+ RCPT TO:<more@x>\n\
         Header:--------------------------------\n+ X-First: 2\n+ To: changed\n+ X-Last: 1\n\
         - From: <sender@example.com>\n- To: <receiver@example.org>\n\
         Body:----------------------------------\nnew body\n",
        "{text}"
    );
}

#[test]
fn it_wants_what_it_is_asked_to() {
    let bench = Bench::start(&[
        "--negotiate-version=4",
        "--actions",
        "add-headers",
        "--steps",
        "no-helo,no-reply-header",
    ]);
    let text = bench.ask(&["--verbose"]);
    assert!(
        text.starts_with(
            "negotiate: version=<4>, action=<add-headers>, step=<no-helo|no-reply-header>\nconnect"
        ),
        "{text}"
    );
    let told = bench.stop();
    assert!(!told.contains("helo: <") && told.contains("\nheader: <"), "{told}");
}

#[test]
fn without_steps_it_keeps_of_an_offer_what_the_original_keeps() {
    let negotiated = |options: &[&str]| {
        let bench = Bench::start(options);
        let text = bench.ask(&["--verbose"]);
        let (_, step) = text.lines().next().unwrap().split_once("step=").unwrap();
        step.to_owned()
    };
    assert_eq!(negotiated(&[]), "<skip>");
    assert_eq!(negotiated(&["--steps="]), "<>");
}

#[test]
fn it_hangs_up_where_it_is_asked_to() {
    let bench = Bench::start(&["--close", "data"]);
    assert!(bench.ask(&[]).starts_with("the connection broke before the answer to data: "));
    assert!(bench.stop().ends_with("data\nmacros:\n  i=i\nfinished\n"));
}

#[test]
fn options_that_are_wrong_are_told() {
    let cases = [
        (&["--reply", "ehlo=accept"][..], "<ehlo> is no stage"),
        (&["--insert-header", "x:A:b"], "--insert-header: expected a number and a name: <x:A:b>"),
        (&["--steps", "no-such"], "--steps: unknown: <no-such>: it should be one of no-connect,"),
        (&["-s", "inet:x"], "port number has invalid character: <inet:x>: <x>"),
        (
            &["-s", "/nowhere/milter.sock"],
            "failed to listen: <unix:/nowhere/milter.sock>: there is no folder /nowhere; make it,",
        ),
    ];
    for (options, expected) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_milter-test-client")).args(options).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(expected) && output.status.code() == Some(1), "{options:?}: {text}");
    }
}
