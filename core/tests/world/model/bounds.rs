//! The model's limits: past any of them a message is a temporary failure, whatever the children say.

use super::Model;
use super::runner::fallback_frame;

/// What is counted in a message against the limits.
#[derive(Default)]
pub(crate) struct Sizes {
    pub(crate) recipients: u64,
    pub(crate) envelope: usize,
    pub(crate) headers: u64,
    pub(crate) header_bytes: usize,
    pub(crate) body: usize,
}

impl Model<'_> {
    /// Counts what came; past a limit the message is a temporary failure, whatever the children say.
    pub(crate) fn count(&mut self, letter: u8, payload: &[u8]) {
        let (bounds, sizes) = (&self.setting.bounds, &mut self.sizes);
        if self.over.is_some() || self.flooded {
            return;
        }
        let hit = match letter {
            b'R' => {
                sizes.recipients += 1;
                sizes.envelope += payload.len();
                past(bounds.recipients, sizes.recipients as usize)
                    || past(bounds.envelope_bytes, sizes.envelope)
            }
            b'L' => {
                sizes.headers += 1;
                sizes.header_bytes += payload.len() - 2;
                past(bounds.headers, sizes.headers as usize) || past(bounds.header_bytes, sizes.header_bytes)
            }
            b'B' | b'E' => {
                sizes.body += payload.len();
                false
            }
            _ => false,
        };
        if hit {
            self.limit_hit();
        }
    }

    pub(crate) fn limit_hit(&mut self) {
        // The fallback of a child that has failed has decided already, when nobody before it can still object.
        let first = self.runners.iter().find(|runner| !runner.done || runner.failed.is_some());
        let failed = first.filter(|runner| !runner.child.plan.evaluation).and_then(|runner| runner.failed);
        let decided = failed.and_then(fallback_frame).is_some();
        if decided || self.gone.is_some() || self.over.is_some() || self.standing_fallback().is_some() {
            return;
        }
        let in_content =
            self.headers_ended || self.message.headers.len() > 1 || !self.message.body.is_empty();
        if in_content {
            self.flooded = true;
        } else {
            self.refuse_message(&(b't', Vec::new()));
        }
    }
}

pub(crate) fn past(bound: Option<u64>, size: usize) -> bool {
    bound.is_some_and(|bound| size as u64 > bound)
}
