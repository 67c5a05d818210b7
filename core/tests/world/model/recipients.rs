//! Recipients in the model: in order up to the first refusal, or all children at once.

use super::runner::Verdict;
use super::{Model, tell};
use crate::queue::strings;
use crate::record::Exchange;

impl Model<'_> {
    pub(crate) fn rcpt(&mut self, exchange: &Exchange, exact: bool) -> Result<(), String> {
        let error = (b"rcpt_mailer".to_vec(), b"error".to_vec());
        let rejected =
            self.setting.rejected && self.macros.get(&b'R').is_some_and(|macros| macros.contains(&error));
        let (mut objection, mut spared, mut cut, mut shown) = (None, false, false, Vec::new());
        for i in 0..self.runners.len() {
            let runner = &self.runners[i];
            if runner.out || (runner.done && runner.failed.is_none()) {
                continue;
            }
            // Where one before has failed and refuses the message, the others may be spared; with any objection those
            // for whom something is looked up first.
            let waits = objection.is_some() && self.runners[i].looks_up(b'R');
            let exact = exact && !spared && !waits;
            let joined = self.runners[i].child.joined.as_ref();
            let asked = joined.is_some_and(|joined| joined.protocol & 0x800 != 0);
            if rejected && self.runners[i].failed.is_none() && !asked {
                continue;
            }
            shown.push(i);
            match self.runners[i].ask(b'R', &exchange.payload, &self.macros, exact)? {
                Verdict::Refuse(frame) if !self.runners[i].child.plan.evaluation => {
                    self.runners[i].done |= frame.0 == b'd';
                    spared |= self.runners[i].failed.is_some();
                    objection = objection.or(Some(frame));
                    if !self.setting.parallel {
                        break;
                    }
                }
                Verdict::Stopped => drop(shown.pop()),
                Verdict::Refuse((b'd', _)) | Verdict::Accept => self.runners[i].done = true,
                Verdict::Cut if !self.setting.parallel => return Ok(()),
                Verdict::Cut => cut = true,
                _ => {}
            }
        }
        if cut && objection.is_none() {
            return Ok(());
        }
        // Also those that another child refuses.
        shown.into_iter().for_each(|i| self.runners[i].shown += 1);
        if let Some(frame) = objection {
            if frame.0 == b'd' {
                self.refuse_message(&frame);
            }
            return tell(exchange, &[frame], None);
        }
        if !rejected {
            self.message.recipients.push(strings(&exchange.payload).join(&0));
        }
        self.tell_joint(exchange)
    }

    /// A child that was shown no recipient of a message that has some has nothing to do with the message.
    pub(crate) fn is_unconcerned(&self, i: usize) -> bool {
        let runner = &self.runners[i];
        runner.failed.is_none() && runner.shown == 0 && !self.message.recipients.is_empty()
    }
}
