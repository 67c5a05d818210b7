//! Milters that die, come back, or stand still, while mail keeps coming.
//!
//! Every message has the answer of the milters or, for one that could not be asked, exactly its fallback; which, the header that
//! names who did not see a message tells.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use millstream_tests::manager::Manager;
use millstream_tests::real_children::clamav::{EICAR, VIRUS};
use millstream_tests::sink::Delivered;
use millstream_tests::smtp::{Reply, Smtp};
use millstream_tests::until::{PATIENCE, until, until_true};

use crate::children::Kind;
use crate::office::{Office, Port, fresh_domain, office};
use crate::verdicts::lines;

const KINDS: [Kind; 2] = [Kind::OpenDkim, Kind::ClamAv];

/// Has the names of the milters that did not see a message that was accepted all the same.
const UNFILTERED: &str = "X-Unfiltered";

const SETTINGS: &str = "manager.unfiltered_header = \"X-Unfiltered\"\n";

/// How long a milter that is down is left alone, and how much later than that mail may be checked again.
const RETRY: Duration = Duration::from_secs(1);
const MARGIN: Duration = Duration::from_secs(4);

/// No answer may take longer: far above what a busy machine needs, and below the manager's own limits.
const SOON: Duration = Duration::from_secs(15);

/// What Postfix says for a temporary failure of a milter.
const REFUSAL: &str = "451 4.7.1 Service unavailable - try again later";

/// A message and what came of it.
#[derive(Debug)]
struct Sent {
    subject: String,
    infected: bool,
    answer: Reply,
    took: Duration,
}

/// Who has checked a message.
#[derive(Debug, PartialEq, Eq)]
enum Checked {
    /// All that had to.
    ByAll,
    /// All but these, whose fallback was answered.
    Without(Vec<Kind>),
    /// It was refused for now: the fallback of one of them.
    Never,
}

/// One message in a session of its own, or in one that there is.
fn send(smtp: &mut Smtp, domain: &str, subject: &str, infected: bool) -> Sent {
    let eicar = EICAR.concat();
    let body = if infected { eicar.as_str() } else { "Nothing to see." };
    let start = Instant::now();
    let exchange = smtp.send(&lines(domain, subject, &[body]));
    Sent { subject: subject.to_owned(), infected, answer: exchange.last().clone(), took: start.elapsed() }
}

/// What is known of it. Anything but the true answer or the fallback fails the test.
fn judge(sent: &Sent, delivered: &BTreeMap<String, Delivered>) -> Checked {
    assert!(sent.took < SOON, "{sent:?}");
    let text = sent.answer.text();
    let arrived = delivered.get(&sent.subject);
    if sent.answer.code != 250 {
        assert!(arrived.is_none(), "refused and delivered: {sent:?}");
        if sent.infected && text.contains(VIRUS) {
            return Checked::ByAll;
        }
        assert_eq!(text, REFUSAL, "{sent:?}");
        return Checked::Never;
    }
    let arrived = arrived.unwrap_or_else(|| panic!("lost: {sent:?}"));
    let names = arrived.header(UNFILTERED).join(", ");
    let names: Vec<&str> = names.split(", ").filter(|name| !name.is_empty()).collect();
    let mut missed = Vec::new();
    for kind in KINDS {
        let marks = arrived.header(kind.mark()).len();
        let unseen = names.contains(&kind.name());
        assert_eq!(marks, usize::from(!unseen), "{kind:?} of {names:?}: {sent:?} {arrived:?}");
        if unseen {
            missed.push(kind);
        }
    }
    assert_eq!(missed.len(), names.len(), "{names:?}");
    assert!(!sent.infected || missed.contains(&Kind::ClamAv), "a virus has passed: {sent:?}");
    if missed.is_empty() { Checked::ByAll } else { Checked::Without(missed) }
}

/// What has been delivered, by subject: each once.
fn by_subject(office: &Office, domain: &str, sent: &[Sent]) -> BTreeMap<String, Delivered> {
    let taken = sent.iter().filter(|sent| sent.answer.code == 250).count();
    let mut found = BTreeMap::new();
    for message in office.deliveries(domain, taken) {
        let subject = message.header("Subject").concat();
        assert!(found.insert(subject.clone(), message).is_none(), "twice: {subject}");
    }
    assert_eq!(found.len(), taken);
    found
}

/// How many lines of the log have all of these.
fn told(manager: &Manager, parts: &[&str]) -> usize {
    manager.log().lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
}

#[test]
fn milters_are_killed_under_load_and_mail_passes() {
    killed_under_load(Port::OutageAccepting, "accept", &["reuse_connections = true"]);
}

#[test]
fn milters_are_killed_under_load_and_mail_has_to_wait() {
    killed_under_load(Port::OutageRefusing, "temporary-failure", &[]);
}

fn killed_under_load(port: Port, fallback: &str, lines: &[&str]) {
    const CLIENTS: usize = 4;
    const ROUNDS: usize = 2;
    const LEAST: usize = 200;
    let Some(office) = office() else { return };
    let retry = format!("retry_interval = {}", RETRY.as_secs());
    let lines = [&[retry.as_str()], lines].concat();
    let (mut children, manager) = office.own(port, &KINDS, SETTINGS, fallback, &lines);
    let domain = fresh_domain();
    let (enough, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let sent = Mutex::new(Vec::new());
    // A panic of ours must not leave the clients running.
    let stop = Stop(&enough);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (domain, enough, count, sent) = (&domain, &enough, &count, &sent);
            scope.spawn(move || {
                for session in 0.. {
                    let mut smtp = Smtp::open(office.address(port));
                    for (number, infected) in [(1, false), (2, session % 2 == 0)] {
                        let subject = format!("load {client} {session} {number}");
                        // What was refused may have left its sender behind.
                        smtp.command("RSET");
                        let done = send(&mut smtp, domain, &subject, infected);
                        sent.lock().expect("a client has failed").push(done);
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                    smtp.command("QUIT");
                    if enough.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
        }
        let stop = stop;
        for round in 1..=ROUNDS {
            for kind in [Kind::ClamAv, Kind::OpenDkim] {
                let at = count.load(Ordering::SeqCst);
                until_true("mail on its way", || count.load(Ordering::SeqCst) >= at + CLIENTS);
                children.kill(kind);
                until_true("the line of an outage", || told(&manager, &["[down]", kind.name()]) >= round);
                children.restart(kind);
                let start = Instant::now();
                until_true("the line of its end", || told(&manager, &["[up]", kind.name()]) >= round);
                assert!(start.elapsed() < RETRY + MARGIN, "{kind:?}: {:?}", start.elapsed());
                // Mail is checked again from the first message on.
                let domain = fresh_domain();
                let infected = kind == Kind::ClamAv;
                let again = send(&mut Smtp::open(office.address(port)), &domain, "again", infected);
                let again = [again];
                let found = judge(&again[0], &by_subject(office, &domain, &again));
                assert_eq!(found, Checked::ByAll, "{kind:?}: {again:?}");
            }
        }
        until_true("enough mail", || count.load(Ordering::SeqCst) >= LEAST);
        drop(stop);
    });

    let sent = sent.into_inner().expect("no client has failed");
    let delivered = by_subject(office, &domain, &sent);
    let found: Vec<Checked> = sent.iter().map(|sent| judge(sent, &delivered)).collect();
    let by_all = found.iter().filter(|found| **found == Checked::ByAll).count();
    assert!(by_all > 0 && by_all < found.len(), "{by_all} of {} were checked by all", found.len());
    let never = found.iter().filter(|found| **found == Checked::Never).count();
    for kind in KINDS {
        let without = |found: &&Checked| matches!(found, Checked::Without(missed) if missed.contains(&kind));
        let missed = found.iter().filter(without).count();
        match fallback {
            "accept" => assert!(missed > 0 && never == 0, "{kind:?}: {missed} without it, {never} refused"),
            _ => assert!(missed == 0 && never > 0, "{kind:?}: {missed} without it, {never} refused"),
        }
        for change in ["[down]", "[up]"] {
            let lines = told(&manager, &[change, &format!(" {} at ", kind.name())]);
            assert_eq!(lines, ROUNDS, "{change} of {kind:?}");
        }
    }
}

/// Tells the clients to stop, however the test ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The kernel accepts connections for a process that stands still, and nobody answers on them.
#[test]
fn a_milter_that_stands_still_costs_three_sessions_and_no_more() {
    const LIMIT: Duration = Duration::from_secs(2);
    const RETRY: Duration = Duration::from_secs(3);
    let Some(office) = office() else { return };
    let times = ["retry_interval = 3", "reading_timeout = 2", "end_of_message_timeout = 2"];
    let (children, manager) = office.own(Port::Frozen, &KINDS, SETTINGS, "accept", &times);
    let domain = fresh_domain();
    let open = || Smtp::open(office.address(Port::Frozen));
    let mut sent = Vec::new();
    let mut before = open();
    for (subject, infected) in [("before", false), ("a virus before", true)] {
        sent.push(send(&mut before, &domain, subject, infected));
    }

    children.signal(Kind::ClamAv, "STOP");

    // In a session that it is part of, and in three that it is not.
    let waited: Vec<Sent> = thread::scope(|scope| {
        let domain = &domain;
        let running = scope.spawn(move || send(&mut before, domain, "in a session", true));
        let fresh = [0, 1, 2].map(|number| {
            // The greeting waits for the milters as well.
            scope.spawn(move || {
                let start = Instant::now();
                let mut sent = send(&mut open(), domain, &format!("fresh {number}"), true);
                sent.took = start.elapsed();
                sent
            })
        });
        let joined = |thread: thread::ScopedJoinHandle<'_, Sent>| thread.join().expect("it is sent");
        [running].into_iter().chain(fresh).map(joined).collect()
    });
    for sent in &waited {
        let limits = LIMIT - Duration::from_millis(100)..LIMIT + MARGIN;
        assert!(limits.contains(&sent.took), "not the time limit: {sent:?}");
    }
    sent.extend(waited);
    until_true("the line of its outage", || told(&manager, &["[down]", "clamav"]) >= 1);

    // From now on one session each interval waits for it.
    let start = Instant::now();
    let mut tries = 0;
    for number in 0..20 {
        let start = Instant::now();
        let mut one = send(&mut open(), &domain, &format!("while it is down {number}"), number % 2 == 0);
        one.took = start.elapsed();
        tries += u32::from(one.took >= LIMIT);
        sent.push(one);
    }
    let most = 1 + start.elapsed().as_millis() / RETRY.as_millis();
    assert!(u128::from(tries) <= most, "{tries} sessions have waited, at most {most} should");
    until_true("a line for each of the others", || {
        told(&manager, &["[failed] clamav", "not tried: down since"]) == 20 - tries as usize
    });
    let unchecked = sent.len() - 2;

    children.signal(Kind::ClamAv, "CONT");

    let start = Instant::now();
    until(PATIENCE, "the line of its return", || {
        let number = sent.len();
        sent.push(send(&mut open(), &domain, &format!("until it is back {number}"), true));
        (told(&manager, &["[up]", "clamav"]) >= 1).then_some(())
    });
    assert!(start.elapsed() < RETRY + LIMIT + MARGIN, "{:?}", start.elapsed());
    let back = sent.len();
    for (subject, infected) in [("after", false), ("a virus after", true)] {
        sent.push(send(&mut open(), &domain, subject, infected));
    }

    let delivered = by_subject(office, &domain, &sent);
    let found: Vec<Checked> = sent.iter().map(|sent| judge(sent, &delivered)).collect();
    assert!(found[..2].iter().chain(&found[back..]).all(|found| *found == Checked::ByAll), "{found:?}");
    let without = Checked::Without(vec![Kind::ClamAv]);
    assert!(found[2..2 + unchecked].iter().all(|found| *found == without), "{found:?}");
    assert_eq!(told(&manager, &["[down]"]), 1, "{}", manager.log());
    assert_eq!(told(&manager, &["[up]"]), 1, "{}", manager.log());
}
