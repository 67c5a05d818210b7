//! Mail that does not go straight through one SMTP server: from the command line, and held
//! or thrown away by Postfix' own tables in the middle of a transaction.
//!
//! Each case is run on both routes, and all that clients, recipients, the queue and the children see has to be equal.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use millstream_tests::children::Plan;
use millstream_tests::compare::Seen;
use millstream_tests::message::Message;
use millstream_tests::post::{Chain, Route};
use millstream_tests::postfix::Site;
use millstream_tests::require::program_path;
use millstream_tests::smtp::{Exchange, Smtp};
use millstream_tests::until::until_true;

/// Tables that hold (`hold@`), throw away (`gone@`) or refuse (`stop@`), asked at each recipient and, with `late-`, for
/// sender and only recipient at the end of the message.
const TABLES: &str = "\
    -o { smtpd_recipient_restrictions = check_recipient_access inline:{ { hold@ = HOLD by table }, \
    { gone@ = DISCARD by table }, { stop@ = REJECT by table } }, permit } \
    -o { smtpd_end_of_data_restrictions = check_sender_access inline:{ { late-hold@ = HOLD by table }, \
    { late-gone@ = DISCARD by table }, { late-stop@ = REJECT by table } }, \
    check_recipient_access inline:{ { late-hold@ = HOLD by table }, { late-gone@ = DISCARD by table } } }";

/// A program of Postfix hands mail over without SMTP, and the cleanup server asks the milters.
#[test]
fn mail_from_the_command_line() {
    let services = |site: &Site| {
        format!(
            "pickup unix n - n 60 1 pickup -o cleanup_service_name=filtered\n\
             filtered unix n - n - 0 cleanup -o non_smtpd_milters={}\n",
            site.milters
        )
    };
    let script = |chain: &Chain, _: &Site| {
        let domain = chain.domain();
        let messages = [
            Message::new(domain, "plain"),
            Message::new(domain, "two recipients").to(domain, &["one", "two"]),
            Message::new(domain, "please DISCARD"),
            Message::new(domain, "please HOLD"),
            Message::new(domain, "last").with_body(b"from the command line\r\n"),
        ];
        let mut states = Vec::new();
        for (count, message) in (1..).zip(&messages) {
            submit(chain, message);
            // One at a time: the order of what lies in Postfix' mailbox for such mail is not defined.
            let record = || chain.child("policy").record();
            until_true("the message at the first child", || {
                record().matches("\"event\": \"message\"").count() == count
            });
            let record = record();
            let line = record.lines().rfind(|line| line.contains("\"queue_id\""));
            let id = field(line.expect("a message has been seen"), "queue_id");
            until_true("the message on its way", || !chain.mta().is_queued(&id) || chain.mta().is_held(&id));
            states.push(chain.mta().is_held(&id));
        }
        assert_eq!(states, [false, false, false, true, false], "held");
        let mut seen = Seen::of(chain, &[], 0);
        seen.delivered = delivered(chain, 3);
        seen
    };
    same_on_both_routes(&plans(), services, script);
}

/// Postfix decides in the middle of a transaction; the next one is an ordinary one again.
#[test]
fn tables_hold_and_discard() {
    let services = |site: &Site| {
        format!("{} inet n - n - - smtpd -o smtpd_milters={} {TABLES}\n", site.ports[0], site.milters)
    };
    same_on_both_routes(&plans(), services, |chain, site| {
        let domain = chain.domain();
        let plain = |subject: &str| Message::new(domain, subject);
        let from =
            |user: &str, subject: &str| Message { sender: format!("<{user}@mx.test>"), ..plain(subject) };
        let cases = [
            (plain("held").to(domain, &["one", "hold", "two"]), 250, Fate::Held),
            (plain("thrown away").to(domain, &["one", "gone", "two"]), 250, Fate::Gone),
            (plain("thrown away at once").to(domain, &["gone"]), 250, Fate::Gone),
            (plain("refused for one").to(domain, &["one", "stop", "two"]), 250, Fate::Delivered),
            (plain("both").to(domain, &["hold", "gone"]), 250, Fate::Gone),
            (plain("a child refuses a later one").to(domain, &["hold", "refused"]), 250, Fate::Held),
            (plain("a child is not asked").to(domain, &["gone", "refused"]), 250, Fate::Gone),
            (plain("REJECT").to(domain, &["hold"]), 554, Fate::Gone),
            (plain("REJECT, not asked").to(domain, &["gone"]), 250, Fate::Gone),
            (from("late-hold", "held at the end"), 250, Fate::Held),
            (from("late-gone", "thrown away at the end"), 250, Fate::Gone),
            (from("late-stop", "refused at the end"), 554, Fate::Gone),
            (from("late-hold", "REJECT"), 554, Fate::Gone),
            (from("late-gone", "REJECT, not asked"), 250, Fate::Gone),
            (plain("held by its recipient").to(domain, &["late-hold"]), 250, Fate::Held),
            (plain("thrown away by its recipient").to(domain, &["late-gone"]), 250, Fate::Gone),
        ];
        let mut smtp = Smtp::open(site.ports[0]);
        let mut exchanges = vec![smtp.send(&plain("first"))];
        let mut kept = 0;
        for (message, code, fate) in &cases {
            let exchange = smtp.send(message);
            assert_eq!(exchange.last().code, *code, "{message:?}: {exchange:?}");
            if let Some(id) = exchange.last().queue_id() {
                kept += usize::from(*fate != Fate::Delivered);
                until_true("the message on its way", || {
                    !chain.mta().is_queued(&id) || chain.mta().is_held(&id)
                });
                assert_eq!(chain.mta().is_held(&id), *fate == Fate::Held, "{message:?}");
            }
            exchanges.push(exchange);
            if message.sender.starts_with("<late-stop") {
                // Postfix keeps the transaction open after its own refusal at the end.
                exchanges.push(one_line(&mut smtp, "RSET"));
            }
            exchanges.push(smtp.send(&plain("an ordinary message")));
        }
        for (user, next) in [("hold", "after a reset with a hold"), ("gone", "after a reset with a discard")]
        {
            let reset = plain("never finished").to(domain, &["one", user]);
            assert_eq!(smtp.command(&format!("MAIL FROM:{}", reset.sender)).code, 250);
            for recipient in &reset.recipients {
                assert_eq!(smtp.command(&format!("RCPT TO:{recipient}")).code, 250);
            }
            assert_eq!(smtp.command("RSET").code, 250);
            exchanges.push(smtp.send(&plain(next)));
        }
        assert_eq!(exchanges.last().unwrap().last().code, 250);
        let seen = Seen::of(chain, &exchanges, kept);
        // All ordinary ones, the first, the one refused for one recipient, and the last two.
        assert_eq!(seen.delivered.len(), cases.len() + 1 + 1 + 2, "{:?}", seen.delivered);
        seen
    });
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Delivered,
    Held,
    Gone,
}

/// One that decides, one that edits, one that only looks.
fn plans() -> [Plan; 3] {
    [
        Plan::policy("policy"),
        Plan::editor("editor", r#"[["add", "X-Edited", "yes"]]"#),
        Plan::recorder("last"),
    ]
}

/// One command, with its reply where an exchange has that to MAIL.
pub(crate) fn one_line(smtp: &mut Smtp, line: &str) -> Exchange {
    Exchange { mail: smtp.command(line), recipients: Vec::new(), data: None, end: None }
}

/// Runs the script on both routes, each with a Postfix and children of its own, and compares what it has seen and every
/// event at every child.
pub(crate) fn same_on_both_routes(
    plans: &[Plan],
    services: impl Fn(&Site) -> String,
    script: impl Fn(&Chain, &Site) -> Seen,
) {
    let run = |route| {
        let (chain, site) = Chain::start_alone(route, "", plans.iter().cloned(), &services)?;
        let seen = script(&chain, &site);
        let events: Vec<_> = plans.iter().map(|plan| events_at(&chain, &plan.name)).collect();
        Some((seen, events))
    };
    let (Some(direct), Some(managed)) = (run(Route::Direct), run(Route::Managed)) else { return };
    assert_eq!(direct.0, managed.0, "replies and delivered mail, first without and then with the manager");
    for (place, (plan, (direct, managed))) in
        plans.iter().zip(direct.1.into_iter().zip(managed.1)).enumerate()
    {
        let (direct, managed) = match place {
            0 => (direct, managed),
            _ => (without_refused(direct), without_refused(managed)),
        };
        assert!(!direct.is_empty(), "{} has seen nothing", plan.name);
        for (number, (direct, managed)) in (1..).zip(direct.iter().zip(&managed)) {
            assert_eq!(
                direct, managed,
                "what {} saw in session {number}, first without and then with the manager",
                plan.name
            );
        }
        assert_eq!(direct.len(), managed.len(), "sessions that {} saw", plan.name);
    }
}

/// Without what the first child has refused at CONNECT, HELO and MAIL, by the names that the policy child refuses. The manager
/// shows these commands to all children at once, an MTA to those behind a refusal not at all.
fn without_refused(mut sessions: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let refused =
        |event: &String| event.contains("\"name\": \"refused") || event.contains("\"<refused-sender@");
    let comes_and_goes = |event: &String| event.contains("\"connect\"") || event.contains("\"close\"");
    for session in &mut sessions {
        session.retain(|event| !refused(event));
    }
    sessions.retain(|session| !session.iter().all(comes_and_goes));
    sessions
}

/// What a child has seen, session by session, once all sessions are over.
pub(crate) fn events_at(chain: &Chain, child: &str) -> Vec<Vec<String>> {
    let child = chain.child(child);
    until_true("the end of all sessions at a child", || {
        let record = child.record();
        let of = |event: &str| -> BTreeSet<&str> {
            record
                .lines()
                .filter(|line| line.contains(event))
                .filter_map(|line| line.split(',').next())
                .collect()
        };
        of("\"event\"") == of("\"event\": \"close\"")
    });
    let mut sessions: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in child.record().lines() {
        let (session, event) = line.split_once(", ").expect("a session and an event");
        let session = session.rsplit(' ').next().unwrap().parse().expect("sessions are numbered");
        let event = event.replace(chain.domain(), "DOMAIN");
        let event = without_date(event);
        let event = match event.contains("\"queue_id\"") {
            true => event.replace(&field(&event, "queue_id"), "QUEUE-ID"),
            false => event,
        };
        sessions.entry(session).or_default().push(event);
    }
    sessions.into_values().collect()
}

/// Names the date of a `Received` that Postfix made, in a child's record, as this is when the test ran.
fn without_date(event: String) -> String {
    let Some((before, after)) = event.split_once(" (UTC)") else { return event };
    let date = before.rfind(';').expect("a date follows a semicolon");
    format!("{}; DATE{after}", &before[..date])
}

/// A text in a line of a child's record.
fn field(line: &str, name: &str) -> String {
    let (_, rest) = line.split_once(&format!("\"{name}\": \"")).expect("the field is there");
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// Gives a message to `sendmail(1)` of the chain's own Postfix.
fn submit(chain: &Chain, message: &Message) {
    let mut sendmail = Command::new(program_path("sendmail"))
        .arg("-C")
        .arg(chain.mta_folder().join("etc"))
        .args(["-i", "-f", message.sender.trim_matches(['<', '>']), "--"])
        .args(message.recipients.iter().map(|recipient| recipient.trim_matches(['<', '>'])))
        .stdin(Stdio::piped())
        .spawn()
        .expect("sendmail can be run");
    let text = String::from_utf8_lossy(&message.data).replace("\r\n", "\n");
    sendmail.stdin.take().unwrap().write_all(text.as_bytes()).expect("sendmail reads");
    assert!(sendmail.wait().expect("sendmail ends").success(), "sendmail(1) did not take the message");
}

/// Delivered messages that came without SMTP: their queue ids are in no reply, only in `Received`.
fn delivered(chain: &Chain, count: usize) -> Vec<String> {
    chain
        .deliveries(count)
        .iter()
        .map(|message| {
            let received = message.header("Received");
            let (before, id) = received[0].split_once("\tid ").expect("Postfix says its queue id");
            assert!(before.contains("from userid 0"), "{received:?}");
            let id = id.split(';').next().unwrap();
            let date = received[0].rsplit_once(';').expect("Postfix says when").1;
            format!("{} {:?}\n{}", message.sender, message.recipients, String::from_utf8_lossy(&message.data))
                .replace(id, "QUEUE-ID")
                .replace(date, " DATE")
                .replace(chain.domain(), "DOMAIN")
        })
        .collect()
}
