//! A configuration of a crowd.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::policy::{ChildIndex, ChildSettings, FailureKind, Fallback, Limits, Policy, Timeouts};

use crate::plan::{CONNECTION_TIMEOUT, Plan, READING_TIMEOUT};

#[derive(Debug)]
pub(crate) struct Configured {
    children: Vec<ChildSettings>,
    fallbacks: Vec<[Fallback; 4]>,
    pipelining: Vec<bool>,
    lazy: bool,
    limits: Limits,
}

impl Configured {
    /// What is configured after so many reloads.
    pub(crate) fn of(plan: &Plan, reloads: usize) -> Arc<dyn Policy> {
        let settings = |child: &crate::plan::ChildPlan| {
            let route = Arc::clone(&child.routes[reloads]);
            ChildSettings {
                name: Arc::clone(&route.name),
                route,
                fallback: child.fallbacks[0],
                evaluation_mode: false,
                timeouts: Timeouts {
                    connection: CONNECTION_TIMEOUT,
                    writing: READING_TIMEOUT,
                    reading: READING_TIMEOUT,
                    end_of_message: READING_TIMEOUT,
                },
            }
        };
        // What all children together may take is never the matter here.
        let budget = Some(Duration::from_secs(100));
        Arc::new(Self {
            children: plan.children.iter().map(settings).collect(),
            fallbacks: plan.children.iter().map(|child| child.fallbacks).collect(),
            pipelining: plan.children.iter().map(|child| child.pipelining).collect(),
            lazy: plan.lazy,
            limits: Limits { command_budget: budget, message_budget: budget, ..Limits::default() },
        })
    }
}

impl Policy for Configured {
    fn children(&self) -> &[ChildSettings] {
        &self.children
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn fallback(&self) -> Fallback {
        Fallback::Accept
    }

    fn fallback_for(&self, child: ChildIndex, kind: FailureKind) -> Fallback {
        let at = FailureKind::ALL.iter().position(|known| *known == kind).unwrap();
        self.fallbacks[usize::from(child.0)][at]
    }

    fn lazy_connect(&self) -> bool {
        self.lazy
    }

    fn pipelining(&self, child: ChildIndex) -> bool {
        self.pipelining[usize::from(child.0)]
    }
}
