//! The measure of the manager: clients, recipients and children see the same with it and without it.
//!
//! What is left out of the comparison is listed in [`millstream_tests::compare`].

use millstream_tests::children::Plan;
use millstream_tests::compare::Seen;
use millstream_tests::message::Message;
use millstream_tests::mta::Server;
use millstream_tests::post::{Chain, Route};
use millstream_tests::smtp::{Exchange, Smtp};

behind_both_mtas!(
    every_verdict,
    every_envelope,
    every_header_edit,
    every_body,
    body_and_envelope_edits,
    signature,
);

fn every_verdict(server: Server) {
    let plans = [
        Plan::recorder("first"),
        Plan::policy("policy"),
        Plan::editor("editor", r#"[["insert", 0, "X-Edited", "yes"], ["change", "Subject", 1, "edited"]]"#),
    ];
    same_answer(server, &plans, 2, |chain, smtp| {
        let mut exchanges = Vec::new();
        for subject in ["plain", "REJECT", "plain again", "TEMPFAIL", "HOLD", "DISCARD", "last"] {
            exchanges.push(smtp.send(&Message::new(chain.domain(), subject)));
        }
        exchanges
    });
}

fn every_envelope(server: Server) {
    let plans = [Plan::policy("policy"), Plan::recorder("second"), Plan::policy("third")];
    same_answer(server, &plans, 0, |chain, smtp| {
        let plain = Message::new(chain.domain(), "envelope");
        let from = |sender: &str, arguments: &str| Message {
            sender: sender.to_owned(),
            mail_arguments: arguments.to_owned(),
            ..plain.clone()
        };
        let mut exchanges = vec![
            smtp.send(&from("<>", "")),
            smtp.send(&from("<refused-sender@mx.test>", "")),
            smtp.send(&from("<sender@mx.test>", " SIZE=1000 BODY=8BITMIME")),
            smtp.send(&from("<sender@mx.test>", " RET=HDRS ENVID=abc")),
            smtp.send(&from("<\"odd sender\"@mx.test>", "")),
            smtp.send(&plain.clone().to(chain.domain(), &["one", "refused", "two", "later", "one"])),
        ];
        exchanges.push(smtp.send(&plain.clone().to(chain.domain(), &["refused"])));
        exchanges.push(one_line(smtp, "RSET"));
        exchanges.push(one_line(smtp, "HELO old.example.org"));
        exchanges.push(smtp.send(&plain));
        exchanges.push(one_line(smtp, "NONSENSE with words"));
        exchanges.push(one_line(smtp, "RCPT TO:<too@early.test>"));
        exchanges.push(one_line(smtp, "EHLO new.example.org"));
        exchanges.push(smtp.send(&plain));
        exchanges
    });
}

fn every_header_edit(server: Server) {
    let first = r#"[
        ["insert", 0, "X-At-0", "a"], ["insert", 1, "X-At-1", "b"], ["insert", 2, "X-At-2", "c"],
        ["insert", 5, "X-At-5", "d"], ["insert", 999, "X-At-999", "e"],
        ["add", "X-Trace", "added"], ["add", "Subject", "another subject"],
        ["change", "X-Trace", 1, "one changed"], ["change", "X-Trace", 9, "ninth is added"],
        ["change", "x-case", 1, "case"], ["delete", "X-Gone", 3], ["delete", "X-Gone", 1],
        ["add", "X-Folded", "one\n two\n\tthree"], ["add", "X-Empty", " "]
    ]"#;
    let second = r#"[
        ["delete", "X-At-1", 1], ["change", "X-At-0", 1, "seen by the second"],
        ["change", "X-Trace", 2, "two changed by the second"], ["insert", 0, "X-At-0", "above"],
        ["insert", 3, "X-Between", "here"], ["delete", "Subject", 1], ["add", "X-Gone", "back"],
        ["change", "X-Gone", 1, "remaining one changed"]
    ]"#;
    let plans = [Plan::editor("first", first), Plan::editor("second", second), Plan::recorder("third")];
    same_answer(server, &plans, 0, |chain, smtp| {
        let message = Message::new(chain.domain(), "edits").with_headers([
            "Received: from elsewhere by here; Mon, 05 Jan 2026 09:00:00 +0000",
            "X-Gone: 1",
            "X-Trace: one",
            "X-Gone: 2",
            "X-CASE:no blank",
            "X-Trace:\ttab",
            "X-Gone: 3",
            "X-Trace:  two blanks",
            "X-Long: folded",
            "\tover",
            "  three lines",
        ]);
        vec![smtp.send(&message), smtp.send(&message)]
    });
}

fn every_body(server: Server) {
    let plans = [
        Plan::recorder("first"),
        Plan::editor("editor", r#"[["add", "X-Checked", "yes"]]"#),
        Plan::recorder("third"),
    ];
    same_answer(server, &plans, 0, |chain, smtp| {
        let plain = Message::new(chain.domain(), "body");
        let eight_bit: Vec<u8> = (0..=255).filter(|byte| !b"\r\n".contains(byte)).chain(*b"\r\n").collect();
        let large = b"0123456789 abcdefghijklmnopqrstuvwxyz\r\n".repeat(10_000);
        let no_header = Message { data: b"no header at all\r\nand more\r\n".to_vec(), ..plain.clone() };
        let only_header = Message { data: b"Subject: only a header\r\n".to_vec(), ..plain.clone() };
        let odd_header = Message {
            data:
                b"Subject: caf\xE9 \x00 nul\r\nX-Odd : blank before the colon\r\nnot a header\r\n\r\nbody\r\n"
                    .to_vec(),
            ..plain.clone()
        };
        let mut exchanges: Vec<_> = [
            &b""[..],
            b"\r\n",
            b"\r\n\r\n\r\n",
            b"..\r\n.\r\n",
            b"bare \n and \r in a line\r\n",
            &eight_bit,
            &large,
        ]
        .into_iter()
        .map(|body| smtp.send(&plain.clone().with_body(body)))
        .collect();
        exchanges.extend([no_header, only_header, odd_header].iter().map(|message| smtp.send(message)));
        exchanges
    });
}

fn body_and_envelope_edits(server: Server) {
    let first = r#"[["body", "short\r\n"], ["sender", "<changed@mx.test>"], ["delete-recipient", "<gone@elsewhere.test>"]]"#;
    let second =
        r#"[["add", "X-After", "body"], ["body", "shorter\r\nlines\r\n"], ["sender", "<again@mx.test>"]]"#;
    let plans = [Plan::editor("first", first), Plan::recorder("between"), Plan::editor("second", second)];
    same_answer(server, &plans, 0, |chain, smtp| {
        let mut message = Message::new(chain.domain(), "body and envelope");
        message.recipients.push("<gone@elsewhere.test>".to_owned());
        vec![smtp.send(&message), smtp.send(&message)]
    });
}

fn signature(server: Server) {
    let plans = [Plan::opendkim("opendkim"), Plan::recorder("second")];
    let Some((direct, managed)) =
        run_both(server, &plans, 0, |chain, smtp| vec![smtp.send(&Message::new(chain.domain(), "signed"))])
    else {
        return;
    };
    // The child's record holds the signature itself, which differs; clients and recipients are compared.
    assert_eq!(direct.0, managed.0);
}

/// What clients and recipients have seen, and each child.
pub(crate) type Outcome = (Seen, Vec<Vec<String>>);

/// Runs `script` on both routes, each with children of its own, and compares what was seen by everybody. `kept` messages
/// are queued and not delivered.
fn same_answer(
    server: Server,
    plans: &[Plan],
    kept: usize,
    script: impl Fn(&Chain, &mut Smtp) -> Vec<Exchange>,
) {
    let Some((direct, managed)) = run_both(server, plans, kept, script) else { return };
    assert_eq!(direct.0.replies, managed.0.replies, "SMTP replies, first without and then with the manager");
    for (number, (direct, managed)) in direct.0.delivered.iter().zip(&managed.0.delivered).enumerate() {
        assert!(
            direct == managed,
            "delivered message {number}, without the manager:\n{}\nand with it:\n{}",
            shortened(direct),
            shortened(managed)
        );
    }
    assert_eq!(direct.0.delivered.len(), managed.0.delivered.len(), "number of delivered messages");
    for (plan, (direct, managed)) in plans.iter().zip(direct.1.iter().zip(&managed.1)) {
        assert_eq!(direct, managed, "what {} saw, first without and then with the manager", plan.name);
    }
}

pub(crate) fn run_both(
    server: Server,
    plans: &[Plan],
    kept: usize,
    script: impl Fn(&Chain, &mut Smtp) -> Vec<Exchange>,
) -> Option<(Outcome, Outcome)> {
    let run = |route| {
        let chain = Chain::start_behind(server, route, "", plans.iter().cloned())?;
        let exchanges = script(&chain, &mut chain.smtp());
        // Shown where the comparison fails.
        if let Some(manager) = chain.manager() {
            println!("the manager's log:\n{}", manager.log());
        }
        let seen = Seen::of(&chain, &exchanges, kept);
        let records = plans.iter().map(|plan| messages_in(&chain, &plan.name)).collect();
        Some((seen, records))
    };
    Some((run(Route::Direct)?, run(Route::Managed)?))
}

/// The finished messages in a child's record, without queue ids and the test's domain.
fn messages_in(chain: &Chain, child: &str) -> Vec<String> {
    chain
        .child(child)
        .record()
        .lines()
        .filter(|line| line.contains("\"event\": \"message\""))
        .map(|line| {
            let (_, rest) = line.split_once("\"sender\": ").expect("a finished message has a sender");
            rest.replace(chain.domain(), "DOMAIN")
        })
        .collect()
}

/// One command, with its reply where an exchange has that to MAIL.
fn one_line(smtp: &mut Smtp, line: &str) -> Exchange {
    Exchange { mail: smtp.command(line), recipients: Vec::new(), data: None, end: None }
}

fn shortened(text: &str) -> String {
    text.chars().take(3000).collect()
}
