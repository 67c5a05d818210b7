//! `milter-test-server` against scripted milters: what it prints, what it sends, how it ends.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use millstream_tests::child_side::{ChildSide, Wishes};
use millstream_tests::scratch::Scratch;
use millstream_tests::until::{PATIENCE, until};
use millstream_tests::wire::Frame;

/// A milter and the program that is run against it.
struct Bench {
    child: ChildSide,
    scratch: Scratch,
}

/// What a run printed, and how it ended.
#[derive(Debug)]
struct Ran {
    text: String,
    status: i32,
}

impl Ran {
    /// The line with the verdict, without its word.
    fn status_line(&self) -> &str {
        self.text.lines().find_map(|line| line.strip_prefix("status: ")).unwrap_or("no status")
    }
}

fn run(arguments: &[&str], input: &[u8]) -> Ran {
    let mut process = Command::new(env!("CARGO_BIN_EXE_milter-test-server"))
        .args(arguments)
        .env("TERM", "dumb")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(input).unwrap();
    let output = process.wait_with_output().unwrap();
    Ran { text: String::from_utf8_lossy(&output.stdout).into_owned(), status: output.status.code().unwrap() }
}

impl Bench {
    fn scripted(script: impl Fn(&Frame) -> Vec<Frame> + Send + Sync + 'static) -> Self {
        Self::wishing(0, script)
    }

    fn wishing(flags: u32, script: impl Fn(&Frame) -> Vec<Frame> + Send + Sync + 'static) -> Self {
        let scratch = Scratch::new("test-server");
        let wishes = Wishes { flags, ..Wishes::default() };
        Self { child: ChildSide::wishing(&scratch.join("milter.sock"), wishes, script), scratch }
    }

    /// A milter that says `reply` to the command with this letter, and goes on otherwise.
    fn saying(letter: u8, reply: Frame) -> Self {
        Self::scripted(move |frame| vec![if frame.letter == letter { reply.clone() } else { go_on() }])
    }

    fn spec(&self) -> String {
        format!("unix:{}", self.scratch.join("milter.sock").display())
    }

    fn run(&self, options: &[&str]) -> Ran {
        self.run_with(options, b"")
    }

    fn run_with(&self, options: &[&str], input: &[u8]) -> Ran {
        let spec = self.spec();
        run(&[&["-s", &spec], options].concat(), input)
    }

    /// The letters of what it saw, macros left out.
    fn letters(&self) -> String {
        self.child.seen().iter().map(|frame| frame.letter as char).filter(|letter| *letter != 'D').collect()
    }

    /// Waits until it has seen these, since it reads the last of them when the program may be gone already.
    fn wait_for(&self, letters: &str) {
        until(PATIENCE, letters, || (self.letters() == letters).then_some(()));
    }

    /// The first command with this letter.
    fn seen(&self, letter: u8) -> Frame {
        self.child.seen().into_iter().find(|frame| frame.letter == letter).unwrap()
    }
}

fn go_on() -> Frame {
    Frame::new(b'c', [])
}

#[test]
fn the_verdict_and_where_it_fell() {
    let reply = |letter| Frame::new(letter, []);
    let code = |text| Frame::strings(b'y', [text]);
    let cases = [
        ("nothing", b'?', go_on(), "pass", "CHMRTLLNBEQ"),
        ("accept at HELO", b'H', reply(b'a'), "accept", "CHQ"),
        ("discard at MAIL", b'M', reply(b'd'), "discard", "CHMQ"),
        ("temporary failure at DATA", b'T', reply(b't'), "temporary-failure", "CHMRTQ"),
        ("reject at CONNECT", b'C', reply(b'r'), "reject", "CQ"),
        ("reject of the only recipient", b'R', reply(b'r'), "reject", "CHMRAQ"),
        ("reject at the end", b'E', reply(b'r'), "reject", "CHMRTLLNBEQ"),
        ("skip in the body", b'B', reply(b's'), "pass", "CHMRTLLNBEQ"),
        (
            "greylisting",
            b'H',
            code("451 4.7.1 Greylisting"),
            "temporary-failure [451]<4.7.1>(Greylisting)",
            "CHQ",
        ),
        ("percent signs", b'M', code("554 5.7.1 1% 2%% 3%%%"), "reject [554]<5.7.1>(1% 2%% 3%%%)", "CHMQ"),
        ("no extended code", b'E', code("550 no"), "reject [550]<(null)>(no)", "CHMRTLLNBEQ"),
        ("connection failure", b'H', reply(b'f'), "error", "CHQ"),
        ("shutdown", b'H', reply(b'4'), "abort", "CHQ"),
    ];
    for (name, letter, reply, status, commands) in cases {
        let bench = Bench::saying(letter, reply);
        let ran = bench.run(&[]);
        assert_eq!(ran.status_line(), status, "{name}: {ran:?}");
        assert_eq!(ran.status, 0, "{name}: {ran:?}");
        bench.wait_for(&format!("O{commands}"));
        assert!(ran.text.contains("\nelapsed-time: ") && ran.text.ends_with(" seconds\n"), "{name}: {ran:?}");
    }
}

#[test]
fn recipients_are_judged_one_by_one() {
    let cases = [
        ("rc", "pass", true),
        ("cr", "pass", true),
        ("rr", "reject", false),
        ("rt", "temporary-failure", false),
        ("tr", "reject", false),
    ];
    for (answers, status, delivers) in cases {
        let script = move |frame: &Frame| {
            let first = frame.first_string() == "<one@example.org>";
            let letter = match (frame.letter, first) {
                (b'R', true) => answers.as_bytes()[0],
                (b'R', false) => answers.as_bytes()[1],
                _ => b'c',
            };
            vec![Frame::new(letter, [])]
        };
        let bench = Bench::scripted(script);
        let ran = bench.run(&["-r", "one@example.org", "--recipient", "<two@example.org>"]);
        assert_eq!(ran.status_line(), status, "{answers}");
        assert_eq!(bench.letters().contains('E'), delivers, "{answers}");
    }
}

#[test]
fn what_the_milter_does_not_want_is_left_out_and_what_it_does_not_answer_is_not_waited_for() {
    // What is not sent: CONNECT, HELO, MAIL, RCPT, BODY, headers, end of headers, UNKNOWN, DATA.
    let left_out = [0x1, 0x2, 0x4, 0x8, 0x10, 0x20, 0x40, 0x100, 0x200];
    // What is not answered: headers and, from 0x1000 on, everything else.
    let silent = [0x80, 0x1000, 0x2000, 0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000];
    let letters = *b"CHMRBLNUT";
    for (index, flag) in left_out.into_iter().enumerate() {
        let bench = Bench::wishing(flag, |_| vec![go_on()]);
        assert_eq!(bench.run(&["--unknown", "NOOP x"]).status_line(), "pass", "{flag:#x}");
        assert!(!bench.letters().contains(letters[index] as char), "{flag:#x}: {}", bench.letters());
    }
    let silent_letters = *b"LCHMRTUNB";
    for (index, flag) in silent.into_iter().enumerate() {
        let quiet = silent_letters[index];
        let script = move |frame: &Frame| if frame.letter == quiet { vec![] } else { vec![go_on()] };
        let bench = Bench::wishing(flag, script);
        let ran = bench.run(&["--unknown", "NOOP x", "--reading-timeout", "20"]);
        assert_eq!(ran.status_line(), "pass", "{flag:#x}");
        assert!(bench.letters().contains(quiet as char), "{flag:#x}");
    }
}

#[test]
fn the_usual_message_and_macros() {
    let bench = Bench::scripted(|_| vec![go_on()]);
    assert_eq!(bench.run(&["--authenticated-name", "joe", "--connect-macro", "{j}:host:1"]).status, 0);

    assert_eq!(bench.seen(b'C').payload, b"mx.example.net\x004\xc5\x0b192.168.123.123\0");
    assert_eq!(bench.seen(b'H').first_string(), "delian");
    assert_eq!(bench.seen(b'M').first_string(), "<sender@example.com>");
    assert_eq!(bench.seen(b'R').first_string(), "<receiver@example.org>");
    let headers: Vec<_> = bench.child.seen().into_iter().filter(|frame| frame.letter == b'L').collect();
    assert_eq!(headers[0].payload, b"From\0<sender@example.com>\0");
    assert_eq!(headers[1].payload, b"To\0<receiver@example.org>\0");
    assert_eq!(
        bench.seen(b'B').payload,
        b"La de da de da 1.\nLa de da de da 2.\nLa de da de da 3.\nLa de da de da 4."
    );
    let macros: Vec<_> = bench.child.seen().into_iter().filter(|frame| frame.letter == b'D').collect();
    assert_eq!(
        macros[0].payload,
        b"C{daemon_name}\0milter-test-server\0{if_addr}\x00127.0.0.1\0{if_name}\0localhost\0j\0host:1\0"
    );
    assert_eq!(
        macros[2].payload,
        b"M{auth_authen}\0joe\0{mail_addr}\0mail_addr\0{mail_host}\0mail_host\0{mail_mailer}\0mail_mailer\0"
    );
    assert_eq!(
        macros[3].payload,
        b"R{rcpt_addr}\0<receiver@example.org>\0{rcpt_host}\0rcpt_host\0{rcpt_mailer}\0rcpt_mailer\0"
    );
}

#[test]
fn the_options_are_what_is_sent() {
    let bench = Bench::scripted(|_| vec![go_on()]);
    let ran = bench.run(&[
        "--name=daemon",
        "--connect-host=h.example",
        "--connect-address=inet6:25@[::1]",
        "--helo-fqdn=helo.example",
        "--from=f@x",
        "-h",
        "X-A:1",
        "-hX-B: 2",
        "-h",
        "x-a:0",
        "-b",
        "one",
        "-b",
        "two",
        "--unknown=NOOP x",
    ]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(bench.seen(b'C').payload, b"h.example\x006\x00\x19::1\0");
    assert_eq!(bench.seen(b'H').first_string(), "helo.example");
    assert_eq!(bench.seen(b'M').first_string(), "<f@x>");
    assert_eq!(bench.seen(b'U').first_string(), "NOOP x");
    let payloads = |letter| -> Vec<String> {
        let frames = bench.child.seen().into_iter().filter(|frame| frame.letter == letter);
        frames.map(|frame| String::from_utf8_lossy(&frame.payload).replace('\0', "|")).collect()
    };
    assert_eq!(payloads(b'L')[..3], ["x-a|0|", "X-A|1|", "X-B| 2|"]);
    assert_eq!(payloads(b'B'), ["one", "two"]);
    assert!(payloads(b'D')[0].contains("{daemon_name}|daemon|"));
}

#[test]
fn an_older_offer_is_an_older_conversation() {
    let bench = Bench::scripted(|_| vec![go_on()]);
    let ran = bench.run(&["--negotiate-version", "2", "--unknown", "NOOP"]);
    assert_eq!(ran.status_line(), "pass");
    bench.wait_for("OCHMRLLNBEQ");
}

#[test]
fn the_message_is_shown_as_the_milter_leaves_it() {
    let insert = |index: u8| {
        let payload = [&[0, 0, 0, index][..], b"To\0<new@example.org>\0"].concat();
        Frame::new(b'i', payload)
    };
    let change = Frame::new(b'm', b"\0\0\0\x01To\0<new@example.org>\0".to_vec());
    let cases = [
        (insert(1), "  From: <sender@example.com>\n+ To: <new@example.org>\n  To: <receiver@example.org>\n"),
        (change, "  From: <sender@example.com>\n+ To: <new@example.org>\n- To: <receiver@example.org>\n"),
        (
            Frame::strings(b'h', ["X-Spam-Flag", "YES"]),
            "  From: <sender@example.com>\n  To: <receiver@example.org>\n+ X-Spam-Flag: YES\n",
        ),
    ];
    for (edit, headers) in cases {
        let script = move |frame: &Frame| match frame.letter {
            b'E' => vec![edit.clone(), Frame::strings(b'q', ["held"]), go_on()],
            _ => vec![go_on()],
        };
        let ran = Bench::scripted(script).run(&["--output-message"]);
        let (summary, message) = ran.text.split_once("\n\n").unwrap();
        assert!(
            summary.starts_with("status: pass\nelapsed-time: ")
                && summary.ends_with("\nQuarantine reason: <held>")
        );
        assert_eq!(
            message,
            format!(
                "Envelope:------------------------------\n  MAIL FROM:<sender@example.com>\n  \
                 RCPT TO:<receiver@example.org>\nHeader:--------------------------------\n{headers}\
                 Body:----------------------------------\nLa de da de da 1.\nLa de da de da 2.\n\
                 La de da de da 3.\nLa de da de da 4.\n"
            )
        );
    }
}

#[test]
fn a_file_is_a_message_and_its_envelope() {
    let bench = Bench::scripted(|_| vec![go_on()]);
    let file = bench.scratch.join("mail");
    fs::write(&file, "From x y\nFrom: A <a@b>\nTo: c@d\nTo: e@f\nSubject: s\n t\n\nbody\n").unwrap();
    let path = file.to_str().unwrap();

    assert_eq!(bench.run(&["-f", "before@x", "-m", path, "-r", "after@x"]).status, 0);

    assert_eq!(bench.seen(b'M').first_string(), "<a@b>");
    assert_eq!(bench.seen(b'R').first_string(), "<after@x>");
    assert_eq!(bench.seen(b'B').payload, b"body\n");
    let mut headers = bench.child.seen().into_iter().filter(|frame| frame.letter == b'L');
    assert_eq!(headers.next_back().unwrap().payload, b"Subject\0s\n t\0");
}

#[test]
fn a_message_comes_from_standard_input_too() {
    let bench = Bench::scripted(|_| vec![go_on()]);
    let ran = bench.run_with(&["-m", "-"], b"From: a@b\r\nTo: c@d\r\n\r\none\0\xff\r\n");
    assert_eq!(ran.status_line(), "pass");
    assert_eq!(bench.seen(b'B').payload, b"one\0\xff\r\n");
}

#[test]
fn what_is_wrong_is_one_line() {
    let cases: [(&[&str], &str); 11] = [
        (&[], "spec should not be NULL\n"),
        (
            &["-s", "xxxx:9999@localhost"],
            "protocol must be 'unix', 'inet' or 'inet6': <xxxx:9999@localhost>: <xxxx>\n",
        ),
        (
            &["-s", "inet:99999@localhost"],
            "port number should be less than 65536: <inet:99999@localhost>: <99999>\n",
        ),
        (
            &["-s", "/nowhere/milter.sock"],
            "Failed to connect to unix:/nowhere/milter.sock: No such file or directory\n",
        ),
        (&["-s", "unix:x", "-h", "none"], "headers option should be 'NAME:VALUE'\n"),
        (
            &["-s", "unix:x", "--helo-macro", "none"],
            "macro name and value delimiter ':' doesn't exist: <none>\n",
        ),
        (&["-s", "unix:x", "--color=purple"], "Invalid color value: purple\n"),
        (&["-s", "unix:x", "--color", "purple"], "Invalid color value: purple\n"),
        (&["-s", "unix:x", "--threads=x"], "--threads: invalid digit found in string: <x>\n"),
        (&["-s", "unix:x", "-m", "/nowhere"], "/nowhere does not exist.\n"),
        (
            &["-s", "unix:x", "--fail-on", "bounce"],
            "--fail-on: unknown status: <bounce>: it should be one of pass, accept, reject, discard, \
             temporary-failure, abort, error\n",
        ),
    ];
    for (arguments, text) in cases {
        let ran = run(arguments, b"");
        assert_eq!((ran.text.as_str(), ran.status), (text, 1), "{arguments:?}");
    }
    let ran = run(&["--no-such-option"], b"");
    assert!(ran.text.contains("--no-such-option") && ran.text.contains("Usage:"), "{ran:?}");
    assert_eq!(ran.status, 1);
}

#[test]
fn a_milter_that_breaks_off_is_told_and_is_no_failure_of_the_program() {
    let cases: [(&str, Frame, &[&str], &str); 4] = [
        ("silent", go_on(), &["--reading-timeout", "0.2"], "reading timeout\n"),
        ("silent at the end", go_on(), &["--end-of-message-timeout", "0.2"], "end-of-message timeout\n"),
        (
            "edit at HELO",
            Frame::strings(b'h', ["A", "b"]),
            &[],
            "the milter replied 'h' (add-header) to helo",
        ),
        ("nonsense", Frame::new(b'Z', []), &[], "the milter sent"),
    ];
    for (name, reply, options, text) in cases {
        let script = move |frame: &Frame| match (name, frame.letter) {
            ("silent", b'H') | ("silent at the end", b'E') => vec![],
            ("edit at HELO" | "nonsense", b'H') => vec![reply.clone()],
            _ => vec![go_on()],
        };
        let bench = Bench::scripted(script);
        let ran = bench.run(options);
        assert!(ran.text.starts_with(text), "{name}: {ran:?}");
        assert_eq!((ran.text.lines().count(), ran.status), (1, 0), "{name}: {ran:?}");
        assert_eq!(bench.run(&[options, &["--fail-on=error"]].concat()).status, 2, "{name}");
    }
}

#[test]
fn scripts_can_ask_for_a_status() {
    let bench = Bench::saying(b'M', Frame::new(b't', []));
    assert_eq!(bench.run(&[]).status, 0);
    assert_eq!(bench.run(&["--fail-on", "reject,temporary-failure"]).status, 2);
    assert_eq!(bench.run(&["--fail-on", "reject"]).status, 0);
}

#[test]
fn the_result_can_be_read_by_programs() {
    let script = |frame: &Frame| match frame.letter {
        b'E' => vec![Frame::strings(b'h', ["X", "1"]), Frame::strings(b'y', ["550 5.1.1 no"])],
        _ => vec![go_on()],
    };
    let bench = Bench::scripted(script);
    let result: serde_json::Value = serde_json::from_str(&bench.run(&["--json"]).text).unwrap();
    assert_eq!(result["status"], "reject");
    assert_eq!(result["reply_code"]["extended"], "5.1.1");
    assert_eq!(result["negotiated"]["version"], 6);
    assert_eq!(result["edits"][0]["add_header"], "X");
    assert_eq!(result["answers"][0]["answer"], "continue");
    assert_eq!(result["message"]["headers"][2][1], "1");
    let broken: serde_json::Value =
        serde_json::from_str(&run(&["-s", "/nowhere", "--json"], b"").text).unwrap();
    assert_eq!(broken["error"], "Failed to connect to unix:/nowhere: No such file or directory");
}

#[test]
fn sessions_side_by_side_each_print_their_own() {
    let bench = Bench::scripted(|_| vec![go_on()]);
    let ran = bench.run(&["--threads", "5"]);
    assert_eq!(ran.text.matches("status: pass\nelapsed-time: ").count(), 5, "{ran:?}");
    until(PATIENCE, "five ends", || (bench.letters().matches('Q').count() == 5).then_some(()));
}

#[test]
fn help_and_version_are_no_failures() {
    assert_eq!(run(&["--version"], b"").text, format!("milter-test-server {}\n", env!("CARGO_PKG_VERSION")));
    for option in ["-?", "--help"] {
        let ran = run(&[option], b"");
        assert!(ran.text.contains("--connection-spec") && ran.status == 0, "{ran:?}");
    }
}

#[test]
fn a_session_is_recorded_and_played_again() {
    let bench = Bench::saying(b'M', Frame::strings(b'y', ["450 4.7.1 later"]));
    let record = bench.scratch.join("record");
    let file = record.to_str().unwrap();
    assert_eq!(bench.run(&["--record", file]).status, 0);

    let text = fs::read_to_string(&record).unwrap();
    assert!(
        text.contains(" > H \"delian\\0\"\n") && text.contains(" < y \"450 4.7.1 later\\0\"\n"),
        "{text}"
    );
    let ran = bench.run(&["--replay", file]);
    assert_eq!(
        (ran.text.as_str(), ran.status),
        ("replayed: 8 commands, 4 answers, 0 of them other ones\n", 0)
    );

    let another = Bench::scripted(|_| vec![go_on()]);
    let ran = another.run(&["--replay", file]);
    assert_eq!(
        (ran.text.as_str(), ran.status),
        (
            "answer 4, to envelope-from: recorded y (reply-code) \"450 4.7.1 later\\0\", came c (continue)\n\
             replayed: 8 commands, 4 answers, 1 of them other ones\n",
            2
        )
    );
    assert_eq!(another.letters().replace('Q', ""), bench.letters().split('Q').next().unwrap());
}

#[test]
fn a_record_can_be_shown_to_others() {
    let bench = Bench::scripted(|_| vec![go_on()]);
    let record = bench.scratch.join("record");
    let file = record.to_str().unwrap();
    assert_eq!(bench.run(&["--record", file, "--mask", "addresses,body", "-f", "joe@secret.org"]).status, 0);
    let text = fs::read_to_string(&record).unwrap();
    for secret in ["joe", "secret", "receiver@", "192.168.123.123", "mx.example.net", "La de"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(text.contains("<user1@masked.example>") && text.contains("\"Xx xx xx xx xx 9.\\n\""), "{text}");
    assert_eq!(bench.run(&["--replay", file]).status, 0);
}

#[test]
fn a_record_that_is_none_is_named_with_its_line() {
    let bench = Bench::scripted(|_| vec![go_on()]);
    let record = bench.scratch.join("record");
    fs::write(&record, "0 > H \"x\\0\"\nnonsense\n").unwrap();
    let ran = bench.run(&["--replay", record.to_str().unwrap()]);
    assert!(
        ran.text.ends_with("record: line 2: expected seconds, > or <, a letter and a payload: <nonsense>\n")
    );
    assert_eq!(ran.status, 1);
}
