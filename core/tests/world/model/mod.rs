//! The naive reference: the children one after another, in memory, as if each stood alone behind the MTA.
//!
//! It shares no code with core, not even wire types. It reads the record: what the MTA said and was told, what each child saw
//! and answered, and between which commands the session gave a child up, for which the world has seen the reason.
//!
//! What only timing decides is asked for (`ways`): where a child was given up, whether that was before or after something
//! else. Each way is tried until one fits; without such a note there is only one.

mod child;
mod content;

use crate::plan::{Fallback, Frame, Verdict, plain};
use crate::queue::{Message, strings};
use crate::record::{Exchange, Record};
use crate::ways::Ways;
use child::{Part, Runner};

pub(crate) struct Model<'a> {
    record: &'a Record,
    ways: &'a Ways,
    /// The command in hand, the MAIL of the message in hand, and how many sessions the MTA has begun.
    at: usize,
    mail: Option<usize>,
    session: usize,
    runners: Vec<Runner<'a>>,
    message: Message,
    /// The verdict on the whole connection, on the whole message.
    gone: Option<Frame>,
    over: Option<Frame>,
}

impl<'a> Model<'a> {
    /// Compares all that happened with what should have been; the error says what differs first.
    pub(crate) fn check(record: &Record) -> Result<(), String> {
        Ways::try_all(|ways| {
            let (at, mail, session, gone, over) = (0, None, 0, None, None);
            let (runners, message) = (Vec::new(), Message::default());
            let mut model = Model { record, ways, at, mail, session, runners, message, gone, over };
            model.run().map_err(|what| (model.at, format!("at the MTA's command {}: {what}", model.at)))
        })
    }

    fn run(&mut self) -> Result<(), String> {
        self.join()?;
        for (number, exchange) in self.record.exchanges.iter().enumerate() {
            self.lose(2 * number);
            self.at = number;
            self.step(exchange)?;
        }
        self.lose(2 * self.record.exchanges.len());
        self.abort()?;
        self.part()
    }

    /// The MTA begins a session.
    fn join(&mut self) -> Result<(), String> {
        self.part()?;
        let (record, ways, session) = (self.record, self.ways, self.session);
        self.runners = (0..record.children.len()).map(|i| Runner::new(i, session, record, ways)).collect();
        // With no children at all everything is answered with the policy's fallback.
        self.gone = self.runners.is_empty().then(|| record.setting.fallback.frame()).flatten();
        self.session += 1;
        Ok(())
    }

    /// The children have seen nothing more.
    fn part(&self) -> Result<(), String> {
        self.runners.iter().enumerate().try_for_each(|(i, runner)| runner.tape.end().map_err(of(i)))
    }

    fn step(&mut self, exchange: &Exchange) -> Result<(), String> {
        let (letter, payload) = (exchange.letter, &exchange.payload);
        if b"AHKQCM".contains(&letter) {
            self.abort()?;
        }
        self.runners.iter_mut().for_each(|runner| runner.moment = 2 * self.at + 1);
        match letter {
            b'A' | b'Q' | b'D' => return Ok(()),
            b'K' => return self.join(),
            b'M' => {
                self.message = Message::of(payload, exchange.postfix);
                self.mail = Some(self.at);
                self.runners.iter_mut().for_each(Runner::begin);
            }
            _ => self.message.receive(letter, payload, self.record.setting.lead),
        }
        // Past a limit it is a temporary failure, whatever the children say, unless one has said it before.
        if exchange.past_limit && letter != b'E' && self.gone.is_none() && self.over.is_none() {
            let said = if self.message.content { self.run_content(false, false)?.0 } else { None };
            self.refuse_message(&said.filter(|_| self.ways.perhaps()).unwrap_or(plain(b't')));
        }
        let over = self.over.clone().filter(|_| b"RTE".contains(&letter));
        match (letter, self.gone.clone().or(over)) {
            _ if exchange.suppressed => Ok(()),
            (b'L' | b'N' | b'B', _) | (b'C' | b'H' | b'U', Some((b'd', _))) => exchange.told(&plain(b'c')),
            (b'E', verdict) => self.end_of_message(exchange, verdict),
            (_, None) => self.command(exchange),
            (_, Some(verdict)) => exchange.told(&verdict),
        }
    }

    /// CONNECT, HELO, MAIL, DATA, UNKNOWN: everybody sees it, the first in the chain decides. RCPT: the same, or in order up to
    /// the first refusal.
    fn command(&mut self, exchange: &Exchange) -> Result<(), String> {
        let (letter, rejected) = (exchange.letter, exchange.is_rejected());
        let in_order = letter == b'R' && !self.record.setting.parallel;
        let mut decided = None;
        for i in 0..self.runners.len() {
            // Once it is certain, the others may be spared, also those behind one that is given up after its answer.
            let spared = self.runners[..i].iter().any(|it| !it.has_left(letter) && it.may_refuse());
            self.prepare(i, letter, exchange.certain && decided.is_none() && !spared);
            let runner = &mut self.runners[i];
            let mut hidden = rejected && runner.failed.is_none() && !runner.joined.wants_rejected();
            // Before its turn its failure is its answer all the same.
            hidden &= !in_order || runner.has_left(letter) || !runner.fails(false);
            if hidden || runner.has_left(letter) || in_order && decided.is_some() {
                continue;
            }
            let verdict = runner.show(letter, &exchange.payload, false).map_err(of(i))?;
            if verdict == Verdict::Cut && in_order && !runner.plan.evaluation {
                break;
            }
            if spared && decided.is_none() && verdict != Verdict::Go && self.ways.perhaps() {
                continue;
            }
            decided = decided.or(runner.draw(letter, verdict));
        }
        self.lose(2 * self.at + 1);
        // What a failure has decided about the message is the answer to the command in hand, if it came before that.
        let over =
            self.over.clone().filter(|over| b"MRT".contains(&letter) && decided.as_ref() != Some(over));
        let Some(frame) = over.filter(|_| self.ways.perhaps()).or(decided) else {
            if letter == b'R' && !rejected {
                self.message.recipients.push(strings(&exchange.payload).join(&0));
            }
            return exchange.told(&plain(if self.is_alone(letter) { b'a' } else { b'c' }));
        };
        if b"CH".contains(&letter) {
            self.gone = Some(frame.clone());
        } else if b"MT".contains(&letter) || frame.0 == b'd' {
            self.refuse_message(&frame);
        }
        exchange.told(&frame)
    }

    /// It is a child's turn. One that was shown no recipient of a message that has some has nothing to do with the message. A
    /// condition that reads another's verdict, at commands after that command, in the content after all of it, stops the child
    /// when that delivers.
    fn prepare(&mut self, i: usize, letter: u8, exact: bool) {
        let in_message = self.mail.is_some() && !b"CH".contains(&letter);
        let is_gone = |it: &Runner<'_>| it.failed.is_some() || it.lost().is_some() && self.ways.perhaps();
        let read = self.runners[i].plan.reads().map(|other| &self.runners[other]);
        let read = read.and_then(|read| match &read.part {
            Part::In if letter == b'E' => Some(Verdict::Cut),
            Part::Left(refusal) if in_message => refusal.is_none().then_some(Verdict::Stopped),
            Part::Missed if in_message && read.failed.is_some_and(|it| it.frame().is_some()) => None,
            _ => (read.out || is_gone(read)).then_some(Verdict::Stopped),
        });
        let runner = &mut self.runners[i];
        (runner.exact, runner.read) = (exact, read);
        runner.said = &self.record.exchanges[self.mail.unwrap_or(self.at)..=self.at];
        if b"TE".contains(&letter) && runner.recipients == 0 && !self.message.recipients.is_empty() {
            runner.leave();
        }
    }

    /// Whom the session gave up by now has failed.
    fn lose(&mut self, moment: usize) {
        for runner in &mut self.runners {
            runner.moment = moment;
            // In the content that is found where it is shown.
            if !self.message.content || runner.part != Part::In {
                runner.fails(runner.lost().is_some_and(|lost| lost.until <= moment));
            }
        }
        // When that refuses the message, those behind are out of it; certain it is when nobody before can object any more.
        let refuses = |it: &Runner<'_>| it.part == Part::Missed && it.objection().is_some();
        self.runners.iter_mut().skip_while(|it| !refuses(it)).for_each(Runner::leave);
        let mut has_a_say = self.runners.iter().filter(|it| it.part == Part::In || it.objection().is_some());
        self.over = self.over.take().or_else(|| has_a_say.next()?.objection());
    }

    /// Nobody has a say any more.
    fn is_alone(&self, letter: u8) -> bool {
        let is_mild = |it: &Runner<'_>| it.plan.evaluation || it.failed == Some(Fallback::Accept);
        let is_silent = |it: &Runner<'_>| if it.failed.is_some() { is_mild(it) } else { it.has_left(letter) };
        letter != b'U' && self.record.setting.mark.is_none() && self.runners.iter().all(is_silent)
    }

    fn refuse_message(&mut self, frame: &Frame) {
        self.over = Some(frame.clone());
        self.runners.iter_mut().for_each(Runner::leave);
    }

    /// The message ends without end of message.
    fn abort(&mut self) -> Result<(), String> {
        let content = self.mail.map_or(Ok(()), |_| self.run_content(false, false).map(drop));
        self.end();
        content
    }

    fn end(&mut self) {
        (self.mail, self.over) = (None, None);
        self.runners.iter_mut().for_each(Runner::end);
    }
}

/// Names the child that is not as it must be.
fn of(i: usize) -> impl Fn(String) -> String {
    move |what| format!("child {i} {what}")
}
