//! The policy of a world: what the configuration would say, made from the scenario.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use millstream_core::machine::{Answer, Question};
use millstream_core::policy::{
    Answers, ChildIndex, ChildSettings, ChildState, Decision, Effects, Endpoint, Facts, FailureKind,
    Fallback as CoreFallback, Limits, Notes, Policy, Recipients, Reuse, Route, Timeouts, Why,
};
use millstream_core::wire::Stage;

use crate::plan::{Bounds, Effect, Fallback, Kept, Kind, Plan, Scenario, Text};

#[derive(Debug)]
pub(crate) struct Scripted {
    children: Vec<ChildSettings>,
    plans: Vec<Arc<Plan>>,
    limits: Limits,
    fallback: Fallback,
    mark: Option<String>,
    parallel: bool,
    lazy: bool,
    /// How many sessions the MTA has begun on its connection: the first child is asked for once in each.
    sessions: Arc<AtomicUsize>,
}

impl Scripted {
    pub(crate) fn of(scenario: &Scenario, sessions: Arc<AtomicUsize>) -> Arc<dyn Policy> {
        let limits = limits(&scenario.bounds);
        let children = scenario.children.iter().enumerate().map(|(i, plan)| {
            let [connection, writing, reading, end_of_message] = plan.timeouts.map(Duration::from_secs);
            let route = Route::to(&format!("c{i}"), Endpoint::Unix(format!("/run/c{i}").into_bytes().into()));
            let kept = Reuse { idle: Duration::from_secs(60), age: Duration::from_secs(600) };
            let reuse = (plan.kept != Kept::No).then_some(kept);
            ChildSettings {
                name: format!("c{i}").into(),
                route: Arc::new(Route { reuse, ..Route::clone(&route) }),
                // Overruled for every kind.
                fallback: CoreFallback::Reject,
                evaluation_mode: plan.evaluation,
                timeouts: Timeouts { connection, writing, reading, end_of_message },
            }
        });
        let (children, plans) = (children.collect(), scenario.children.clone());
        let mark = scenario.mark.clone().map(|name| String::from_utf8(name).unwrap());
        let Scenario { fallback, parallel, lazy, .. } = *scenario;
        Arc::new(Self { children, plans, limits, fallback, mark, parallel, lazy, sessions })
    }
}

impl Policy for Scripted {
    fn children(&self) -> &[ChildSettings] {
        &self.children
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn fallback(&self) -> CoreFallback {
        in_core(self.fallback)
    }

    fn independent(&self, child: ChildIndex) -> bool {
        self.plans[usize::from(child.0)].independent
    }

    fn lazy_connect(&self) -> bool {
        self.lazy
    }

    fn pipelining(&self, child: ChildIndex) -> bool {
        self.plans[usize::from(child.0)].pipelining
    }

    fn recipients(&self) -> Recipients {
        if self.parallel { Recipients::Parallel } else { Recipients::InOrder }
    }

    fn unfiltered_header(&self) -> Option<&str> {
        self.mark.as_deref()
    }

    fn watches(&self, child: ChildIndex, stage: Stage) -> bool {
        if child.0 == 0 && stage == Stage::Connect {
            self.sessions.fetch_add(1, Ordering::Relaxed);
        }
        let conditions = &self.plans[usize::from(child.0)].conditions;
        conditions.iter().any(|condition| condition.letter == stage.letter())
    }

    fn decide(
        &self,
        child: ChildIndex,
        stage: Stage,
        facts: &Facts<'_>,
        answers: &Answers,
        _: &mut Notes,
    ) -> Decision {
        let key = match stage {
            Stage::Helo => facts.helo,
            Stage::Mail | Stage::Data | Stage::EndOfHeaders | Stage::EndOfMessage => facts.sender,
            Stage::Rcpt => facts.recipient,
            Stage::Header => facts.header.map(|(name, _)| name),
            _ => Some(&b""[..]),
        };
        let plan = &self.plans[usize::from(child.0)];
        let stop = || Decision::Stop(Why { condition: "scripted".into(), place: "world:1".into() });
        match plan.condition(stage.letter(), key.unwrap()) {
            None => Decision::Run(Effects::default()),
            Some((_, Effect::Stop)) => stop(),
            Some((_, Effect::Macros(macros))) => {
                let own = |(name, value): &(Text, Text)| (name.clone().into(), value.clone().into());
                Decision::Run(Effects { macros: macros.iter().map(own).collect() })
            }
            Some((_, Effect::Await(other))) => match facts.children[*other] {
                ChildState::Pending => Decision::Await(ChildIndex(*other as u16)),
                ChildState::Accepted | ChildState::Stopped | ChildState::Gone => stop(),
                _ => Decision::Run(Effects::default()),
            },
            Some((at, Effect::LookUp { .. })) => {
                let question = Question::Addresses(format!("{}.{at}", child.0).into());
                match answers.find(&question) {
                    None => Decision::Need(vec![question]),
                    Some(Answer::Found(_)) => stop(),
                    Some(_) => Decision::Run(Effects::default()),
                }
            }
        }
    }

    fn fallback_for(&self, child: ChildIndex, kind: FailureKind) -> CoreFallback {
        let kind = match kind {
            FailureKind::Connect => Kind::Connect,
            FailureKind::Timeout => Kind::Timeout,
            FailureKind::Protocol => Kind::Protocol,
            FailureKind::Closed => Kind::Closed,
        };
        in_core(self.plans[usize::from(child.0)].fallback(kind))
    }
}

fn limits(bounds: &Bounds) -> Limits {
    let usual = Limits::default();
    let seconds = |bound: Option<u64>, usual| bound.map_or(usual, Duration::from_secs);
    let size = |bound: Option<u64>, usual| bound.map_or(usual, |bound| bound as usize);
    Limits {
        command_budget: bounds.command_budget.map(Duration::from_secs),
        message_budget: bounds.message_budget.map(Duration::from_secs),
        mta_greeting: seconds(bounds.mta_greeting, usual.mta_greeting),
        mta_idle: seconds(bounds.mta_idle, usual.mta_idle),
        mta_writing: seconds(bounds.mta_writing, usual.mta_writing),
        read_ahead: size(bounds.read_ahead, usual.read_ahead),
        recipients: size(bounds.recipients, usual.recipients),
        envelope_bytes: size(bounds.envelope_bytes, usual.envelope_bytes),
        headers: size(bounds.headers, usual.headers),
        header_bytes: size(bounds.header_bytes, usual.header_bytes),
        body_bytes: size(bounds.body_bytes, usual.body_bytes),
        spill_bytes: if bounds.no_files { 0 } else { bounds.spill_bytes.unwrap_or(usual.spill_bytes) },
        edits: size(bounds.edits, usual.edits),
        edit_bytes: size(bounds.edit_bytes, usual.edit_bytes),
        macro_bytes: size(bounds.macro_bytes, usual.macro_bytes),
        ..usual
    }
}

fn in_core(fallback: Fallback) -> CoreFallback {
    match fallback {
        Fallback::Accept => CoreFallback::Accept,
        Fallback::TemporaryFailure => CoreFallback::TemporaryFailure,
        Fallback::Reject => CoreFallback::Reject,
        Fallback::Discard => CoreFallback::Discard,
        Fallback::Quarantine => CoreFallback::Quarantine,
        Fallback::Shutdown => CoreFallback::Shutdown,
    }
}
