//! The children one after another.

use millstream_core::policy::Fallback;

use crate::mail::{Frame, Say, Seen, refusal, replies, says, wants};
use crate::milter::trimmed;
use crate::mta::Said;

/// A child as it may have been.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) terms: Option<u32>,
    /// From this command on its fallback counts.
    pub(super) failed: Option<(usize, Fallback)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Out,
    In,
    Accepted,
    Refused(Say),
    Failed(Fallback),
}

#[derive(Default)]
struct Message {
    parts: Vec<Part>,
    seen: Vec<Seen>,
    shown: Vec<usize>,
    verdicts: Vec<Say>,
    accepted: usize,
    decided: Option<Frame>,
}

/// The children one after another.
pub(super) struct Walk {
    views: Vec<View>,
    left: Vec<bool>,
    refused: Option<Frame>,
    message: Option<Message>,
}

impl Walk {
    pub(super) fn new(views: Vec<View>) -> Self {
        Self { left: vec![false; views.len()], views, refused: None, message: None }
    }

    pub(super) fn run(mut self, log: &[Said], from: usize) -> Result<(), String> {
        for (at, said) in log.iter().enumerate() {
            if said.owed && said.reply.is_none() {
                // The client has not waited for it.
                return Ok(());
            }
            let expected = self.step(from + at, said)?;
            let Some(reply) = &said.reply else { continue };
            let expected = expected.unwrap_or_else(|| reply.clone());
            if *reply != expected && !self.lets_go(from + at, said, reply) {
                let show = crate::town::show;
                let sent = show(&(said.letter, said.payload.clone()));
                return Err(format!("{sent} is answered {}, not {}", show(reply), show(&expected)));
            }
        }
        Ok(())
    }

    /// A child that has agreed to a command and then fails, before the MTA is answered, has those behind it let go unheard.
    /// The message is refused with what comes next.
    fn lets_go(&mut self, at: usize, said: &Said, reply: &Frame) -> bool {
        let fails =
            |view: &View| view.failed.is_some_and(|(from, how)| from == at + 1 && answer(how).is_some());
        let goes_on = b"MR".contains(&said.letter) && reply.0 == b'c';
        let Some(first) = self.views.iter().position(fails).filter(|_| goes_on) else { return false };
        if let Some(message) = &mut self.message {
            message.decided = None;
            message.parts[first + 1..].fill(Part::Out);
        }
        true
    }

    fn failed(&self, child: usize, at: usize) -> Option<Fallback> {
        self.views[child].failed.filter(|(from, _)| at >= *from).map(|(_, fallback)| fallback)
    }

    /// What is answered to a command, when it is one that has an answer.
    fn step(&mut self, at: usize, said: &Said) -> Result<Option<Frame>, String> {
        match said.letter {
            b'C' | b'H' => self.hello(at, said),
            b'M' => self.sender(at, said),
            b'R' => self.recipient(at, said),
            b'T' => self.data(at),
            b'L' | b'B' => {
                self.content(at, said);
                Ok(None)
            }
            b'E' => self.end(at, said),
            b'A' => {
                self.message = None;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// What a child says to a command itself.
    fn own(&self, child: usize, said: &Said) -> Result<Say, String> {
        let terms = self.views[child].terms.ok_or(format!("c{child} has neither answered nor failed"))?;
        let heard = wants(terms, said.letter) && replies(terms, said.letter);
        Ok(if heard { says(child, &said.payload) } else { Say::Pass })
    }

    fn hello(&mut self, at: usize, said: &Said) -> Result<Option<Frame>, String> {
        if let Some(refused) = &self.refused {
            return Ok(Some(refused.clone()));
        }
        let mut decided = None;
        for child in 0..self.views.len() {
            // Nobody waits for those behind.
            if decided.is_some() {
                break;
            }
            if let Some(fallback) = self.failed(child, at) {
                decided = answer(fallback);
            } else if !self.left[child] {
                match self.own(child, said)? {
                    Say::Pass => {}
                    Say::Accept => self.left[child] = true,
                    say => {
                        self.left[child] = true;
                        decided = Some(spoken(child, say));
                    }
                }
            }
        }
        self.refused.clone_from(&decided);
        let gone = (0..self.views.len()).all(|child| match self.failed(child, at) {
            Some(fallback) => fallback == Fallback::Accept,
            None => self.left[child],
        });
        Ok(Some(decided.unwrap_or_else(|| plain(if gone { b'a' } else { b'c' }))))
    }

    fn sender(&mut self, at: usize, said: &Said) -> Result<Option<Frame>, String> {
        let count = self.views.len();
        let mut message = Message {
            parts: vec![Part::In; count],
            seen: vec![Seen::default(); count],
            shown: vec![0; count],
            verdicts: vec![Say::Pass; count],
            ..Message::default()
        };
        message.decided.clone_from(&self.refused);
        for child in 0..count {
            message.parts[child] = match self.failed(child, at) {
                Some(fallback) => Part::Failed(fallback),
                None if self.left[child] => Part::Out,
                None => Part::In,
            };
            let mut decided = None;
            match message.parts[child] {
                _ if message.decided.is_some() => {}
                Part::In => {
                    let wanted = self.views[child].terms.is_some_and(|terms| wants(terms, b'M'));
                    message.seen[child].sender = wanted.then(|| trimmed(&said.payload));
                    match self.own(child, said)? {
                        Say::Pass => {}
                        Say::Accept => message.parts[child] = Part::Accepted,
                        say => {
                            message.parts[child] = Part::Refused(say);
                            decided = Some(spoken(child, say));
                        }
                    }
                }
                Part::Failed(fallback) => decided = answer(fallback),
                _ => {}
            }
            message.decided = message.decided.or(decided);
        }
        let reply = self.goes_on(&message, at);
        self.message = Some(message);
        Ok(Some(reply))
    }

    /// The answer of a message in which nobody objects to this.
    fn goes_on(&self, message: &Message, at: usize) -> Frame {
        if let Some(decided) = &message.decided {
            return decided.clone();
        }
        let over = (0..self.views.len()).all(|child| {
            let counts = self.failed(child, at).is_some_and(|fallback| fallback != Fallback::Accept);
            message.parts[child] != Part::In && !counts
        });
        plain(if over { b'a' } else { b'c' })
    }

    /// Children that have failed since the last command.
    fn settle(&self, message: &mut Message, at: usize) {
        for child in 0..self.views.len() {
            if let (Part::In, Some(fallback)) = (message.parts[child], self.failed(child, at)) {
                message.parts[child] = Part::Failed(fallback);
            }
        }
    }

    fn recipient(&mut self, at: usize, said: &Said) -> Result<Option<Frame>, String> {
        let Some(mut message) = self.message.take() else { return Ok(self.refused.clone()) };
        self.settle(&mut message, at);
        let mut decided = message.decided.clone();
        for child in 0..self.views.len() {
            if decided.is_some() {
                break;
            }
            if let Part::Failed(fallback) = message.parts[child] {
                decided = answer(fallback);
            } else if message.parts[child] == Part::In {
                let own = self.own(child, said)?;
                message.shown[child] += 1;
                match own {
                    Say::Pass | Say::Accept => {
                        if self.views[child].terms.is_some_and(|terms| wants(terms, b'R')) {
                            message.seen[child].recipients.push(trimmed(&said.payload));
                        }
                    }
                    say => decided = Some(spoken(child, say)),
                }
            }
        }
        let reply = decided.unwrap_or_else(|| self.goes_on(&message, at));
        message.accepted += usize::from(b"ca".contains(&reply.0));
        self.message = Some(message);
        Ok(Some(reply))
    }

    fn data(&mut self, at: usize) -> Result<Option<Frame>, String> {
        let Some(mut message) = self.message.take() else { return Ok(self.refused.clone()) };
        self.settle(&mut message, at);
        self.let_go(&mut message);
        let mut fallbacks = message.parts.iter().filter_map(|part| match part {
            Part::Failed(fallback) => answer(*fallback),
            _ => None,
        });
        let decided = message.decided.clone().or_else(|| fallbacks.next());
        // Also where the MTA is not told, since it has agreed on silence.
        message.decided.clone_from(&decided);
        let reply = decided.unwrap_or_else(|| self.goes_on(&message, at));
        self.message = Some(message);
        Ok(Some(reply))
    }

    /// Who was shown none of the recipients has nothing to do with the message.
    fn let_go(&self, message: &mut Message) {
        for child in 0..self.views.len() {
            if message.parts[child] == Part::In && message.accepted > 0 && message.shown[child] == 0 {
                message.parts[child] = Part::Out;
            }
        }
    }

    fn content(&mut self, at: usize, said: &Said) {
        let Some(mut message) = self.message.take() else { return };
        self.let_go(&mut message);
        for child in 0..self.views.len() {
            let Some(terms) = self.views[child].terms else { continue };
            let is_in = message.parts[child] == Part::In && self.failed(child, at).is_none();
            if !is_in || !wants(terms, said.letter) {
                continue;
            }
            let say = says(child, &said.payload);
            if said.letter == b'B' {
                message.seen[child].body.extend_from_slice(&said.payload);
                if message.verdicts[child] == Say::Pass && say != Say::Accept {
                    message.verdicts[child] = say;
                }
                continue;
            }
            message.seen[child].headers += 1;
            match say {
                _ if !replies(terms, b'L') => {}
                Say::Pass => {}
                Say::Accept => message.parts[child] = Part::Accepted,
                say => message.parts[child] = Part::Refused(say),
            }
        }
        self.message = Some(message);
    }

    fn end(&mut self, at: usize, said: &Said) -> Result<Option<Frame>, String> {
        let Some(mut message) = self.message.take() else { return Ok(self.refused.clone()) };
        self.let_go(&mut message);
        self.settle(&mut message, at);
        let mut decided = message.decided.clone();
        let mut edits = Vec::new();
        for child in 0..self.views.len() {
            if decided.is_some() {
                break;
            }
            match message.parts[child] {
                Part::In if message.verdicts[child] != Say::Pass => {
                    decided = Some(spoken(child, message.verdicts[child]));
                }
                Part::In => edits.push((b'h', message.seen[child].header(child))),
                Part::Refused(say) => decided = Some(spoken(child, say)),
                Part::Failed(fallback) => decided = answer(fallback),
                Part::Out | Part::Accepted => {}
            }
        }
        if decided.is_some() {
            edits.clear();
        }
        if said.reply.is_some() && said.edits != edits {
            let show = |edits: &[Frame]| edits.iter().map(crate::town::show).collect::<Vec<_>>().join("; ");
            return Err(format!("the end of message brings {}, not {}", show(&said.edits), show(&edits)));
        }
        Ok(Some(decided.unwrap_or_else(|| plain(b'c'))))
    }
}

fn plain(letter: u8) -> Frame {
    (letter, Vec::new())
}

/// The answer for a child that failed, unless the mail goes on.
fn answer(fallback: Fallback) -> Option<Frame> {
    match fallback {
        Fallback::TemporaryFailure => Some(plain(b't')),
        Fallback::Reject => Some(plain(b'r')),
        _ => None,
    }
}

fn spoken(child: usize, say: Say) -> Frame {
    match say {
        Say::Later => plain(b't'),
        Say::Reject => (b'y', refusal(child)),
        Say::Pass | Say::Accept => plain(b'c'),
    }
}
