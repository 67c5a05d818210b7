//! One child in the model: what it must see, checked against what it saw, and what it says.

use crate::plan::{Effect, Fallback, Frame, Joined, Kind, Macros, Said, Text, Verdict};
use crate::queue::Message;
use crate::record::{Child, Lost, Setting, Tape};
use crate::ways::Ways;

/// A child's part in the message in hand.
#[derive(Clone, PartialEq)]
pub(super) enum Part {
    In,
    /// It has had its last word, or was left out: what it has against the message.
    Left(Option<Frame>),
    /// It failed, so that its fallback speaks for it.
    Missed,
}

/// What surrounds what a child is shown.
pub(super) struct Turn<'m> {
    /// It must be shown that; else timing decides.
    pub(super) exact: bool,
    /// What its condition makes of another child's verdict.
    pub(super) read: Option<Verdict>,
    pub(super) macros: &'m Macros,
    pub(super) sender: &'m [u8],
}

/// A child's place in the session.
pub(super) struct Runner<'a> {
    pub(super) number: usize,
    pub(super) child: &'a Child,
    joined: Option<&'a Joined>,
    pub(super) tape: Tape<'a>,
    setting: &'a Setting,
    ways: &'a Ways,
    /// Now, as [`Lost`] counts.
    pub(super) moment: usize,
    /// It has failed, and this is answered instead.
    pub(super) failed: Option<Fallback>,
    /// It has no part in the session any more.
    pub(super) out: bool,
    pub(super) part: Part,
    /// How many recipients of the message it was shown.
    pub(super) recipients: usize,
    /// What it asked for at end of message.
    pub(super) edits: Vec<Frame>,
}

impl<'a> Runner<'a> {
    /// A child joins session number `session`.
    pub(super) fn new(
        number: usize,
        child: &'a Child,
        session: usize,
        setting: &'a Setting,
        ways: &'a Ways,
    ) -> Self {
        let (joined, tape) = (child.stays[session].joined.as_ref(), Tape::new(&child.stays[session].tape));
        let (moment, failed, out, part) = (0, None, false, Part::Left(None));
        let (recipients, edits) = (0, Vec::new());
        Self { number, child, joined, tape, setting, ways, moment, failed, out, part, recipients, edits }
    }

    /// A message begins.
    pub(super) fn begin(&mut self) {
        self.recipients = 0;
        self.part = match self.failed {
            Some(_) => Part::Missed,
            None if self.out => Part::Left(None),
            None => Part::In,
        };
    }

    /// It is out of the message, if it was in it.
    pub(super) fn leave(&mut self) {
        if self.part == Part::In {
            self.part = Part::Left(None);
        }
    }

    /// What follows from its own verdict for its part.
    pub(super) fn draw(&mut self, letter: u8, verdict: &Verdict) {
        match verdict {
            _ if self.failed.is_some() || letter == b'U' => {}
            Verdict::Go | Verdict::Skip | Verdict::Cut => {}
            Verdict::Refuse((b'd', _)) if b"CH".contains(&letter) => {}
            _ if b"CH".contains(&letter) => self.out = true,
            Verdict::Refuse(frame) if letter != b'R' || frame.0 == b'd' => {
                self.part = Part::Left(Some(frame.clone()))
            }
            Verdict::Refuse(_) => {}
            Verdict::Stopped if letter == b'R' => {}
            Verdict::Stopped | Verdict::Accept => self.part = Part::Left(None),
        }
    }

    /// What it has against the message.
    pub(super) fn objection(&self) -> Option<Frame> {
        match &self.part {
            _ if self.child.plan.evaluation => None,
            Part::In => None,
            Part::Left(refusal) => refusal.clone(),
            Part::Missed => self.failed.and_then(Fallback::frame),
        }
    }

    /// That the session gave it up may come next.
    pub(super) fn lost(&self) -> Option<Lost> {
        self.tape.lost().filter(|lost| self.failed.is_none() && lost.from <= self.moment)
    }

    /// Whether the session gives it up here, which is certain or a matter of timing.
    pub(super) fn fails(&mut self, certain: bool) -> bool {
        let Some(lost) = self.lost().filter(|_| certain || self.ways.perhaps()) else { return false };
        self.failed = Some(self.fallback_for(lost.kind));
        if self.part == Part::In {
            self.part = Part::Missed;
        }
        true
    }

    fn fallback_for(&self, kind: Kind) -> Fallback {
        match kind {
            Kind::Ours => Fallback::TemporaryFailure,
            kind => match self.child.plan.fallback(kind) {
                Fallback::Quarantine if self.setting.actions & 0x20 == 0 => Fallback::TemporaryFailure,
                fallback => fallback,
            },
        }
    }

    /// It has failed, or may have, and refuses everything for that.
    pub(super) fn may_refuse(&self) -> bool {
        let fallback = self.failed.or_else(|| Some(self.fallback_for(self.lost()?.kind)));
        !self.child.plan.evaluation && fallback.and_then(Fallback::frame).is_some()
    }

    /// What is answered for it at a command, since it has failed.
    fn fallback(&self, letter: u8) -> Verdict {
        match self.failed.and_then(Fallback::frame) {
            Some((b'd', _)) if b"CHU".contains(&letter) => Verdict::Go,
            Some(frame) if !self.child.plan.evaluation => Verdict::Refuse(frame),
            _ => Verdict::Accept,
        }
    }

    /// It has no answer: it was given up, or (nothing is `wrong` with that) nobody waited for it.
    fn silence(&mut self, letter: u8, wrong: Option<String>) -> Result<Verdict, String> {
        match self.fails(wrong.is_some()) {
            true => Ok(self.fallback(letter)),
            false => wrong.map_or(Ok(Verdict::Cut), Err),
        }
    }

    pub(super) fn wants(&self, letter: u8) -> bool {
        self.joined.is_some_and(|joined| joined.wants(letter))
    }

    pub(super) fn wants_rejected(&self) -> bool {
        self.joined.is_some_and(Joined::wants_rejected)
    }

    pub(super) fn leads(&self) -> bool {
        self.joined.is_some_and(Joined::leads)
    }

    pub(super) fn actions(&self) -> u32 {
        self.joined.map_or(0, |joined| joined.actions)
    }

    /// Shows it the content, and its end if it `ends`.
    pub(super) fn feed(&mut self, view: &Message, ends: bool, turn: &Turn<'_>) -> Result<Verdict, String> {
        let mut pieces = view.pieces(self.leads());
        pieces.extend(ends.then(|| (b'E', Text::new())));
        let (pipelining, mut skipped, mut last_word) = (self.child.plan.pipelining, Vec::new(), None);
        while let Some((letter, mut payload)) = pieces.pop_front() {
            // A body that a child has made may be cut anywhere.
            let cut = if letter == b'B' && view.recut { self.tape.piece_of(&payload) } else { None };
            if let Some(size) = cut.filter(|size| *size < payload.len()) {
                pieces.push_front((letter, payload.split_off(size)));
            }
            // What was on its way it sees all the same, behind its last word and behind SKIP.
            if last_word.is_some() {
                self.tape.pass_over(letter, &payload);
                continue;
            }
            let skips = skipped.contains(&letter) && !(pipelining && self.tape.is_next(letter));
            // Of headers its conditions see more, of the body not even they.
            if letter == b'B' && (skips || payload.is_empty()) {
                continue;
            }
            match self.show(letter, &payload, turn, skips)? {
                Verdict::Go if letter != b'E' => {}
                Verdict::Skip if letter != b'E' => skipped.push(letter),
                verdict if pipelining && verdict != Verdict::Cut => last_word = Some(verdict),
                verdict => return Ok(verdict),
            }
        }
        last_word.map_or_else(|| self.silence(b'E', None), Ok)
    }

    /// Shows it one command and says its answer; what it `skips` only its conditions see.
    pub(super) fn show(
        &mut self,
        letter: u8,
        payload: &[u8],
        turn: &Turn<'_>,
        skips: bool,
    ) -> Result<Verdict, String> {
        if self.failed.is_some() {
            return Ok(self.fallback(letter));
        }
        let key = match letter {
            b'H' | b'M' | b'R' | b'L' => payload,
            b'T' | b'N' | b'E' => turn.sender,
            _ => b"",
        };
        let key = key.split(|byte| *byte == 0).next().unwrap_or(b"");
        let effect = self.child.plan.condition(letter, key).map(|(_, effect)| effect);
        let unseen = match effect {
            Some(Effect::Stop | Effect::LookUp { said: Said::Found, .. }) => Some(Verdict::Stopped),
            Some(Effect::LookUp { said: Said::Never, .. }) => Some(Verdict::Cut),
            Some(Effect::Await(_)) if turn.read.is_some() => turn.read.clone(),
            _ => (skips || !self.wants(letter)).then_some(Verdict::Go),
        };
        let late = || turn.exact.then(|| "must have been given up".to_owned());
        // It may have been given up before its conditions had their say, or with a command that it is not shown.
        if let Some(unseen) = unseen {
            let verdict = self.silence(letter, late().filter(|_| unseen == Verdict::Cut))?;
            return Ok(if verdict == Verdict::Cut { unseen } else { verdict });
        }
        let silent = self.joined.is_some_and(|joined| !joined.answers(letter));
        let own = if let Some(Effect::Macros(macros)) = effect { &macros[..] } else { &[] };
        let here = self.tape.clone();
        let answer = match self.tape.take(letter, payload, &self.macros_for(turn.macros, letter, own)) {
            Ok(answer) => answer,
            // What it was sent in silence it needs not have read; nobody sends it again, but for the last HELO.
            Err(_) if silent && self.tape.is_dead() => {
                let verdict = self.silence(letter, None)?;
                return Ok(if verdict == Verdict::Cut { Verdict::Go } else { verdict });
            }
            Err(what) => return self.silence(letter, Some(what).filter(|_| turn.exact)),
        };
        // Who is told of no envelope may have seen that of another message.
        let blind = b"TLNBE".contains(&letter) && !self.wants(b'M') && !self.wants(b'R');
        if !turn.exact && blind && !self.ways.perhaps() {
            self.tape = here;
            return Ok(Verdict::Cut);
        }
        if silent {
            return Ok(Verdict::Go);
        }
        let Some(answer) = answer else {
            let behind = self.tape.behind_content();
            if behind.lost().is_some_and(|lost| lost.from <= self.moment) {
                self.tape = behind;
            } else if b"LNB".contains(&letter) {
                return Ok(Verdict::Go);
            }
            return self.silence(letter, late());
        };
        self.edits.clone_from(&answer.edits);
        Ok(Verdict::of(&answer.reply))
    }

    /// The macros that it must know for a command: the MTA's, or those of them that it listed; those that a condition set for
    /// it replace them.
    fn macros_for(&self, macros: &Macros, letter: u8, own: &[(Text, Text)]) -> Vec<(Text, Text)> {
        let mut macros = macros.get(letter).to_vec();
        macros.retain(|(name, _)| own.iter().all(|(set, _)| set != name));
        macros.extend_from_slice(own);
        macros.retain(|(name, _)| self.joined.is_none_or(|joined| joined.takes_macro(letter, name)));
        macros.sort();
        macros
    }
}
