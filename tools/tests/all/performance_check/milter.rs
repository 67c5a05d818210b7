//! A milter loaded directly.

use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use millstream_tests::child_side::{ChildSide, Wishes};
use millstream_tests::scratch::Scratch;
use millstream_tests::until::{PATIENCE, until};
use millstream_tests::wire::Frame;

use super::{Ran, run};

struct Bench {
    child: ChildSide,
    scratch: Scratch,
}

impl Bench {
    fn new(flags: u32, script: impl Fn(&Frame) -> Vec<Frame> + Send + Sync + 'static) -> Self {
        let scratch = Scratch::new("performance");
        let wishes = Wishes { flags, ..Wishes::default() };
        Self { child: ChildSide::wishing(&scratch.join("milter.sock"), wishes, script), scratch }
    }

    /// A milter that says `letter` to the command `at`, and goes on otherwise.
    fn saying(at: u8, frame: Frame) -> Self {
        Self::new(0, move |seen| vec![if seen.letter == at { frame.clone() } else { Frame::new(b'c', []) }])
    }

    fn run(&self, options: &[&str]) -> Ran {
        let spec = format!("--milter=unix:{}", self.scratch.join("milter.sock").display());
        run(&[&[spec.as_str()], options].concat())
    }

    fn letters(&self) -> String {
        self.child.seen().iter().map(|frame| char::from(frame.letter)).collect()
    }
}

#[test]
fn a_mail_is_shown_as_postfix_shows_it() {
    let bench = Bench::saying(0, Frame::new(b'c', []));
    let options =
        ["--n-mails=1", "--connect-host=c.test", "--connect-address=192.0.2.7", "--helo-fqdn=h.test"];
    let ran = bench.run(&options);
    assert_eq!(ran.counts(), [1, 0, 0, 0], "{ran:?}");
    // Eleven headers; macros with each command, if only to say that there are none; the end as behind a real Postfix.
    let expected = format!("ODCDHDMDRDT{}DNDBDEAAQ", "DL".repeat(11));
    until(PATIENCE, "the end", || bench.letters().ends_with('Q').then_some(()));
    assert_eq!(bench.letters(), expected);
    let seen = bench.child.seen();
    let behind = |letter: u8| {
        let at = seen.iter().position(|frame| frame.letter == letter).unwrap();
        let pair = &seen[at - 1..=at];
        [&pair[0].payload, &pair[1].payload].map(|payload| String::from_utf8_lossy(payload).into_owned())
    };
    let connect = "Cj\0mail.example.com\0{daemon_name}\0mail.example.com\0{daemon_addr}\x00127.0.0.1\0\
                   v\0Postfix 3.7.11\0_\0c.test [192.0.2.7]\0";
    assert_eq!(behind(b'C'), [connect, "c.test\x004\u{fffd}\u{7}192.0.2.7\0"].map(str::to_owned));
    assert_eq!(behind(b'H'), ["H", "h.test\0"].map(str::to_owned));
    let mail = "M{mail_addr}\0from@example.com\0{mail_host}\0example.com\0{mail_mailer}\0smtp\0";
    assert_eq!(behind(b'M'), [mail, "<from@example.com>\0"].map(str::to_owned));
    let recipient = "R{rcpt_addr}\0to@example.com\0{rcpt_host}\0example.com\0{rcpt_mailer}\0smtp\0";
    assert_eq!(behind(b'R'), [recipient, "<to@example.com>\0"].map(str::to_owned));
    let [of_data, of_body] = [b'T', b'B'].map(&behind);
    assert_eq!(of_body[1], "Hello,\r\n\r\nThis is a test mail.\r\n");
    let id = of_data[0].strip_prefix("Ti\0").unwrap();
    assert_eq!(of_body[0].strip_prefix("Bi\0"), Some(id), "one message has one id");
}

/// The letters of what is said to a milter that says `frame` to the command `at`, macros left out.
fn said(at: u8, frame: Frame, options: &[&str]) -> String {
    let bench = Bench::saying(at, frame);
    let ran = bench.run(&[&["--n-mails=1"], options].concat());
    assert_eq!(ran.status, 0);
    until(PATIENCE, "the end", || (bench.child.connections_over() == 1).then_some(()));
    bench.letters().replace('D', "")
}

#[test]
fn who_has_said_its_last_word_is_left_as_postfix_leaves_it() {
    let all = format!("OCHMRT{}NBE", "L".repeat(11));
    let through = |last: char| &all[..=all.find(last).unwrap()];
    // At CONNECT and HELO Postfix only closes, and with SHUTDOWN where it talks to the client.
    for letter in [b'a', b'r', b't', b'4'] {
        for at in ['C', 'H'] {
            assert_eq!(said(at as u8, Frame::new(letter, []), &[]), through(at), "{}", char::from(letter));
        }
    }
    for at in ['M', 'R', 'T'] {
        assert_eq!(said(at as u8, Frame::new(b'4', []), &[]), through(at));
    }
    for letter in [b'a', b'r', b't', b'd'] {
        for at in ['M', 'R', 'T', 'L', 'N', 'E'] {
            let expected = format!("{}AAQ", through(at));
            assert_eq!(said(at as u8, Frame::new(letter, []), &[]), expected, "{}", char::from(letter));
        }
    }
    assert_eq!(said(b'E', Frame::new(b'4', []), &[]), format!("{all}AAQ"));
}

#[test]
fn a_recipient_that_is_refused_is_one_less() {
    let scratch = Scratch::new("performance");
    let refusing =
        |frame: &Frame| vec![Frame::new(if frame.payload.starts_with(b"<no") { b'r' } else { b'c' }, [])];
    let child = ChildSide::scripted(&scratch.join("milter.sock"), refusing);
    let spec = format!("--milter=unix:{}", scratch.join("milter.sock").display());
    let cases = [
        (["--recipient=no1@x", "--recipient=yes@x"], [1, 0, 0, 0], "OCHMRRT"),
        (["--recipient=yes@x", "--recipient=no1@x"], [1, 0, 0, 0], "OCHMRRT"),
        (["--recipient=no1@x", "--recipient=no2@x"], [1, 0, 1, 0], "OCHMRRAAQ"),
    ];
    for (runs, (recipients, counts, letters)) in (1..).zip(cases) {
        let ran = run(&[&[spec.as_str(), "--n-mails=1"], &recipients[..]].concat());
        assert_eq!(ran.counts(), counts, "{recipients:?}");
        until(PATIENCE, "the end", || (child.connections_over() == runs).then_some(()));
        let seen = child.seen();
        let last = seen.iter().rposition(|frame| frame.letter == b'O').unwrap();
        let said: String = seen[last..]
            .iter()
            .map(|frame| char::from(frame.letter))
            .filter(|letter| *letter != 'D')
            .collect();
        assert!(said.starts_with(letters), "{recipients:?}: {said}");
    }
}

#[test]
fn verdicts_are_counted_as_replies_are() {
    let cases = [
        (b'E', Frame::new(b'a', []), [2, 0, 0, 0]),
        (b'H', Frame::new(b'd', []), [2, 0, 0, 0]),
        (b'R', Frame::new(b'r', []), [2, 0, 2, 0]),
        (b'E', Frame::new(b't', []), [2, 2, 0, 0]),
        (b'E', Frame::strings(b'y', ["451 4.7.1 Greylisting"]), [2, 2, 0, 0]),
        (b'M', Frame::strings(b'y', ["554 5.7.1 no"]), [2, 0, 2, 0]),
        (b'E', Frame::new(b'4', []), [2, 0, 0, 2]),
        (b'H', Frame::new(b'!', []), [2, 0, 0, 2]),
    ];
    for (at, frame, counts) in cases {
        let ran = Bench::saying(at, frame).run(&["--n-mails=2"]);
        assert_eq!(ran.counts(), counts, "{ran:?}");
    }
}

#[test]
fn a_milter_that_says_nothing_is_named() {
    let bench = Bench::new(0, |frame| if frame.letter == b'N' { vec![] } else { vec![Frame::new(b'c', [])] });
    let ran = bench.run(&["--n-mails=1", "--reading-timeout=0.3"]);
    assert_eq!(ran.counts(), [1, 0, 0, 1]);
    let expected = format!(
        "timeout: unix:{}: end-of-header: expected an answer, came nothing for 0.3 seconds\n",
        bench.scratch.join("milter.sock").display()
    );
    assert_eq!(ran.errors, expected);
}

#[test]
fn a_milter_that_is_not_there() {
    let ran = run(&["--milter=unix:/nowhere/milter.sock", "--n-mails=2"]);
    assert_eq!(ran.counts(), [2, 0, 0, 2]);
    let expected = "connection: unix:/nowhere/milter.sock: connecting: expected a connection, came No such file or directory\n";
    assert_eq!(ran.errors, expected);
    let ran = run(&["--milter=xxxx:9999@localhost"]);
    assert_eq!(ran.text, "protocol must be 'unix', 'inet' or 'inet6': <xxxx:9999@localhost>: <xxxx>\n");
    assert_eq!(ran.status, 1);
}

/// `milter-test-client`, gone with the test.
struct TestClient(Child);

impl TestClient {
    fn start(scratch: &Scratch, options: &[&str]) -> (Self, String) {
        let socket = scratch.join("client.sock");
        let spec = format!("unix:{}", socket.display());
        let child = Command::new(env!("CARGO_BIN_EXE_milter-test-client"))
            .args(["-s", &spec, "--no-report-request"])
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let client = Self(child);
        // The socket is there before anybody listens at it.
        until(PATIENCE, "the test client", || UnixStream::connect(&socket).ok());
        (client, spec)
    }
}

impl Drop for TestClient {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_test_client_is_loaded_by_many_connections() {
    let scratch = Scratch::new("performance");
    let (_client, spec) = TestClient::start(&scratch, &["--add-header=X-Seen:yes"]);
    let options = [
        &format!("--milter={spec}"),
        "--n-mails=200",
        "--n-concurrent-connections=10",
        "--n-additional-lines=2000",
    ];
    let ran = run(&options);
    assert_eq!(ran.counts(), [200, 0, 0, 0], "{ran:?}");
    let scratch = Scratch::new("performance");
    let (_client, spec) = TestClient::start(&scratch, &["--reply=envelope-recipient=550 5.1.1 who"]);
    let ran = run(&[&format!("--milter={spec}"), "--n-mails=5", "--report-failure-responses"]);
    assert_eq!(ran.counts(), [5, 0, 5, 0], "{ran:?}");
    assert!(ran.text.contains("\nRejects:\n  5 550 5.1.1 who\n"), "{}", ran.text);
}
