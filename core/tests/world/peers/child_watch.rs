//! Checks what the session sends to one child.

use crate::peers::child::NOOP;
use crate::plan::{Joined, Text, no_send_bit};
use crate::queue::strings;

/// Checks what the session sends to one child, as it leaves the session.
pub(crate) struct Watch {
    /// What the child chose, once its answer has reached the session.
    joined: Option<Joined>,
    state: u8,
    /// The last command that wants an answer.
    last: u8,
    in_message: bool,
    /// Its part in the message has ended by its own answer, and the session has had the time to know.
    settled: bool,
    asked: usize,
    answered: usize,
    mds: usize,
    /// It may be sent content before it has answered.
    pipelining: bool,
    /// Its connections are kept, and how far leave was taken of this one: ABORT, UNKNOWN, QUIT_NC.
    reuse: bool,
    left: u8,
    /// It had its last word while more was on its way: nobody knows how many replies are to come.
    pub(crate) uncounted: bool,
    /// More may have been on its way.
    pub(crate) may_be_uncounted: bool,
    /// Content was on its way when it had its last word, to which it owes nothing.
    leftover: bool,
    /// It is told again what it was told on another connection, in one go.
    pub(crate) again: bool,
    /// It may know the HELO of another client.
    stale: bool,
    /// What it chooses is known from before, and it has not answered yet.
    presumed: bool,
}

impl Watch {
    pub(crate) fn new(pipelining: bool, reuse: bool) -> Self {
        Self {
            joined: None,
            state: 0,
            last: 0,
            in_message: false,
            settled: true,
            asked: 0,
            answered: 0,
            mds: 65535,
            pipelining,
            reuse,
            left: 0,
            uncounted: false,
            may_be_uncounted: false,
            leftover: false,
            again: false,
            stale: false,
            presumed: false,
        }
    }

    /// It has negotiated in an earlier session.
    pub(crate) fn resume(&mut self, joined: Joined) {
        (self.joined, self.state, self.stale) = (Some(joined), b'O', true);
    }

    /// It will choose the same as before.
    pub(crate) fn presume(&mut self, joined: Joined) {
        (self.joined, self.presumed) = (Some(joined), true);
    }

    /// It was not heard yet, and is told what it will want.
    pub(crate) fn is_presumed(&self) -> bool {
        self.presumed
    }

    /// It can be used by another session.
    pub(crate) fn is_given_back(&self) -> bool {
        self.left == 3 && !self.owes()
    }

    /// The last thing that it was sent is that nothing of this message counts.
    pub(crate) fn is_taken_back(&self) -> bool {
        self.state == b'A'
    }

    /// It was sent a part of a message, and has not had its last word on that.
    pub(crate) fn is_in_message(&self) -> bool {
        self.in_message
    }

    /// It is still busy with the end of a message.
    pub(crate) fn is_at_end(&self) -> bool {
        self.owes() && self.last == b'E'
    }

    /// How many replies have come.
    pub(crate) fn replies(&self) -> usize {
        self.answered
    }

    pub(crate) fn owes(&self) -> bool {
        self.asked > self.answered
    }

    /// It owes an answer for which the next command has to wait: not for its terms, when they are known.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.owes() && !(self.presumed && self.asked == 1)
    }

    /// It owes an answer to the offer or to a command, or one to what was taken back, for which a command waits.
    pub(crate) fn holds_up(&self) -> bool {
        self.owes() && (b"CHMRTU".contains(&self.last) || b"OA".contains(&self.state))
    }

    /// A whole answer has reached the session.
    pub(crate) fn answered(&mut self, joined: Option<&Joined>) {
        self.answered += 1;
        if self.joined.is_none() || std::mem::take(&mut self.presumed) {
            self.joined = joined.cloned();
        }
    }

    /// A frame of the child has reached the session.
    pub(crate) fn note_reply(&mut self, letter: u8, refuses: bool, earlier: usize, queued: bool) {
        let ends = (self.state == b'E' && b"cs".contains(&letter))
            || (refuses && self.last != b'R' && self.last != b'U')
            || letter == b'a' && self.last == b'R'
            || letter == b'd' && self.last == b'R';
        let last_word = refuses && b"LNB".contains(&self.last);
        self.uncounted |= last_word && self.asked > self.answered + earlier + 1;
        self.leftover |= last_word && queued && self.pipelining;
        self.may_be_uncounted |= self.uncounted || last_word && queued;
        if ends {
            if self.in_message {
                // What comes next is as after a message, with or without ABORT.
                self.state = b'E';
            }
            self.in_message = false;
            self.settled = false;
        }
    }

    /// Whether it was told good-bye, as far as one could talk to it.
    pub(crate) fn parted(&self) -> bool {
        self.joined.is_none() || self.state == b'Q'
    }

    /// Nothing is queued for the child.
    pub(crate) fn idle(&mut self) {
        (self.settled, self.leftover) = (true, false);
    }

    /// A whole frame has left the session; `owed` is whether the child owed a reply when its first byte left.
    pub(crate) fn command(&mut self, letter: u8, payload: &[u8], owed: bool) -> Result<(), String> {
        let name = char::from(letter);
        if self.uncounted {
            return Err(format!("'{name}', when nobody knows which replies are still to come"));
        }
        if self.left > 1 && (letter, self.left) != (b'K', 2) {
            return Err(format!("'{name}' to a child of which leave was taken"));
        }
        if letter == b'O' {
            if self.state != 0 {
                return Err("a second negotiation".into());
            }
            self.state = b'O';
            self.asked += 1;
            return Ok(());
        }
        if letter == b'Q' {
            if self.state == b'Q' {
                return Err("a second QUIT".into());
            }
            self.state = b'Q';
            return Ok(());
        }
        if self.presumed && b"LNBE".contains(&letter) {
            return Err(format!("'{name}' before it has answered the offer"));
        }
        let Some(joined) = &self.joined else {
            return Err(format!("'{name}' before the negotiation is done"));
        };
        let about = if letter == b'D' { payload.first().copied().unwrap_or(0) } else { letter };
        if self.leftover && b"LN".contains(&about) {
            let answered = joined.answers(about) && letter != b'D';
            return if answered { Err(format!("'{name}' behind its last word")) } else { Ok(()) };
        }
        let behind = match about {
            b'L' | b'N' => self.last == b'L',
            b'B' => self.last == b'B' && self.asked < self.answered + 4,
            _ => false,
        };
        let behind = behind && self.pipelining && self.in_message
            || self.again
                && b"CH".contains(&self.last)
                && (letter == b'H' && self.state == b'C' || letter == b'D');
        if owed && !behind && !b"AQK".contains(&letter) {
            return Err(format!("'{name}' while a reply is owed"));
        }
        if payload.len() > self.mds && letter == b'B' {
            return Err(format!("a BODY of {} bytes", payload.len()));
        }
        if payload.is_empty() && b"BCHLMRUOD".contains(&letter) {
            return Err(format!("'{name}' without payload"));
        }
        if letter == b'E' && !payload.is_empty() {
            return Err("end of message with data".into());
        }
        if letter == b'D' {
            let texts = if payload.len() > 1 { strings(&payload[1..]) } else { Vec::new() };
            for pair in texts.chunks(2) {
                let bare: Text = pair[0].iter().copied().filter(|byte| !b"{}".contains(byte)).collect();
                if !joined.takes_macro(payload[0], &bare) {
                    return Err(format!(
                        "macro {} for '{}', which is not listed",
                        bare.escape_ascii(),
                        char::from(payload[0])
                    ));
                }
            }
            return Ok(());
        }
        if letter == b'U' && payload == NOOP && self.reuse && self.state == b'A' && !self.in_message {
            self.left = 2;
            self.asked += usize::from(joined.answers(letter));
            return Ok(());
        }
        if letter == b'K' {
            let taken = std::mem::replace(&mut self.left, 3) == 2;
            return if taken { Ok(()) } else { Err("QUIT_NC where libmilter ignores it".into()) };
        }
        if b"MH".contains(&letter) && self.in_message {
            return Err(format!("'{name}' inside a message, without ABORT"));
        }
        if !joined.wants(letter) {
            return Err(format!("'{name}', which it does not want"));
        }
        self.stale &= letter != b'H';
        if self.stale && b"MRTLNBE".contains(&letter) && joined.protocol & no_send_bit(b'H') == 0 {
            return Err(format!("'{name}' to a child that may know another client's HELO"));
        }
        self.transition(letter)?;
        if self.joined.as_ref().unwrap().answers(letter) {
            self.asked += 1;
            self.last = letter;
        }
        Ok(())
    }

    /// Section 8 of the protocol description, with the phases that the child skips passed over.
    fn transition(&mut self, letter: u8) -> Result<(), String> {
        let skipped = |command: u8| {
            let joined = self.joined.as_ref().unwrap();
            joined.protocol & no_send_bit(command) != 0
        };
        let mut here = vec![self.state];
        if self.state == b'O' && (skipped(b'C') || letter == b'U') {
            here.push(b'C');
        }
        if here.iter().any(|state| b"CHAE".contains(state)) && skipped(b'M') {
            here.push(b'M');
        }
        if here.contains(&b'M') && skipped(b'R') {
            here.push(b'R');
        }
        let allowed = |state: &u8| -> &[u8] {
            match state {
                b'O' => b"CUA",
                b'C' | b'H' | b'A' => b"HMUAK",
                b'E' => b"MHAUK",
                b'M' => b"RAUHM",
                b'R' => b"RTLNBEAUHM",
                b'T' => b"LNBEA",
                b'L' => b"LNEA",
                b'N' | b'B' => b"BEA",
                b'K' => b"C",
                _ => b"",
            }
        };
        // EOH not wanted: body follows the headers.
        let body_after_headers = letter == b'B' && b"LT".contains(&self.state) && skipped(b'N');
        let legal = body_after_headers || here.iter().any(|state| allowed(state).contains(&letter));
        if !legal {
            return Err(format!("'{}' after '{}'", char::from(letter), char::from(self.state)));
        }
        self.left = if letter == b'A' { self.left } else { 0 };
        match letter {
            b'A' => {
                if !self.in_message && self.settled && !skipped(b'M') {
                    // Or leave is taken of it.
                    if !self.reuse || std::mem::replace(&mut self.left, 1) == 1 {
                        return Err("ABORT without a message".into());
                    }
                }
                self.in_message = false;
                self.settled = true;
                self.state = b'A';
            }
            b'U' => {}
            b'E' => self.state = b'E',
            _ => self.state = letter,
        }
        if b"MRTLNBE".contains(&letter) {
            self.in_message = true;
        }
        Ok(())
    }
}
