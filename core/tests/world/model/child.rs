//! One child in the model: what it must see, checked against its tape, and what its script answers.

use crate::plan::{
    Effect, End, Fallback, Frame, Kind, Macros, Said, Text, Verdict, no_reply_bit, no_send_bit,
};
use crate::queue::Message;
use crate::record::{Child, Setting, Tape};

/// A child's place in the session.
pub(super) struct Runner<'a> {
    pub(super) number: usize,
    pub(super) child: &'a Child,
    pub(super) tape: Tape<'a>,
    setting: &'a Setting,
    /// How many connections it had before this one.
    connection: usize,
    /// The number of the MTA's command in hand.
    pub(super) exchange: usize,
    /// It has failed, and this is answered instead; the message went on without it because of that.
    pub(super) failed: Option<Fallback>,
    pub(super) missed: bool,
    /// The sender of the message, and how many accepted recipients the child was shown.
    pub(super) sender: Text,
    pub(super) shown: usize,
    /// Out of the session, out of the message.
    pub(super) out: bool,
    pub(super) done: bool,
    /// What it asked for at end of message, to be applied.
    pub(super) edits: Vec<Frame>,
}

/// How far the content goes for a child.
pub(super) struct Reach {
    pub(super) headers: bool,
    /// The MTA has sent the end of headers.
    pub(super) headers_ended: bool,
    /// It may be shown body, end of message.
    pub(super) body: bool,
    pub(super) end: bool,
    /// It must have seen all of that, whatever the timing.
    pub(super) exact: bool,
}

impl<'a> Runner<'a> {
    pub(super) fn new(number: usize, child: &'a Child, setting: &'a Setting) -> Self {
        let (tape, sender, edits) = (Tape::new(&child.tape), Text::new(), Vec::new());
        let (exchange, connection, shown) = (0, 0, 0);
        let (failed, missed, out, done) = (None, false, false, true);
        let mut runner = Self {
            number,
            child,
            tape,
            setting,
            connection,
            exchange,
            failed,
            missed,
            sender,
            shown,
            out,
            done,
            edits,
        };
        runner.join();
        runner
    }

    /// A connection of its own.
    fn join(&mut self) {
        (self.failed, self.out) = (None, false);
        if let Some(fault) = self.child.plan.fault.filter(|_| {
            self.connection >= self.child.plan.fault_from && self.tape.lost(usize::MAX / 2).is_none()
        }) {
            self.fail(fault.kind());
        }
    }

    pub(super) fn next_connection(&mut self) {
        self.connection += 1;
        self.tape.next_connection(self.connection);
        self.join();
    }

    fn fail(&mut self, kind: Kind) {
        self.missed |= !self.done;
        self.failed = Some(match kind {
            Kind::Ours => Fallback::TemporaryFailure,
            kind => match self.child.plan.fallback(kind) {
                Fallback::Quarantine if self.setting.actions & 0x20 == 0 => Fallback::TemporaryFailure,
                fallback => fallback,
            },
        });
    }

    /// What is answered for it at a command, since it has failed.
    fn fallback(&self, letter: u8) -> Verdict {
        match self.failed.and_then(Fallback::frame) {
            Some(frame) if !self.child.plan.evaluation => match frame.0 {
                b'd' if b"CHU".contains(&letter) => Verdict::Go,
                _ => Verdict::Refuse(frame),
            },
            _ => Verdict::Accept,
        }
    }

    /// It has failed for a reason of timing, or is about to.
    pub(super) fn lost(&mut self, letter: u8, exact: bool) -> Result<Verdict, String> {
        match self.tape.lost_with(self.exchange) {
            Some(lost) => self.fail(lost.kind),
            None if exact => return Err("must have been given up".into()),
            None => return Ok(Verdict::Cut),
        }
        Ok(self.fallback(letter))
    }

    /// What is answered for it, when it was given up with the command in hand after it had passed that: the session may say
    /// so at once, or with the next command.
    pub(super) fn lost_since(&self) -> Option<Frame> {
        let lost = self
            .tape
            .lost_with(self.exchange)
            .filter(|_| self.failed.is_none() && !self.child.plan.evaluation)?;
        self.child.plan.fallback(lost.kind).frame()
    }

    /// Its failure changes nothing for the mail.
    pub(super) fn is_mild(&self) -> bool {
        self.child.plan.evaluation || self.failed == Some(Fallback::Accept)
    }

    fn has(&self, bits: u32) -> bool {
        self.child.joined.as_ref().is_some_and(|joined| joined.protocol & bits != 0)
    }

    pub(super) fn wants_rejected(&self) -> bool {
        self.has(0x800)
    }

    pub(super) fn leads(&self) -> bool {
        self.has(0x10_0000)
    }

    pub(super) fn wants(&self, letter: u8) -> bool {
        let since = [2, 3, 4][usize::from(letter == b'U') + 2 * usize::from(letter == b'T')];
        self.child.joined.as_ref().is_some_and(|joined| joined.version >= since)
            && !self.has(no_send_bit(letter))
    }

    /// Something is looked up before it is shown a command of this kind.
    pub(super) fn looks_up(&self, letter: u8) -> bool {
        let mut conditions = self.child.plan.conditions.iter();
        conditions.any(|it| it.letter == letter && matches!(it.effect, Effect::LookUp { .. }))
    }

    /// Shows the content to one child.
    pub(super) fn feed(&mut self, view: &Message, macros: &Macros, reach: &Reach) -> Result<Verdict, String> {
        self.edits.clear();
        let mut skips = false;
        for header in view.headers.iter().filter(|header| header.is_shown() && reach.headers) {
            let raw = &header.raw[..];
            let value = if self.leads() { raw } else { raw.strip_prefix(b" ").unwrap_or(raw) };
            let payload = [&header.name, &b"\0"[..], value, b"\0"].concat();
            match self.show(b'L', &payload, macros, reach.exact, skips)? {
                Verdict::Go => {}
                Verdict::Skip => skips = true,
                decided => return Ok(decided),
            }
        }
        if !reach.headers || !reach.headers_ended && !reach.end {
            return self.lost(b'E', false);
        }
        match self.ask(b'N', b"", macros, reach.exact)? {
            Verdict::Go | Verdict::Skip => {}
            decided => return Ok(decided),
        }
        if !reach.body {
            return self.lost(b'E', false);
        }
        let (whole, mut at) = (view.body.concat(), 0);
        let mut chunks = view.body.iter().map(Vec::len);
        while at < whole.len() {
            let rest = &whole[at..];
            // A body that a child has made may be cut anywhere.
            let size =
                if view.recut { self.tape.piece_of(rest) } else { chunks.next() }.unwrap_or(rest.len());
            at += size;
            match self.ask(b'B', &rest[..size], macros, reach.exact)? {
                Verdict::Go => {}
                Verdict::Skip => break,
                decided => return Ok(decided),
            }
        }
        if reach.end { self.ask(b'E', b"", macros, reach.exact) } else { self.lost(b'E', false) }
    }

    /// Shows one command to the child and reads its answer from its script.
    pub(super) fn ask(
        &mut self,
        letter: u8,
        payload: &[u8],
        macros: &Macros,
        exact: bool,
    ) -> Result<Verdict, String> {
        self.show(letter, payload, macros, exact, false)
    }

    /// The same; what the child `skips` only its conditions see.
    fn show(
        &mut self,
        letter: u8,
        payload: &[u8],
        macros: &Macros,
        exact: bool,
        skips: bool,
    ) -> Result<Verdict, String> {
        if self.failed.is_some() {
            return Ok(self.fallback(letter));
        }
        // In the content it may have been given up before or after its conditions had their say.
        let content = b"LNBE".contains(&letter);
        let lost = if content { self.tape.lost_with(self.exchange) } else { None };
        if lost.is_some_and(|lost| !lost.passed) {
            return self.lost(letter, exact);
        }
        let key = match letter {
            b'H' | b'M' | b'R' | b'L' => payload.split(|byte| *byte == 0).next().unwrap_or(b""),
            b'T' | b'N' | b'E' => &self.sender,
            _ => b"",
        };
        let plan = &self.child.plan;
        let own = match plan.condition(letter, key) {
            Some((_, Effect::Stop | Effect::LookUp { said: Said::Found, .. })) => {
                return Ok(Verdict::Stopped);
            }
            Some((_, Effect::LookUp { said: Said::Never, .. })) => return self.lost(letter, exact),
            Some((_, Effect::Macros(macros))) => &macros[..],
            _ => &[],
        };
        if skips || !self.wants(letter) {
            return Ok(Verdict::Go);
        }
        if lost.is_some() || self.tape.lost(self.exchange).is_some() {
            return self.lost(letter, exact);
        }
        let silent = self.has(no_reply_bit(letter));
        if self.tape.is_dead() && (silent || !exact) {
            // Nobody knows yet that it reads no more.
            return Ok(if silent { Verdict::Go } else { Verdict::Cut });
        }
        let macros = self.macros_for(macros, own, letter);
        let Some(place) = self.tape.take(letter, payload, &macros, exact)? else { return Ok(Verdict::Cut) };
        let act = plan.act(&place);
        let lost = self.tape.lost(self.exchange).filter(|lost| lost.owed && !silent);
        if letter == b'E' && act.is_past(&self.setting.bounds) {
            return self.lost(letter, exact);
        }
        if lost.is_some() {
            return self.lost(letter, exact);
        }
        let (frame, closes) = match &act.end {
            End::Final(_) | End::FinalThenClose(_) if silent => return Ok(Verdict::Go),
            End::Final(frame) => (frame, false),
            End::FinalThenClose(frame) => (frame, true),
            end => {
                self.fail(end.kind());
                return Ok(self.fallback(letter));
            }
        };
        let verdict = Verdict::of(frame);
        if letter == b'E' && !matches!(verdict, Verdict::Refuse(_)) {
            self.edits.clone_from(&act.edits);
        }
        if closes {
            self.done |= letter == b'E';
            self.fail(Kind::Closed);
        }
        Ok(if letter == b'U' && verdict == Verdict::Accept { Verdict::Go } else { verdict })
    }

    /// The macros that it must know for a command: all of the MTA's, or those that it listed; those that a condition set
    /// for it replace the MTA's.
    fn macros_for(&self, macros: &Macros, own: &[(Text, Text)], letter: u8) -> Vec<(Text, Text)> {
        let mut macros = macros.get(letter).to_vec();
        macros.retain(|(name, _)| own.iter().all(|(set, _)| set != name));
        macros.extend_from_slice(own);
        let mut lists = self.child.joined.iter().flat_map(|joined| &joined.lists);
        if let Some((_, names)) = lists.find(|(listed, names)| *listed == letter && !names.is_empty()) {
            macros.retain(|(name, _)| names.contains(name));
        }
        macros.sort();
        macros
    }
}
