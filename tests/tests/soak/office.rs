//! The manager with two milters that do what the client's name says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use millstream_tests::bench::{Bench, milter};
use millstream_tests::counting_child::{Answer, Child, agree};
use millstream_tests::scratch::Scratch;
use millstream_tests::until::until_true;
use millstream_tests::wire::Frame;

use crate::plan::{Act, Plan};

/// Bodies beyond the smallest go into files; kept connections are soon closed when nobody comes.
pub(crate) const SETTINGS: &str = "manager.max_body_memory = 65536\nlog.level = \"default\"";

/// The manager and its milters.
pub(crate) struct Office {
    pub(crate) bench: Bench,
    pub(crate) children: [Child; 2],
}

impl Office {
    pub(crate) fn start(folder: &Scratch) -> Self {
        let sockets = [0, 1].map(|n| folder.join(&format!("{n}.sock")));
        let children = [0, 1].map(|n: usize| Child::forgetful(&sockets[n], script(n)));
        let bench = Bench::start(folder, SETTINGS, &milters(&sockets, true));
        Self { bench, children }
    }

    /// Until no session and no connection to a milter is left.
    pub(crate) fn settle(&self) {
        until_true("the end of all connections to milters", || {
            self.children.iter().all(|child| child.open() == 0)
        });
    }

    /// Nothing in the log that no fault of a peer explains.
    pub(crate) fn check_log(&self) {
        let log = self.bench.manager.log();
        for word in ["panic", "[loop][failed]", "out of descriptors", "lines were lost"] {
            let found = log.lines().find(|line| line.contains(word));
            assert!(found.is_none(), "{found:?}");
        }
    }
}

/// The configuration of the milters: both keep connections, or only the first.
pub(crate) fn milters(sockets: &[PathBuf; 2], both_keep: bool) -> String {
    let lines = [
        "fallback_status = \"temporary-failure\"",
        "reading_timeout = 0.5",
        "end_of_message_timeout = 0.5",
        "retry_interval = 0.05",
        "reuse_idle_time = 1",
    ];
    let keeps = "reuse_connections = true";
    let first = milter("first", &[&sockets[0]], &[&lines[..], &[keeps]].concat());
    let mut of_second = [&lines[..], &["add_applicable_condition(\"alone\")"]].concat();
    if both_keep {
        of_second.push(keeps);
    }
    let condition = "define_applicable_condition(\"alone\") do |condition|\n  \
         condition.define_connect_stopper do |context, host, address|\n    host =~ /\\.alone\\./\n  end\nend\n";
    format!("{condition}{first}{}", milter("second", &[&sockets[1]], &of_second))
}

/// What the milter of this number does.
fn script(milter: usize) -> impl Fn(usize, &Frame) -> Answer + Send + Sync + 'static {
    let acts: Mutex<BTreeMap<usize, (u8, Act)>> = Mutex::default();
    move |connection, frame| {
        let mut acts = acts.lock().unwrap_or_else(PoisonError::into_inner);
        match frame.letter {
            b'C' => {
                acts.remove(&connection);
                if let Some(act) = Plan::act_of(&frame.first_string(), milter) {
                    acts.insert(connection, act);
                }
            }
            b'K' | b'Q' => drop(acts.remove(&connection)),
            _ => {}
        }
        let act = acts.get(&connection).copied().filter(|(letter, _)| *letter == frame.letter);
        match act.map(|(_, act)| act) {
            None => agree(connection, frame),
            Some(Act::Say(b'y')) => Answer::Say(vec![Frame::strings(b'y', ["550 5.7.1 soaked"])]),
            Some(Act::Say(letter)) => Answer::Say(vec![Frame::new(letter, [])]),
            Some(Act::Close) => {
                acts.remove(&connection);
                Answer::Close
            }
            Some(Act::Rave) => Answer::Say(vec![Frame::new(b'?', [0xFF; 30])]),
            Some(Act::Hang) => Answer::Say(Vec::new()),
        }
    }
}
