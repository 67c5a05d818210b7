//! What the MTA says: connections, messages, bodies.

use super::{NAMES, Wildness, macro_names, repeated, string, text};
use crate::plan::{Step, Text};
use crate::rng::Rng;

pub(super) struct Writer<'a> {
    rng: &'a mut Rng,
    steps: Vec<Step>,
    wildness: Wildness,
    full: bool,
    postfix: bool,
    says_postfix: bool,
    /// For which commands macros are sent.
    letters: Vec<u8>,
    serial: u32,
}

impl<'a> Writer<'a> {
    /// All that the MTA says, whether it behaves as Postfix does, and whether it tells so.
    pub(super) fn write(rng: &'a mut Rng, wildness: Wildness) -> (Vec<Step>, bool, bool) {
        let full = wildness != Wildness::Tame && wildness != Wildness::Alone;
        let letters = Vec::new();
        let mut writer = Self {
            rng,
            steps: Vec::new(),
            wildness,
            full,
            postfix: false,
            says_postfix: false,
            letters,
            serial: 0,
        };
        writer.style();
        writer.sessions();
        let tells = writer.says_postfix && writer.letters.contains(&b'C');
        (writer.steps, writer.postfix, tells)
    }

    fn style(&mut self) {
        self.postfix = self.rng.chance(60);
        self.says_postfix = self.postfix && self.rng.chance(50);
        self.letters = match self.rng.below(8) {
            0 => Vec::new(),
            _ if self.postfix => text("CHMRTLNBEU"),
            _ => text("CHMRE"),
        };
    }

    fn send(&mut self, letter: u8, payload: Text) {
        let macros = self.letters.contains(&letter).then(|| {
            let (usual, asked) = macro_names(letter);
            let serial = self.serial;
            let value = |name: &str| match name {
                "v" if self.says_postfix => "Postfix 3.7.11".into(),
                name => format!("{name}-{serial}"),
            };
            usual.iter().chain(asked).map(|name| (text(name), text(value(name)))).collect()
        });
        self.steps.push(Step::Send { letter, payload, macros });
    }

    fn sessions(&mut self) {
        loop {
            self.session();
            let last =
                !(self.full && self.rng.chance(if self.wildness == Wildness::Silent { 60 } else { 5 }));
            if last {
                break;
            }
            self.send(b'K', Vec::new());
        }
        match self.rng.below(10) {
            0 => self.steps.push(Step::Close),
            1 => {
                self.send(b'Q', Vec::new());
                self.steps.push(Step::Close);
            }
            _ => self.send(b'Q', Vec::new()),
        }
    }

    fn session(&mut self) {
        self.serial += 1;
        let connect = match self.rng.below(6) {
            0 => b"[192.0.2.1]\x004\x12\x34192.0.2.1\0".to_vec(),
            1 => b"h.test\x006\x00\x19IPv6:2001:db8::1\0".to_vec(),
            2 => b"h.test\x006\x00\x192001:db8::1\0".to_vec(),
            3 => b"localhost\0L\x00\x00/run/x\0".to_vec(),
            4 => b"unknown\0U".to_vec(),
            _ => b"h.test\x004\x12\x34203.0.113.7\0".to_vec(),
        };
        self.send(b'C', connect);
        self.idle();
        for _ in 0..*self.rng.pick(&[0, 1, 1, 1, 1, 1, 1, 2]) {
            let helo =
                if self.rng.chance(5) { text("\0") } else { string(format!("helo{}.test", self.serial)) };
            self.send(b'H', helo);
            if self.postfix && self.rng.chance(30) {
                self.send(b'A', Vec::new());
            }
            self.idle();
        }
        for _ in 0..*self.rng.pick(&[0, 1, 1, 1, 1, 2, 2, 3, 4]) {
            self.message();
            self.idle();
            if self.full && self.rng.chance(5) {
                self.serial += 1;
                self.send(b'H', string(format!("again{}.test", self.serial)));
            }
        }
    }

    fn idle(&mut self) {
        if self.rng.chance(8) {
            for _ in 0..self.rng.between(1, 2) {
                self.send(b'A', Vec::new());
            }
        }
        if self.full && self.rng.chance(6) {
            let what = string(format!("XYZZY {}", self.steps.len()));
            self.send(b'U', what);
        }
        if self.rng.chance(5) {
            let pause = self.rng.between(1, 20_000);
            self.steps.push(Step::Pause(pause));
        }
        if self.full && self.rng.chance(1) {
            let pause = self.rng.below(300);
            self.steps.push(Step::CloseSoon(pause));
        }
    }

    fn message(&mut self) {
        self.serial += 1;
        let id = self.serial;
        let start = self.steps.len();
        let all = ["SIZE=9", "BODY=8BITMIME"];
        let mut arguments: Vec<Text> = all[..self.rng.below(3) as usize].iter().map(text).collect();
        let mut sender = text(format!("<s{id}@from.test>"));
        if self.rng.chance(10) {
            sender = text("<>");
            arguments.push(text(format!("ENVID={id}")));
        }
        let mail = std::iter::once(sender).chain(arguments).flat_map(string).collect();
        self.send(b'M', mail);
        for n in 0..*self.rng.pick(&[0, 1, 1, 1, 1, 2, 2, 3, 5]) {
            if self.full && self.rng.chance(4) {
                let what = string(format!("NOSUCH {}", self.steps.len()));
                self.send(b'U', what);
            }
            let arguments = if self.rng.chance(20) { "NOTIFY=NEVER\0ORCPT=rfc822;x\0" } else { "" };
            let address = string(format!("<r{n}.{id}@to.test>"));
            self.send(b'R', [&address, arguments.as_bytes()].concat());
            if self.full && self.rng.chance(6) {
                // One that the MTA has refused itself.
                self.send(b'R', string(format!("<bad{n}.{id}@to.test>")));
                if let Some(Step::Send { macros: Some(macros), .. }) = self.steps.last_mut() {
                    macros.retain(|(name, _)| name != b"rcpt_mailer");
                    macros.push((text("rcpt_mailer"), text("error")));
                } else {
                    self.steps.pop();
                }
            }
        }
        if !self.rng.chance(8) {
            self.send(b'T', Vec::new());
        }
        let many = if self.rng.chance(3) { 60 } else { 6 };
        for n in 0..self.rng.below(many + 1) {
            let name = *self.rng.pick(&NAMES);
            let value = match self.rng.below(10) {
                0 => text(""),
                1 => text(format!("tight {n}")),
                2 => text(format!("  wide {n}")),
                3 => text(format!("\ttab {n}")),
                4 => text(format!(" folded\n\t{n} more\n  and more")),
                5 => b" \xff\xfe 8bit".to_vec(),
                _ => text(format!(" v{n}.{id}")),
            };
            self.send(b'L', [&string(name)[..], &string(value)].concat());
        }
        self.send(b'N', Vec::new());
        let body = self.body(id);
        for chunk in body {
            self.send(b'B', chunk);
        }
        let data =
            if self.full && self.rng.chance(6) { text(format!("last of {id}\r\n")) } else { Vec::new() };
        self.send(b'E', data);
        let end = self.steps.len();
        // Some messages end in the middle.
        if self.full && self.rng.chance(if self.wildness == Wildness::Stored { 60 } else { 15 }) {
            let keep = self.rng.between(1, (end - start) as u64 - 1) as usize;
            self.steps.truncate(start + keep);
            let is_content =
                |step: &Step| matches!(step, Step::Send { letter, .. } if b"TLNB".contains(letter));
            let content = self.steps.last().is_some_and(is_content);
            match self.rng.below(8) {
                0..=2 if content => self.send(b'A', Vec::new()),
                0 => {
                    self.serial += 1;
                    self.send(b'H', string(format!("middle{id}.test")));
                }
                1 | 2 => {} // the next MAIL comes without ABORT
                3 => self.steps.push(Step::Close),
                4 => self.send(b'Q', Vec::new()),
                5 => {
                    let pause = self.rng.below(200);
                    self.steps.extend([Step::CloseSoon(pause), Step::Pause(1000)]);
                }
                _ => self.send(b'A', Vec::new()),
            }
        } else if self.postfix && self.rng.chance(70) {
            self.send(b'A', Vec::new());
        } else if self.full && self.rng.chance(2) {
            let pause = self.rng.below(500);
            self.steps.insert(end - 1, Step::CloseSoon(pause));
        }
        self.steps.push(Step::EndOfMessage);
    }

    fn body(&mut self, id: u32) -> Vec<Text> {
        let mut chunk = |n: u64| {
            let size = match self.rng.below(40) {
                0 => 65535,
                1 => 5000,
                2 => 1,
                _ => 10 + self.rng.below(60),
            };
            let line = format!("body {id}.{n}\r\n");
            repeated(line.as_bytes(), size as usize)
        };
        let stored = if self.wildness == Wildness::Stored { 4 } else { 0 };
        let count = stored + [0, 1, 1, 1, 2, 2, 3, 4][id as usize % 8];
        (0..count).map(&mut chunk).collect()
    }
}
