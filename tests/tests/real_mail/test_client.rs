//! `milter-test-client` as the milter of a real Postfix, on a socket that Postfix' group may use.

use std::process::Command;

use millstream_tests::account;
use millstream_tests::children::Plan;
use millstream_tests::message::Message;
use millstream_tests::post::{Chain, Route};
use millstream_tests::process::Process;
use millstream_tests::programs;
use millstream_tests::scratch::Scratch;
use millstream_tests::smtp::Smtp;
use millstream_tests::until::{PATIENCE, until_true};

/// A Postfix whose only milter is the program.
struct Bench {
    client: Process,
    smtp: Smtp,
    chain: Chain,
    _scratch: Scratch,
}

impl Bench {
    /// `options` are made for the domain of the test's recipients. Nothing when this machine cannot run it.
    fn start(options: impl FnOnce(&str) -> Vec<String>) -> Option<Self> {
        let scratch = Scratch::new("real-test-client");
        let socket = scratch.join("milter.sock");
        let alone = Chain::start_alone(Route::Direct, "", [Plan::absent("nobody asks it")], |site| {
            format!("{} inet n - n - - smtpd -o smtpd_milters=unix:{}\n", site.ports[0], socket.display())
        });
        let (chain, site) = alone?;
        account::give_to("nobody", scratch.path());
        let mut command = Command::new(programs::ours("milter-test-client"));
        command.arg("-s").arg(&socket).args(["--unix-socket-group", "postfix"]).args(options(chain.domain()));
        let client = Process::start("milter-test-client", &mut command, &scratch.join("output"));
        // Its group is set when Postfix comes: that is the last thing before it gives root up.
        until_true("it serves", || is_nobody(client.id()));
        Some(Self { client, smtp: Smtp::open(site.ports[0]), chain, _scratch: scratch })
    }

    /// What it has printed when Postfix has gone and it was stopped.
    fn stop(mut self) -> String {
        assert_eq!(self.smtp.command("QUIT").code, 221);
        until_true("the end of the session", || self.client.output().ends_with("finished\n"));
        self.client.signal("TERM");
        assert!(self.client.wait(PATIENCE).success());
        self.client.output()
    }
}

fn is_nobody(pid: u32) -> bool {
    let (nobody, _) = account::numbers("nobody");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with(&format!("Uid:\t{nobody}\t")))
}

fn owned(options: &[&str]) -> Vec<String> {
    options.iter().map(|option| (*option).to_owned()).collect()
}

#[test]
fn what_it_is_asked_to_change_is_delivered() {
    let bench = Bench::start(|domain| {
        let archive = format!("archive@{domain}");
        owned(&[
            "--add-header",
            "X-Client:last",
            "--change-header",
            "1:Subject:changed",
            "--delete-header",
            "1:X-Gone",
            "--replace-body",
            "another body\r\n",
            "--add-recipient",
            &archive,
        ])
    });
    let Some(mut bench) = bench else { return };
    let domain = bench.chain.domain().to_owned();
    for subject in ["one", "two"] {
        let message = Message::new(&domain, subject).with_headers(["X-Gone: away"]);
        assert_eq!(bench.smtp.send(&message).last().code, 250);
    }

    // An added recipient may be delivered on its own.
    until_true("both recipients of both", || {
        bench.chain.arrived().iter().map(|message| message.recipients.len()).sum::<usize>() == 4
    });
    for message in bench.chain.arrived() {
        assert_eq!(message.header("Subject"), ["changed"]);
        assert_eq!(message.header("X-Client"), ["last"]);
        assert!(message.header("X-Gone").is_empty());
        assert_eq!(message.body(), b"another body\r\n");
    }
    let told = bench.stop();
    for line in
        ["\nconnect: host=<", "\n  v=Postfix", "\nenvelope-from: <<sender@mx.test>>\n", "\nend-of-header\n"]
    {
        assert!(told.contains(line), "{line}: {told}");
    }
    for subject in ["one", "two"] {
        assert!(told.contains(&format!("\nheader: <Subject: {subject}>\n")), "{told}");
    }
}

#[test]
fn what_it_is_asked_to_answer_is_the_answer_of_the_mta() {
    let bench = Bench::start(|_| owned(&["--reply", "end-of-message=550 5.7.1 not today"]));
    let Some(mut bench) = bench else { return };
    let message = Message::new(bench.chain.domain(), "refused");
    let exchange = bench.smtp.send(&message);
    assert_eq!(exchange.last().lines, ["550 5.7.1 not today"]);
    assert!(bench.chain.arrived().is_empty());
    assert!(bench.stop().contains("\nend-of-message"));
}
