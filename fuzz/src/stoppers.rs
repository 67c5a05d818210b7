//! A configuration that is made up of the tables of the language, and its conditions asked about any session: no panic, no
//! rest that never comes; problems have a place; what is shown loads again to the same; the same question has the same answer,
//! with bounded notes, and waits for others and for look-ups only so often.

use bytes::Bytes;
use millstream_config::load_str;
use millstream_core::machine::{Answer, Question};
use millstream_core::policy::{
    Answers, ChildIndex, ChildState, Decision, Environment, Facts, Memory, Notes, Policy,
};
use millstream_core::wire::{ClientAddress, ConnectInfo, Macros, Stage};

use super::bounds::{MOST_NOTED, STAGES, nowhere};
use super::grammar::{Choices, configuration};

/// How often a stage may be asked again: for each other milter and for each question that there is.
const MOST_ROUNDS: usize = 24;

/// Whether the configuration had no problems, and so was asked.
pub fn stoppers(data: &[u8]) -> bool {
    let mut choices = Choices::new(data);
    let source = configuration(&mut choices);
    let options = nowhere();
    let loaded = load_str("fuzz.conf", &source, &options);
    let lines = source.lines().count() + 1;
    for problem in &loaded.problems {
        assert!(problem.line > 0 && problem.line as usize <= lines, "{problem}\n{source}");
        assert!(!problem.message.is_empty() && !problem.to_string().is_empty(), "{source}");
    }
    let shown = without_places(&loaded.configuration.show());
    if !loaded.problems.is_empty() {
        return false;
    }
    let again = load_str("again.conf", &shown, &options);
    assert_eq!(again.problems, [], "{shown}\n{source}");
    assert_eq!(without_places(&again.configuration.show()), shown, "{source}");
    let Ok(policy) = loaded.configuration.policy() else { return false };
    Session::new(&mut choices).run(&*policy, &source);
    true
}

fn without_places(shown: &str) -> String {
    shown
        .lines()
        .filter(|line| !line.trim_start().starts_with("# "))
        .fold(String::new(), |text, line| text + line + "\n")
}

struct Session {
    macros: Macros,
    client: ConnectInfo,
    text: &'static [u8],
    children: Vec<ChildState>,
    answer: Answer,
    environment: Environment,
    messages: usize,
}

impl Session {
    fn new(choices: &mut Choices<'_>) -> Self {
        let hosts: [&[u8]; 5] =
            [b"1-2-3-4.dyn.example.com", b"unknown", b"[192.0.2.7]", b"", b"\xff\xfe.example.com"];
        let texts: [&[u8]; 6] =
            [b"<bob@example.com>", b"<>", b"a \xff b", b"", &[b'a'; 70_000], b"line\r\nline\r\n\r\n"];
        let addresses = [
            ClientAddress::Ip([192, 0, 2, 7].into(), 25),
            ClientAddress::Ip([10, 0, 0, 1].into(), 0),
            ClientAddress::Ip([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7].into(), 65535),
            ClientAddress::Unix(Bytes::from_static(b"/run/socket")),
            ClientAddress::Unknown,
        ];
        let macros_sent: [&[u8]; 3] =
            [b"", b"v\0Postfix 3.7\0j\0mx.example\0", b"m0\0x\0v\0Sendmail\0{auth_type}\0PLAIN\0"];
        let states = [
            ChildState::Running,
            ChildState::Pending,
            ChildState::Accepted,
            ChildState::Rejected,
            ChildState::Stopped,
            ChildState::Gone,
        ];
        let mut macros = Macros::default();
        for letter in [b'C', b'M'] {
            let sent = *choices.one(&macros_sent);
            macros.set(letter, sent);
        }
        let answers = [
            Answer::Nothing,
            Answer::Failed,
            Answer::Found(vec!["127.0.0.2".into()]),
            Answer::Found(vec!["x".into()]),
        ];
        let (host, text) = (*choices.one(&hosts), *choices.one(&texts));
        Self {
            macros,
            client: ConnectInfo { host: Bytes::from_static(host), address: choices.one(&addresses).clone() },
            text,
            children: (0..4).map(|_| *choices.one(&states)).collect(),
            answer: choices.one(&answers).clone(),
            environment: Environment {
                unix_seconds: [1_700_000_000, 0, i64::MAX as _, 253_402_300_799][choices.of(4)],
                sessions: choices.of(4) as _,
            },
            messages: 1 + choices.of(2),
        }
    }

    fn run(&mut self, policy: &dyn Policy, source: &str) {
        self.children.truncate(policy.children().len());
        let mut memory = Memory::default();
        for message in 0..self.messages {
            for stage in STAGES.into_iter().skip(if message == 0 { 0 } else { 2 }) {
                if stage == Stage::Mail {
                    memory.begin_message();
                }
                for child in 0..policy.children().len() {
                    let child = ChildIndex(child as u16);
                    if policy.watches(child, stage) {
                        let notes = self.ask(policy, child, stage, &memory, source);
                        for (key, value) in notes.memory {
                            memory.note(stage, key, value);
                        }
                        assert!(memory.bytes() <= MOST_NOTED, "{} bytes noted\n{source}", memory.bytes());
                    }
                }
            }
        }
    }

    /// Asks until it is decided.
    fn ask(
        &self,
        policy: &dyn Policy,
        child: ChildIndex,
        stage: Stage,
        memory: &Memory,
        source: &str,
    ) -> Notes {
        let mut children = self.children.clone();
        // Who is asked about takes part, and only those before it can owe an answer.
        for (at, state) in children.iter_mut().enumerate().skip(usize::from(child.0)) {
            if at == usize::from(child.0) || *state == ChildState::Pending {
                *state = ChildState::Running;
            }
        }
        let mut answers = Answers::default();
        for _ in 0..MOST_ROUNDS {
            let facts = Facts {
                macros: &self.macros,
                client: Some(&self.client),
                helo: Some(self.text),
                sender: Some(self.text),
                recipient: Some(self.text).filter(|_| stage == Stage::Rcpt),
                header: Some((&b"Subject"[..], self.text)).filter(|_| stage == Stage::Header),
                body: Some(self.text).filter(|_| stage == Stage::Body),
                children: &children,
                memory,
                environment: self.environment,
            };
            let (mut notes, mut twice) = (Notes::default(), Notes::default());
            let decision = policy.decide(child, stage, &facts, &answers, &mut notes);
            assert_eq!(decision, policy.decide(child, stage, &facts, &answers, &mut twice), "{source}");
            assert_eq!(notes, twice, "{source}");
            match decision {
                Decision::Run(_) | Decision::Stop(_) => return notes,
                Decision::Await(other) => {
                    let state = children.get_mut(usize::from(other.0));
                    let waits = state.as_deref() == Some(&ChildState::Pending) && other != child;
                    assert!(waits, "{child:?} waits for {other:?} at {stage}\n{source}");
                    if let Some(state) = state {
                        *state = ChildState::Accepted;
                    }
                }
                Decision::Need(questions) => {
                    let new = |question: &Question| !answers.0.iter().any(|(known, _)| known == question);
                    assert!(!questions.is_empty() && questions.iter().all(new), "{questions:?}\n{source}");
                    answers.0.extend(questions.into_iter().map(|question| (question, self.answer.clone())));
                }
            }
        }
        panic!("{child:?} at {stage} is never decided\n{source}");
    }
}
