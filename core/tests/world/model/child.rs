//! One child in the model: what it must see, checked against its tape, and what its script answers.

use std::collections::VecDeque;

use super::ways::Ways;
use crate::plan::{
    Effect, End, Fallback, Frame, JoinFault, Joined, Kind, Macros, Said, Text, Verdict, no_reply_bit,
    no_send_bit,
};
use crate::queue::Message;
use crate::record::{Cause, Child, Lost, Setting, Tape};

/// How a child stands with the message, as the conditions of those behind it read it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Standing {
    /// It has not had its last word, and may not have it yet.
    Running,
    Pending,
    Refuses,
    /// It has accepted, was stopped, or is gone.
    Done,
}

/// A child's place in the session.
pub(super) struct Runner<'a> {
    pub(super) number: usize,
    pub(super) child: &'a Child,
    pub(super) tape: Tape<'a>,
    setting: &'a Setting,
    ways: &'a Ways,
    session: usize,
    /// Now, as [`Lost`] counts.
    pub(super) moment: usize,
    /// It has failed, and this is answered instead; the message went on without it because of that.
    pub(super) failed: Option<Fallback>,
    pub(super) missed: bool,
    /// It was to be shown something.
    needed: bool,
    /// What its script says it fails for.
    pub(super) due: Option<Kind>,
    /// Its failure, or its word on a recipient, refuses the message in hand.
    pub(super) objection: Option<Frame>,
    /// The sender of the message, and how many accepted recipients the child was shown.
    pub(super) sender: Text,
    pub(super) shown: usize,
    /// Out of the session, out of the message.
    pub(super) out: bool,
    pub(super) done: bool,
    /// What it asked for at end of message, to be applied.
    pub(super) edits: Vec<Frame>,
    /// How it stands, and how the one stands that its conditions read.
    pub(super) standing: Standing,
    pub(super) awaited: Standing,
}

impl<'a> Runner<'a> {
    /// A child joins session number `session`.
    pub(super) fn new(
        number: usize,
        child: &'a Child,
        setting: &'a Setting,
        ways: &'a Ways,
        session: usize,
    ) -> Self {
        let (stay, plan) = (&child.stays[session], &child.plan);
        let mut runner = Self {
            number,
            child,
            tape: Tape::new(&stay.tape),
            setting,
            ways,
            session,
            moment: 0,
            failed: None,
            missed: false,
            needed: false,
            due: None,
            objection: None,
            sender: Text::new(),
            shown: 0,
            out: false,
            done: true,
            edits: Vec::new(),
            standing: Standing::Running,
            awaited: Standing::Running,
        };
        let otherwise = stay.remembered && stay.joined.as_ref() != Some(&plan.joins(setting.offer));
        let unfit = otherwise || session > 0 && !runner.is_provided_for();
        let fault = plan.fault.filter(|_| session >= plan.fault_from).map(JoinFault::kind);
        runner.due = fault.or(unfit.then_some(Kind::Protocol));
        runner
    }

    pub(super) fn joined(&self) -> Option<&Joined> {
        self.child.stays[self.session].joined.as_ref()
    }

    /// The MTA, which was answered without it when it failed in the first session, sends what it wants, waits for what it
    /// says, and takes what it may change.
    fn is_provided_for(&self) -> bool {
        let (actions, protocol) = self.setting.agreed;
        let plan = &self.child.plan;
        let watched = |letter| plan.conditions.iter().any(|condition| condition.letter == letter);
        let is_sent =
            |letter: &u8| protocol & no_send_bit(*letter) == 0 || !self.wants(*letter) && !watched(*letter);
        let is_heard = |letter: &u8| {
            let speaks = self.wants(*letter) && !self.has(no_reply_bit(*letter));
            plan.evaluation || !speaks || protocol & no_reply_bit(*letter) == 0
        };
        let asks = self.joined().map_or(0, |joined| joined.actions & 0xff);
        let rights = plan.evaluation || asks & !actions == 0;
        rights && b"CHMRTLNBU".iter().all(is_sent) && b"CHMRTU".iter().all(is_heard)
    }

    /// That the session gave it up may come next.
    pub(super) fn lost(&self) -> Option<Lost> {
        self.tape.lost().filter(|lost| self.failed.is_none() && lost.from <= self.moment)
    }

    /// It has failed.
    pub(super) fn fail(&mut self, lost: Lost) -> Result<(), String> {
        if lost.cause == Cause::Script && self.due != Some(lost.kind) {
            return Err(format!("was given up ({:?}) for no reason", lost.kind));
        }
        if lost.cause == Cause::Script && self.child.stays[self.session].remembered && !self.needed {
            return Err("was connected for nothing".into());
        }
        self.failed = Some(match lost.kind {
            Kind::Ours => Fallback::TemporaryFailure,
            kind => match self.child.plan.fallback(kind) {
                Fallback::Quarantine if self.setting.actions & 0x20 == 0 => Fallback::TemporaryFailure,
                fallback => fallback,
            },
        });
        Ok(())
    }

    /// What is answered for it at a command, since it has failed.
    pub(super) fn fallback(&self, letter: u8) -> Verdict {
        match self.failed.and_then(Fallback::frame) {
            Some(frame) if !self.child.plan.evaluation => match frame.0 {
                b'd' if b"CHU".contains(&letter) => Verdict::Go,
                _ => Verdict::Refuse(frame),
            },
            _ => Verdict::Accept,
        }
    }

    /// It has no answer: it was given up, or (`why` not) nobody waited for it.
    fn silence(&mut self, letter: u8, why: Result<(), String>) -> Result<Verdict, String> {
        match self.lost() {
            Some(lost) if why.is_err() || self.ways.perhaps() => {
                self.fail(lost).map(|()| self.fallback(letter))
            }
            _ => why.map(|()| Verdict::Cut),
        }
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

    /// Shows it the content: `until` headers, their end, the body, the end of the message.
    pub(super) fn feed(
        &mut self,
        view: &Message,
        macros: &Macros,
        until: u8,
        exact: bool,
    ) -> Result<Verdict, String> {
        self.edits.clear();
        let mut pieces: VecDeque<(u8, Text)> = VecDeque::new();
        for header in view.headers.iter().filter(|header| header.is_shown() && until != 0) {
            let raw = &header.raw[..];
            let value = if self.leads() { raw } else { raw.strip_prefix(b" ").unwrap_or(raw) };
            pieces.push_back((b'L', [&header.name, &b"\0"[..], value, b"\0"].concat()));
        }
        if b"NBE".contains(&until) {
            pieces.push_back((b'N', Text::new()));
        }
        if b"BE".contains(&until) {
            pieces.extend(match view.recut {
                true => vec![(b'B', view.body.concat())],
                false => view.body.iter().map(|chunk| (b'B', chunk.clone())).collect(),
            });
        }
        if until == b'E' {
            pieces.push_back((b'E', Text::new()));
        }
        let (pipelining, mut skipped, mut last_word) = (self.child.plan.pipelining, Vec::new(), None);
        while let Some((letter, mut payload)) = pieces.pop_front() {
            // A body that a child has made may be cut anywhere.
            let size = Some(&payload).filter(|_| view.recut).and_then(|rest| self.tape.piece_of(rest));
            if letter == b'B' && size.is_some_and(|size| size < payload.len()) {
                pieces.push_front((letter, payload.split_off(size.unwrap_or(0))));
            }
            if last_word.is_some() {
                // What was on its way it has seen all the same, as also behind SKIP.
                let macros = self.macros_for(macros, letter, self.own_macros(letter));
                let _ = self.tape.take(letter, &payload, &macros);
                continue;
            }
            let skips = skipped.contains(&letter) && !(pipelining && self.tape.is_next(letter));
            // Of headers its conditions see more, of the body not even they.
            if letter == b'B' && (skips || payload.is_empty()) {
                continue;
            }
            match self.show(letter, &payload, macros, exact, skips)? {
                Verdict::Go => {}
                Verdict::Skip => skipped.push(letter),
                decided
                    if pipelining && self.failed.is_none() && letter != b'E' && decided != Verdict::Cut =>
                {
                    last_word = Some(decided);
                }
                decided => return Ok(decided),
            }
        }
        match last_word {
            Some(verdict) => Ok(verdict),
            None if until == b'E' => Ok(Verdict::Go),
            None => self.silence(b'E', Ok(())),
        }
    }

    /// The macros that a condition sets for it at every command of this kind.
    fn own_macros(&self, letter: u8) -> &'a [(Text, Text)] {
        match self.child.plan.condition(letter, b"") {
            Some((_, Effect::Macros(macros))) => macros,
            _ => &[],
        }
    }

    /// Shows one command to the child and reads its answer from its script; what it `skips` only its conditions see.
    pub(super) fn show(
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
        let key = match letter {
            b'H' | b'M' | b'R' | b'L' => payload.split(|byte| *byte == 0).next().unwrap_or(b""),
            b'T' | b'N' | b'E' => &self.sender,
            _ => b"",
        };
        let child = self.child;
        let plan = &child.plan;
        let effect = plan.condition(letter, key).map(|(_, effect)| effect);
        let unasked = effect.is_some() || skips || !self.wants(letter);
        // It may have been given up before its conditions had their say, or with a command that it is not shown.
        let verdict = if unasked { self.silence(letter, Ok(()))? } else { Verdict::Cut };
        if verdict != Verdict::Cut {
            return Ok(verdict);
        }
        let late = |exact: bool| if exact { Err("must have been given up".to_owned()) } else { Ok(()) };
        let own = match effect {
            Some(Effect::Stop | Effect::LookUp { said: Said::Found, .. }) => return Ok(Verdict::Stopped),
            Some(Effect::Await(_)) if self.awaited == Standing::Done => return Ok(Verdict::Stopped),
            Some(Effect::Await(_)) if self.awaited == Standing::Pending => {
                return self.silence(letter, late(exact));
            }
            Some(Effect::LookUp { said: Said::Never, .. }) => return self.silence(letter, late(exact)),
            Some(Effect::Macros(macros)) => &macros[..],
            _ => &[],
        };
        if skips || !self.wants(letter) {
            return Ok(Verdict::Go);
        }
        self.needed = true;
        let silent = self.has(no_reply_bit(letter));
        let macros = self.macros_for(macros, letter, own);
        let here = self.tape.clone();
        let (place, owes) = match self.tape.take(letter, payload, &macros) {
            Ok(seen) => seen,
            Err(what) => {
                // What it was sent in silence it needs not have read; what is no message, but for the last HELO, nobody sends again.
                let in_vain = silent && (self.tape.is_dead() || self.due.is_some());
                let verdict = self.silence(letter, if exact && !in_vain { Err(what) } else { Ok(()) })?;
                return Ok(if in_vain && verdict == Verdict::Cut { Verdict::Go } else { verdict });
            }
        };
        // Who is told of no envelope may have seen that of another message.
        let blind = b"TLNBE".contains(&letter) && !self.wants(b'M') && !self.wants(b'R');
        if !exact && blind && !self.ways.perhaps() {
            self.tape = here;
            return Ok(Verdict::Cut);
        }
        // Another connection begins anew.
        if let Some(kind) = self.due.take().filter(|_| self.tape.again == here.again) {
            return Err(format!("is shown '{}', and must have been given up ({kind:?})", char::from(letter)));
        }
        let retold = (self.tape.again > 0).then(|| plan.told_again());
        let act = retold.as_ref().unwrap_or(plan).act(&place);
        self.due = match &act.end {
            End::Final(_) => None,
            End::FinalThenClose(_) => Some(Kind::Closed),
            end => Some(end.kind()),
        };
        if silent {
            return Ok(Verdict::Go);
        }
        let too_much =
            self.lost().is_some_and(|lost| lost.kind == Kind::Ours) || act.is_past(&self.setting.bounds);
        if owes || letter == b'E' && too_much {
            let behind = self.tape.behind_content();
            if behind.lost().is_some_and(|lost| lost.from <= self.moment) {
                self.tape = behind;
            } else if b"LNB".contains(&letter) {
                return Ok(Verdict::Go);
            }
            return self.silence(letter, late(exact));
        }
        let (End::Final(frame) | End::FinalThenClose(frame)) = &act.end else {
            return Err(format!("has answered '{}', which it does not", char::from(letter)));
        };
        let verdict = Verdict::of(frame);
        if letter == b'E' && !matches!(verdict, Verdict::Refuse(_)) {
            self.edits.clone_from(&act.edits);
        }
        Ok(if letter == b'U' && verdict == Verdict::Accept { Verdict::Go } else { verdict })
    }

    /// The macros that it must know for a command: all of the MTA's, or those that it listed; those that a condition set
    /// for it replace the MTA's.
    fn macros_for(&self, macros: &Macros, letter: u8, own: &[(Text, Text)]) -> Vec<(Text, Text)> {
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
