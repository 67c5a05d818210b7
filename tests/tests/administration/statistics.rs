//! The lines that milter manager's log analyser counts, read with its own patterns.

use std::collections::BTreeMap;

use millstream_tests::bench::{Bench, connect, folder, milter};
use millstream_tests::counting_child::{Answer, Child, agree};
use millstream_tests::until::until_true;
use millstream_tests::wire::Frame;
use regex::Regex;

/// Those of the analyser, by what they feed.
const PATTERNS: &[(&str, &str)] = &[
    ("session", r"\A\[session\]\[end\]\[(.+)\]\[(.+)\]\[(.+)\]\((.+)\)\z"),
    ("child", r"\A\[milter\]\[end\]\[(.+?)\]\[(.+?)\]\[(.+?)\]\((.+?)\): (.+)\z"),
    ("running", r"\A\[sessions\]\[finished\] (\d+)\(\+(\d+)\) (\d+)\z"),
    ("header", r"\A\[milter\]\[header\]\[add\]\((.+)\): <(.+?)>=<(.+?)>: (.+)\z"),
];

/// What the analyser finds in a log: for each pattern the groups of each line.
fn analyse(log: &str) -> BTreeMap<&'static str, Vec<Vec<String>>> {
    let mut found = BTreeMap::<_, Vec<Vec<String>>>::new();
    for (name, pattern) in PATTERNS {
        let pattern = Regex::new(pattern).unwrap();
        let texts = log.lines().filter_map(|line| Some(line.split_once("]: ")?.1));
        for captures in texts.filter_map(|text| pattern.captures(text)) {
            let groups = captures.iter().skip(1).flatten().map(|group| group.as_str().to_owned());
            found.entry(*name).or_default().push(groups.collect());
        }
    }
    found
}

/// The session of who has looked whether the manager listens.
const LOOK: &str = "negotiate abort";

/// How the child of this name ended in each session, as `STAGE STATUS`.
fn ends(log: &str, pattern: &str, child: Option<&str>) -> Vec<String> {
    let all = analyse(log).remove(pattern).unwrap_or_default();
    let of_child = |groups: &&Vec<String>| child.is_none_or(|name| groups[4] == name);
    all.iter().filter(of_child).map(|groups| format!("{} {}", groups[0], groups[1])).collect()
}

fn adds_a_header(_: usize, frame: &Frame) -> Answer {
    match frame.letter {
        b'E' => Answer::Say(vec![Frame::strings(b'h', ["X-Spam-Flag", "YES"]), Frame::new(b'c', [])]),
        _ => agree(0, frame),
    }
}

fn rejects_at_the_end(_: usize, frame: &Frame) -> Answer {
    match frame.letter {
        b'E' => Answer::Say(vec![Frame::new(b'r', [])]),
        _ => agree(0, frame),
    }
}

/// The log, once `sessions` have ended.
fn log_of(bench: &Bench, sessions: usize) -> String {
    until_true("the ends of all sessions", || ends(&bench.manager.log(), "session", None).len() >= sessions);
    bench.manager.log()
}

#[test]
fn the_analyser_counts_every_session_and_every_child_in_it() {
    let Some(folder) = folder() else { return };
    let (first, second) = (folder.join("first"), folder.join("second"));
    let _spam = Child::scripted(&first, adds_a_header);
    let _virus = Child::scripted(&second, rejects_at_the_end);
    let gone = folder.join("gone");
    let milters = milter("spamass-milter", &[&first], &[])
        + &milter("gone", &[&gone], &["fallback_status = \"accept\""])
        + &milter("clamav", &[&second], &["evaluation_mode = true"]);
    let bench = Bench::start(&folder, "manager.n_workers = 1", &milters);

    assert_eq!(bench.mail(), 'c');
    assert_eq!(bench.visit("client.test"), 'c');

    let log = log_of(&bench, 3);
    assert_eq!(ends(&log, "session", None), [LOOK, "end-of-message pass", "connect pass"]);
    assert_eq!(ends(&log, "child", Some("spamass-milter")), ["end-of-message pass", "connect pass"]);
    assert_eq!(ends(&log, "child", Some("gone")), ["negotiate error", "negotiate error"]);
    assert_eq!(ends(&log, "child", Some("clamav")), ["end-of-message reject", "connect pass"]);
    let found = analyse(&log);
    assert_eq!(found["header"], [["2", "X-Spam-Flag", "YES", "spamass-milter"]]);
    assert!(log.contains("[session][header][add](2): <X-Spam-Flag>=<YES>"), "{log}");
    let running = found["running"].last().map(|groups| (&*groups[0], &*groups[2]));
    assert_eq!(running, Some(("3", "0")), "told when nobody is left");
    let seconds: f64 = found["session"][1][2].parse().unwrap();
    assert!(seconds > 0.0, "{log}");
}

#[test]
fn a_client_that_goes_away_in_the_middle_is_an_abort() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child");
    let _child = Child::agreeing(&socket);
    let bench = Bench::start(&folder, "manager.n_workers = 1", &milter("child", &[&socket], &[]));
    let mut mta = bench.session();
    for frame in [connect("client.test"), Frame::strings(b'M', ["<a@b.test>"])] {
        assert_eq!(mta.command(&frame).unwrap().letter, b'c');
    }
    drop(mta);
    let log = log_of(&bench, 2);
    assert_eq!(ends(&log, "session", None), [LOOK, "envelope-from abort"]);
    assert_eq!(ends(&log, "child", Some("child")), ["envelope-from abort"]);
}

#[test]
fn statistics_end_with_the_level_and_begin_again_with_it() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child");
    let _child = Child::agreeing(&socket);
    let milters = milter("child", &[&socket], &[]);
    let bench = Bench::start(&folder, "log.level = \"-statistics\"", &milters);
    assert_eq!(bench.mail(), 'c');
    assert_eq!(bench.lines(&["[session][end]"]), 0);
    bench.reload("log.level = \"default\"", &milters);
    assert_eq!(bench.mail(), 'c');
    log_of(&bench, 1);
}
