//! A configuration from any text: no panic, no rest that never comes; a problem has a place in the text; what loads without
//! problems can be asked about a session at every stage, gives the same answer twice, and leaves a bounded rest.

use bytes::Bytes;
use millstream_config::{Configuration, load_str};
use millstream_core::policy::{Answers, ChildIndex, ChildState, Environment, Facts, Memory, Notes, Policy};
use millstream_core::wire::{ClientAddress, ConnectInfo, Macros};

use super::bounds::{MOST_NOTED, STAGES, nowhere};

pub fn evaluate(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else { return };
    // No directory: `load` finds nothing, and names of hosts are not looked up.
    if source.contains('@') && source.contains("inet") {
        return;
    }
    let options = nowhere();
    let loaded = load_str("fuzz.conf", source, &options);
    let lines = source.lines().count() + 1;
    for problem in &loaded.problems {
        let is_there = problem.file != "fuzz.conf" || problem.line as usize <= lines;
        assert!(is_there && !problem.message.is_empty(), "{problem}");
        let _ = problem.to_string();
    }
    if !loaded.problems.is_empty() {
        return;
    }
    let again = load_str("fuzz.conf", source, &options);
    assert_eq!(loaded.configuration.show(), again.configuration.show());
    show_again(&loaded.configuration);
    let Ok(policy) = loaded.configuration.policy() else { return };
    ask(&*policy);
}

/// What is shown loads to the same, unless it says what it lacks.
fn show_again(configuration: &Configuration) {
    let shown = configuration.shown();
    if !shown.lost.is_empty() {
        return;
    }
    let options = nowhere();
    let again = load_str("shown.conf", &shown.text, &options);
    for problem in &again.problems {
        // Written out, what was made by steps can be more than a file may have.
        assert!(
            problem.message.contains("too") || problem.message.contains("steps"),
            "{problem}\n{}",
            shown.text
        );
    }
    if again.problems.is_empty() {
        let same = again.configuration.without_locations() == configuration.clone().without_locations();
        assert!(same, "it loads to another configuration:\n{}", shown.text);
    }
}

fn ask(policy: &dyn Policy) {
    let mut macros = Macros::default();
    macros.set(b'C', b"j\0mx.example\0v\0Postfix 3.7\0");
    macros.set(b'M', b"{auth_type}\0PLAIN\0");
    let client = ConnectInfo {
        host: Bytes::from_static(b"1-2-3-4.dyn.example.com"),
        address: ClientAddress::Ip([192, 0, 2, 7].into(), 25),
    };
    let children = vec![ChildState::Running; policy.children().len()];
    let mut memory = Memory::default();
    for stage in STAGES {
        for child in 0..policy.children().len().min(8) {
            let child = ChildIndex(child as u16);
            if !policy.watches(child, stage) {
                continue;
            }
            let facts = Facts {
                macros: &macros,
                client: Some(&client),
                helo: Some(b"helo.example.com"),
                sender: Some(b"<from@example.com>"),
                recipient: Some(b"<to@example.org>"),
                header: Some((b"Subject", b"a \xff b")),
                body: Some(b"text\r\n"),
                children: &children,
                memory: &memory,
                environment: Environment { unix_seconds: 1_700_000_000, sessions: 3 },
            };
            let mut notes = Notes::default();
            let decision = policy.decide(child, stage, &facts, &Answers::default(), &mut notes);
            let mut twice = Notes::default();
            assert_eq!(decision, policy.decide(child, stage, &facts, &Answers::default(), &mut twice));
            assert_eq!(notes, twice);
            for (key, value) in notes.memory {
                memory.note(stage, key, value);
            }
            assert!(memory.bytes() <= MOST_NOTED, "{} bytes noted", memory.bytes());
        }
    }
}
