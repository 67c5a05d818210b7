//! The configuration as core sees it: an immutable snapshot of the enabled milters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_core::limits::Limits;
use millstream_core::policy::{
    Answers, ChildIndex, ChildSettings, ClientCheck, Decision, Facts, FailureKind, Fallback, Notes, Policy,
    Recipients, Route,
};
use millstream_core::wire::Stage;

use crate::conditions::{Applied, Asked, Knobs, applied_to, decide};
use crate::configuration::Configuration;
use crate::explain::Said;
use crate::hosts::Hosts;
use crate::language::procs::HeldFrames;
use crate::log_level::LogLevel;
use crate::milter::Milter;
use crate::problem::Problem;

/// Most children of a chain: core numbers them and the MTA with 16 bits.
const MAX_CHILDREN: usize = u16::MAX as usize - 1;

/// The policy of a configuration: its enabled milters in order.
#[derive(Debug, Clone)]
pub struct ManagerPolicy {
    children: Box<[ChildSettings]>,
    /// For each child, in the order of [`FailureKind::ALL`].
    fallbacks: Box<[[Fallback; FailureKind::ALL.len()]]>,
    /// For each child.
    independent: Box<[bool]>,
    /// For each child.
    pipelining: Box<[bool]>,
    /// For each child, in the order in which they are asked.
    conditions: Box<[Box<[Applied]>]>,
    /// The log is told of conditions that do not stop, too.
    tells_all: bool,
    /// What is set on the objects of built-in conditions.
    knobs: Arc<Knobs>,
    /// The variables that the conditions can see.
    _frames: HeldFrames,
    lazy_connect: bool,
    limits: Limits,
    fallback: Fallback,
    recipients: Recipients,
    unfiltered_header: Option<Box<str>>,
    client_check: Option<ClientCheck>,
}

impl Policy for ManagerPolicy {
    fn children(&self) -> &[ChildSettings] {
        &self.children
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn fallback(&self) -> Fallback {
        self.fallback
    }

    fn fallback_for(&self, child: ChildIndex, kind: FailureKind) -> Fallback {
        let at = FailureKind::ALL.iter().position(|known| *known == kind);
        let fallbacks = self.fallbacks.get(usize::from(child.0));
        // Core asks for none but its children.
        at.zip(fallbacks).map_or(Fallback::TemporaryFailure, |(at, fallbacks)| fallbacks[at])
    }

    fn independent(&self, child: ChildIndex) -> bool {
        self.independent.get(usize::from(child.0)).copied().unwrap_or(false)
    }

    fn lazy_connect(&self) -> bool {
        self.lazy_connect
    }

    fn pipelining(&self, child: ChildIndex) -> bool {
        self.pipelining.get(usize::from(child.0)).copied().unwrap_or(false)
    }

    fn recipients(&self) -> Recipients {
        self.recipients
    }

    fn unfiltered_header(&self) -> Option<&str> {
        self.unfiltered_header.as_deref()
    }

    fn client_check(&self) -> Option<ClientCheck> {
        self.client_check
    }

    fn watches(&self, child: ChildIndex, stage: Stage) -> bool {
        let conditions = self.conditions.get(usize::from(child.0));
        conditions.is_some_and(|applied| applied.iter().any(|applied| applied.watches(stage)))
    }

    fn decide(
        &self,
        child: ChildIndex,
        stage: Stage,
        facts: &Facts<'_>,
        answers: &Answers,
        notes: &mut Notes,
    ) -> Decision {
        if !self.tells_all {
            return self.decide_and_say(child, stage, facts, answers, notes, None);
        }
        let mut said = Vec::new();
        let decision = self.decide_and_say(child, stage, facts, answers, notes, Some(&mut said));
        notes.remarks.extend(said.iter().filter_map(Said::for_the_log));
        decision
    }
}

impl ManagerPolicy {
    /// Decides; what each condition says is added to `said`, when somebody wants to know.
    pub(crate) fn decide_and_say(
        &self,
        child: ChildIndex,
        stage: Stage,
        facts: &Facts<'_>,
        answers: &Answers,
        notes: &mut Notes,
        said: Option<&mut Vec<Said>>,
    ) -> Decision {
        let applied = self.conditions.get(usize::from(child.0)).map_or(&[][..], |applied| applied);
        let asked =
            Asked { children: &self.children, child: child.0, stage, facts, answers, knobs: &self.knobs };
        decide(applied, &asked, notes, said)
    }
}

impl Configuration {
    /// A snapshot for core. Blocks while the system looks host names up.
    ///
    /// # Errors
    ///
    /// A problem for each enabled milter that has no connection spec, or whose host name has no address.
    pub fn policy(&self) -> Result<Arc<dyn Policy>, Vec<Problem>> {
        self.policy_at(&Hosts::default().of(self, Instant::now()))
    }

    /// The same with host names that are looked up already. Equal settings and addresses give equal routes.
    ///
    /// # Errors
    ///
    /// A problem for each enabled milter that has no connection spec, or with a host name that has no address in `hosts`.
    pub fn policy_at(&self, hosts: &Hosts) -> Result<Arc<dyn Policy>, Vec<Problem>> {
        Ok(Arc::new(self.manager_policy(hosts)?))
    }

    pub(crate) fn manager_policy(&self, hosts: &Hosts) -> Result<ManagerPolicy, Vec<Problem>> {
        let mut children = Vec::new();
        let mut fallbacks = Vec::new();
        let mut independent = Vec::new();
        let mut pipelining = Vec::new();
        let mut conditions = Vec::new();
        let mut problems = Vec::new();
        for milter in self.milters.iter().filter(|milter| milter.enabled) {
            match child(milter, hosts) {
                Ok(settings) => {
                    children.push(settings);
                    fallbacks.push(FailureKind::ALL.map(|kind| milter.fallback(kind)));
                    independent.push(milter.independent);
                    pipelining.push(milter.pipelining);
                    conditions.push(applied_to(milter, &self.conditions));
                }
                Err(problem) => problems.push(problem),
            }
        }
        if children.len() > MAX_CHILDREN {
            let count = children.len();
            problems.push(problem_text(
                None,
                &format!("{count} milters are enabled, at most {MAX_CHILDREN} can be"),
                "",
            ));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(ManagerPolicy {
            children: children.into(),
            fallbacks: fallbacks.into(),
            independent: independent.into(),
            pipelining: pipelining.into(),
            conditions: conditions.into(),
            tells_all: self.log.level.logs(LogLevel::DEBUG),
            knobs: Arc::clone(&self.knobs),
            _frames: self.frames.clone(),
            lazy_connect: self.manager.lazy_connect,
            limits: self.manager.limits,
            fallback: self.manager.fallback_status,
            recipients: self.manager.recipients,
            unfiltered_header: self.manager.unfiltered_header.as_deref().map(Into::into),
            client_check: self.client_check(),
        })
    }
}

impl Configuration {
    /// How it is looked for clients that have gone, if at all.
    fn client_check(&self) -> Option<ClientCheck> {
        let seconds = self.manager.connection_check_interval;
        let interval = Duration::from_secs(seconds.into());
        (seconds > 0)
            .then_some(ClientCheck { interval, fallback: self.manager.fallback_status_at_disconnect })
    }
}

fn child(milter: &Milter, hosts: &Hosts) -> Result<ChildSettings, Problem> {
    let name: Arc<str> = milter.name.as_str().into();
    let route = Arc::new(route(milter, Arc::clone(&name), hosts)?);
    Ok(ChildSettings {
        name,
        route,
        fallback: milter.fallback_status,
        evaluation_mode: milter.evaluation_mode,
        timeouts: milter.timeouts,
    })
}

fn route(milter: &Milter, name: Arc<str>, hosts: &Hosts) -> Result<Route, Problem> {
    if milter.connection_specs.is_empty() {
        return Err(problem_text(
            Some(milter),
            &format!("must set connection spec: {}", milter.name),
            "set milter.connection_spec, or milter.enabled = false; one that was found is changed under the name that \
             `milter-manager --detect` prints, behind load_default",
        ));
    }
    let endpoints = milter.connection_specs.iter().map(|spec| {
        spec.resolve_with(|name, family| hosts.addresses(name, family)).map_err(|error| {
            let message = format!("<{}>: invalid connection spec: {error}", milter.name);
            problem_text(Some(milter), &message, "write the address in brackets, or correct the host name")
        })
    });
    let connections = &milter.connections;
    Ok(Route {
        name,
        endpoints: endpoints.collect::<Result<_, _>>()?,
        choice: connections.endpoint_choice,
        max_connections: connections.max_connections,
        queue_timeout: connections.queue_timeout,
        retry_interval: connections.retry_interval,
        reuse: connections.reuse(),
    })
}

fn problem_text(milter: Option<&Milter>, message: &str, hint: &str) -> Problem {
    let place =
        milter.and_then(|milter| milter.locations.get("connection_spec").or(milter.location.as_ref()));
    Problem {
        file: place.map_or_else(|| "configuration".to_owned(), |place| place.file.to_string()),
        line: place.map_or(0, |place| place.line),
        column: 0,
        message: message.to_owned(),
        hint: (!hint.is_empty()).then(|| hint.to_owned()),
        source_line: None,
    }
}
