//! A session of one message, moved by hand: what the policy is asked, and what it leaves behind.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use millstream_config::Configuration;
use millstream_core::machine::Question;
use millstream_core::policy::{
    Answers, ChildIndex, ChildState, Decision, Environment, Facts, Memory, Notes, Policy, Remark,
};
use millstream_core::wire::{ClientAddress, ConnectInfo, Macros, Stage};

/// What is known of a session; a test sets what it needs.
pub struct Visit {
    pub policy: Arc<dyn Policy>,
    pub macros: Macros,
    pub client: ConnectInfo,
    pub helo: Vec<u8>,
    pub sender: Vec<u8>,
    pub recipient: Vec<u8>,
    pub header: (Vec<u8>, Vec<u8>),
    pub body: Vec<u8>,
    pub children: Vec<ChildState>,
    pub environment: Environment,
    pub memory: Memory,
    /// What is known of questions.
    pub answers: Answers,
    /// What was told the log.
    pub remarks: Vec<Remark>,
}

/// What the first child is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It is shown it, with these macros.
    Runs(Vec<(String, String)>),
    /// This condition stops it, with the line of the stopper.
    Stopped(String, String),
    Awaits(u16),
    Asks(Vec<Question>),
}

pub const RUNS: Told = Told::Runs(Vec::new());

impl Visit {
    #[track_caller]
    pub fn of(configuration: &Configuration) -> Self {
        let policy = configuration.policy().unwrap();
        let children = vec![ChildState::Running; policy.children().len()];
        Self {
            policy,
            macros: Macros::default(),
            client: client("host.example.com", "192.0.2.7:1234"),
            helo: b"helo.example.com".to_vec(),
            sender: b"<from@example.com>".to_vec(),
            recipient: b"<to@example.org>".to_vec(),
            header: (b"Subject".to_vec(), b"hello".to_vec()),
            body: b"text\r\n".to_vec(),
            children,
            environment: Environment { unix_seconds: 1_700_000_000, sessions: 3 },
            memory: Memory::default(),
            answers: Answers::default(),
            remarks: Vec::new(),
        }
    }

    /// A milter `m` with a condition whose stopper at `stage` has this body.
    #[track_caller]
    pub fn with(stage: &str, body: &str) -> Self {
        Self::of(&super::good(&condition(stage, body)))
    }

    pub fn macros(mut self, letter: u8, pairs: &str) -> Self {
        let pairs: Vec<u8> = pairs.split(' ').flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
        self.macros.set(letter, &pairs);
        self
    }

    pub fn ask(&mut self, stage: Stage) -> Told {
        self.ask_about(0, stage)
    }

    pub fn ask_about(&mut self, child: u16, stage: Stage) -> Told {
        if !self.policy.watches(ChildIndex(child), stage) {
            return RUNS;
        }
        if stage == Stage::Mail && child == 0 {
            self.memory.begin_message();
        }
        let is = |known: Stage| stage == known;
        let facts = Facts {
            macros: &self.macros,
            client: Some(&self.client),
            helo: Some(&self.helo),
            sender: Some(&self.sender),
            recipient: Some(&self.recipient[..]).filter(|_| is(Stage::Rcpt)),
            header: Some((&self.header.0[..], &self.header.1[..])).filter(|_| is(Stage::Header)),
            body: Some(&self.body[..]).filter(|_| is(Stage::Body)),
            children: &self.children,
            memory: &self.memory,
            environment: self.environment,
        };
        let mut notes = Notes::default();
        let decision = self.policy.decide(ChildIndex(child), stage, &facts, &self.answers, &mut notes);
        if matches!(decision, Decision::Run(_) | Decision::Stop(_)) {
            for (key, value) in notes.memory {
                self.memory.note(stage, key, value);
            }
            self.remarks.extend(notes.remarks);
        }
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        match decision {
            Decision::Run(effects) => {
                Told::Runs(effects.macros.iter().map(|(name, value)| (text(name), text(value))).collect())
            }
            Decision::Stop(why) => Told::Stopped(why.condition.to_string(), why.place.to_string()),
            Decision::Await(other) => Told::Awaits(other.0),
            Decision::Need(questions) => Told::Asks(questions),
        }
    }

    /// Whether the first child is stopped; nothing may fail.
    #[track_caller]
    pub fn stops(&mut self, stage: Stage) -> bool {
        let told = self.ask(stage);
        assert_eq!(self.remarks, [], "{told:?}");
        matches!(told, Told::Stopped(..))
    }
}

/// A configuration of one milter with one condition with one stopper.
pub fn condition(stage: &str, body: &str) -> String {
    let parameters = match stage {
        "connect" => "context, host, address",
        "helo" => "context, fqdn",
        "envelope_from" => "context, from",
        "envelope_recipient" => "context, recipient",
        "header" => "context, name, value",
        "body" => "context, chunk",
        _ => "context",
    };
    format!(
        "define_applicable_condition(\"C\") do |condition|\n  condition.define_{stage}_stopper do |{parameters}|\n{body}\n  end\nend\n\
         define_milter(\"m\") do |milter|\n  milter.connection_spec = \"unix:/m\"\n  milter.add_applicable_condition(\"C\")\nend\n\
         define_milter(\"n\") {{|milter| milter.connection_spec = \"unix:/n\" }}"
    )
}

pub fn client(host: &str, address: &str) -> ConnectInfo {
    let address = match address.parse::<SocketAddr>() {
        Ok(address) => ClientAddress::Ip(address.ip(), address.port()),
        Err(_) if address.starts_with('/') => ClientAddress::Unix(Bytes::copy_from_slice(address.as_bytes())),
        Err(_) => ClientAddress::Unknown,
    };
    ConnectInfo { host: Bytes::copy_from_slice(host.as_bytes()), address }
}
