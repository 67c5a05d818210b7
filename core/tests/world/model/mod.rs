//! The naive reference: the children one after another, in memory, as if each stood alone behind the MTA.
//!
//! It shares no code with core, not even wire types. Its input is what the MTA said and was told, and each child's script
//! and tape (what the child saw). The tape is checked against what the child must see. It decides only what timing
//! decides: how far a child got with a message that ended without it (aborted, or refused by a child before it).
//!
//! All that decides on an outcome is in this folder, about 990 lines. Not counted: `plan` (plain types, shared with the scripts),
//! `record` (how a tape is read) and `queue` (what an MTA does with edits). A third of it is the run itself; the rest is the
//! price of an input that has timing in it: children that were given up at a moment that only the session knows, what was on
//! its way to them, other connections in the same session.

mod child;
mod content;

use crate::plan::{Effect, Frame, Macros, Verdict, plain};
use crate::queue::{Message, strings};
use crate::record::{Child, Exchange, Setting};
use child::{Runner, Standing};

pub(crate) struct Model<'a> {
    setting: &'a Setting,
    runners: Vec<Runner<'a>>,
    macros: Macros,
    message: Message,
    /// A message has begun; so has its content; the end of its headers came.
    open: bool,
    content: bool,
    headers_ended: bool,
    /// The verdict on the whole connection, on the whole message.
    gone: Option<Frame>,
    over: Option<Frame>,
    /// Past a limit in the content: how far the children came is a matter of timing.
    flooded: bool,
    /// Recipients, bytes of envelope, headers, bytes of headers, bytes of body.
    sizes: [usize; 5],
}

impl<'a> Model<'a> {
    /// Compares a whole session with what it should have been; the error says what differs first.
    pub(crate) fn check(
        children: &'a [Child],
        setting: &'a Setting,
        session: &[Exchange],
    ) -> Result<(), (usize, String)> {
        let runners = children.iter().enumerate().map(|(number, child)| Runner::new(number, child, setting));
        let (runners, macros, message) = (runners.collect(), Macros::default(), Message::default());
        let (open, content, headers_ended, flooded) = (false, false, false, false);
        let (gone, over, sizes) = (None, None, [0; 5]);
        let mut model = Self {
            setting,
            runners,
            macros,
            message,
            open,
            content,
            headers_ended,
            gone,
            over,
            flooded,
            sizes,
        };
        // Behind the last answer timing decides how much of what was sent came through.
        let certain = session.iter().rposition(|exchange| exchange.reply.is_some());
        for (number, exchange) in session.iter().enumerate() {
            let at =
                |what| (number, format!("MTA command {number} '{}': {what}", char::from(exchange.letter)));
            for runner in &mut model.runners {
                runner.exchange = number;
            }
            model.give_up_lost(exchange.letter, true).map_err(at)?;
            model.step(number, exchange, certain.is_some_and(|last| number <= last)).map_err(at)?;
        }
        model.runners.iter_mut().for_each(|runner| runner.exchange = session.len());
        let at_end = |what| (usize::MAX, format!("at the end: {what}"));
        model.abort().map_err(at_end)?;
        model.runners.iter_mut().try_for_each(|runner| runner.again().map(drop)).map_err(at_end)?;
        let end =
            |it: &Runner<'_>| it.tape.end().map_err(|what| at_end(format!("child {} {what}", it.number)));
        model.runners.iter().try_for_each(end)
    }

    /// Whom the session gave up by now has failed. One that has no part in what is asked costs the MTA no time.
    fn give_up_lost(&mut self, letter: u8, before: bool) -> Result<(), String> {
        // In the content that is found where it is shown.
        let content = self.open && (self.content || b"LNBE".contains(&letter));
        let waits =
            |runner: &&mut Runner<'_>| runner.failed.is_none() && !(content && !runner.out && !runner.done);
        for runner in self.runners.iter_mut().filter(waits) {
            runner.find_lost();
            let lost = if before {
                runner.tape.lost(runner.exchange)
            } else {
                runner.tape.lost_with(runner.exchange)
            };
            let Some(lost) = lost else { continue };
            if before && lost.budget && (runner.out || runner.done && b"RT".contains(&letter)) {
                return Err(format!("child {} has no part in this, and is given up with it", runner.number));
            }
            runner.lost(letter, false)?;
        }
        Ok(())
    }

    fn step(&mut self, number: usize, exchange: &Exchange, exact: bool) -> Result<(), String> {
        let (letter, payload) = (exchange.letter, &exchange.payload);
        match letter {
            b'D' if self.open && past(self.setting.bounds.macro_bytes, payload.len()) => {
                self.limit_hit();
                return Ok(());
            }
            b'D' => {
                self.macros.set(payload);
                return Ok(());
            }
            b'M' => {
                // Its macros are here already.
                let macros = self.macros.clone();
                self.abort()?;
                self.macros = macros;
            }
            b'A' | b'H' | b'K' | b'Q' | b'C' => self.abort()?,
            _ => {}
        }
        self.macros.came(letter);
        match letter {
            b'A' | b'Q' => return Ok(()),
            b'K' => {
                self.gone = None;
                self.runners.iter_mut().for_each(Runner::next_connection);
                return Ok(());
            }
            b'M' => {
                self.message = Message::of(strings(payload).join(&0), self.is_postfix());
                (self.open, self.content, self.headers_ended, self.flooded) = (true, false, false, false);
                self.sizes = [0, payload.len(), 0, 0, 0];
                for runner in &mut self.runners {
                    (runner.done, runner.missed, runner.shown) = (false, runner.failed.is_some(), 0);
                    runner.standing = Standing::Running;
                    runner.sender = strings(payload)[0].to_vec();
                }
            }
            b'L' => {
                let texts = strings(payload);
                let space = if self.setting.lead { "" } else { " " };
                self.message.receive(texts[0], [space.as_bytes(), texts[1]].concat());
            }
            b'N' => self.headers_ended = true,
            b'B' | b'E' if !payload.is_empty() => self.message.body.push(payload.clone()),
            _ => {}
        }
        self.content |= b"LNB".contains(&letter);
        if exchange.suppressed {
            // One that was not there when the MTA was asked, and is not yet, fails for that once it is needed.
            let is_there = |runner: &Runner<'_>| runner.failed.is_none() && runner.trouble.is_none();
            let wanted = |runner: &&Runner<'_>| is_there(runner) && runner.wants(letter);
            return match self.runners.iter().find(wanted) {
                _ if letter == b'L' && self.setting.mark.is_some() => {
                    Err("the session asked for no headers, and cannot remove the mark".into())
                }
                Some(runner) => {
                    Err(format!("the MTA was asked not to send it; child {} wants it", runner.number))
                }
                None => Ok(()),
            };
        }
        self.count(letter, payload.len());
        let over = self.over.clone().filter(|_| b"RTLNBE".contains(&letter));
        // With no children at all everything is answered with the policy's fallback.
        let alone = || self.runners.is_empty().then(|| self.setting.fallback.frame()).flatten();
        let fixed = self.gone.clone().or(over).or_else(alone);
        if b"LNB".contains(&letter) {
            return exchange.told(&plain(b'c'), fixed.as_ref());
        }
        if let Some(verdict) = fixed {
            if letter == b'E' {
                self.end();
            }
            let lenient =
                b"CHU".contains(&letter) && verdict.0 == b'd' || b"EU".contains(&letter) && verdict.0 == b'a';
            return exchange.told(&verdict, lenient.then(|| plain(b'c')).as_ref());
        }
        match letter {
            b'R' => self.rcpt(exchange, exact),
            b'E' => self.end_of_message(number, exchange, exact),
            _ => self.joint(exchange, exact),
        }
    }

    /// CONNECT, HELO, MAIL, DATA, UNKNOWN: everybody sees it, the first in the chain decides.
    fn joint(&mut self, exchange: &Exchange, exact: bool) -> Result<(), String> {
        let letter = exchange.letter;
        let (mut decided, mut doomed) = (None, None);
        for i in 0..self.runners.len() {
            let runner = &self.runners[i];
            if runner.out || letter == b'T' && runner.done && runner.failed.is_none() {
                continue;
            }
            if letter == b'T' && self.is_unconcerned(i) {
                (self.runners[i].done, self.runners[i].standing) = (true, Standing::Done);
                continue;
            }
            let before = self.runners[i].tape.clone();
            // Once it is certain, the others may be spared, also those behind one that fails after its answer.
            let exact = exact && decided.is_none() && doomed.is_none();
            self.look_at_others(i, letter);
            let runner = &mut self.runners[i];
            let verdict = runner.ask(letter, &exchange.payload, &self.macros, exact).map_err(of(i))?;
            doomed = doomed.or(runner.lost_since());
            if decided.is_some() && letter == b'T' && verdict == Verdict::Go && !runner.tape.ends_here() {
                runner.tape = before;
            }
            let refuses = matches!(verdict, Verdict::Refuse(_));
            let leaves = match verdict {
                Verdict::Refuse(frame) if b"CHU".contains(&letter) && frame.0 == b'd' => false,
                Verdict::Refuse(frame) if !runner.child.plan.evaluation => {
                    decided = decided.or(Some(frame));
                    false
                }
                Verdict::Refuse(_) | Verdict::Accept | Verdict::Stopped => true,
                _ => false,
            };
            runner.out |= leaves && b"CH".contains(&letter);
            runner.done |= leaves && b"MT".contains(&letter);
            if (leaves || refuses) && b"MT".contains(&letter) && runner.failed.is_none() {
                runner.standing = if refuses { Standing::Refuses } else { Standing::Done };
            }
        }
        let Some(frame) = either(decided, doomed, exchange) else { return self.told_joint(exchange) };
        match letter {
            b'C' | b'H' => {
                self.gone = Some(frame.clone());
                self.runners.iter_mut().for_each(|runner| runner.out = true);
            }
            b'M' | b'T' => self.refuse_message(&frame),
            _ => {}
        }
        exchange.told(&frame, None)
    }

    /// In order up to the first refusal, or all at once.
    fn rcpt(&mut self, exchange: &Exchange, exact: bool) -> Result<(), String> {
        let error = (b"rcpt_mailer".to_vec(), b"error".to_vec());
        let rejected = self.setting.rejected && self.macros.get(b'R').contains(&error);
        let (mut objection, mut doomed, mut spared, mut cut, mut shown) =
            (None, None, false, false, Vec::new());
        for i in 0..self.runners.len() {
            self.look_at_others(i, b'R');
            let runner = &mut self.runners[i];
            let hidden = rejected && !runner.wants_rejected();
            if runner.out || runner.failed.is_none() && (runner.done || hidden) {
                continue;
            }
            // Where one before has failed and refuses the message, the others may be spared; with any objection those
            // for whom something is looked up first, or who are connected first.
            let exact = exact && !spared && (objection.is_none() || !runner.may_be_late(b'R'));
            shown.push(i);
            let verdict = runner.ask(b'R', &exchange.payload, &self.macros, exact).map_err(of(i))?;
            doomed = doomed.or(runner.lost_since());
            spared |= doomed.is_some();
            match verdict {
                Verdict::Refuse(frame) if !runner.child.plan.evaluation => {
                    runner.done |= frame.0 == b'd';
                    spared |= runner.failed.is_some();
                    objection = objection.or(Some(frame));
                    if !self.setting.parallel {
                        break;
                    }
                }
                Verdict::Stopped => drop(shown.pop()),
                Verdict::Refuse((b'd', _)) | Verdict::Accept => {
                    runner.done = true;
                    if runner.failed.is_none() {
                        let accepts = verdict == Verdict::Accept;
                        runner.standing = if accepts { Standing::Done } else { Standing::Refuses };
                    }
                }
                Verdict::Cut if !self.setting.parallel && !runner.child.plan.evaluation => return Ok(()),
                Verdict::Cut => cut = true,
                _ => {}
            }
        }
        let objection = either(objection, doomed, exchange);
        if cut && objection.is_none() {
            return Ok(());
        }
        // Also those that another child refuses.
        shown.into_iter().for_each(|i| self.runners[i].shown += 1);
        if let Some(frame) = objection {
            if frame.0 == b'd' {
                self.refuse_message(&frame);
            }
            return exchange.told(&frame, None);
        }
        if !rejected {
            self.message.recipients.push(strings(&exchange.payload).join(&0));
        }
        self.told_joint(exchange)
    }

    /// Nobody objected: accept when nobody is left, else continue.
    fn told_joint(&mut self, exchange: &Exchange) -> Result<(), String> {
        self.give_up_lost(exchange.letter, false)?;
        let in_message = b"MRT".contains(&exchange.letter);
        let gone = |runner: &Runner<'_>| match runner.failed {
            Some(_) => runner.is_mild(),
            None => runner.out || in_message && runner.done,
        };
        let nobody = self.setting.mark.is_none() && self.runners.iter().all(gone);
        let go = (nobody && exchange.letter == b'U').then(|| plain(b'c'));
        exchange.told(&plain(if nobody { b'a' } else { b'c' }), go.as_ref())
    }

    /// What the conditions of a child read of another: at commands after that command, in the content after all of it.
    pub(super) fn look_at_others(&mut self, i: usize, letter: u8) {
        let mut conditions = self.runners[i].child.plan.conditions.iter();
        let reads = conditions.find_map(|it| match it.effect {
            Effect::Await(other) => Some(other),
            _ => None,
        });
        let Some(other) = reads.map(|other| &self.runners[other]) else { return };
        let in_message = self.open && !b"CH".contains(&letter);
        self.runners[i].awaited = match other.failed {
            _ if in_message && other.standing != Standing::Running => other.standing,
            Some(fallback) if in_message && fallback.frame().is_some() => Standing::Refuses,
            None if !other.out => Standing::Running,
            _ => Standing::Done,
        };
    }

    /// A child that was shown no recipient of a message that has some has nothing to do with the message.
    fn is_unconcerned(&self, i: usize) -> bool {
        let runner = &self.runners[i];
        runner.failed.is_none() && runner.shown == 0 && !self.message.recipients.is_empty()
    }

    fn refuse_message(&mut self, frame: &Frame) {
        self.over = Some(frame.clone());
        self.runners.iter_mut().for_each(|runner| runner.done = true);
    }

    /// The message ends without end of message.
    fn abort(&mut self) -> Result<(), String> {
        if self.open {
            self.run_content(false, false)?;
        }
        self.end();
        Ok(())
    }

    fn end(&mut self) {
        (self.open, self.over) = (false, None);
        for runner in &mut self.runners {
            runner.done = true;
            runner.tape.settle();
        }
        self.macros.forget(b"MRTLNBEU");
    }

    fn is_postfix(&self) -> bool {
        self.macros.get(b'C').iter().any(|(name, value)| name == b"v" && value.starts_with(b"Postfix"))
    }

    /// Counts what came; past a limit the message is a temporary failure, whatever the children say.
    fn count(&mut self, letter: u8, size: usize) {
        let more = match letter {
            b'R' => [1, size, 0, 0, 0],
            b'L' => [0, 0, 1, size - 2, 0],
            b'B' | b'E' => [0, 0, 0, 0, size],
            _ => return,
        };
        if self.over.is_some() || self.flooded {
            return;
        }
        let bounds = &self.setting.bounds;
        let most = [bounds.recipients, bounds.envelope_bytes, bounds.headers, bounds.header_bytes, None];
        let mut hit = false;
        for ((size, more), most) in self.sizes.iter_mut().zip(more).zip(most) {
            *size += more;
            hit |= more > 0 && past(most, *size);
        }
        if hit {
            self.limit_hit();
        }
    }

    fn limit_hit(&mut self) {
        // The fallback of a child that has failed has decided already, when nobody before it can still object.
        let first = self.runners.iter().find(|runner| match runner.failed {
            Some(fallback) => fallback.frame().is_some() && !runner.child.plan.evaluation,
            None => !runner.done,
        });
        let failed = first.is_some_and(|runner| runner.failed.is_some());
        let alone = self.runners.is_empty() && self.setting.fallback.frame().is_some();
        if failed || self.gone.is_some() || self.over.is_some() || alone {
            return;
        }
        match self.content {
            true => self.flooded = true,
            false => self.refuse_message(&plain(b't')),
        }
    }
}

/// Where one was given up after it had passed a command: nobody objects, or its fallback does, or who did before that.
fn either(decided: Option<Frame>, doomed: Option<Frame>, exchange: &Exchange) -> Option<Frame> {
    let told = exchange.reply.as_ref().and_then(|frames| frames.last()).map_or(0, |frame| frame.0);
    match doomed {
        Some(_) if b"ca".contains(&told) => None,
        Some(fallback) if decided.is_none() && fallback.0 == told => Some(fallback),
        Some(fallback) if exchange.told(&fallback, None).is_ok() => Some(fallback),
        _ => decided,
    }
}

/// Names the child that is not as it must be.
fn of(i: usize) -> impl Fn(String) -> String {
    move |what| format!("child {i} {what}")
}

fn past(bound: Option<u64>, size: usize) -> bool {
    bound.is_some_and(|bound| size as u64 > bound)
}
