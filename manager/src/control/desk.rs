//! What the control socket knows and can do.

use std::sync::Arc;
use std::time::Instant;

use millstream_runtime::Handle;

use super::reload::{Loads, Reloads};
use super::server::unknown;
use super::wire::Frame;
use super::{Command, Form, children, sessions, status};
use crate::current::Current;
use crate::service::ManagerService;

/// Everything about a running manager that can be asked for.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) server: Handle,
    pub(crate) service: Arc<ManagerService>,
    pub(crate) current: Arc<Current>,
    pub(crate) reloads: Arc<Reloads>,
    pub(crate) loads: Arc<Loads>,
    /// Where MTAs connect.
    pub(crate) place: String,
    /// The name of the runtime.
    pub(crate) backend: &'static str,
    pub(crate) began: Instant,
}

impl Desk {
    /// The answer to a request.
    pub(super) fn answer(&self, request: &Frame) -> Frame {
        let Some(command) = Command::named(&request.word) else { return unknown(&request.word) };
        let form = if request.data == b"json" { Form::Json } else { Form::Text };
        let text = match command {
            Command::Reload => return self.reload(form),
            Command::Config => self.current.configuration().show(),
            Command::Status => status::tell(self, form),
            Command::Children => children::tell(self, form),
            Command::Sessions => sessions::tell(self, form),
        };
        Frame::new(command.reply(), text)
    }

    /// Returns when the configuration holds, or is refused.
    fn reload(&self, form: Form) -> Frame {
        let Ok(problems) = self.reloads.ask() else {
            return Frame::new("error", "not reloaded: milter-manager stops");
        };
        let done = problems.is_empty();
        let word = if done { Command::Reload.reply() } else { "failure" };
        let text = match form {
            Form::Json => serde_json::json!({ "reloaded": done, "problems": problems }).to_string(),
            Form::Text if done => "reloaded; running sessions keep the old configuration".to_owned(),
            Form::Text => {
                let count = crate::count(problems.len(), "problem");
                format!("not reloaded, the old configuration stays: {count}\n{}", problems.join("\n"))
            }
        };
        Frame::new(word, text)
    }
}
