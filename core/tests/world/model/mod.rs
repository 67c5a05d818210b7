//! The naive reference: the children one after another, in memory, as if each stood alone behind the MTA.
//!
//! It shares no code with core, not even wire types. It reads the record: what the MTA said and was told, what each child saw
//! and answered, and between which commands the session gave a child up, for which the world has seen the reason.
//!
//! What only timing decides is asked for (`ways`): where a child was given up, whether that was before or after something
//! else. Each way is tried until one fits; without such a note there is only one.

mod child;
mod content;

use crate::plan::{Effect, Fallback, Frame, Macros, Verdict, plain};
use crate::queue::{Message, strings};
use crate::record::{Child, Exchange, Setting};
use crate::ways::Ways;
use child::{Part, Runner, Turn};

pub(crate) struct Model<'a> {
    children: &'a [Child],
    setting: &'a Setting,
    ways: &'a Ways,
    exchanges: &'a [Exchange],
    /// The command in hand, and the MAIL of the message in hand.
    at: usize,
    mail: Option<usize>,
    /// How many sessions the MTA has begun.
    session: usize,
    runners: Vec<Runner<'a>>,
    macros: Macros,
    message: Message,
    /// The verdict on the whole connection, on the whole message.
    gone: Option<Frame>,
    over: Option<Frame>,
}

impl<'a> Model<'a> {
    /// Compares all that happened with what should have been; the error says what differs first.
    pub(crate) fn check(children: &[Child], setting: &Setting, exchanges: &[Exchange]) -> Result<(), String> {
        Ways::try_all(|ways| {
            let (runners, macros, message) = (Vec::new(), Macros::default(), Message::default());
            let (at, mail, session, gone, over) = (0, None, 0, None, None);
            let mut model = Model {
                children,
                setting,
                ways,
                exchanges,
                at,
                mail,
                session,
                runners,
                macros,
                message,
                gone,
                over,
            };
            model.run().map_err(|what| (model.at, format!("at the MTA's command {}: {what}", model.at)))
        })
    }

    fn run(&mut self) -> Result<(), String> {
        self.join()?;
        for number in 0..self.exchanges.len() {
            self.lose(2 * number, &[])?;
            self.at = number;
            self.step(&self.exchanges[number])?;
        }
        self.lose(2 * self.exchanges.len(), &[])?;
        self.abort()?;
        self.part()
    }

    /// The MTA begins a session.
    fn join(&mut self) -> Result<(), String> {
        self.part()?;
        let children = self.children.iter().enumerate();
        let join = |(number, child)| Runner::new(number, child, self.session, self.setting, self.ways);
        self.runners = children.map(join).collect();
        // With no children at all everything is answered with the policy's fallback.
        self.gone = self.runners.is_empty().then(|| self.setting.fallback.frame()).flatten();
        self.session += 1;
        Ok(())
    }

    /// The children have seen nothing more.
    fn part(&self) -> Result<(), String> {
        self.runners.iter().try_for_each(|runner| runner.tape.end().map_err(of(runner.number)))
    }

    /// Whom the session gave up by now has failed. Those that have no part in the command in hand cost the MTA no time.
    fn lose(&mut self, moment: usize, apart: &[bool]) -> Result<(), String> {
        let content = self.is_content();
        for (i, runner) in self.runners.iter_mut().enumerate() {
            runner.moment = moment;
            // In the content that is found where it is shown.
            let shown = content && runner.part == Part::In;
            let Some(lost) = runner.lost().filter(|_| !shown) else { continue };
            if runner.fails(lost.until <= moment) && lost.budget && apart.get(i) == Some(&true) {
                return Err(format!("child {i} has no part in this, and is given up with it"));
            }
        }
        // When that refuses the message, those behind are out of it; certain it is when nobody before can object any more.
        if self.mail.is_some() {
            let refuses = |runner: &Runner<'_>| runner.part == Part::Missed && runner.objection().is_some();
            if let Some(first) = self.runners.iter().position(refuses) {
                self.runners[first..].iter_mut().for_each(Runner::leave);
            }
            let mut has_a_say =
                self.runners.iter().filter(|it| it.part == Part::In || it.objection().is_some());
            self.over = self.over.take().or_else(|| has_a_say.next()?.objection());
        }
        Ok(())
    }

    fn step(&mut self, exchange: &Exchange) -> Result<(), String> {
        let (letter, payload) = (exchange.letter, &exchange.payload);
        if letter == b'D' {
            if self.mail.is_some() && past(self.setting.bounds.macro_bytes, payload.len()) {
                return self.limit_hit();
            }
            self.macros.set(payload);
            return Ok(());
        }
        if b"AHKQCM".contains(&letter) {
            self.abort()?;
        }
        self.runners.iter_mut().for_each(|runner| runner.moment = 2 * self.at + 1);
        self.macros.came(letter);
        match letter {
            b'A' | b'Q' => return Ok(()),
            b'K' => return self.join(),
            b'M' => {
                (self.mail, self.over) = (Some(self.at), None);
                self.message = Message::of(strings(payload).join(&0), self.is_postfix());
                self.runners.iter_mut().for_each(Runner::begin);
            }
            b'L' => {
                let texts = strings(payload);
                let space = if self.setting.lead { "" } else { " " };
                self.message.receive(texts[0], [space.as_bytes(), texts[1]].concat());
            }
            b'N' => self.message.headers_ended = true,
            b'B' | b'E' if !payload.is_empty() => self.message.body.push(payload.clone()),
            _ => {}
        }
        if exchange.suppressed {
            if letter == b'L' && self.setting.mark.is_some() {
                return Err("the session asked for no headers, and cannot remove the mark".into());
            }
            // Whom the MTA was not asked for in its first session fails once it is needed.
            let is_wanted = |it: &&Runner<'_>| it.failed.is_none() && it.wants(letter) && self.session == 1;
            return match self.runners.iter().find(is_wanted) {
                Some(it) => Err(format!("the MTA was asked not to send it; child {} wants it", it.number)),
                None => Ok(()),
            };
        }
        if self.mail.is_some() && self.is_past_a_limit() {
            self.limit_hit()?;
        }
        let over = self.over.clone().filter(|_| b"RTE".contains(&letter));
        match (letter, self.gone.clone().or(over)) {
            (b'L' | b'N' | b'B', _) | (b'C' | b'H' | b'U', Some((b'd', _))) => exchange.told(&plain(b'c')),
            (b'E', None) => self.end_of_message(exchange),
            (_, None) => self.command(exchange),
            (_, Some(verdict)) => {
                if letter == b'E' {
                    self.end();
                }
                exchange.told(&verdict)
            }
        }
    }

    /// CONNECT, HELO, MAIL, DATA, UNKNOWN: everybody sees it, the first in the chain decides. RCPT: the same, or in order up to
    /// the first refusal.
    fn command(&mut self, exchange: &Exchange) -> Result<(), String> {
        let letter = exchange.letter;
        let error = (b"rcpt_mailer".to_vec(), b"error".to_vec());
        let rejected = letter == b'R' && self.setting.rejected && self.macros.get(b'R').contains(&error);
        let in_order = letter == b'R' && !self.setting.parallel;
        let (mut decided, mut spared, mut apart) = (None, false, Vec::new());
        for i in 0..self.runners.len() {
            if letter == b'T' {
                self.dismiss(i);
            }
            // Once it is certain, the others may be spared, also those behind one that is given up after its answer.
            let exact = self.is_certain() && decided.is_none() && !spared;
            let turn = Turn {
                exact,
                read: self.reads(i, letter),
                macros: &self.macros,
                sender: &self.message.sender,
            };
            let runner = &mut self.runners[i];
            let enforced = !runner.child.plan.evaluation;
            let left =
                if b"CHU".contains(&letter) { runner.out } else { matches!(runner.part, Part::Left(_)) };
            let hidden = rejected && runner.failed.is_none() && !runner.wants_rejected();
            apart.push(left || hidden);
            if apart[i] || in_order && decided.is_some() {
                spared |= hidden && runner.may_refuse();
                continue;
            }
            let verdict = runner.show(letter, &exchange.payload, &turn, false).map_err(of(i))?;
            if verdict == Verdict::Cut && in_order && enforced {
                return Ok(());
            }
            // Also one that another child refuses.
            let seen = letter == b'R' && !matches!(verdict, Verdict::Cut | Verdict::Stopped);
            runner.recipients += usize::from(seen);
            if spared && decided.is_none() && verdict != Verdict::Go && self.ways.perhaps() {
                continue;
            }
            spared |= runner.may_refuse();
            runner.draw(letter, &verdict);
            match verdict {
                Verdict::Refuse((b'd', _)) if b"CHU".contains(&letter) => {}
                Verdict::Refuse(frame) if enforced => decided = decided.or(Some(frame)),
                _ => {}
            }
        }
        self.lose(2 * self.at + 1, &apart)?;
        // What a failure has decided about the message is the answer to the command in hand, if it came before that.
        let over =
            self.over.clone().filter(|over| b"MRT".contains(&letter) && decided.as_ref() != Some(over));
        let Some(frame) = over.filter(|_| self.ways.perhaps()).or(decided) else {
            if letter == b'R' && !rejected {
                self.message.recipients.push(strings(&exchange.payload).join(&0));
            }
            return exchange.told(&plain(if self.is_alone(letter) { b'a' } else { b'c' }));
        };
        match letter {
            b'C' | b'H' => self.gone = Some(frame.clone()),
            b'M' | b'T' => self.refuse_message(&frame),
            b'R' if frame.0 == b'd' => self.refuse_message(&frame),
            _ => {}
        }
        self.runners.iter_mut().for_each(|runner| runner.out |= self.gone.is_some());
        exchange.told(&frame)
    }

    /// Behind the last answer timing decides how much of what was sent came through.
    fn is_certain(&self) -> bool {
        self.exchanges[self.at..].iter().any(|exchange| exchange.reply.is_some())
    }

    /// Nobody has a say any more.
    fn is_alone(&self, letter: u8) -> bool {
        let in_message = b"MRT".contains(&letter);
        let is_silent = |runner: &Runner<'_>| match runner.failed {
            Some(fallback) => runner.child.plan.evaluation || fallback == Fallback::Accept,
            None => runner.out || in_message && runner.part != Part::In,
        };
        letter != b'U' && self.setting.mark.is_none() && self.runners.iter().all(is_silent)
    }

    /// What a condition of a child that reads another's verdict makes of that: at commands after that command, in the content
    /// after all of it.
    fn reads(&self, i: usize, letter: u8) -> Option<Verdict> {
        let read = self.runners[i].child.plan.conditions.iter().find_map(|it| match it.effect {
            Effect::Await(other) => Some(&self.runners[other]),
            _ => None,
        })?;
        let in_message = self.mail.is_some() && !b"CH".contains(&letter);
        match &read.part {
            Part::In if letter == b'E' => Some(Verdict::Cut),
            Part::Left(refusal) if in_message => refusal.is_none().then_some(Verdict::Stopped),
            Part::Missed if in_message && read.failed.is_some_and(|it| it.frame().is_some()) => None,
            _ => (read.out || read.failed.is_some()).then_some(Verdict::Stopped),
        }
    }

    /// A child that was shown no recipient of a message that has some has nothing to do with the message.
    fn dismiss(&mut self, i: usize) {
        if self.runners[i].recipients == 0 && !self.message.recipients.is_empty() {
            self.runners[i].leave();
        }
    }

    fn refuse_message(&mut self, frame: &Frame) {
        self.over = Some(frame.clone());
        self.runners.iter_mut().for_each(Runner::leave);
    }

    /// The message ends without end of message.
    fn abort(&mut self) -> Result<(), String> {
        if self.mail.is_some() {
            self.run_content(false, false)?;
        }
        self.end();
        Ok(())
    }

    fn end(&mut self) {
        (self.mail, self.over) = (None, None);
        self.runners.iter_mut().for_each(|runner| runner.tape.settle());
        // The macros of the next MAIL are here already.
        let mail = self.exchanges.get(self.at).is_some_and(|exchange| exchange.letter == b'M');
        self.macros.forget(if mail { b"" } else { b"MRTLNBEU" });
    }

    fn is_postfix(&self) -> bool {
        self.macros.get(b'C').iter().any(|(name, value)| name == b"v" && value.starts_with(b"Postfix"))
    }

    /// What has come of the message in hand.
    fn came(&self, letters: &[u8]) -> impl Iterator<Item = &'a Exchange> {
        let message = self.mail.map_or(&[][..], |mail| &self.exchanges[mail..=self.at]);
        message.iter().filter(move |exchange| letters.contains(&exchange.letter))
    }

    fn is_content(&self) -> bool {
        self.came(b"LNBE").next().is_some()
    }

    fn is_past_a_limit(&self) -> bool {
        let sent = |letters| self.came(letters).filter(|exchange| !exchange.suppressed);
        let bytes = |letters| sent(letters).map(|exchange| exchange.payload.len()).sum();
        let (bounds, headers) = (&self.setting.bounds, sent(b"L").count());
        past(bounds.recipients, sent(b"R").count())
            || past(bounds.envelope_bytes, bytes(b"MR")) && sent(b"R").count() > 0
            || past(bounds.headers, headers)
            || past(bounds.header_bytes, bytes(b"L") - 2 * headers)
    }

    /// A message past a limit is a temporary failure, whatever the children say, unless one has said it before.
    fn limit_hit(&mut self) -> Result<(), String> {
        if self.gone.is_none() && self.over.is_none() {
            let content = self.is_content();
            let said = if content { self.run_content(false, false)?.0 } else { None };
            let said = said.filter(|_| self.ways.perhaps());
            self.refuse_message(&said.unwrap_or(plain(b't')));
        }
        Ok(())
    }
}

/// Names the child that is not as it must be.
fn of(i: usize) -> impl Fn(String) -> String {
    move |what| format!("child {i} {what}")
}

fn past(bound: Option<u64>, size: usize) -> bool {
    bound.is_some_and(|bound| size as u64 > bound)
}
