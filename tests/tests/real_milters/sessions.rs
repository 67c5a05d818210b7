//! Several recipients, several messages in a session, and sessions that do not end as they should.

use millstream_tests::message::Message;
use millstream_tests::real_children::clamav::EICAR;
use millstream_tests::real_children::spamassassin::GTUBE;
use millstream_tests::smtp::{Exchange, Smtp};

use crate::office::{Chain, office, same};
use crate::verdicts::lines;

#[test]
fn several_recipients() {
    let Some(seen) = same(Chain::All, |smtp, domain| {
        let message = Message::new(domain, "to many");
        let users: Vec<String> = (0..40).map(|number| format!("user{number}")).collect();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        let mut bounce = message.clone().to(domain, &["one", "two"]);
        bounce.sender = "<>".to_owned();
        let mut exchanges = vec![
            smtp.send(&message.clone().to(domain, &["one", "two", "three"])),
            smtp.send(&message.clone().to(domain, &["one", "one", "ONE"])),
            smtp.send(&message.clone().to(domain, &users)),
            smtp.send(&bounce),
        ];
        // A recipient that Postfix itself refuses.
        let mut odd = message.to(domain, &["one"]);
        odd.recipients.push("<not an address>".to_owned());
        odd.recipients.push(format!("<last@{domain}>"));
        exchanges.push(smtp.send(&odd));
        exchanges
    }) else {
        return;
    };

    assert_eq!(seen.delivered.len(), 5, "{:?}", seen.replies);
    assert!(seen.delivered.iter().any(|message| message.contains("user39")));
}

#[test]
fn verdicts_do_not_outlive_their_messages() {
    let (eicar, gtube) = (EICAR.concat(), GTUBE.concat());
    let Some(seen) = same(Chain::All, |smtp, domain| {
        let clean = |number: u32| Message::new(domain, &format!("clean {number}"));
        let mut exchanges = vec![smtp.send(&clean(1)), smtp.send(&lines(domain, "virus", &[&eicar]))];
        exchanges.push(smtp.send(&clean(2)));
        exchanges.push(smtp.send(&lines(domain, "spam", &[&gtube])));
        exchanges.push(one_line(smtp, "RSET"));
        exchanges.push(smtp.send(&lines(domain, "both", &[&gtube, &eicar])));
        exchanges.push(smtp.send(&clean(3)));
        // Begun and never finished.
        exchanges.push(one_line(smtp, "MAIL FROM:<forgotten@mx.test>"));
        exchanges.push(one_line(smtp, &format!("RCPT TO:<forgotten@{domain}>")));
        exchanges.push(one_line(smtp, "RSET"));
        exchanges.push(one_line(smtp, "EHLO again.example.org"));
        exchanges.push(smtp.send(&clean(4)));
        exchanges.push(one_line(smtp, "HELO old.example.org"));
        exchanges.push(smtp.send(&clean(5)));
        exchanges.push(one_line(smtp, "NONSENSE with words"));
        exchanges.extend((6..16).map(|number| smtp.send(&clean(number))));
        exchanges.push(one_line(smtp, "QUIT"));
        exchanges
    }) else {
        return;
    };

    assert_eq!(seen.delivered.len(), 15, "{:?}", seen.replies);
    assert!(seen.delivered.iter().all(|message| !message.contains("forgotten")));
}

#[test]
fn sessions_that_just_end() {
    let Some(office) = office() else { return };
    let script = |smtp: &mut Smtp, domain: &str| {
        let exchange = smtp.envelope(&Message::new(domain, "never finished"));
        smtp.write(b"Subject: never finished\r\n\r\nHalf a mess");
        vec![exchange]
    };
    // The milters are the same for both: what one session leaves behind shows in the next.
    let Some(seen) = same(Chain::All, script) else { return };
    assert_eq!(seen.replies.len(), 3, "{seen:?}");
    let Some(seen) = same(Chain::All, |smtp, domain| vec![smtp.send(&Message::new(domain, "after that"))])
    else {
        return;
    };
    assert_eq!(seen.delivered.len(), 1, "{seen:?} {office:?}");
}

/// Many at once: the milters answer each its own.
#[test]
fn sessions_beside_each_other() {
    if office().is_none() {
        return;
    }
    let gtube = GTUBE.concat();
    std::thread::scope(|scope| {
        for number in 0..6 {
            let gtube = &gtube;
            scope.spawn(move || {
                let _ = same(Chain::All, |smtp, domain| {
                    let subject = format!("beside {number}");
                    let body = "a line of text\r\n".repeat(1 + 50 * number);
                    vec![
                        smtp.send(&Message::new(domain, &subject).with_body(body.as_bytes())),
                        smtp.send(&lines(domain, &subject, &[gtube])),
                        smtp.send(&Message::new(domain, &subject)),
                    ]
                });
            });
        }
    });
}

/// One command, with its reply where an exchange has that to MAIL.
fn one_line(smtp: &mut Smtp, line: &str) -> Exchange {
    Exchange { mail: smtp.command(line), recipients: Vec::new(), data: None, end: None }
}
