//! One child in the model: what it must see, checked against its tape, and what its script answers.

use crate::plan::{
    Effect, End, Fallback, Frame, JoinFault, Joined, Kind, Macros, Said, Text, Verdict, no_reply_bit,
    no_send_bit,
};
use crate::queue::Message;
use crate::record::{Child, Setting, Tape};

/// How a child stands, as the conditions of those behind it read it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Standing {
    /// It has not had its last word, and may not have it yet.
    Running,
    Pending,
    Refuses,
    /// It has accepted, was stopped, or is gone.
    Done,
}

/// A command, its payload, its macros.
type Told = (u8, Text, Vec<(Text, Text)>);

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
    /// How it stands with the message, and how the one stands that its conditions read.
    pub(super) standing: Standing,
    pub(super) awaited: Standing,
    /// How its connection fails once it is needed.
    pub(super) trouble: Option<Kind>,
    /// What it has to be told again on another connection.
    told: Vec<Told>,
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
            standing: Standing::Running,
            awaited: Standing::Running,
            trouble: None,
            told: Vec::new(),
        };
        runner.join();
        runner
    }

    /// It joins the session, or fails: at once, or when it is needed.
    fn join(&mut self) {
        (self.failed, self.out, self.trouble) = (None, false, None);
        self.told.clear();
        let terms = &self.child.terms[self.connection];
        let plan = &self.child.plan;
        let fault = plan.fault.filter(|_| self.connection >= plan.fault_from).map(JoinFault::kind);
        let otherwise = terms.remembered && terms.joined.as_ref() != Some(&plan.joins(self.setting.offer));
        let unprovided = self.connection > 0 && !self.is_provided_for();
        let trouble = fault.or((otherwise || unprovided).then_some(Kind::Protocol));
        match trouble {
            _ if terms.remembered => self.trouble = trouble,
            Some(kind) if self.tape.lost(usize::MAX / 2).is_none() => self.fail(kind),
            _ => {}
        }
    }

    pub(super) fn joined(&self) -> Option<&Joined> {
        self.child.terms[self.connection].joined.as_ref()
    }

    /// The MTA, which was answered without it when it failed in the first session, sends what it wants, and takes what it
    /// may change.
    fn is_provided_for(&self) -> bool {
        let (actions, protocol) = self.setting.agreed;
        let plan = &self.child.plan;
        let watched = |letter| plan.conditions.iter().any(|condition| condition.letter == letter);
        let is_sent =
            |letter: &u8| protocol & no_send_bit(*letter) == 0 || !self.wants(*letter) && !watched(*letter);
        let asks = self.joined().map_or(0, |joined| joined.actions & 0xff);
        (plan.evaluation || asks & !actions == 0) && b"CHMRTLNBU".iter().all(is_sent)
    }

    pub(super) fn next_connection(&mut self) {
        // What it was told again, and asked nothing behind.
        let _ = self.again();
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
        self.joined().is_some_and(|joined| joined.protocol & bits != 0)
    }

    pub(super) fn wants_rejected(&self) -> bool {
        self.has(0x800)
    }

    pub(super) fn leads(&self) -> bool {
        self.has(0x10_0000)
    }

    pub(super) fn wants(&self, letter: u8) -> bool {
        let since = [2, 3, 4][usize::from(letter == b'U') + 2 * usize::from(letter == b'T')];
        self.joined().is_some_and(|joined| joined.version >= since) && !self.has(no_send_bit(letter))
    }

    /// Something is looked up before it is shown a command of this kind, or it may have to be connected.
    pub(super) fn may_be_late(&self, letter: u8) -> bool {
        let mut conditions = self.child.plan.conditions.iter();
        let looks_up = conditions.any(|it| it.letter == letter && matches!(it.effect, Effect::LookUp { .. }));
        looks_up || self.child.terms[self.connection].remembered || self.child.plan.pipelining
    }

    /// Shows the content to one child.
    pub(super) fn feed(&mut self, view: &Message, macros: &Macros, reach: &Reach) -> Result<Verdict, String> {
        self.edits.clear();
        let (mut skips, mut last_word) = (false, None);
        for header in view.headers.iter().filter(|header| header.is_shown() && reach.headers) {
            let raw = &header.raw[..];
            let value = if self.leads() { raw } else { raw.strip_prefix(b" ").unwrap_or(raw) };
            let payload = [&header.name, &b"\0"[..], value, b"\0"].concat();
            match self.show_more(b'L', &payload, macros, reach.exact, skips, &mut last_word)? {
                Verdict::Go => {}
                Verdict::Skip => skips = true,
                decided => return Ok(decided),
            }
        }
        if !reach.headers || !reach.headers_ended && !reach.end {
            return last_word.map_or_else(|| self.lost(b'E', false), Ok);
        }
        match self.show_more(b'N', b"", macros, reach.exact, false, &mut last_word)? {
            Verdict::Go | Verdict::Skip if last_word.is_none() => {}
            decided => return Ok(last_word.unwrap_or(decided)),
        }
        if !reach.body {
            return self.lost(b'E', false);
        }
        let (whole, mut at, mut skips) = (view.body.concat(), 0, false);
        let mut chunks = view.body.iter().map(Vec::len);
        while at < whole.len() {
            let rest = &whole[at..];
            // A body that a child has made may be cut anywhere.
            let size =
                if view.recut { self.tape.piece_of(rest) } else { chunks.next() }.unwrap_or(rest.len());
            at += size;
            match self.show_more(b'B', &rest[..size], macros, reach.exact, skips, &mut last_word)? {
                Verdict::Go => {}
                Verdict::Skip => skips = true,
                decided => return Ok(decided),
            }
        }
        if let Some(verdict) = last_word {
            return Ok(verdict);
        }
        if reach.end { self.ask(b'E', b"", macros, reach.exact) } else { self.lost(b'E', false) }
    }

    /// Shows one piece of content. What was on its way to a child that needs not be waited for it sees also behind its last
    /// word, and behind SKIP.
    fn show_more(
        &mut self,
        letter: u8,
        payload: &[u8],
        macros: &Macros,
        exact: bool,
        skips: bool,
        last_word: &mut Option<Verdict>,
    ) -> Result<Verdict, String> {
        let pipelining = self.child.plan.pipelining;
        if let Some(verdict) = last_word {
            let macros = self.macros_for(macros, self.own_macros(letter), letter);
            let is_behind = self.wants(letter) && self.tape.take(letter, payload, &macros, false)?.is_some();
            return Ok(if is_behind { Verdict::Go } else { verdict.clone() });
        }
        let skips = skips && !(pipelining && self.tape.is_next(letter));
        // Of the body not even its conditions see more.
        if skips && letter == b'B' {
            return Ok(Verdict::Go);
        }
        let verdict = self.show(letter, payload, macros, exact, skips)?;
        if pipelining && self.failed.is_none() && matches!(verdict, Verdict::Accept | Verdict::Refuse(_)) {
            *last_word = Some(verdict);
            return Ok(Verdict::Go);
        }
        Ok(verdict)
    }

    /// The macros that a condition sets for it at every command of this kind.
    fn own_macros(&self, letter: u8) -> &'a [(Text, Text)] {
        match self.child.plan.condition(letter, b"") {
            Some((_, Effect::Macros(macros))) => macros,
            _ => &[],
        }
    }

    /// On another connection in the same session it is told again what it must know.
    pub(super) fn again(&mut self) -> Result<bool, String> {
        let mut moved = false;
        while self.tape.again() {
            moved = true;
            for (letter, payload, macros) in self.told.clone() {
                if self.tape.take(letter, &payload, &macros, false)?.is_none() {
                    match self.tape.ends_here() {
                        true => break,
                        false => return Err(format!("must be told '{}' again", char::from(letter))),
                    }
                }
            }
        }
        Ok(moved)
    }

    /// It may have been given up on another connection before it was asked anything there.
    pub(super) fn find_lost(&mut self) {
        let here = self.tape.clone();
        if !(self.again().unwrap_or(false) && self.tape.lost_with(self.exchange).is_some()) {
            self.tape = here;
        }
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
        let child = self.child;
        let plan = &child.plan;
        let own = match plan.condition(letter, key) {
            Some((_, Effect::Stop | Effect::LookUp { said: Said::Found, .. })) => {
                return Ok(Verdict::Stopped);
            }
            Some((_, Effect::Await(_))) if self.awaited == Standing::Done => return Ok(Verdict::Stopped),
            Some((_, Effect::Await(_))) if self.awaited == Standing::Pending => {
                return self.lost(letter, exact);
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
        if let Some(kind) = self.trouble.take() {
            self.fail(kind);
            return Ok(self.fallback(letter));
        }
        let silent = self.has(no_reply_bit(letter));
        let macros = self.macros_for(macros, own, letter);
        if b"CH".contains(&letter) {
            self.told.retain(|(told, ..)| *told != letter);
        }
        let here = self.tape.clone();
        let moved = match self.again() {
            Err(_) if !exact => {
                self.tape = here.clone();
                false
            }
            moved => moved?,
        };
        if self.tape.lost(self.exchange).is_some() {
            return self.lost(letter, exact);
        }
        if here.is_dead() && (silent || !exact) && !moved {
            // Nobody knows yet that it reads no more.
            return Ok(if silent { Verdict::Go } else { Verdict::Cut });
        }
        // What it was sent in silence on a connection that was dead nobody sends again, but for the last HELO.
        let in_vain = silent && (moved && here.is_dead() || self.tape.retold && b"HU".contains(&letter));
        let Some(mut place) = self.tape.take(letter, payload, &macros, exact && !in_vain)? else {
            if in_vain {
                self.tape = here;
            }
            return Ok(if in_vain { Verdict::Go } else { Verdict::Cut });
        };
        // It was dead, and is asked again.
        let here = self.tape.clone();
        if b"CHMU".contains(&letter) && !silent && self.again()? {
            match self.tape.take(letter, payload, &macros, false)? {
                Some(again) => place = again,
                None if self.tape.lost(self.exchange).is_some() => return self.lost(letter, exact),
                None => self.tape = here,
            }
        }
        if b"CH".contains(&letter) {
            self.told.push((letter, payload.to_vec(), macros));
        }
        let retold = self.tape.retold.then(|| plan.told_again());
        let act = retold.as_ref().unwrap_or(plan).act(&place);
        // It owes the replies to the last that it saw.
        let mut later = self.tape.clone();
        let behind = later.pass_content(|letter| !self.has(no_reply_bit(letter)));
        let lost = later.lost(self.exchange);
        let lost = lost.filter(|lost| lost.owed > behind && !silent);
        if letter == b'E' && act.is_past(&self.setting.bounds) {
            return self.lost(letter, exact);
        }
        if lost.is_some() {
            self.tape = later;
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
        let mut lists = self.joined().into_iter().flat_map(|joined| &joined.lists);
        if let Some((_, names)) = lists.find(|(listed, names)| *listed == letter && !names.is_empty()) {
            macros.retain(|(name, _)| names.contains(name));
        }
        macros.sort();
        macros
    }
}
