//! One child in the model: what it must see, checked against what it saw, and what it says.

use crate::plan::{Effect, Ends, Fallback, Frame, Joined, Plan, Said, Text, Verdict};
use crate::queue::Message;
use crate::record::{Exchange, Lost, Record, Tape};
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

/// A child's place in the session.
pub(super) struct Runner<'a> {
    pub(super) plan: &'a Plan,
    pub(super) joined: Joined,
    pub(super) tape: Tape<'a>,
    ways: &'a Ways,
    /// Now, as [`Lost`] counts.
    pub(super) moment: usize,
    /// It has failed, and this is answered instead; it has no part in the session any more.
    pub(super) failed: Option<Fallback>,
    pub(super) out: bool,
    pub(super) part: Part,
    /// How many recipients of the message it was shown; what it asked for at the end.
    pub(super) recipients: usize,
    pub(super) edits: Vec<Frame>,
    /// Its turn: it must be shown what comes, else timing decides; what its condition makes of another child's verdict; what the
    /// MTA has said, from the MAIL of the message on.
    pub(super) exact: bool,
    pub(super) read: Option<Verdict>,
    pub(super) said: &'a [Exchange],
}

impl<'a> Runner<'a> {
    /// Child number `number` joins session number `session`.
    pub(super) fn new(number: usize, session: usize, record: &'a Record, ways: &'a Ways) -> Self {
        let (plan, stay) = (&*record.children[number].plan, &record.children[number].stays[session]);
        let (joined, tape) = (stay.joined.clone().unwrap_or_default(), Tape::new(&stay.tape));
        let (moment, failed, out, part, recipients) = (0, None, false, Part::Left(None), 0);
        let (edits, exact, read, said) = (Vec::new(), false, None, &record.exchanges[..]);
        Self { plan, joined, tape, ways, moment, failed, out, part, recipients, edits, exact, read, said }
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

    /// A message ends.
    pub(super) fn end(&mut self) {
        self.part = Part::Left(None);
        self.tape.settle();
    }

    /// It is out of the message, if it was in it.
    pub(super) fn leave(&mut self) {
        if self.part == Part::In {
            self.part = Part::Left(None);
        }
    }

    /// Whether it has no part any more in what commands of this kind are about.
    pub(super) fn has_left(&self, letter: u8) -> bool {
        if b"CHU".contains(&letter) { self.out } else { matches!(self.part, Part::Left(_)) }
    }

    /// What follows from its verdict for its part, and for the command in hand: a refusal.
    pub(super) fn draw(&mut self, letter: u8, verdict: Verdict) -> Option<Frame> {
        self.recipients += usize::from(letter == b'R' && !matches!(verdict, Verdict::Cut | Verdict::Stopped));
        match verdict.ends(letter).filter(|_| self.failed.is_none()) {
            Some(Ends::Session) => self.out = true,
            Some(Ends::Message) => self.part = Part::Left(verdict.clone().refusal()),
            None => {}
        }
        // Where there is no message, nothing is thrown away.
        let counts = |frame: &Frame| !self.plan.evaluation && (frame.0 != b'd' || !b"CHU".contains(&letter));
        verdict.refusal().filter(counts)
    }

    /// What it has against the message.
    pub(super) fn objection(&self) -> Option<Frame> {
        match &self.part {
            Part::Left(refusal) if !self.plan.evaluation => refusal.clone(),
            Part::Missed => self.says_failed(self.failed),
            _ => None,
        }
    }

    fn says_failed(&self, fallback: Option<Fallback>) -> Option<Frame> {
        fallback.and_then(Fallback::frame).filter(|_| !self.plan.evaluation)
    }

    /// It has failed, or may have, and refuses everything for that.
    pub(super) fn may_refuse(&self) -> bool {
        self.says_failed(self.failed.or(self.lost().map(|lost| lost.fallback))).is_some()
    }

    /// That the session gave it up may come next.
    pub(super) fn lost(&self) -> Option<Lost> {
        self.tape.lost().filter(|lost| self.failed.is_none() && lost.from <= self.moment)
    }

    /// Whether the session gives it up here, which is certain or a matter of timing.
    pub(super) fn fails(&mut self, certain: bool) -> bool {
        let Some(lost) = self.lost().filter(|_| certain || self.ways.perhaps()) else { return false };
        self.failed = Some(lost.fallback);
        if self.part == Part::In {
            self.part = Part::Missed;
        }
        true
    }

    /// It has no answer: its fallback speaks, or (nothing is `wrong` with that) it is as if it was not shown it: `unseen`.
    fn silence(&mut self, unseen: Verdict, wrong: Option<String>) -> Result<Verdict, String> {
        if self.failed.is_some() || self.fails(wrong.is_some()) {
            return Ok(self.says_failed(self.failed).map_or(Verdict::Go, Verdict::Refuse));
        }
        wrong.map_or(Ok(unseen), Err)
    }

    /// Shows it the content, and its end if it `ends`.
    pub(super) fn feed(&mut self, view: &Message, ends: bool) -> Result<Verdict, String> {
        let (pipelining, mut skipped) = (self.plan.pipelining, Vec::new());
        let content = view.pieces(self.joined.leads(), &self.tape.bodies());
        let mut pieces = content.into_iter().chain(ends.then(|| (b'E', Text::new())));
        while let Some((letter, payload)) = pieces.next() {
            // What was on its way it sees all the same, behind SKIP and behind its last word.
            let skips = skipped.contains(&letter) && !(pipelining && self.tape.is_next(letter));
            // Of headers its conditions see more, of the body not even they.
            if letter == b'B' && (skips || payload.is_empty()) {
                continue;
            }
            match self.show(letter, &payload, skips)? {
                Verdict::Go if letter != b'E' => {}
                Verdict::Skip if letter != b'E' => skipped.push(letter),
                verdict => {
                    if pipelining && verdict != Verdict::Cut {
                        for (letter, payload) in pieces {
                            let _ = self.tape.take(letter, &payload, &self.macros(letter, &payload));
                        }
                    }
                    return Ok(verdict);
                }
            }
        }
        self.silence(Verdict::Cut, None)
    }

    /// The macros that it must know for a command.
    fn macros(&self, letter: u8, payload: &[u8]) -> Vec<(Text, Text)> {
        let given = self.said.iter().rfind(|said| said.letter == letter).map_or(&[][..], |said| &said.macros);
        let effect = self.plan.effect(letter, payload, &self.said[0].payload);
        let own = if let Some(Effect::Macros(macros)) = effect { &macros[..] } else { &[] };
        self.joined.macros(letter, given, own)
    }

    /// Shows it one command and says its answer; what it `skips` only its conditions see.
    pub(super) fn show(&mut self, letter: u8, payload: &[u8], skips: bool) -> Result<Verdict, String> {
        let late = self.exact.then(|| "must have been given up".to_owned());
        let effect = self.plan.effect(letter, payload, &self.said[0].payload);
        let mut tape = self.tape.clone();
        let taken = tape.take(letter, payload, &self.macros(letter, payload));
        let silent = !self.joined.answers(letter);
        let unseen = match effect {
            Some(Effect::Stop | Effect::LookUp { said: Said::Found, .. }) => Some(Verdict::Stopped),
            Some(Effect::LookUp { said: Said::Never, .. }) => Some(Verdict::Cut),
            Some(Effect::Await(_)) if self.read.is_some() => self.read.clone(),
            _ if skips || !self.joined.wants(letter) => Some(Verdict::Go),
            // What it was sent in silence it needs not have read; what is no message, but for the last HELO, nobody sends again.
            _ => (silent && taken.is_err() && tape.is_dead()).then_some(Verdict::Go),
        };
        // It may have been given up before its conditions had their say, or with a command that it is not shown.
        if self.failed.is_some() || unseen.is_some() {
            let late = late.filter(|_| unseen == Some(Verdict::Cut));
            return self.silence(unseen.unwrap_or(Verdict::Go), late);
        }
        let answer = match taken {
            Ok(answer) => answer,
            Err(what) => return self.silence(Verdict::Cut, Some(what).filter(|_| self.exact)),
        };
        // Who is told of no envelope may have seen that of another message.
        let blind = b"TLNBE".contains(&letter) && !self.joined.wants(b'M') && !self.joined.wants(b'R');
        if !self.exact && blind && !self.ways.perhaps() {
            return Ok(Verdict::Cut);
        }
        self.tape = tape;
        match answer {
            _ if silent => Ok(Verdict::Go),
            Some(answer) => {
                self.edits.clone_from(&answer.edits);
                Ok(Verdict::of(&answer.reply))
            }
            // More may be on its way before that comes.
            None if self.plan.pipelining && b"LNB".contains(&letter) => Ok(Verdict::Go),
            None => self.silence(Verdict::Cut, late),
        }
    }
}
