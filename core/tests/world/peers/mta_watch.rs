//! Checks what the session sends to the MTA.

use crate::frames::number;

/// Checks what the session sends to the MTA, as it leaves the session.
pub(crate) struct MtaWatch {
    /// Commands that have reached the session and are owed a reply, oldest first, with time and number.
    owed: std::collections::VecDeque<(u8, u64, usize)>,
    edits: Vec<u8>,
    last_frame: u64,
    offered: bool,
    actions: u32,
}

impl MtaWatch {
    pub(crate) fn new() -> Self {
        Self { owed: [].into(), edits: Vec::new(), last_frame: 0, offered: false, actions: 0 }
    }

    pub(crate) fn asked(&mut self, letter: u8, now: u64, number: usize) {
        self.owed.push_back((letter, now, number));
        self.offered = true;
        self.last_frame = now;
    }

    /// For how long the oldest command waits, and for how long nothing was sent while end of message waits.
    pub(crate) fn oldest(&self) -> Option<(u8, u64, u64)> {
        self.owed.front().map(|(letter, since, _)| (*letter, *since, self.last_frame.max(*since)))
    }

    /// Whether the MTA has made its offer.
    pub(crate) fn has_asked(&self) -> bool {
        self.offered
    }

    pub(crate) fn frame(&mut self, letter: u8, payload: &[u8], now: u64) -> Result<(), String> {
        let name = char::from(letter);
        self.last_frame = now;
        let Some((command, ..)) = self.owed.front().copied() else {
            return Err(format!("'{name}' to the MTA, which is owed nothing"));
        };
        if (letter == b'O') != (command == b'O') {
            return Err(format!("'{name}' as reply to '{}'", char::from(command)));
        }
        if letter == b'O' {
            self.actions = number(payload, 4);
        }
        let edit = b"bhim+-2eq".contains(&letter);
        if edit || letter == b'p' {
            if command != b'E' {
                return Err(format!("'{name}' before the reply to '{}'", char::from(command)));
            }
            let run_is_over = self.edits.contains(&b'b') && self.edits.last() != Some(&b'b');
            if letter == b'b' && run_is_over {
                return Err("a second run of body".into());
            }
            let needs = match letter {
                b'h' | b'i' => 0x01,
                b'b' => 0x02,
                b'+' => 0x04,
                b'-' => 0x08,
                b'm' => 0x10,
                b'q' => 0x20,
                b'e' => 0x40,
                b'2' => 0x80,
                _ => 0,
            };
            if self.actions & needs != needs {
                return Err(format!("edit '{name}' without its action ({:#x})", self.actions));
            }
            if payload.len() > 65535 {
                return Err(format!("'{name}' of {} bytes", payload.len()));
            }
            self.edits.push(letter);
            return Ok(());
        }
        let delivers = b"ca".contains(&letter);
        if command == b'E' && !delivers && self.edits.iter().any(|letter| *letter != b'p') {
            return Err(format!("edits, then '{name}'"));
        }
        let known = match command {
            b'O' => letter == b'O',
            b'C' | b'H' => b"carty".contains(&letter),
            b'U' => b"carty".contains(&letter),
            _ => b"cadrty".contains(&letter),
        };
        if !known {
            return Err(format!("'{name}' as reply to '{}'", char::from(command)));
        }
        self.edits.clear();
        self.owed.pop_front();
        Ok(())
    }
}
