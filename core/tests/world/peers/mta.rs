//! The scripted MTA at the far end of the session's own connection.

use super::plain_connect;
use crate::frames::{cut, encode, number};
use crate::lists::decode_lists;
use crate::plan::{Frame, Joined, MtaPlan, Step, Text, no_send_bit, since};
use crate::record::Exchange;
use crate::rng::Rng;
use crate::script::macro_names;

pub(crate) const MS: u64 = 1_000_000;

pub(crate) struct MtaEnd {
    pub(crate) plan: MtaPlan,
    at: usize,
    /// What the session answered to the offer.
    pub(crate) agreed: Option<Joined>,
    pub(crate) exchanges: Vec<Exchange>,
    /// The exchange that waits for its reply.
    waiting: Option<usize>,
    replies: Vec<Frame>,
    inbox: Text,
    accepted: u32,
    open: bool,
    /// Passes over what is left of the message.
    skipping: bool,
    pub(crate) next_at: u64,
    close_at: Option<u64>,
    garbage_at: Option<(u64, Text)>,
    /// The recipient in hand is one that it has refused itself.
    rejecting: bool,
    pub(crate) closed: bool,
    pub(crate) quit: bool,
    /// It will say nothing more.
    pub(crate) silent: bool,
    /// What it said last made no sense.
    pub(crate) raving: bool,
    /// Mistakes of the session that only the MTA can see.
    pub(crate) complaint: Option<String>,
}

impl MtaEnd {
    pub(crate) fn new(plan: MtaPlan) -> Self {
        let plan_closes = plan.closes.map(|ms| 1000 * MS + ms * MS);
        Self {
            plan,
            at: 0,
            agreed: None,
            exchanges: Vec::new(),
            waiting: None,
            replies: Vec::new(),
            inbox: Vec::new(),
            accepted: 0,
            open: false,
            skipping: false,
            next_at: 0,
            close_at: plan_closes,
            garbage_at: None,
            rejecting: false,
            closed: false,
            quit: false,
            silent: false,
            raving: false,
            complaint: None,
        }
    }

    pub(crate) fn offer(&self) -> Text {
        let numbers = [self.plan.version, self.plan.actions, self.plan.protocol];
        let mut offer = encode(&(b'O', numbers.iter().flat_map(|number| number.to_be_bytes()).collect()));
        if self.plan.mute {
            offer.truncate(number(&offer, 12) as usize % 7);
        }
        offer
    }

    /// When it does something by itself.
    pub(crate) fn due(&self) -> Option<u64> {
        if self.closed {
            return None;
        }
        let step = (self.agreed.is_some()
            && self.waiting.is_none()
            && self.at < self.plan.steps.len()
            && !self.quit
            && !self.silent)
            .then_some(self.next_at);
        let quit_then_close = (self.quit
            && self.plan.steps.last().is_some_and(|step| matches!(step, Step::Close)))
        .then_some(self.next_at);
        let garbage = self.garbage_at.as_ref().map(|(at, _)| *at);
        [step, self.close_at, garbage, quit_then_close].into_iter().flatten().min()
    }

    /// Does the next thing; returns the bytes that it sends.
    pub(crate) fn act(&mut self, now: u64, rng: &mut Rng) -> Text {
        if self.close_at.is_some_and(|at| at <= now) || self.quit {
            self.closed = true;
            return Vec::new();
        }
        if let Some((_, bytes)) = self.garbage_at.take_if(|(at, _)| *at <= now) {
            (self.silent, self.raving) = (true, true);
            return bytes;
        }
        let mut out = Vec::new();
        let step = std::mem::replace(&mut self.plan.steps[self.at], Step::Silence);
        self.at += 1;
        // Content that needs no answers goes out back to back.
        let gap = if rng.chance(70) { 0 } else { rng.below(20) };
        self.next_at = now + gap * MS;
        match step {
            Step::Garbage(ms, bytes) => self.garbage_at = Some((now + ms * MS, bytes)),
            Step::Silence => self.silent = true,
            Step::EndOfMessage => {
                if (self.skipping || self.open) && self.plan.polite {
                    self.send(b'A', Vec::new(), None, &mut out);
                }
                (self.skipping, self.open, self.accepted) = (false, false, 0);
            }
            _ if self.skipping => {}
            Step::Pause(ms) => self.next_at = now + ms * MS,
            Step::Close => self.closed = true,
            Step::CloseSoon(ms) => self.close_at = Some(now + ms * MS),
            Step::Send { letter, payload, macros } => {
                let content = b"TLNBE".contains(&letter);
                if content && self.accepted == 0 {
                    self.skipping = true;
                } else {
                    self.send(letter, payload, macros, &mut out);
                }
            }
        }
        out
    }

    fn send(&mut self, letter: u8, payload: Text, macros: Option<Vec<(Text, Text)>>, out: &mut Text) {
        let agreed = self.agreed.take().unwrap();
        self.send_as(&agreed, letter, payload, macros, out);
        self.agreed = Some(agreed);
    }

    fn send_as(
        &mut self,
        agreed: &Joined,
        letter: u8,
        payload: Text,
        macros: Option<Vec<(Text, Text)>>,
        out: &mut Text,
    ) {
        // DATA and UNKNOWN are newer than some versions, QUIT_NC than most.
        if agreed.version < since(letter) {
            if letter == b'K' {
                self.quit = true;
                self.send_as(agreed, b'Q', Vec::new(), None, out);
            }
            return;
        }
        let error = |(name, value): &(Text, Text)| name == b"rcpt_mailer" && value == b"error";
        self.rejecting = letter == b'R' && macros.as_ref().is_some_and(|macros| macros.iter().any(error));
        if self.rejecting && agreed.protocol & 0x800 == 0 {
            return;
        }
        let suppressed = agreed.protocol & no_send_bit(letter) != 0;
        if let Some(macros) = macros.filter(|_| !suppressed || self.plan.postfix) {
            // Postfix takes the lists of EOH and end of message for headers and body.
            let list_of = match letter {
                b'L' => b'N',
                b'B' => b'E',
                other => other,
            };
            let asked = agreed.lists.iter().find(|(listed, names)| *listed == list_of && !names.is_empty());
            let is_asked_for = |name: &Text| match asked {
                Some((_, names)) => names.contains(name),
                None => macro_names(letter).0.iter().any(|known| known.as_bytes() == name),
            };
            let mut set = vec![letter];
            for (name, value) in macros.iter().filter(|(name, _)| is_asked_for(name)) {
                let [open, close] = if name.len() == 1 { [&b""[..], b""] } else { [&b"{"[..], b"}"] };
                for part in [open, name, close, b"\0", value, b"\0"] {
                    set.extend_from_slice(part);
                }
            }
            if set.len() > 1 || self.plan.postfix {
                self.push(b'D', set, false, out);
            }
        }
        match letter {
            b'M' => (self.open, self.accepted) = (true, 0),
            b'A' | b'H' => self.open = false,
            b'Q' => self.quit = true,
            _ => {}
        }
        if suppressed {
            if letter == b'R' && !self.rejecting {
                self.accepted += 1;
            }
            self.exchanges.push(Exchange::new(letter, payload, true, false));
            return;
        }
        let owed = agreed.answers(letter);
        self.push(letter, payload, owed, out);
        if owed {
            self.waiting = Some(self.exchanges.len() - 1);
        } else if letter == b'R' && !self.rejecting {
            self.accepted += 1;
        }
    }

    fn push(&mut self, letter: u8, payload: Text, owed: bool, out: &mut Text) {
        out.extend_from_slice(&u32::try_from(payload.len() + 1).unwrap().to_be_bytes());
        out.push(letter);
        out.extend_from_slice(&payload);
        let payload = if letter == b'C' { plain_connect(&payload) } else { payload };
        self.exchanges.push(Exchange::new(letter, payload, false, owed));
    }

    pub(crate) fn arrived(&mut self, bytes: &[u8], now: u64, rng: &mut Rng) {
        self.inbox.extend_from_slice(bytes);
        while let Some(frame) = cut(&mut self.inbox) {
            if !self.closed {
                self.reply(frame, now, rng);
            }
        }
    }

    fn reply(&mut self, frame: Frame, now: u64, rng: &mut Rng) {
        let think = if rng.chance(60) { 0 } else { rng.below(50) };
        if frame.0 == b'O' {
            let [version, actions, protocol] = [0, 4, 8].map(|at| number(&frame.1, at));
            let lists = decode_lists(&frame.1[12..]);
            let (offered, plan) = (self.plan.version.min(6), &self.plan);
            if version != offered || actions & !plan.actions != 0 || protocol & !plan.protocol != 0 {
                self.complaint =
                    Some(format!("answered {version} {actions:#x} {protocol:#x}, outside the offer"));
            }
            self.agreed = Some(Joined { version, actions, protocol, lists });
            self.next_at = now + think * MS;
            return;
        }
        let letter = frame.0;
        self.replies.push(frame);
        if b"pbhim+-2eq".contains(&letter) {
            return;
        }
        let Some(waiting) = self.waiting.take() else { return };
        let command = self.exchanges[waiting].letter;
        self.replies.retain(|(letter, _)| *letter != b'p');
        self.exchanges[waiting].reply = Some(std::mem::take(&mut self.replies));
        self.next_at = now + think * MS;
        let refused = b"rty4".contains(&letter);
        match command {
            b'C' | b'H' if (refused || letter == b'a') && !self.plan.lax => {
                // Postfix closes at once, Sendmail sends QUIT.
                let quit = Step::Send { letter: b'Q', payload: Vec::new(), macros: None };
                self.plan.steps.truncate(self.at);
                self.plan.steps.push(if self.plan.polite { quit } else { Step::Close });
                self.skipping = false;
            }
            b'M' | b'T' => self.skipping = (refused || b"da".contains(&letter)) && !self.plan.lax,
            b'R' if refused => {}
            b'R' if self.rejecting => {}
            b'R' => {
                self.accepted += 1;
                self.skipping = b"da".contains(&letter) && !self.plan.lax;
            }
            b'E' => self.open = false,
            _ => {}
        }
    }
}
