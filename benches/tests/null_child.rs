//! The load runner's two ends against each other: what the client says it has sent is what the null child has received.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use millstream_benches::child::Wishes;
use millstream_benches::load::client::{self, Length, Outcome, Pace};
use millstream_benches::load::mail::Mail;
use millstream_benches::load::null_child::{self, Address, Manners};
use millstream_benches::load::tally::Tally;
use millstream_benches::visit::Ending;
use millstream_tests::scratch::Scratch;
use millstream_tests::until::{PATIENCE, until};

struct Child {
    address: Address,
    control: PathBuf,
    _scratch: Scratch,
}

impl Child {
    fn start(manners: Manners, is_tcp: bool) -> Self {
        let scratch = Scratch::new("null");
        let address = Address::new(scratch.path(), "child.sock", is_tcp).unwrap();
        let control = scratch.join("control");
        let (at, told_at) = (address.clone(), control.clone());
        thread::spawn(move || null_child::serve(&at, &told_at, manners));
        let child = Self { address, control, _scratch: scratch };
        until(PATIENCE, "the null child", || match &child.address {
            Address::Unix(path) => UnixStream::connect(path).ok().map(drop),
            Address::Tcp(address) => std::net::TcpStream::connect(address).ok().map(drop),
        });
        child
    }

    fn tally(&self) -> Option<Tally> {
        let mut text = String::new();
        UnixStream::connect(&self.control).ok()?.read_to_string(&mut text).ok()?;
        Tally::parse(&text)
    }

    /// Has sessions with it, and waits until it has seen all of them.
    fn receives(&self, mail: &Mail, pace: Pace, sessions: u64) -> Outcome {
        let outcome = client::run(&self.address, mail, pace, Length::Sessions(sessions)).unwrap();
        assert_eq!(outcome.sessions, sessions);
        assert_eq!(outcome.latency.len(), sessions, "each has its time");
        let sent = mail.tally() * sessions;
        until(PATIENCE, "the ends of all sessions", || {
            self.tally().filter(|tally| tally.sessions == sessions)
        });
        assert_eq!(self.tally(), Some(sent));
        outcome
    }
}

#[test]
fn a_small_mail_arrives_as_it_was_sent() {
    Child::start(Manners::PLAIN, false).receives(&Mail::small(), Pace::Closed(10), 50);
}

#[test]
fn a_big_mail_arrives_as_it_was_sent() {
    Child::start(Manners::PLAIN, false).receives(&Mail::big(), Pace::Closed(3), 6);
}

#[test]
fn a_big_mail_arrives_at_a_child_that_does_not_reply() {
    Child::start(Manners::of(Wishes::RSPAMD), false).receives(&Mail::big(), Pace::Closed(3), 6);
}

#[test]
fn several_mails_arrive_in_one_session() {
    let mail = Mail::new("several", Ending::Message, 3, 5, 1 << 10);
    Child::start(Manners::PLAIN, false).receives(&mail, Pace::Closed(4), 20);
}

#[test]
fn sessions_end_early() {
    let mail = Mail::new("HELO", Ending::Helo, 1, 5, 1 << 10);
    Child::start(Manners::PLAIN, false).receives(&mail, Pace::Closed(4), 20);
}

#[test]
fn a_child_may_have_threads_and_a_port() {
    let manners = Manners { has_threads: true, ..Manners::PLAIN };
    Child::start(manners, true).receives(&Mail::small(), Pace::Closed(4), 20);
}

#[test]
fn sessions_begin_at_a_fixed_rate_and_wait_for_a_slow_child() {
    let manners = Manners { delay: Duration::from_millis(50), ..Manners::PLAIN };
    let outcome = Child::start(manners, false).receives(&Mail::small(), Pace::Open(200.0), 40);
    assert!(outcome.latency.min() >= 50_000_000, "{} ns", outcome.latency.min());
    assert!(outcome.elapsed >= Duration::from_secs_f64(39.0 / 200.0), "{:?}", outcome.elapsed);
}

#[test]
fn an_objection_ends_the_run() {
    let scratch = Scratch::new("objects");
    let socket = scratch.join("child.sock");
    let _children = millstream_tests::child_side::ChildSide::scripted(&socket, |frame| {
        vec![millstream_tests::wire::Frame::new(if frame.letter == b'R' { b'r' } else { b'c' }, [])]
    });
    let result = client::run(&Address::Unix(socket), &Mail::small(), Pace::Closed(1), Length::Sessions(1));
    assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::InvalidData);
}
