//! Reloads that are asked for at the control socket, and what became of the last load.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvError, Sender, channel};
use std::sync::{Mutex, PoisonError};

use signal_hook::consts::SIGHUP;
use signal_hook::low_level::raise;

/// What a load came to: its problems, of which there are none when it holds.
pub(crate) type Outcome = Vec<String>;

/// Who waits for a reload. It is done where signals are obeyed, as if one had come.
#[derive(Debug, Default)]
pub(crate) struct Reloads(Mutex<Vec<Sender<Outcome>>>);

impl Reloads {
    /// Asks for one and waits for its outcome; an error means that the manager stops instead.
    pub(super) fn ask(&self) -> Result<Outcome, RecvError> {
        let (tell, told): (_, Receiver<Outcome>) = channel();
        self.waiting().push(tell);
        raise(SIGHUP).map_err(|_| RecvError)?;
        told.recv()
    }

    /// Those who have asked up to now. To be taken before the load begins, and told after it.
    #[must_use]
    pub(crate) fn take(&self) -> Vec<Sender<Outcome>> {
        std::mem::take(&mut self.waiting())
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Sender<Outcome>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the configuration was loaded from, and when.
#[derive(Debug)]
pub(crate) struct Loads(Mutex<History>);

#[derive(Debug, Clone)]
pub(super) struct History {
    /// The files of the configuration that holds, in the order in which they were read.
    pub(super) files: Vec<PathBuf>,
    pub(super) loaded_at: jiff::Timestamp,
    /// A load behind it that was refused, and why.
    pub(super) refused: Option<(jiff::Timestamp, Outcome)>,
}

impl Loads {
    /// The start has loaded `files`.
    pub(crate) fn new(files: Vec<PathBuf>) -> Self {
        Self(Mutex::new(History { files, loaded_at: jiff::Timestamp::now(), refused: None }))
    }

    /// Another load of `files` has come to `outcome`.
    pub(crate) fn note(&self, files: Vec<PathBuf>, outcome: &Outcome) {
        let now = jiff::Timestamp::now();
        let mut history = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if outcome.is_empty() {
            *history = History { files, loaded_at: now, refused: None };
        } else {
            history.refused = Some((now, outcome.clone()));
        }
    }

    pub(super) fn history(&self) -> History {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
