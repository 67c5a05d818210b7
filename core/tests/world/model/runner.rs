//! One child in the model: what it must see, checked against its tape, and what its script answers.

use std::collections::BTreeMap;

use crate::plan::{
    Act, Effect, End, Fallback, Frame, Kind, Place, Progress, Said, Text, no_reply_bit, no_send_bit,
};
use crate::queue::Message;
use crate::record::{Child, Seen};
use crate::show::{show, show_pairs};

/// The MTA's macros by command letter.
pub(crate) type Macros = BTreeMap<u8, Vec<(Text, Text)>>;

#[derive(Clone, PartialEq)]
pub(crate) enum Verdict {
    Go,
    Skip,
    Accept,
    /// A condition hid it from the child.
    Stopped,
    Refuse(Frame),
    /// Timing: the child did not get this far.
    Cut,
}

/// The macros that a condition sets for a child, or what became of the child.
type Own<'a> = Result<&'a [(Text, Text)], Verdict>;

/// A child's place in the session.
pub(crate) struct Runner<'a> {
    pub(crate) number: usize,
    pub(crate) child: &'a Child,
    pub(crate) at: usize,
    pub(crate) progress: Progress,
    /// How many connections it had before this one.
    connection: usize,
    /// The number of the MTA's command in hand.
    pub(crate) exchange: u64,
    /// It has failed, and this is answered instead.
    pub(crate) failed: Option<Fallback>,
    /// The message went on without it because of that.
    pub(crate) missed: bool,
    /// The sender of the message, and how many accepted recipients the child was shown.
    pub(crate) sender: Text,
    pub(crate) shown: usize,
    /// Out of the session, out of the message.
    pub(crate) out: bool,
    pub(crate) done: bool,
    /// What it asked for at end of message, to be applied.
    pub(crate) edits: Vec<Frame>,
}

/// How far the content goes for a child.
pub(crate) struct Reach {
    /// The MTA has sent the end of headers.
    pub(crate) headers_ended: bool,
    /// It may be shown body, end of message.
    pub(crate) body: bool,
    pub(crate) end: bool,
    /// It must have seen all of that, whatever the timing.
    pub(crate) exact: bool,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(number: usize, child: &'a Child) -> Self {
        let mut runner = Self {
            number,
            child,
            at: 0,
            progress: Progress::default(),
            connection: 0,
            exchange: 0,
            failed: None,
            missed: false,
            sender: Vec::new(),
            shown: 0,
            out: false,
            done: true,
            edits: Vec::new(),
        };
        runner.join();
        runner
    }

    /// A connection of its own.
    pub(crate) fn join(&mut self) {
        (self.failed, self.out) = (None, false);
        if let Some(fault) = self.child.plan.fault.filter(|_| self.lost_by().is_none()) {
            self.fail(fault.kind());
        }
    }

    /// Goes on with the tape of the next connection.
    pub(crate) fn next_connection(&mut self) {
        self.connection += 1;
        let tape = &self.child.tape;
        while tape[..self.at].iter().filter(|seen| seen.letter == b'K').count() < self.connection
            && tape.get(self.at).is_some_and(|seen| b"AKQ!".contains(&seen.letter))
        {
            self.at += 1;
        }
        self.progress.see(b'K', 0);
        self.join();
    }

    pub(crate) fn fail(&mut self, kind: Kind) {
        self.missed |= !self.done;
        self.failed = Some(match self.child.plan.fallback(kind) {
            Fallback::Quarantine if !self.child.can_hold => Fallback::TemporaryFailure,
            fallback => fallback,
        });
    }

    /// Shows the content to one child.
    pub(crate) fn feed(
        &mut self,
        view: &Message,
        macros: &Macros,
        &Reach { headers_ended, body, end: may_end, exact }: &Reach,
    ) -> Result<Verdict, String> {
        let lead = self.child.joined.as_ref().is_some_and(|joined| joined.protocol & 0x10_0000 != 0);
        self.edits.clear();
        let mut skips = false;
        for (_, name, raw) in view.headers.iter().filter(|header| !header.0) {
            let value = if lead { raw } else { raw.strip_prefix(b" ").unwrap_or(raw) };
            let payload = [name, &b"\0"[..], value, b"\0"].concat();
            if skips {
                if let Err(stopped) = self.stopped(b'L', &payload, exact)? {
                    return Ok(stopped);
                }
                continue;
            }
            match self.ask(b'L', &payload, macros, exact)? {
                Verdict::Go => {}
                Verdict::Skip => skips = true,
                decided => return Ok(decided),
            }
        }
        if !headers_ended && !may_end {
            return Ok(Verdict::Cut);
        }
        match self.ask(b'N', b"", macros, exact)? {
            Verdict::Go | Verdict::Skip => {}
            decided => return Ok(decided),
        }
        if !body {
            return Ok(Verdict::Cut);
        }
        let whole = view.body.concat();
        let (mut rest, mut chunks) = (&whole[..], view.body.iter());
        while !rest.is_empty() {
            let shown = self.child.tape.get(self.at);
            let shown = shown.filter(|seen| view.recut && seen.letter == b'B' && !seen.payload.is_empty());
            let shown = shown.filter(|seen| rest.starts_with(&seen.payload)).map(|seen| seen.payload.clone());
            let chunk = shown
                .unwrap_or_else(|| chunks.next().filter(|_| !view.recut).map_or(rest.to_vec(), Clone::clone));
            rest = &rest[chunk.len()..];
            match self.ask(b'B', &chunk, macros, exact)? {
                Verdict::Go => {}
                Verdict::Skip => break,
                decided => return Ok(decided),
            }
        }
        if may_end { self.ask(b'E', b"", macros, exact) } else { Ok(Verdict::Cut) }
    }

    pub(crate) fn next_seen(&mut self) -> Option<&'a Seen> {
        while let Some(seen) = self.child.tape.get(self.at).filter(|seen| b"AKQ".contains(&seen.letter)) {
            self.progress.see(seen.letter, 0);
            self.at += 1;
        }
        self.child.tape.get(self.at)
    }

    pub(crate) fn wants(&self, letter: u8) -> bool {
        let since = match letter {
            b'T' => 4,
            b'U' => 3,
            _ => 2,
        };
        let joined = self.child.joined.as_ref();
        joined.is_some_and(|joined| joined.version >= since && joined.protocol & no_send_bit(letter) == 0)
    }

    /// Looks at the child's condition for a command, whether or not the child wants to be shown it: what it sets for the
    /// child, or that the child is not shown it.
    fn stopped(&mut self, letter: u8, payload: &[u8], exact: bool) -> Result<Own<'a>, String> {
        let key = match letter {
            b'H' | b'M' | b'R' | b'L' => payload.split(|byte| *byte == 0).next().unwrap_or(b""),
            b'T' | b'N' | b'E' => &self.sender,
            _ => b"",
        };
        let child: &'a Child = self.child;
        Ok(match child.plan.condition(letter, key) {
            Some((_, Effect::Stop | Effect::LookUp { said: Said::Found, .. })) => Err(Verdict::Stopped),
            Some((_, Effect::LookUp { said: Said::Never, .. })) => Err(self.lost(letter, exact)?),
            Some((_, Effect::Macros(macros))) => Ok(macros),
            _ => Ok(&[]),
        })
    }

    /// Shows one command to one child and reads its answer from its script.
    pub(crate) fn ask(
        &mut self,
        letter: u8,
        payload: &[u8],
        macros: &Macros,
        exact: bool,
    ) -> Result<Verdict, String> {
        if let Some(fallback) = self.failed {
            return Ok(self.fallback(fallback, letter));
        }
        let own = match self.stopped(letter, payload, exact)? {
            Ok(own) => own,
            Err(stopped) => return Ok(stopped),
        };
        if !self.wants(letter) {
            return Ok(Verdict::Go);
        }
        if self.is_lost() {
            return self.lost(letter, exact);
        }
        let macros = self.macros_for(macros, own, letter);
        let number = self.number;
        let at = |what: String| {
            Err(format!("child {} must see '{}' {}: {what}", number, char::from(letter), show(payload)))
        };
        let next = match exact {
            true => self.next_seen(),
            // ABORT ends content, and may stand between other commands.
            false if b"LNBE".contains(&letter) => self.child.tape.get(self.at),
            false => {
                let mut rest = self.child.tape[self.at..].iter();
                let next = rest.find(|seen| seen.letter != b'A');
                next.filter(|seen| seen.letter == letter && seen.payload == payload)
                    .and_then(|_| self.next_seen())
            }
        };
        let seen = match next {
            Some(seen) if seen.letter == letter && seen.payload == payload => seen,
            _ if !exact => return Ok(Verdict::Cut),
            Some(seen) => return at(format!("it saw '{}' {}", char::from(seen.letter), show(&seen.payload))),
            None => return at("it saw nothing more".into()),
        };
        // Nobody looks at macros for these, and nobody takes old ones back.
        let stale = macros.is_empty() && b"LBU".contains(&letter);
        let differs = seen.macros[..] != macros[..];
        if differs && !stale && !exact {
            // The same command of another message.
            return Ok(Verdict::Cut);
        }
        if differs && !stale {
            return at(format!(
                "its macros are {}, must be {}",
                show_pairs(&seen.macros),
                show_pairs(&macros)
            ));
        }
        self.at += 1;
        let place: Place = self.progress.see(letter, payload.len());
        let act: &Act = self.child.plan.act(&place);
        let silent =
            self.child.joined.as_ref().is_some_and(|joined| joined.protocol & no_reply_bit(letter) != 0);
        let count = act.edits.iter().filter(|edit| !b"bp".contains(&edit.0)).count();
        if letter == b'E' && count as u64 > self.child.most_edits {
            // A limit of our own is never the fallback.
            self.missed |= !self.done;
            self.failed = Some(Fallback::TemporaryFailure);
            return Ok(self.fallback(Fallback::TemporaryFailure, letter));
        }
        if !silent && self.was_too_slow() {
            return self.lost(letter, exact);
        }
        match &act.end {
            End::Final(_) | End::FinalThenClose(_) if silent => Ok(Verdict::Go),
            End::Final(frame) | End::FinalThenClose(frame) => {
                let verdict = verdict_of(frame);
                if letter == b'E' && !matches!(verdict, Verdict::Refuse(_)) {
                    self.edits.clone_from(&act.edits);
                }
                if matches!(act.end, End::FinalThenClose(_)) {
                    self.done |= letter == b'E';
                    self.fail(Kind::Closed);
                }
                Ok(if letter == b'U' && verdict == Verdict::Accept { Verdict::Go } else { verdict })
            }
            end => {
                self.fail(end.kind());
                Ok(self.fallback(self.failed.unwrap(), letter))
            }
        }
    }

    /// The macros that a child must know for a command: all of the MTA's, or those that it listed; those that a
    /// condition set for it replace the MTA's.
    fn macros_for(&self, macros: &Macros, own: &[(Text, Text)], letter: u8) -> Vec<(Text, Text)> {
        let mut macros = macros.get(&letter).cloned().unwrap_or_default();
        macros.retain(|(name, _)| own.iter().all(|(set, _)| set != name));
        macros.extend_from_slice(own);
        let lists = self.child.joined.as_ref().map_or(&[][..], |joined| &joined.lists);
        if let Some((_, names)) = lists.iter().find(|(listed, names)| *listed == letter && !names.is_empty())
        {
            macros.retain(|(name, _)| names.contains(name));
        }
        macros.sort();
        macros
    }

    pub(crate) fn mark(&self) -> (usize, Progress) {
        (self.at, self.progress.clone())
    }

    pub(crate) fn back_to(&mut self, (at, progress): (usize, Progress)) {
        (self.at, self.progress) = (at, progress);
    }

    /// Whether what the child saw up to here ends here. Else it was the beginning of another message.
    pub(crate) fn was_cut_off(&self) -> bool {
        self.child.tape.get(self.at).is_none_or(|seen| b"AQK!".contains(&seen.letter))
    }

    /// Its failure changes nothing for the mail.
    pub(crate) fn mild(&self) -> bool {
        self.child.plan.evaluation || self.failed == Some(Fallback::Accept)
    }

    pub(crate) fn fallback(&self, fallback: Fallback, letter: u8) -> Verdict {
        match fallback_frame(fallback) {
            _ if self.child.plan.evaluation => Verdict::Accept,
            Some(frame) if frame.0 == b'd' && b"CHU".contains(&letter) => Verdict::Go,
            frame => frame.map_or(Verdict::Accept, Verdict::Refuse),
        }
    }
}

pub(crate) fn fallback_frame(fallback: Fallback) -> Option<Frame> {
    match fallback {
        Fallback::Accept | Fallback::Quarantine => None,
        Fallback::TemporaryFailure => Some((b't', Vec::new())),
        Fallback::Reject => Some((b'r', Vec::new())),
        Fallback::Discard => Some((b'd', Vec::new())),
        Fallback::Shutdown => Some((b'y', SHUTDOWN.to_vec())),
    }
}

/// The text of a temporary failure that the session makes up for SHUTDOWN.
pub(crate) const SHUTDOWN: &[u8] = b"421 4.7.0 ";

fn verdict_of((letter, payload): &Frame) -> Verdict {
    match letter {
        b'c' => Verdict::Go,
        b's' => Verdict::Skip,
        b'a' => Verdict::Accept,
        b'4' => Verdict::Refuse((b'y', SHUTDOWN.to_vec())),
        _ => Verdict::Refuse((*letter, payload.strip_suffix(b"\0").unwrap_or(payload).to_vec())),
    }
}
