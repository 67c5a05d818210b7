//! The naive reference: the children one after another, in memory, as if each stood alone behind Postfix.
//!
//! It shares no code with core, not even wire types. Its input is what the MTA said and was told, and each child's script
//! and tape (what the child saw). The tape is checked against what the child must see. It decides only what timing
//! decides: how far a child got with a message that ended without it (aborted, or refused by a child before it).

mod bounds;
mod content;
mod lost;
mod recipients;
mod runner;

use crate::plan::{Bounds, Fallback, Frame, Text};
use crate::queue::{Message, differ, strings};
use crate::record::{Child, Exchange};
use crate::show::show;
use bounds::{Sizes, past};
use runner::{Macros, Runner, SHUTDOWN, Verdict, fallback_frame};

/// What the policy and the MTA's offer say.
pub(crate) struct Setting {
    pub(crate) fallback: Fallback,
    /// The header that marks mail which a child did not see.
    pub(crate) mark: Option<Text>,
    /// All children are shown a recipient at once.
    pub(crate) parallel: bool,
    /// Header values come with their leading space.
    pub(crate) lead: bool,
    pub(crate) actions: u32,
    /// The MTA shows recipients that it has refused itself.
    pub(crate) rejected: bool,
    /// The ends of messages at which too much body was held; when that is so is a matter of timing.
    pub(crate) body_floods: Vec<usize>,
    pub(crate) bounds: Bounds,
}

pub(crate) struct Model<'a> {
    pub(crate) runners: Vec<Runner<'a>>,
    pub(crate) setting: Setting,
    pub(crate) macros: Macros,
    pub(crate) message: Message,
    pub(crate) open: bool,
    pub(crate) headers_ended: bool,
    /// The verdict on the whole connection, on the whole message.
    pub(crate) gone: Option<Frame>,
    pub(crate) over: Option<Frame>,
    /// Past a limit in the content: how far the children came is a matter of timing.
    pub(crate) flooded: bool,
    pub(crate) sizes: Sizes,
}

const LISTED: &[u8] = b"CHMRTNE";

impl<'a> Model<'a> {
    /// Compares a whole session with what it should have been; the error says what differs first.
    pub(crate) fn check(children: &'a [Child], setting: Setting, session: &[Exchange]) -> Result<(), String> {
        let mut model = Self {
            runners: children.iter().enumerate().map(|(number, child)| Runner::new(number, child)).collect(),
            setting,
            macros: Macros::new(),
            message: Message::default(),
            open: false,
            headers_ended: false,
            gone: None,
            over: None,
            flooded: false,
            sizes: Sizes::default(),
        };
        // Behind the last answer timing decides how much of what was sent came through.
        let certain = session.iter().rposition(|exchange| exchange.reply.is_some());
        for (number, exchange) in session.iter().enumerate() {
            let letter = char::from(exchange.letter);
            for runner in &mut model.runners {
                runner.exchange = number as u64;
                if runner.is_lost() && runner.failed.is_none() {
                    let absent = runner.out || (runner.done && b"RT".contains(&exchange.letter));
                    if absent && runner.lost_by() == Some(1) {
                        return Err(format!(
                            "child {} has no part in this, and is given up with it",
                            runner.number
                        ));
                    }
                    drop(runner.lost(exchange.letter, false));
                }
            }
            model
                .step(number, exchange, certain.is_some_and(|last| number <= last))
                .map_err(|what| format!("MTA command {number} '{letter}': {what}"))?;
        }
        model.abort().map_err(|what| format!("at the end: {what}"))?;
        for (i, runner) in model.runners.iter_mut().enumerate() {
            if let Some(seen) =
                runner.child.tape[runner.at..].iter().find(|seen| !b"AQK!".contains(&seen.letter))
            {
                let letter = char::from(seen.letter);
                return Err(format!(
                    "child {i} saw a '{letter}' more than it should: {}",
                    show(&seen.payload)
                ));
            }
        }
        Ok(())
    }

    fn step(&mut self, number: usize, exchange: &Exchange, exact: bool) -> Result<(), String> {
        let Exchange { letter, payload, suppressed, reply, .. } = exchange;
        match letter {
            b'D' => {
                let texts = if payload.len() > 1 { strings(&payload[1..]) } else { Vec::new() };
                let pairs = texts.chunks(2).map(|pair| (bare(pair[0]), pair[1].to_vec())).collect();
                if self.open && past(self.setting.bounds.macro_bytes, payload.len()) {
                    self.limit_hit();
                } else {
                    self.macros.insert(payload[0], pairs);
                }
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
        if let Some(from) = LISTED.iter().position(|known| known == letter).filter(|at| *at < 4) {
            LISTED[from + 1..].iter().for_each(|later| drop(self.macros.remove(later)));
        }
        match letter {
            b'A' | b'Q' => return Ok(()),
            b'K' => {
                self.gone = None;
                for runner in &mut self.runners {
                    runner.next_connection();
                }
                return Ok(());
            }
            b'M' => {
                self.message = Message::of(strings(payload).join(&0), self.is_postfix());
                (self.open, self.headers_ended, self.flooded) = (true, false, false);
                self.sizes = Sizes { envelope: payload.len(), ..Sizes::default() };
                for runner in &mut self.runners {
                    (runner.done, runner.missed, runner.shown) = (false, runner.failed.is_some(), 0);
                    runner.sender = strings(payload)[0].to_vec();
                }
            }
            b'L' => {
                let texts = strings(payload);
                let space = if self.setting.lead { "" } else { " " };
                let raw = [space.as_bytes(), texts[1]].concat();
                self.message.receive(texts[0], raw);
            }
            b'N' => self.headers_ended = true,
            b'B' => self.message.body.push(payload.clone()),
            b'E' if !payload.is_empty() => self.message.body.push(payload.clone()),
            _ => {}
        }
        if *suppressed {
            let wanted = (0..self.runners.len())
                .find(|i| self.runners[*i].failed.is_none() && self.runners[*i].wants(*letter));
            if *letter == b'L' && self.setting.mark.is_some() {
                return Err("the session asked for no headers, and cannot remove the mark".into());
            }
            return wanted.map_or(Ok(()), |i| {
                Err(format!("the session asked the MTA not to send it; child {i} wants it"))
            });
        }
        self.count(*letter, payload);
        if let b'L' | b'N' | b'B' = letter {
            let standing = self.gone.clone().or_else(|| self.over.clone());
            return tell(
                exchange,
                &[(b'c', Vec::new())],
                standing.as_ref().or(self.standing_fallback().as_ref()),
            );
        }
        let fixed = self.gone.clone().or_else(|| self.over.clone().filter(|_| b"RTE".contains(letter)));
        let fixed = fixed.or_else(|| self.standing_fallback());
        if let Some(verdict) = fixed {
            if *letter == b'E' {
                self.end();
            }
            let lenient = (b"CHU".contains(letter) && verdict.0 == b'd')
                || (b"EU".contains(letter) && verdict.0 == b'a');
            return tell(exchange, &[verdict], lenient.then_some(&(b'c', Vec::new())));
        }
        match letter {
            b'R' => self.rcpt(exchange, exact),
            b'E' => {
                let told = reply.as_ref().and_then(|frames| frames.last());
                let body = past(self.setting.bounds.body_bytes, self.sizes.body);
                let body = body && self.setting.body_floods.contains(&number);
                if self.flooded || (body && told.is_some_and(|frame| frame.0 == b't')) {
                    let (decided, _) = self.content(false, false)?;
                    self.end();
                    return tell(exchange, &[(b't', Vec::new())], decided.as_ref());
                }
                let mut queued = self.message.clone();
                let (decided, expected) = self.content(true, exact)?;
                self.end();
                let Some(frames) = reply else { return Ok(()) };
                tell(exchange, &[decided.clone().unwrap_or((b'c', Vec::new()))], None)?;
                queued.apply(frames, self.setting.lead, u32::MAX);
                if decided.is_none() && queued.delivered() != expected.delivered() {
                    return Err(differ(&queued, &expected));
                }
                Ok(())
            }
            _ => self.joint(exchange, exact),
        }
    }

    /// With no children at all everything is answered with the policy's fallback.
    pub(crate) fn standing_fallback(&self) -> Option<Frame> {
        self.runners.is_empty().then(|| fallback_frame(self.setting.fallback)).flatten()
    }

    /// CONNECT, HELO, MAIL, DATA, UNKNOWN: everybody sees it, the first in the chain decides.
    fn joint(&mut self, exchange: &Exchange, exact: bool) -> Result<(), String> {
        let letter = exchange.letter;
        let mut decided = None;
        for i in 0..self.runners.len() {
            let runner = &self.runners[i];
            if runner.out || (letter == b'T' && runner.done && runner.failed.is_none()) {
                continue;
            }
            // Once it is certain, the others may be spared.
            let exact = exact && decided.is_none();
            if letter == b'T' && self.is_unconcerned(i) {
                self.runners[i].done = true;
                continue;
            }
            let before = self.runners[i].mark();
            let verdict = self.runners[i].ask(letter, &exchange.payload, &self.macros, exact)?;
            if decided.is_some() && letter == b'T' && verdict == Verdict::Go && !self.runners[i].was_cut_off()
            {
                self.runners[i].back_to(before);
            }
            let evaluation = self.runners[i].child.plan.evaluation;
            let leaves = match verdict {
                Verdict::Refuse(frame) if b"CHU".contains(&letter) && frame.0 == b'd' => false,
                Verdict::Refuse(frame) if !evaluation => {
                    decided = decided.or(Some(frame));
                    false
                }
                Verdict::Refuse(_) | Verdict::Accept | Verdict::Stopped => true,
                _ => false,
            };
            match letter {
                b'C' | b'H' => self.runners[i].out |= leaves,
                b'M' | b'T' => self.runners[i].done |= leaves,
                _ => {}
            }
        }
        let Some(frame) = decided else { return self.tell_joint(exchange) };
        match letter {
            b'C' | b'H' => {
                self.gone = Some(frame.clone());
                self.runners.iter_mut().for_each(|runner| runner.out = true);
            }
            b'M' | b'T' => self.refuse_message(&frame),
            _ => {}
        }
        tell(exchange, &[frame], None)
    }

    /// Nobody objected: accept when nobody is left, else continue.
    pub(crate) fn tell_joint(&self, exchange: &Exchange) -> Result<(), String> {
        let in_message = b"MRT".contains(&exchange.letter);
        let gone = |runner: &Runner<'_>| {
            if runner.failed.is_some() { runner.mild() } else { runner.out || (in_message && runner.done) }
        };
        let marks = self.setting.mark.is_some();
        let (accept, go) = ((b'a', Vec::new()), (b'c', Vec::new()));
        match !marks && self.runners.iter().all(gone) {
            true => tell(exchange, &[accept], (exchange.letter == b'U').then_some(&go)),
            false => tell(exchange, &[go], None),
        }
    }

    pub(crate) fn refuse_message(&mut self, frame: &Frame) {
        self.over = Some(frame.clone());
        self.runners.iter_mut().for_each(|runner| runner.done = true);
    }

    /// The message ends without end of message.
    fn abort(&mut self) -> Result<(), String> {
        if self.open {
            self.content(false, false)?;
        }
        self.end();
        Ok(())
    }

    fn end(&mut self) {
        self.open = false;
        self.over = None;
        for runner in &mut self.runners {
            runner.done = true;
            runner.next_seen();
        }
        b"MRTLNBEU".iter().for_each(|letter| drop(self.macros.remove(letter)));
    }

    pub(crate) fn is_postfix(&self) -> bool {
        let mut macros = self.macros.get(&b'C').into_iter().flatten();
        macros.any(|(name, value)| name == b"v" && value.starts_with(b"Postfix"))
    }
}

/// Compares the final reply that the MTA got.
pub(crate) fn tell(exchange: &Exchange, expected: &[Frame], also: Option<&Frame>) -> Result<(), String> {
    let Some((letter, payload)) = exchange.reply.as_ref().and_then(|frames| frames.last()) else {
        return Ok(());
    };
    let text = payload.strip_suffix(b"\0").unwrap_or(payload);
    let is = |known: &Frame| {
        known.0 == *letter && (known.1 == text || known.1 == SHUTDOWN && text.starts_with(SHUTDOWN))
    };
    if expected.iter().chain(also).any(is) {
        return Ok(());
    }
    let expected: Vec<_> =
        expected.iter().map(|frame| format!("'{}' {}", char::from(frame.0), show(&frame.1))).collect();
    Err(format!(
        "the MTA was told '{}' {}, must be {}",
        char::from(*letter),
        show(payload),
        expected.join(" or ")
    ))
}

fn bare(name: &[u8]) -> Text {
    name.strip_prefix(b"{").and_then(|inner| inner.strip_suffix(b"}")).unwrap_or(name).to_vec()
}
