//! The naive reference: the children one after another, in memory, as if each stood alone behind the MTA.
//!
//! It shares no code with core, not even wire types. Its input is what the MTA said and was told, and each child's script
//! and tape (what the child saw). The tape is checked against what the child must see.
//!
//! What only timing decides is asked for (`ways`): where the tape says that the session gave a child up, whether that was
//! before or after something else. Each way is tried until one fits; without such a note there is only one.

mod child;
mod content;
mod ways;

use crate::plan::{Effect, Frame, Macros, Verdict, plain};
use crate::queue::{Message, strings};
use crate::record::{Cause, Child, Exchange, Setting};
use child::{Runner, Standing};
use ways::Ways;

pub(crate) struct Model<'a> {
    children: &'a [Child],
    setting: &'a Setting,
    ways: &'a Ways,
    /// How many sessions the MTA has begun before.
    session: usize,
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
    pub(crate) fn check(children: &[Child], setting: &Setting, session: &[Exchange]) -> Result<(), String> {
        Ways::try_all(|ways| Model::new(children, setting, ways).run(session))
    }

    fn new(children: &'a [Child], setting: &'a Setting, ways: &'a Ways) -> Self {
        let (macros, message) = (Macros::default(), Message::default());
        let (open, content, headers_ended, flooded) = (false, false, false, false);
        let (session, runners, gone, over, sizes) = (0, Vec::new(), None, None, [0; 5]);
        let mut model = Self {
            children,
            setting,
            ways,
            session,
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
        model.join();
        model
    }

    fn join(&mut self) {
        let (setting, ways, session) = (self.setting, self.ways, self.session);
        let children = self.children.iter().enumerate();
        self.runners =
            children.map(|(number, child)| Runner::new(number, child, setting, ways, session)).collect();
    }

    fn run(mut self, session: &[Exchange]) -> Result<(), (usize, String)> {
        // Behind the last answer timing decides how much of what was sent came through.
        let certain = session.iter().rposition(|exchange| exchange.reply.is_some());
        for (number, exchange) in session.iter().enumerate() {
            let at =
                |what| (number, format!("MTA command {number} '{}': {what}", char::from(exchange.letter)));
            self.lose(2 * number, None).map_err(at)?;
            self.step(number, exchange, certain.is_some_and(|last| number <= last)).map_err(at)?;
        }
        let at_end = |what| (usize::MAX, format!("at the end: {what}"));
        self.lose(2 * session.len(), None).map_err(at_end)?;
        self.abort().map_err(at_end)?;
        self.part().map_err(at_end)
    }

    /// The children have seen nothing more.
    fn part(&self) -> Result<(), String> {
        self.runners.iter().try_for_each(|runner| runner.tape.end().map_err(of(runner.number)))
    }

    /// Whom the session gave up by now has failed. Those that have no part in the command in hand cost the MTA no time.
    fn lose(&mut self, moment: usize, apart: Option<&[bool]>) -> Result<(), String> {
        let content = self.open && self.content;
        for (i, runner) in self.runners.iter_mut().enumerate() {
            runner.moment = moment;
            // In the content that is found where it is shown.
            let shown = content && !runner.out && !runner.done;
            let Some(lost) = runner.lost().filter(|_| !shown) else { continue };
            if lost.until > moment && !self.ways.perhaps() {
                continue;
            }
            if lost.cause == Cause::Budget && apart.is_some_and(|apart| apart[i]) {
                return Err(format!("child {i} has no part in this, and is given up with it"));
            }
            runner.fail(lost).map_err(of(i))?;
        }
        self.settle();
        Ok(())
    }

    /// Who has failed in the message is out of it; when that refuses the message, those behind are, too.
    fn settle(&mut self) {
        for i in 0..self.runners.len() {
            let runner = &mut self.runners[i];
            if !self.open || runner.failed.is_none() || runner.done {
                continue;
            }
            (runner.done, runner.missed) = (true, true);
            if let Verdict::Refuse(frame) = runner.fallback(b'M') {
                runner.objection = Some(frame);
                self.runners[i + 1..].iter_mut().for_each(|behind| behind.done |= behind.failed.is_none());
            }
        }
        // That is certain when nobody before can object any more.
        let mut has_a_say =
            self.runners.iter().filter(|runner| runner.objection.is_some() || !runner.done && !runner.out);
        if let Some(first) = has_a_say.next().filter(|_| self.open && self.over.is_none()) {
            self.over.clone_from(&first.objection);
        }
    }

    fn step(&mut self, number: usize, exchange: &Exchange, exact: bool) -> Result<(), String> {
        let (letter, payload) = (exchange.letter, &exchange.payload);
        if letter == b'D' {
            match self.open && past(self.setting.bounds.macro_bytes, payload.len()) {
                true => self.limit_hit(),
                false => self.macros.set(payload),
            }
            return Ok(());
        }
        if b"AHKQCM".contains(&letter) {
            // The macros of MAIL are here already.
            let macros = self.macros.clone();
            self.abort()?;
            self.macros = if letter == b'M' { macros } else { std::mem::take(&mut self.macros) };
        }
        self.runners.iter_mut().for_each(|runner| runner.moment = 2 * number + 1);
        self.macros.came(letter);
        match letter {
            b'A' | b'Q' => return Ok(()),
            b'K' => {
                self.part()?;
                (self.gone, self.session) = (None, self.session + 1);
                self.join();
                return Ok(());
            }
            b'M' => self.begin(payload),
            b'L' => {
                let texts = strings(payload);
                let space = if self.setting.lead { "" } else { " " };
                self.message.receive(texts[0], [space.as_bytes(), texts[1]].concat());
            }
            b'N' => self.headers_ended = true,
            b'B' | b'E' if !payload.is_empty() => self.message.body.push(payload.clone()),
            _ => {}
        }
        self.content |= b"LNBE".contains(&letter);
        if exchange.suppressed {
            // One that was not there when the MTA was asked, and is not yet, fails for that once it is needed.
            let is_there = |runner: &Runner<'_>| runner.failed.is_none() && runner.due.is_none();
            return match self.runners.iter().find(|runner| is_there(runner) && runner.wants(letter)) {
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
        // With no children at all everything is answered with the policy's fallback.
        let alone = self.runners.is_empty().then(|| self.setting.fallback.frame()).flatten();
        let over = self.over.clone().filter(|_| b"RTE".contains(&letter));
        match (letter, self.gone.clone().or(over).or(alone)) {
            (b'L' | b'N' | b'B', _) | (b'C' | b'H' | b'U', Some((b'd', _))) => exchange.told(&plain(b'c')),
            (b'E', Some(verdict)) => {
                self.end();
                exchange.told(&verdict)
            }
            (_, Some(verdict)) => exchange.told(&verdict),
            (b'E', None) => self.end_of_message(number, exchange, exact),
            _ => self.command(number, exchange, exact),
        }
    }

    fn begin(&mut self, payload: &[u8]) {
        self.message = Message::of(strings(payload).join(&0), self.is_postfix());
        (self.open, self.content, self.headers_ended, self.flooded) = (true, false, false, false);
        self.sizes = [0, payload.len(), 0, 0, 0];
        for runner in &mut self.runners {
            (runner.done, runner.missed, runner.shown) = (false, runner.failed.is_some(), 0);
            (runner.standing, runner.objection) = (Standing::Running, None);
            runner.sender = strings(payload)[0].to_vec();
        }
    }

    /// CONNECT, HELO, MAIL, DATA, UNKNOWN: everybody sees it, the first in the chain decides. RCPT: the same, or in order up to
    /// the first refusal.
    fn command(&mut self, number: usize, exchange: &Exchange, exact: bool) -> Result<(), String> {
        let letter = exchange.letter;
        let error = (b"rcpt_mailer".to_vec(), b"error".to_vec());
        let rejected = letter == b'R' && self.setting.rejected && self.macros.get(b'R').contains(&error);
        let in_order = letter == b'R' && !self.setting.parallel;
        let (mut decided, mut spared, mut apart, mut shown) = (None, false, Vec::new(), Vec::new());
        for i in 0..self.runners.len() {
            if letter == b'T' && self.is_unconcerned(i) {
                (self.runners[i].done, self.runners[i].standing) = (true, Standing::Done);
            }
            self.look_at_others(i, letter);
            let runner = &mut self.runners[i];
            // Who was done with the message before it failed has no part in the rest of it. Who is not shown this may have
            // failed before its turn.
            let done = b"RT".contains(&letter) && runner.done && !runner.missed;
            let hidden = rejected && !runner.wants_rejected();
            let lost =
                runner.lost().filter(|lost| in_order && hidden && !done && lost.cause != Cause::Budget);
            if let Some(lost) = lost.filter(|_| self.ways.perhaps()) {
                runner.fail(lost).map_err(of(i))?;
            }
            apart.push(runner.out || done || runner.failed.is_none() && hidden);
            if apart[i] || in_order && decided.is_some() {
                continue;
            }
            // Once it is certain, the others may be spared, also those behind one that is given up after its answer.
            let exact = exact && decided.is_none() && !spared;
            let verdict =
                runner.show(letter, &exchange.payload, &self.macros, exact, false).map_err(of(i))?;
            let enforced = !runner.child.plan.evaluation;
            if verdict == Verdict::Cut && in_order && enforced {
                return Ok(());
            }
            if letter == b'R' && !matches!(verdict, Verdict::Cut | Verdict::Stopped) {
                shown.push(i);
            }
            if spared && decided.is_none() && self.ways.perhaps() {
                continue;
            }
            let ends = match &verdict {
                Verdict::Refuse((b'd', _)) => b"MTR".contains(&letter),
                Verdict::Refuse(_) => b"CHMT".contains(&letter),
                Verdict::Accept => b"CHMTR".contains(&letter),
                Verdict::Stopped => b"CHMT".contains(&letter),
                _ => false,
            };
            if ends && runner.failed.is_none() {
                runner.out |= b"CH".contains(&letter);
                runner.done |= b"MTR".contains(&letter);
                let refuses = matches!(verdict, Verdict::Refuse(_));
                runner.standing = if refuses { Standing::Refuses } else { Standing::Done };
            }
            spared |=
                enforced && (runner.lost().is_some() || self.open && runner.failed.is_some() && !runner.done);
            if let (b'R', Verdict::Refuse(frame @ (b'd', _))) = (letter, &verdict) {
                // Also where another child refuses this recipient.
                runner.objection = Some(frame.clone()).filter(|_| enforced);
            }
            match verdict {
                Verdict::Refuse((b'd', _)) if b"CHU".contains(&letter) => {}
                Verdict::Refuse(frame) if enforced => decided = decided.or(Some(frame)),
                _ => {}
            }
        }
        // Also those that another child refuses.
        shown.into_iter().for_each(|i| self.runners[i].shown += 1);
        self.lose(2 * number + 1, Some(&apart))?;
        // What a failure has decided about the message is the answer to the command in hand, if it came before that.
        let over =
            self.over.clone().filter(|over| b"MRT".contains(&letter) && decided.as_ref() != Some(over));
        let over = over.filter(|_| self.ways.perhaps());
        let Some(frame) = over.or(decided) else {
            if letter == b'R' && !rejected {
                self.message.recipients.push(strings(&exchange.payload).join(&0));
            }
            return exchange.told(&plain(if letter != b'U' && self.is_alone(letter) { b'a' } else { b'c' }));
        };
        match letter {
            b'C' | b'H' => {
                self.gone = Some(frame.clone());
                self.runners.iter_mut().for_each(|runner| runner.out = true);
            }
            b'M' | b'T' => self.refuse_message(&frame),
            b'R' if frame.0 == b'd' => self.refuse_message(&frame),
            _ => {}
        }
        exchange.told(&frame)
    }

    /// Nobody has a say any more.
    fn is_alone(&self, letter: u8) -> bool {
        let in_message = b"MRT".contains(&letter);
        self.setting.mark.is_none()
            && self.runners.iter().all(|runner| match runner.failed {
                Some(_) => runner.is_mild(),
                None => runner.out || in_message && runner.done,
            })
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
    pub(super) fn is_unconcerned(&self, i: usize) -> bool {
        let runner = &self.runners[i];
        runner.failed.is_none() && !runner.done && runner.shown == 0 && !self.message.recipients.is_empty()
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

    pub(super) fn end(&mut self) {
        (self.open, self.over) = (false, None);
        for runner in &mut self.runners {
            runner.done = true;
            runner.tape.settle();
        }
        self.macros.forget(b"MRTLNBEU");
    }

    pub(super) fn is_postfix(&self) -> bool {
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
        let alone = self.runners.is_empty() && self.setting.fallback.frame().is_some();
        match self.content {
            _ if self.gone.is_some() || self.over.is_some() || alone => {}
            true => self.flooded = true,
            false => self.refuse_message(&plain(b't')),
        }
    }
}

/// Names the child that is not as it must be.
fn of(i: usize) -> impl Fn(String) -> String {
    move |what| format!("child {i} {what}")
}

pub(super) fn past(bound: Option<u64>, size: usize) -> bool {
    bound.is_some_and(|bound| size as u64 > bound)
}
