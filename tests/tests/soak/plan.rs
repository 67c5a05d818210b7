//! What a session is to do, and how it may end.

use crate::chance::Chance;

/// What a milter does about one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Says this letter: `r`, `t`, `a`, `d` or `y`.
    Say(u8),
    /// Closes the connection.
    Close,
    /// Says something that is no reply.
    Rave,
    /// Says nothing, for longer than its time limit.
    Hang,
}

/// What the MTA does at one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// Closes instead of sending it.
    Close,
    /// Sends it and closes without having read the answer.
    CloseUnread,
    /// Sends a part of it and closes.
    Half,
    /// Sends bytes that are no command; the manager closes.
    Rave,
    /// Takes the message back, and begins anew.
    Abort,
}

/// A session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The milter (0 or 1), the command, and what it does about it.
    pub(crate) act: Option<(usize, u8, Act)>,
    /// How many commands are exchanged before, and what then.
    pub(crate) broken: Option<(usize, Break)>,
    /// A condition keeps the second milter out of it.
    pub(crate) skips_second: bool,
    /// Bytes of body; the longer ones do not fit into memory.
    pub(crate) body: usize,
    /// Messages, when nothing is wrong.
    pub(crate) messages: usize,
}

/// The commands of a session, in their order.
pub(crate) const COMMANDS: [u8; 9] = *b"CHMRTLNBE";

impl Plan {
    /// The session of this number.
    pub(crate) fn of(number: usize) -> Self {
        let mut chance = Chance::of(number);
        let act = (chance.below(3) == 0).then(|| {
            let milter = chance.below(2);
            let letter = chance.one_of(&COMMANDS);
            let act = match chance.below(500) {
                0 => Act::Hang,
                1..100 => Act::Close,
                100..150 => Act::Rave,
                150..250 => Act::Say(b'a'),
                250..300 if letter == b'E' => Act::Say(b'd'),
                250..350 => Act::Say(b't'),
                350..400 => Act::Say(b'y'),
                _ => Act::Say(b'r'),
            };
            (milter, letter, act)
        });
        let broken = (chance.below(5) == 0).then(|| {
            let how = [Break::Close, Break::CloseUnread, Break::Half, Break::Rave, Break::Abort];
            (chance.below(COMMANDS.len()), chance.one_of(&how))
        });
        let body = match chance.below(200) {
            0 => 300_000,
            1..20 => 30_000,
            _ => 500,
        };
        let messages = if chance.below(5) == 0 { 3 } else { 1 };
        Self { act, broken, skips_second: chance.below(10) == 0, body, messages }
    }

    /// The name of the client, from which milters and conditions know what to do.
    pub(crate) fn client(&self) -> String {
        let act = self.act.map_or(String::new(), |(milter, letter, act)| {
            let act = match act {
                Act::Say(letter) => char::from(letter),
                Act::Close => 'C',
                Act::Rave => 'R',
                Act::Hang => 'H',
            };
            format!("{milter}{}{act}", char::from(letter))
        });
        format!("x{act}.{}.example.org", if self.skips_second { "alone" } else { "both" })
    }

    /// What a milter does for the client of this name.
    pub(crate) fn act_of(client: &str, milter: usize) -> Option<(u8, Act)> {
        let &[b'x', number, letter, act, b'.', ..] = client.as_bytes() else { return None };
        let act = match act {
            b'C' => Act::Close,
            b'R' => Act::Rave,
            b'H' => Act::Hang,
            letter => Act::Say(letter),
        };
        (usize::from(number - b'0') == milter).then_some((letter, act))
    }

    /// What the milters do that are asked at all.
    fn effective(&self) -> Option<(u8, Act)> {
        let (milter, letter, act) = self.act?;
        (milter == 0 || !self.skips_second).then_some((letter, act))
    }

    /// Whether nothing is to go wrong in it.
    pub(crate) fn is_plain(&self) -> bool {
        self.act.is_none() && self.broken.is_none()
    }

    /// Whether a session that got as far as an answer may have this one. `t` always may be: a milter is being restarted.
    pub(crate) fn allows(&self, answer: u8) -> bool {
        let expected: &[u8] = match self.effective() {
            None => b"c",
            Some((_, Act::Say(b'a'))) => b"ca",
            Some((_, Act::Say(letter))) => &[letter],
            Some((_, Act::Close | Act::Rave | Act::Hang)) => b"t",
        };
        answer == b't' || expected.contains(&answer)
    }
}
