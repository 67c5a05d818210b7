//! What conditions say about a session, one by one: for `--explain`, and for the log at level `debug`.
//!
//! A [`Witness`] is the policy of a configuration that decides as in a live session, by the same code, and writes down what
//! each condition said. Whoever passes a mail through a session under it learns why each milter sees what.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use millstream_core::limits::Limits;
use millstream_core::policy::{
    Answers, ChildIndex, ChildSettings, Decision, Facts, FailureKind, Fallback, Notes, Policy, Recipients,
    Remark, RemarkLevel, Why,
};
use millstream_core::wire::Stage;

use crate::configuration::Configuration;
use crate::hosts::Hosts;
use crate::policy::ManagerPolicy;
use crate::problem::Problem;

/// What a condition, or one of its stoppers, said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The condition, and the place of its stopper.
    pub from: Why,
    /// Whether it stops.
    pub says: Says,
    /// The macros that it has set for the child: name without braces, value. They count only where no condition stops.
    pub macros: Vec<(Bytes, Bytes)>,
    /// Its lines for the log; that it has failed is one.
    pub remarks: Vec<Remark>,
}

/// Whether a condition stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// It lets the child see what comes.
    Passes,
    /// It stops the child.
    Stops,
    /// It failed, and does not stop.
    Fails,
}

impl Said {
    /// What the log is told of it in addition, at level `debug`: that something stops or fails is told anyhow.
    pub(crate) fn for_the_log(&self) -> Option<Remark> {
        if self.says != Says::Passes {
            return None;
        }
        let mut text = "does not stop".to_owned();
        for (at, (name, value)) in self.macros.iter().enumerate() {
            let before = if at == 0 { "; sets " } else { ", " };
            let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
            let _ = write!(text, "{before}{{{name}}}={value}");
        }
        Some(Remark { level: RemarkLevel::Debug, from: self.from.clone(), text: text.into() })
    }
}

/// What was decided about showing something to a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The child, counted among the enabled milters.
    pub child: ChildIndex,
    /// The stage.
    pub stage: Stage,
    /// The recipient at RCPT, the header's name at a header.
    pub about: Option<Vec<u8>>,
    /// What its conditions said, in the order in which they were asked: the first that stops is the last.
    pub said: Vec<Said>,
}

/// The policy of a configuration, which remembers what its conditions say.
#[derive(Debug)]
pub struct Witness {
    policy: ManagerPolicy,
    decided: Mutex<Vec<Decided>>,
}

impl Witness {
    /// What was decided since this was last asked, in order.
    #[must_use]
    pub fn take(&self) -> Vec<Decided> {
        std::mem::take(&mut self.decided.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Configuration {
    /// As [`policy_at`](Self::policy_at), with a policy that remembers.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn witness(&self, hosts: &Hosts) -> Result<Arc<Witness>, Vec<Problem>> {
        Ok(Arc::new(Witness { policy: self.manager_policy(hosts)?, decided: Mutex::default() }))
    }
}

impl Policy for Witness {
    fn children(&self) -> &[ChildSettings] {
        self.policy.children()
    }

    fn limits(&self) -> &Limits {
        self.policy.limits()
    }

    fn fallback(&self) -> Fallback {
        self.policy.fallback()
    }

    fn fallback_for(&self, child: ChildIndex, kind: FailureKind) -> Fallback {
        self.policy.fallback_for(child, kind)
    }

    fn independent(&self, child: ChildIndex) -> bool {
        self.policy.independent(child)
    }

    /// Not: a child that has to be connected first is decided on twice.
    fn lazy_connect(&self) -> bool {
        false
    }

    fn pipelining(&self, child: ChildIndex) -> bool {
        self.policy.pipelining(child)
    }

    fn recipients(&self) -> Recipients {
        self.policy.recipients()
    }

    fn unfiltered_header(&self) -> Option<&str> {
        self.policy.unfiltered_header()
    }

    fn watches(&self, child: ChildIndex, stage: Stage) -> bool {
        self.policy.watches(child, stage)
    }

    fn decide(
        &self,
        child: ChildIndex,
        stage: Stage,
        facts: &Facts<'_>,
        answers: &Answers,
        notes: &mut Notes,
    ) -> Decision {
        let mut said = Vec::new();
        let decision = self.policy.decide_and_say(child, stage, facts, answers, notes, Some(&mut said));
        // With the others the same is decided again.
        if matches!(decision, Decision::Run(_) | Decision::Stop(_)) {
            let about = facts.recipient.or_else(|| facts.header.map(|(name, _)| name)).map(<[u8]>::to_vec);
            let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
            decided.push(Decided { child, stage, about, said });
        }
        decision
    }
}
