//! Sessions for the runtime, under the policy that holds now.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use millstream_config::LogLevel;
use millstream_core::chain::Session;
use millstream_core::event::{Event, Failure, SessionReport};
use millstream_core::machine::{IoKind, Question, Refusal};
use millstream_core::policy::{Environment, Policy};
use millstream_core::reserve::Room;
use millstream_core::service::{Notice, Service, SessionId};
use millstream_runtime::Handle;
use millstream_shared::{Counted, Snapshot};

use crate::control::Outcomes;
use crate::launcher::Launcher;
use crate::log::Logger;
use crate::names::{Names, Reply};
use crate::sentences;
use crate::statistics::{self, Finished};

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
    finished: Finished,
    outcomes: Outcomes,
    /// Knows how many sessions run, once they do.
    server: OnceLock<Handle>,
}

impl ManagerService {
    pub(crate) fn new(policy: Arc<dyn Policy>, names: Arc<Names>, log: Logger) -> Self {
        Self {
            policy: Snapshot::new(policy),
            kept: Arc::default(),
            names,
            launcher: None,
            log,
            finished: Finished::default(),
            outcomes: Outcomes::default(),
            server: OnceLock::new(),
        }
    }

    /// Has milters started that are dead.
    pub(crate) fn with_launcher(mut self, launcher: Option<Launcher>) -> Self {
        self.launcher = launcher;
        self
    }

    /// `server` has its sessions from here.
    pub(crate) fn served_by(&self, server: Handle) {
        // There is one for each service.
        let _ = self.server.set(server);
    }

    /// How many bytes all sessions keep.
    pub(crate) fn kept(&self, room: Room) -> u64 {
        self.kept.bytes(room)
    }

    /// What the children have said.
    pub(crate) const fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    fn ended(&self, session: SessionId, report: &SessionReport) {
        self.log.log_lines(LogLevel::STATISTICS, || {
            let mut lines = statistics::end(session, report);
            // It is still counted itself.
            let others = self.server.get().map_or(0, |server| server.sessions().saturating_sub(1));
            lines.extend(self.finished.one_more(others, Instant::now()));
            lines
        });
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
        Session::new(self.policy(), environment)
            .with_reserve(kept)
            .with_statistics(self.log.logs(LogLevel::STATISTICS))
    }

    fn event(&self, session: SessionId, event: Event) {
        if let Some(launcher) = &self.launcher
            && let Event::ChildFailed { name, failure: Failure::Connect(Refusal::Failed(error)), .. } = &event
            && matches!(error.kind, IoKind::Refused | IoKind::NotFound)
        {
            launcher.ask_for(name);
        }
        if let Event::Message(report) = &event {
            self.outcomes.count(report);
        }
        match &event {
            Event::Ended(report) => self.ended(session, report),
            event => self.log.log_about(
                sentences::level(event),
                || sentences::about(session, event),
                || sentences::event(session, event),
            ),
        }
    }

    fn notice(&self, notice: Notice) {
        let (level, text) = sentences::notice(&notice);
        self.log.log(level, || text);
    }

    fn look_up(&self, question: Question, reply: Reply) {
        self.names.look_up(&question, reply, &self.log);
    }
}
