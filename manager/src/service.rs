//! Sessions for the runtime, under the policy that holds now.

use std::sync::Arc;

use millstream_core::chain::Session;
use millstream_core::event::{Event, Failure};
use millstream_core::machine::{IoKind, Question, Refusal};
use millstream_core::policy::{Environment, Policy};
use millstream_core::service::{Notice, Service, SessionId};
use millstream_shared::{Counted, Snapshot};

use crate::launcher::Launcher;
use crate::log::Logger;
use crate::names::{Names, Reply};
use crate::sentences;

/// Makes sessions and logs what happens in them.
#[derive(Debug)]
pub(crate) struct ManagerService {
    policy: Snapshot<dyn Policy>,
    /// What all sessions keep, whatever policy they follow.
    kept: Arc<Counted>,
    names: Arc<Names>,
    /// Starts milters that are dead.
    launcher: Option<Launcher>,
    log: Logger,
}

impl ManagerService {
    pub(crate) fn new(policy: Arc<dyn Policy>, names: Arc<Names>, log: Logger) -> Self {
        Self { policy: Snapshot::new(policy), kept: Arc::default(), names, launcher: None, log }
    }

    /// Has milters started that are dead.
    pub(crate) fn with_launcher(mut self, launcher: Option<Launcher>) -> Self {
        self.launcher = launcher;
        self
    }

    /// New sessions follow `policy`; running ones keep theirs.
    pub(crate) fn swap_policy(&self, policy: Arc<dyn Policy>) {
        self.policy.replace(policy);
    }

    /// What new sessions follow.
    pub(crate) fn policy(&self) -> Arc<dyn Policy> {
        self.policy.current()
    }
}

impl Service for ManagerService {
    type Machine = Session;

    fn accept(&self, session: SessionId, environment: Environment) -> Session {
        self.log.debug(|| format!("[{session}] [session][start]"));
        let kept = Arc::<Counted>::clone(&self.kept);
        Session::new(self.policy(), environment).with_reserve(kept)
    }

    fn event(&self, session: SessionId, event: Event) {
        if let Some(launcher) = &self.launcher
            && let Event::ChildFailed { name, failure: Failure::Connect(Refusal::Failed(error)), .. } = &event
            && matches!(error.kind, IoKind::Refused | IoKind::NotFound)
        {
            launcher.ask_for(name);
        }
        self.log.log(sentences::level(&event), || sentences::event(session, &event));
    }

    fn notice(&self, notice: Notice) {
        let (level, text) = sentences::notice(&notice);
        self.log.log(level, || text);
    }

    fn look_up(&self, question: Question, reply: Reply) {
        self.names.look_up(&question, reply, &self.log);
    }
}
