//! A session told line by line, and what each milter is told.
//!
//! ```text
//! #> sessions 100                        from here on so many run
//! #> time 1700000000                     and it is then
//! #> known a.test 127.0.0.2              the name has this address, or the address this name; without a value: none
//! #> ends 198.51.100.1 25                the client is connected to this address and port
//! #> connect host.example.com 192.0.2.7 with j=mx.example.com v=Postfix
//! #> helo mail.example.com
//! #> mail <from@example.com> with i=1
//! #> rcpt <to@example.org>
//! #> data
//! #> header Subject: hello
//! #> end-of-headers
//! #> body text
//! #> end-of-message
//! #> verdict scanner Rejected            a milter's state, in Rust's words
//! ```
//!
//! Behind a stage may stand ` -> `, and for each milter that is not just shown it, divided by `; `:
//! `NAME: stopped by CONDITION`, with ` (built-in)` or ` (line 3)` behind it; `NAME: gets macro=value ...`; `NAME: asks QUESTION ...`;
//! `NAME: waits for NAME`. The other milters are shown it. Who is stopped is not asked again as long as it stays out.

use std::collections::VecDeque;

use millstream_config::Loaded;
use millstream_core::machine::{Answer, Question};
use millstream_core::policy::{Answers, ChildState, Environment};
use millstream_core::wire::Stage;

use super::expectation::is;
use crate::common::session::{RUNS, Told, Visit, client};

const STAGES: [(&str, Stage, u8); 9] = [
    ("connect", Stage::Connect, b'C'),
    ("helo", Stage::Helo, b'H'),
    ("mail", Stage::Mail, b'M'),
    ("rcpt", Stage::Rcpt, b'R'),
    ("data", Stage::Data, b'T'),
    ("header", Stage::Header, b'L'),
    ("end-of-headers", Stage::EndOfHeaders, b'N'),
    ("body", Stage::Body, b'B'),
    ("end-of-message", Stage::EndOfMessage, b'E'),
];

pub(crate) struct Script<'l> {
    loaded: &'l Loaded,
    /// Left out of what is told.
    directory: String,
    /// What the log has and no line has named yet.
    log: VecDeque<String>,
    visit: Option<Visit>,
    /// Who is out of the message only.
    out: Vec<u16>,
    environment: Environment,
    answers: Answers,
}

impl<'l> Script<'l> {
    pub(crate) fn new(loaded: &'l Loaded, directory: String) -> Self {
        let told = loaded.messages.iter().map(|message| line(message.level, &message.text));
        let environment = Environment { unix_seconds: 1_700_000_000, sessions: 1 };
        Self {
            loaded,
            directory,
            log: told.collect(),
            visit: None,
            out: Vec::new(),
            environment,
            answers: Answers::default(),
        }
    }

    /// Does one line, and tells what was found when that is not what it expects.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        if word == "log" {
            let told = self.log.pop_front().unwrap_or_default();
            return is(&told.replace(&self.directory, ""), rest);
        }
        self.end()?;
        let stage = STAGES.iter().find(|(known, ..)| *known == word);
        match (word, stage) {
            (_, Some(&(_, stage, letter))) => self.stage(stage, letter, rest),
            ("sessions", _) => set(&mut self.environment.sessions, rest),
            ("time", _) => set(&mut self.environment.unix_seconds, rest),
            ("known" | "ends", _) => self.known(word, rest),
            ("verdict", _) => self.verdict(rest),
            _ => Err("there is no such expectation".to_owned()),
        }
    }

    /// Nothing may be left in the log.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        let left: Vec<_> = self.log.drain(..).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("the log has {}", left.join(", "))) }
    }

    fn stage(&mut self, stage: Stage, letter: u8, text: &str) -> Result<(), String> {
        let (text, expected) = text.split_once("-> ").unwrap_or((text, ""));
        let (text, macros) = text.split_once("with ").unwrap_or((text, ""));
        let (text, macros) = (text.trim(), macros.trim());
        if stage == Stage::Connect {
            self.visit = Some(Visit::of(&self.loaded.configuration));
            self.out.clear();
        }
        let visit = self.visit.as_mut().ok_or("a session begins with connect")?;
        visit.environment = self.environment;
        visit.answers = self.answers.clone();
        let pairs: Vec<u8> = macros
            .split_whitespace()
            .flat_map(|pair| [pair.replacen('=', "\0", 1).as_bytes(), b"\0"].concat())
            .collect();
        visit.macros.set(letter, &pairs);
        begin(visit, stage, text)?;
        if stage == Stage::Mail {
            for child in self.out.drain(..) {
                visit.children[usize::from(child)] = ChildState::Running;
            }
        }
        let mut found = Vec::new();
        for child in 0..u16::try_from(visit.children.len()).map_err(|error| error.to_string())? {
            if matches!(visit.children[usize::from(child)], ChildState::Stopped) {
                continue;
            }
            let told = visit.ask_about(child, stage);
            if matches!(told, Told::Stopped(..)) && stage != Stage::Rcpt {
                visit.children[usize::from(child)] = ChildState::Stopped;
                self.out.extend((!matches!(stage, Stage::Connect | Stage::Helo)).then_some(child));
            }
            if told != RUNS {
                found.push((child, told));
            }
        }
        self.log.extend(visit.remarks.drain(..).map(|remark| line(remark.level, &remark.text)));
        let with_places = expected.contains(" (");
        let found: Vec<_> = found.iter().map(|(child, told)| self.words(*child, told, with_places)).collect();
        is(&found.join("; "), expected)
    }

    fn words(&self, child: u16, told: &Told, with_places: bool) -> String {
        let enabled: Vec<_> =
            self.loaded.configuration.milters.iter().filter(|milter| milter.enabled).collect();
        let name = |child: u16| &enabled[usize::from(child)].name;
        let what = match told {
            Told::Stopped(condition, place) if with_places => {
                let place = place.rsplit_once(':').map_or(place.clone(), |(_, line)| format!("line {line}"));
                format!("stopped by {condition} ({place})")
            }
            Told::Stopped(condition, _) => format!("stopped by {condition}"),
            Told::Runs(macros) => {
                let pairs: Vec<_> = macros.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("gets {}", pairs.join(" "))
            }
            Told::Awaits(other) => format!("waits for {}", name(*other)),
            Told::Asks(questions) => {
                let names: Vec<_> = questions.iter().map(question).collect();
                format!("asks {}", names.join(" "))
            }
        };
        format!("{}: {what}", name(child))
    }

    fn known(&mut self, word: &str, text: &str) -> Result<(), String> {
        if word == "ends" {
            let client = "192.0.2.7:25".parse().map_err(|_| "no address")?;
            self.answers.0.push((Question::LocalEnd(client), Answer::Found(vec![text.into()])));
            return Ok(());
        }
        let (name, value) = text.split_once(' ').unwrap_or((text, ""));
        let question = name.parse().map_or_else(|_| Question::Addresses(name.into()), Question::Names);
        let answer = if value.is_empty() { Answer::Nothing } else { Answer::Found(vec![value.into()]) };
        self.answers.0.push((question, answer));
        Ok(())
    }

    fn verdict(&mut self, text: &str) -> Result<(), String> {
        let (name, state) = text.split_once(' ').ok_or("`verdict MILTER STATE`")?;
        let milters = self.loaded.configuration.milters.iter().filter(|milter| milter.enabled);
        let at =
            milters.map(|milter| &*milter.name).position(|known| known == name).ok_or("no such milter")?;
        let states = [
            ChildState::Pending,
            ChildState::Running,
            ChildState::Rejected,
            ChildState::TemporarilyFailed,
            ChildState::Accepted,
            ChildState::Discarded,
            ChildState::Gone,
        ];
        let known = states.into_iter().find(|known| format!("{known:?}") == state);
        self.visit.as_mut().ok_or("a session begins with connect")?.children[at] =
            known.ok_or("no such state")?;
        Ok(())
    }
}

/// What comes with the stage.
fn begin(visit: &mut Visit, stage: Stage, text: &str) -> Result<(), String> {
    let bytes = text.as_bytes().to_vec();
    match stage {
        Stage::Connect => {
            let (host, address) = text.split_once(' ').unwrap_or((text, "192.0.2.7"));
            let port = if address.parse::<std::net::Ipv6Addr>().is_ok() {
                format!("[{address}]:25")
            } else {
                format!("{address}:25")
            };
            visit.client = client(host, if address.starts_with('/') { address } else { &port });
        }
        Stage::Helo => visit.helo = bytes,
        Stage::Mail => {
            visit.sender = bytes;
            visit.memory.begin_message();
        }
        Stage::Rcpt => visit.recipient = bytes,
        Stage::Header => {
            let (name, value) = text.split_once(": ").ok_or("`header NAME: VALUE`")?;
            visit.header = (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        }
        Stage::Body => visit.body = bytes,
        _ => {}
    }
    Ok(())
}

fn question(question: &Question) -> String {
    match question {
        Question::Addresses(name) => name.to_string(),
        Question::Names(address) => address.to_string(),
        Question::LocalEnd(_) => "its own end".to_owned(),
        // No condition asks for it.
        Question::State(_) => "its state".to_owned(),
    }
}

fn line(level: impl std::fmt::Debug, text: &str) -> String {
    format!("{} {text}", format!("{level:?}").to_lowercase())
}

fn set<T: std::str::FromStr>(value: &mut T, text: &str) -> Result<(), String> {
    *value = text.parse().map_err(|_| format!("no number: {text}"))?;
    Ok(())
}
