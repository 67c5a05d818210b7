//! Applicable conditions: who is asked whether a child sees what comes.

mod knobs;
mod matcher;
pub(crate) mod natives;
pub(crate) mod shipped;

use std::sync::Arc;

use millstream_core::policy::{
    Answers, ChildSettings, Decision, Effects, Facts, Notes, Remark, RemarkLevel, Why,
};
use millstream_core::wire::Stage;

pub(crate) use self::knobs::{Knobs, METHODS};
pub(crate) use self::matcher::Matcher;
use self::natives::Native;
use crate::code::{self, Written};
use crate::configuration::Location;
use crate::evaluate::{Evaluator, Situation, Stop};
use crate::explain::{Said, Says};
use crate::language::methods::STOPPERS;
use crate::language::procs::Callable;
use crate::milter::Milter;
use crate::source::Span;
use crate::value::Value;

/// An applicable condition.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The name by which milters refer to it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Free text.
    pub data: Option<String>,
    /// Where it was defined last.
    pub location: Option<Location>,
    /// Where its description was set.
    pub description_location: Option<Location>,
    /// A program of our own, asked before the stoppers.
    pub(crate) native: Option<Arc<dyn Native>>,
    /// In the order in which they are asked.
    pub(crate) stoppers: Vec<Stopper>,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        // Those without accounts have nothing of the files in them.
        let native = |condition: &Self| {
            let native = condition.native.as_ref()?;
            Some(match native.accounts() {
                Some(accounts) => accounts.written(""),
                None => Ok(format!("{native:?}")),
            })
        };
        self.name == other.name
            && self.description == other.description
            && self.data == other.data
            && self.location == other.location
            && self.stoppers == other.stoppers
            && native(self) == native(other)
    }
}

impl Condition {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: None,
            data: None,
            location: None,
            description_location: None,
            native: None,
            stoppers: Vec::new(),
        }
    }

    /// Whether it has anything to say at `stage`.
    #[must_use]
    pub fn watches(&self, stage: Stage) -> bool {
        self.native.as_ref().is_some_and(|native| native.watches(stage))
            || self.stoppers.iter().any(|stopper| stopper.stage == stage)
    }

    /// The blocks that sessions run.
    pub(crate) fn callables(&self) -> impl Iterator<Item = &Callable> {
        let of_native = self.native.as_ref().and_then(|native| native.callable());
        self.stoppers.iter().map(|stopper| &*stopper.callable).chain(of_native)
    }
}

/// A block that is asked at a stage; a true value stops the child.
#[derive(Debug, Clone)]
pub(crate) struct Stopper {
    pub(crate) stage: Stage,
    pub(crate) callable: Arc<Callable>,
    /// Where its definition begins.
    pub(crate) place: Arc<str>,
}

impl Stopper {
    /// The statements that define it for `condition`.
    pub(crate) fn written(&self, indent: &str) -> Written {
        let name = STOPPERS.iter().find(|(_, stage, ..)| *stage == self.stage).map_or("", |(name, ..)| *name);
        code::call_with(&self.callable, "condition", &format!("condition.{name}"), indent)
    }
}

impl PartialEq for Stopper {
    fn eq(&self, other: &Self) -> bool {
        self.stage == other.stage && self.place == other.place && self.written("") == other.written("")
    }
}

/// A part of one of a child's conditions.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    why: Why,
    part: Part,
}

#[derive(Debug, Clone)]
enum Part {
    Stopper(Stopper),
    Native(Arc<dyn Native>),
}

impl Applied {
    /// Whether it has anything to say at `stage`.
    pub(crate) fn watches(&self, stage: Stage) -> bool {
        match &self.part {
            Part::Stopper(stopper) => stopper.stage == stage,
            Part::Native(native) => native.watches(stage),
        }
    }

    fn stops(&self, mut situation: Situation<'_>) -> Result<bool, Stop> {
        match &self.part {
            Part::Native(native) => native.stops(&mut situation),
            Part::Stopper(stopper) => {
                let (arguments, count) = arguments(&situation);
                let mut evaluator = Evaluator::for_session(situation);
                let at = Span { start: 0, end: 0 };
                Ok(evaluator.run(&stopper.callable, &arguments[..count], at)?.is_truthy())
            }
        }
    }
}

/// What is asked about a milter: of each of its conditions the native part, then the stoppers.
pub(crate) fn applied_to(milter: &Milter, conditions: &[Condition]) -> Box<[Applied]> {
    let mut applied = Vec::new();
    for name in milter.applicable_conditions.iter().map(|applied| &applied.name) {
        // It was there when the milter named it, and conditions do not go away.
        let Some(condition) = conditions.iter().find(|condition| condition.name == *name) else { continue };
        let why = |place: &Arc<str>| Why { condition: name.as_str().into(), place: Arc::clone(place) };
        if let Some(native) = &condition.native {
            applied.push(Applied { why: why(&"built-in".into()), part: Part::Native(Arc::clone(native)) });
        }
        let stoppers = condition
            .stoppers
            .iter()
            .map(|stopper| Applied { why: why(&stopper.place), part: Part::Stopper(stopper.clone()) });
        applied.extend(stoppers);
    }
    applied.into()
}

/// What is asked about a child.
pub(crate) struct Asked<'o> {
    pub(crate) children: &'o [ChildSettings],
    pub(crate) child: u16,
    pub(crate) stage: Stage,
    pub(crate) facts: &'o Facts<'o>,
    pub(crate) answers: &'o Answers,
    pub(crate) knobs: &'o Arc<Knobs>,
}

/// Asks what is in `applied` for a stage, one after another, up to the first that stops. What each has said is added to
/// `said`, when somebody wants to know.
pub(crate) fn decide(
    applied: &[Applied],
    asked: &Asked<'_>,
    notes: &mut Notes,
    mut said: Option<&mut Vec<Said>>,
) -> Decision {
    let Asked { children, child, stage, facts, answers, knobs } = *asked;
    let mut macros = Vec::new();
    for applied in applied.iter().filter(|applied| applied.watches(stage)) {
        let why = &applied.why;
        let before = said.as_ref().map(|_| (macros.clone(), notes.remarks.len()));
        let situation = Situation {
            child,
            stage,
            facts,
            answers,
            notes,
            macros: &mut macros,
            children,
            from: why,
            knobs,
        };
        let says = match applied.stops(situation) {
            Ok(false) => Says::Passes,
            Ok(true) => Says::Stops,
            Err(Stop::Need(questions)) => return Decision::Need(questions),
            Err(Stop::Await(other)) => return Decision::Await(other),
            Err(stop) => {
                notes.remarks.push(failed(why.clone(), &stop));
                Says::Fails
            }
        };
        if let (Some(said), Some((macros_before, remarks_before))) = (said.as_deref_mut(), before) {
            said.push(Said {
                from: why.clone(),
                says,
                macros: macros.iter().filter(|set| !macros_before.contains(set)).cloned().collect(),
                remarks: notes.remarks[remarks_before..].to_vec(),
            });
        }
        if says == Says::Stops {
            return Decision::Stop(why.clone());
        }
    }
    Decision::Run(Effects { macros })
}

/// What the block of a stopper is given.
fn arguments(situation: &Situation<'_>) -> ([Value; 3], usize) {
    let facts = situation.facts;
    let bytes = |bytes: Option<&[u8]>| Value::bytes(bytes.unwrap_or_default());
    let context = Value::Context(situation.child);
    let one = |value| ([context.clone(), value, Value::Nil], 2);
    match situation.stage {
        Stage::Connect => {
            let address = Value::Address(Arc::new(situation.address()));
            ([context, Value::Text(situation.host()), address], 3)
        }
        Stage::Helo => one(bytes(facts.helo)),
        Stage::Mail => one(bytes(facts.sender)),
        Stage::Rcpt => one(bytes(facts.recipient)),
        Stage::Header => {
            let (name, value) = facts.header.unwrap_or_default();
            ([context, Value::bytes(name), Value::bytes(value)], 3)
        }
        Stage::Body => one(bytes(facts.body)),
        _ => ([context, Value::Nil, Value::Nil], 1),
    }
}

/// What the log is told of a stopper that failed. The child is not stopped.
fn failed(from: Why, stop: &Stop) -> Remark {
    let text = match stop {
        Stop::Problem(problem) => {
            format!(
                "{}:{}:{}: {}; it does not stop",
                problem.file, problem.line, problem.column, problem.message
            )
        }
        _ => "the stopper left by a jump that leads nowhere; it does not stop".to_owned(),
    };
    Remark { level: RemarkLevel::Error, from, text: text.into() }
}
