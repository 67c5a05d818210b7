//! Which mails are sent, and with which envelopes.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use millstream_tests::scratch::Scratch;

use super::server::{CONTENT, Server};
use super::{command, ran, send, to};

fn contents(server: &Server) -> Vec<String> {
    let sessions = server.sessions();
    sessions.into_iter().map(|session| session.into_iter().rev().nth(1).unwrap()).collect()
}

#[test]
fn one_is_made_up_and_sent_a_hundred_times() {
    let server = Server::new(|_| None);
    let ran = send(&server, &[]);
    assert_eq!(ran.counts(), [100, 0, 0, 0]);
    assert_eq!(server.sessions().len(), 100);
    let session = &server.sessions()[0];
    let expected =
        ["EHLO localhost.localdomain", "MAIL FROM:<from@example.com>", "RCPT TO:<to@example.com>", "DATA"];
    assert_eq!(session[..4], expected);
    assert!(session[4].starts_with("Return-Path: <from@example.com>\nReceived: from localhost.localdomain "));
    assert!(session[4].ends_with("\n\nHello,\n\nThis is a test mail.\n"));
    assert_eq!(session[5], "QUIT");
}

#[test]
fn the_options_make_the_envelope() {
    let server = Server::new(|_| None);
    let options = ["--n-mails=3", "--from=a@x", "--from=<b@x>", "--recipient=c@x", "--recipient=d@x"];
    assert_eq!(send(&server, &options).counts(), [3, 0, 0, 0]);
    let senders: Vec<_> = server.sessions().iter().map(|session| session[1].clone()).collect();
    assert_eq!(senders, ["MAIL FROM:<a@x>", "MAIL FROM:<b@x>", "MAIL FROM:<a@x>"]);
    assert_eq!(server.sessions()[1][2..4], ["RCPT TO:<c@x>", "RCPT TO:<d@x>"]);
    assert!(server.sessions()[1][5].contains("\nFrom: b@x\nTo: c@x, d@x\n"));
}

#[test]
fn a_file_tells_the_envelope_and_is_sent_as_it_is() {
    let scratch = Scratch::new("mails");
    let mail = scratch.join("mail");
    let text = "From x Mon Jan 1\nReceived: from relay.example.net by y\nFrom: A <a@x>\nTo: \"B, b\" <b@x>\n\
                Cc: c@x\nSubject: folded\n here\n\n.dot\n..dots\n\nlast";
    fs::write(&mail, text).unwrap();
    let server = Server::new(|_| None);
    let mail = mail.to_str().unwrap();
    assert_eq!(send(&server, &["--n-mails=2", mail]).counts(), [2, 0, 0, 0]);
    let session = &server.sessions()[0];
    assert_eq!(session[..4], ["EHLO relay.example.net", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "RCPT TO:<c@x>"]);
    assert_eq!(session[5], format!("{}\n", text.split_once('\n').unwrap().1));
    let forced = ["--n-mails=1", "--force-from=f@x", "--force-recipient=g@x", mail];
    let server = Server::new(|_| None);
    send(&server, &forced);
    assert_eq!(server.session()[1..4], ["MAIL FROM:<f@x>", "RCPT TO:<g@x>", "DATA"]);
}

#[test]
fn several_are_sent_once_each_by_each_worker_and_listed() {
    let scratch = Scratch::new("mails");
    fs::create_dir(scratch.join("folder")).unwrap();
    for name in ["folder/b", "folder/a", "c"] {
        fs::write(scratch.join(name), format!("Subject: {name}\n\n")).unwrap();
    }
    let server = Server::new(|_| None);
    let (folder, file) = (scratch.join("folder"), scratch.join("c"));
    let files = [folder.to_str().unwrap(), file.to_str().unwrap()];
    let ran = send(&server, &files);
    assert_eq!(ran.counts(), [3, 0, 0, 0]);
    assert_eq!(contents(&server), ["Subject: folder/a\n\n", "Subject: folder/b\n\n", "Subject: c\n\n"]);
    assert_eq!(ran.text.lines().take_while(|line| line.contains(" (sec): ")).count(), 3, "{}", ran.text);
    let server = Server::new(|_| None);
    assert_eq!(send(&server, &[&files[..], &["--n-workers=3"]].concat()).counts(), [9, 0, 0, 0]);
    let server = Server::new(|_| None);
    send(&server, &[&files[..], &["--shuffle"]].concat());
    let mut shuffled = contents(&server);
    shuffled.sort();
    assert_eq!(shuffled, ["Subject: c\n\n", "Subject: folder/a\n\n", "Subject: folder/b\n\n"]);
}

#[test]
fn those_that_were_refused_are_listed() {
    let scratch = Scratch::new("mails");
    for name in ["a", "b"] {
        fs::write(scratch.join(name), "Subject: x\n\n").unwrap();
    }
    let server = Server::new(|question| (question == CONTENT).then_some("550 no\r\n"));
    let (a, b) = (scratch.join("a"), scratch.join("b"));
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    let ran = send(&server, &[a, b]);
    assert!(ran.text.contains(&format!("\n\nRejected mails:\n{a}\n{b}\n\nTotal:\n")), "{}", ran.text);
}

#[test]
fn standard_input_is_a_mail() {
    let server = Server::new(|_| None);
    let mut process = command(
        &[&to(&server).iter().map(String::as_str).collect::<Vec<_>>()[..], &["--n-mails=2", "-"]].concat(),
    );
    let mut process = process.stdin(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(b"To: z@x\n\nbody\n").unwrap();
    let ran = ran(&process.wait_with_output().unwrap());
    assert_eq!(ran.counts(), [2, 0, 0, 0]);
    assert_eq!(contents(&server), ["To: z@x\n\nbody\n", "To: z@x\n\nbody\n"]);
}

#[test]
fn a_mail_that_is_not_there() {
    let ran = super::run(&["/nowhere/mail"]);
    assert_eq!(ran.status, 1);
    assert_eq!(ran.text, "Loading from /nowhere/mail failed.: No such file or directory (os error 2)\n");
}
