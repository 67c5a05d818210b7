//! A child's end of one connection: what it answers, and whether it is sent a conversation as libmilter takes it.

use std::collections::VecDeque;

use crate::mail::{Frame, Say, Seen, Text, is_added, refusal, replies, says, tag, wants};

/// The line of the UNKNOWN with which a connection is given back; libmilter answers it also for who does not want it.
const NOOP: &[u8] = b"NOOP\0";

/// What has come of this connection so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    New,
    Greeted,
    Connected,
    Named,
    Sender,
    Recipients,
    Data,
    Headers,
    EndOfHeaders,
    Body,
    Over,
}

pub(crate) struct Milter {
    child: usize,
    /// The protocol bits that it answers with.
    pub(crate) terms: u32,
    /// What is sent ahead need not be wanted any more.
    pipelining: bool,
    /// What the session takes it to answer, from an earlier one.
    pub(crate) foreseen: Option<u32>,
    stage: Stage,
    /// It has given its verdict on the content; what was sent before that was read may still come.
    deaf: bool,
    accepted_session: bool,
    seen: Seen,
    verdict: Say,
    /// The session that it serves, and those that were given the connection before it has read that this one left.
    pub(crate) serves: VecDeque<u32>,
    part: Option<u32>,
    message: Option<u32>,
    /// Frames that it has read since the session began, macros aside.
    pub(crate) letters: Text,
    /// It has read QUIT_NC, or QUIT.
    pub(crate) parted: bool,
}

impl Milter {
    pub(crate) fn new(child: usize, terms: u32, pipelining: bool) -> Self {
        Self {
            child,
            terms,
            pipelining,
            foreseen: None,
            stage: Stage::New,
            deaf: false,
            accepted_session: false,
            seen: Seen { sender: None, recipients: Vec::new(), headers: 0, body: Vec::new() },
            verdict: Say::Pass,
            serves: VecDeque::new(),
            part: None,
            message: None,
            letters: Vec::new(),
            parted: false,
        }
    }

    /// Takes a frame and says what it answers. `early`: it was sent before the answer to the offer was read.
    pub(crate) fn take(&mut self, (letter, payload): &Frame, early: bool) -> Vec<Frame> {
        let letter = *letter;
        let terms = if early { self.check_early(letter) } else { self.terms };
        assert!(self.stage != Stage::Over, "{} behind QUIT", char::from(letter));
        if letter == b'D' {
            self.check_tag(payload, false);
            return Vec::new();
        }
        self.letters.push(letter);
        self.parted = false;
        if b"CHMRTULNB".contains(&letter) && (letter, &payload[..]) != (b'U', NOOP) {
            assert!(wants(terms, letter), "{} was not wanted", char::from(letter));
        }
        if self.deaf && b"LNBE".contains(&letter) {
            return Vec::new();
        }
        self.deaf = false;
        let before = self.stage;
        self.stage = self.next(letter, payload);
        self.check_order(letter, before, terms);
        let stage = self.stage;
        let answer = self.answer(letter, payload);
        if terms != self.terms {
            // Its answer to the offer will be the last thing that is heard: what comes knows nothing of this one.
            (self.stage, self.accepted_session) = (stage, false);
        }
        answer
    }

    /// Only who bears pipelining is told anything with the offer, of the envelope, and where it is known what it will answer.
    /// Returns the terms by which it is told that.
    fn check_early(&self, letter: u8) -> u32 {
        if b"OQ".contains(&letter) {
            return self.terms;
        }
        let may = self.pipelining && b"DCHMRTUA".contains(&letter);
        assert!(may, "{} before it has answered the offer", char::from(letter));
        self.foreseen.expect(
            "it is told something before it has answered the offer, and nobody knows what it will answer",
        )
    }

    fn next(&self, letter: u8, payload: &[u8]) -> Stage {
        match letter {
            b'O' => Stage::Greeted,
            b'C' => Stage::Connected,
            b'H' => Stage::Named,
            b'M' => Stage::Sender,
            b'R' => Stage::Recipients,
            b'T' => Stage::Data,
            b'L' => Stage::Headers,
            b'N' => Stage::EndOfHeaders,
            b'B' => Stage::Body,
            b'U' => self.stage,
            b'A' if self.stage < Stage::Sender => self.stage,
            b'A' | b'E' => Stage::Named,
            b'K' => Stage::Greeted,
            b'Q' => Stage::Over,
            _ => panic!("{} {payload:?} is no command", char::from(letter)),
        }
    }

    /// The state before must be one in which libmilter takes such a command. What is not wanted is passed over.
    fn check_order(&self, letter: u8, before: Stage, terms: u32) {
        let passed = |letters: &[u8]| letters.iter().all(|letter| !wants(terms, *letter));
        let in_message = before >= Stage::Sender || passed(b"M");
        let fits = match letter {
            b'O' => before == Stage::New,
            b'C' => before == Stage::Greeted,
            b'H' => before >= Stage::Greeted && before < Stage::Sender,
            b'M' => before >= Stage::Greeted && before < Stage::Sender && !self.accepted_session,
            b'R' => in_message && before <= Stage::Recipients,
            b'T' => {
                in_message && before <= Stage::Recipients && (passed(b"R") || before == Stage::Recipients)
            }
            b'L' => in_message && before <= Stage::Headers,
            b'N' => in_message && before < Stage::EndOfHeaders,
            b'B' => in_message && before <= Stage::Body,
            b'E' => in_message,
            _ => before != Stage::New,
        };
        assert!(fits, "{} comes behind {before:?}", char::from(letter));
    }

    /// Everything that is said to it belongs to the session that has the connection, and to one message at a time.
    fn check_tag(&mut self, payload: &[u8], in_message: bool) {
        let Some((session, part, message)) = tag(payload) else { return };
        assert_eq!(
            Some(&session),
            self.serves.front(),
            "it is shown another session's: {}",
            String::from_utf8_lossy(payload)
        );
        assert_eq!(part, *self.part.get_or_insert(part), "it is shown another client's");
        if in_message {
            assert_eq!(message, *self.message.get_or_insert(message), "it is shown another message's");
        }
    }

    fn answer(&mut self, letter: u8, payload: &Text) -> Vec<Frame> {
        match letter {
            b'O' => {
                let mut answer = 6u32.to_be_bytes().to_vec();
                answer.extend(1u32.to_be_bytes());
                answer.extend(self.terms.to_be_bytes());
                return vec![(b'O', answer)];
            }
            b'M' => {
                self.forget_message();
                self.check_tag(payload, true);
                self.seen.sender = Some(trimmed(payload));
            }
            b'C' | b'H' => self.check_tag(payload, false),
            b'R' | b'L' | b'B' => self.check_tag(payload, true),
            b'A' => {
                self.forget_message();
                return Vec::new();
            }
            b'K' => {
                self.forget_message();
                (self.part, self.accepted_session, self.parted) = (None, false, true);
                self.letters.clear();
                self.serves.pop_front();
                return Vec::new();
            }
            b'Q' => {
                self.parted = true;
                return Vec::new();
            }
            _ => {}
        }
        if letter == b'E' {
            return self.end_of_message();
        }
        let mut says = says(self.child, payload);
        match letter {
            b'L' if is_added(payload) => says = Say::Pass,
            b'L' => self.seen.headers += 1,
            b'B' => {
                self.seen.body.extend_from_slice(payload);
                if self.verdict == Say::Pass && says != Say::Accept {
                    self.verdict = says;
                }
                says = Say::Pass;
            }
            _ => {}
        }
        if b"TUN".contains(&letter) || letter == b'R' && says == Say::Accept {
            says = Say::Pass;
        }
        if !replies(self.terms, letter) {
            says = Say::Pass;
        }
        if letter == b'R' && says == Say::Pass {
            self.seen.recipients.push(trimmed(payload));
        }
        match (letter, says) {
            (_, Say::Pass) => {}
            (b'M', _) => self.stage = Stage::Named,
            (b'L', _) => (self.stage, self.deaf) = (Stage::Named, self.pipelining),
            (b'C' | b'H', Say::Accept) => self.accepted_session = true,
            _ => {}
        }
        if b"ML".contains(&letter) && says != Say::Pass {
            self.forget_message();
        }
        if replies(self.terms, letter) { vec![self.reply(says)] } else { Vec::new() }
    }

    fn end_of_message(&mut self) -> Vec<Frame> {
        let verdict = self.verdict;
        let mut out = Vec::new();
        if verdict == Say::Pass {
            out.push((b'h', self.seen.header(self.child)));
        }
        out.push(self.reply(verdict));
        self.forget_message();
        out
    }

    fn reply(&self, says: Say) -> Frame {
        match says {
            Say::Pass => (b'c', Vec::new()),
            Say::Accept => (b'a', Vec::new()),
            Say::Reject => (b'y', refusal(self.child)),
            Say::Later => (b't', Vec::new()),
        }
    }

    fn forget_message(&mut self) {
        self.seen = Seen::default();
        self.verdict = Say::Pass;
        self.message = None;
    }
}

pub(crate) fn trimmed(payload: &[u8]) -> Text {
    payload.strip_suffix(b"\0").unwrap_or(payload).to_vec()
}
