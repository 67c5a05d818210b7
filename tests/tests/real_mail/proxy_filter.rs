//! `smtpd_proxy_filter`: Postfix gives the content of a message to another SMTP server before it is in the queue.
//!
//! Milters of the SMTP server in front of that filter see the envelope only: there is no cleanup server, which would show
//! them content and end of message, no queue id, and nothing that they could change. Each message ends for them in ABORT.
//! Milters of the SMTP server behind the filter see all that the filter lets through.
//!
//! Each case is run on both routes, and all that clients, recipients and the children see has to be equal.

use std::fs;

use millstream_tests::children::Plan;
use millstream_tests::compare::Seen;
use millstream_tests::manager_log;
use millstream_tests::message::Message;
use millstream_tests::post::Chain;
use millstream_tests::postfix::Site;
use millstream_tests::smtp::{Exchange, Smtp};
use millstream_tests::until::until_true;

use crate::content_filter::ContentFilter;
use crate::special_paths::{one_line, same_on_both_routes};

/// Where the milters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Milters {
    Before,
    Behind,
}

/// How Postfix feeds the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feeding {
    /// Each command as it comes.
    AsItComes,
    /// The whole message once it is complete (`smtpd_proxy_options = speed_adjust`).
    Whole,
}

#[test]
fn milters_before_the_filter() {
    runs(Milters::Before, Feeding::AsItComes);
}

#[test]
fn milters_before_a_filter_that_is_fed_whole_messages() {
    runs(Milters::Before, Feeding::Whole);
}

#[test]
fn milters_behind_the_filter() {
    runs(Milters::Behind, Feeding::AsItComes);
}

fn runs(milters: Milters, feeding: Feeding) {
    let filter = std::cell::RefCell::new(None);
    let services = |site: &Site| {
        let [front, inner, ..] = site.ports;
        let started = ContentFilter::start(inner);
        let of = |place| if milters == place { site.milters.as_str() } else { "" };
        let options = match feeding {
            Feeding::AsItComes => "",
            Feeding::Whole => " -o smtpd_proxy_options=speed_adjust",
        };
        let text = format!(
            "{front} inet n - n - - smtpd -o smtpd_milters={} -o smtpd_proxy_filter={}{options}\n\
             {inner} inet n - n - - smtpd -o smtpd_milters={} -o smtpd_authorized_xforward_hosts=127.0.0.0/8\n",
            of(Milters::Before),
            started.address(),
            of(Milters::Behind),
        );
        filter.replace(Some(started));
        text
    };
    let plans = [
        Plan::policy("policy"),
        Plan::editor("editor", r#"[["add", "X-Edited", "yes"], ["change", "Subject", 1, "edited"]]"#),
        Plan::recorder("last"),
    ];
    same_on_both_routes(&plans, services, |chain, site| {
        let mut exchanges = messages(chain, &mut Smtp::open(site.ports[0]), milters, feeding);
        exchanges.extend(refused_sessions(chain, site));
        exchanges.extend(hang_ups(chain, site));
        filter.borrow_mut().as_mut().expect("it was started").stop();
        let gone = Smtp::open(site.ports[0]).send(&Message::new(chain.domain(), "nobody filters"));
        assert_eq!(gone.last().code, 451, "{gone:?}");
        exchanges.push(gone);

        let seen = Seen::of(chain, &exchanges, kept(milters));
        for message in &seen.delivered {
            assert_eq!(message.contains("X-Edited: yes"), milters == Milters::Behind, "{message}");
        }
        is_logged(chain, milters);
        seen
    });
}

/// Whatever filter or milters object to, with an ordinary message behind each.
fn messages(chain: &Chain, smtp: &mut Smtp, milters: Milters, feeding: Feeding) -> Vec<Exchange> {
    let domain = chain.domain();
    let plain = |subject: &str| Message::new(domain, subject);
    let from = |user: &str| Message { sender: format!("<{user}@mx.test>"), ..plain("by its sender") };
    // The last reply where the milters are before the filter, before one that is fed whole messages, and behind it.
    let cases = [
        (plain("plain"), [250, 250, 250]),
        (plain("two").to(domain, &["one", "two"]), [250, 250, 250]),
        (plain("filter").to(domain, &["one", "filter-refused", "two"]), [250, 550, 250]),
        (plain("filter").to(domain, &["filter-refused"]), [550, 550, 550]),
        (from("filter-sender"), [550, 550, 550]),
        (from("filter-data"), [451, 451, 451]),
        (from("filter-leaves"), [451, 451, 451]),
        (plain("FILTER-REJECT"), [554, 554, 554]),
        (plain("FILTER-LEAVES"), [451, 451, 451]),
        (from("refused-sender"), [553, 553, 553]),
        (plain("milter").to(domain, &["one", "refused", "later", "two"]), [250, 250, 250]),
        (plain("milter").to(domain, &["refused"]), [550, 550, 550]),
        (from("refused-data"), [550, 550, 550]),
        // What is asked for in the content, a milter before the filter is not shown.
        (plain("REJECT"), [250, 250, 554]),
        (plain("TEMPFAIL"), [250, 250, 451]),
        (plain("HOLD"), [250, 250, 250]),
        (plain("DISCARD"), [250, 250, 250]),
    ];
    let column = match (milters, feeding) {
        (Milters::Before, Feeding::AsItComes) => 0,
        (Milters::Before, Feeding::Whole) => 1,
        (Milters::Behind, _) => 2,
    };
    let mut exchanges = Vec::new();
    for (message, codes) in &cases {
        let exchange = smtp.send(message);
        assert_eq!(exchange.last().code, codes[column], "{message:?}: {exchange:?}");
        exchanges.push(exchange);
        // After its own refusals and the filter's, Postfix keeps the transaction open.
        exchanges.push(one_line(smtp, "RSET"));
        let ordinary = smtp.send(&plain("an ordinary message"));
        assert_eq!(ordinary.last().code, 250, "after {message:?}: {ordinary:?}");
        exchanges.push(ordinary);
    }
    exchanges
}

/// How many of them are queued and not delivered: a milter behind the filter holds one and throws one away.
fn kept(milters: Milters) -> usize {
    match milters {
        Milters::Before => 0,
        Milters::Behind => 2,
    }
}

/// Sessions that a milter refuses as a whole: for their name, and from the connection on.
fn refused_sessions(chain: &Chain, site: &Site) -> Vec<Exchange> {
    let message = Message::new(chain.domain(), "in a refused session");
    let mut exchanges = Vec::new();
    let mut named = Smtp::connect(site.ports[0]);
    exchanges.push(one_line(&mut named, "HELO refused.example.org"));
    exchanges.push(named.send(&message));
    exchanges.push(one_line(&mut named, "QUIT"));

    let mark = chain.folder().join("1.record.refuse");
    fs::write(&mark, "").expect("a file can be written");
    let mut connected = Smtp::connect(site.ports[0]);
    exchanges.push(one_line(&mut connected, "EHLO client.example.org"));
    let refused = connected.send(&message);
    assert!(refused.last().code >= 400, "{refused:?}");
    exchanges.push(refused);
    exchanges.push(one_line(&mut connected, "QUIT"));
    fs::remove_file(&mark).expect("it is there");
    exchanges
}

/// Clients that hang up, each at another place, with an ordinary message behind each.
fn hang_ups(chain: &Chain, site: &Site) -> Vec<Exchange> {
    let domain = chain.domain();
    let recipient = format!("RCPT TO:<user@{domain}>");
    let commands = ["MAIL FROM:<sender@mx.test>", &recipient, "DATA"];
    let places: [(usize, &str); 8] = [
        (0, ""),
        (1, ""),
        (1, "RCPT TO:<us"),
        (2, ""),
        (3, ""),
        (3, "Subject: half a line"),
        (3, "Subject: hangs up\r\n\r\nHello.\r\n"),
        // The message is complete, and nobody reads the reply.
        (3, "Subject: complete\r\n\r\nHello.\r\n.\r\n"),
    ];
    let mut exchanges = Vec::new();
    for (count, more) in places {
        let mut smtp = Smtp::open(site.ports[0]);
        for command in &commands[..count] {
            let exchange = one_line(&mut smtp, command);
            assert!(exchange.mail.is_positive(), "{command}: {exchange:?}");
            exchanges.push(exchange);
        }
        smtp.write(more.as_bytes());
        for reply in smtp.hang_up() {
            exchanges.push(Exchange { mail: reply, recipients: Vec::new(), data: None, end: None });
        }
        let next = Smtp::open(site.ports[0]).send(&Message::new(domain, "after a client that hung up"));
        assert_eq!(next.last().code, 250, "after {count} commands and {more:?}: {next:?}");
        exchanges.push(next);
    }
    exchanges
}

/// Behind the filter messages end as ever. Before it, the MTA takes each of them back.
fn is_logged(chain: &Chain, milters: Milters) {
    let Some(manager) = chain.manager() else { return };
    match milters {
        Milters::Before => {
            let end = ["[message] - from=<sender@mx.test> to=1+0 body=0", "-> taken back by the mta at data"];
            until_true("the line of a message that went on to the filter", || {
                manager_log::contains_line(&manager.log(), &end)
            });
            assert!(!manager.log().contains("end-of-message"), "{}", manager.log());
        }
        Milters::Behind => manager_log::expect_line(manager, &["policy=reject@end-of-message", "by policy"]),
    }
}
