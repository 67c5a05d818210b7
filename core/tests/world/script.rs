//! Makes scenarios from chance: every kind of MTA, child, verdict, edit and fault.

use super::plan::{
    Act, Bounds, Condition, Effect, End, Fallback, Frame, JoinFault, MtaPlan, Plan, Reads, Rule, Said,
    Scenario, Step, Text, no_reply_bit,
};
use super::rng::Rng;

/// How wild a scenario is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wildness {
    /// One child that neither fails nor refuses content nor asks for anything special: what a plain relay can serve.
    Tame,
    /// No children at all.
    Alone,
    Full,
}

const FALLBACKS: [Fallback; 6] = [
    Fallback::Accept,
    Fallback::TemporaryFailure,
    Fallback::Reject,
    Fallback::Discard,
    Fallback::Quarantine,
    Fallback::Shutdown,
];
const NAMES: [&str; 7] = ["From", "Subject", "Received", "X-A", "x-a", "X-B", "x-Unseen"];
const NO_SEND: u32 = 0x37f;
const NO_REPLY: u32 = 0xf_f080;
const LEAD: u32 = 0x10_0000;
const SKIP: u32 = 0x400;
const REJECTED: u32 = 0x800;

/// The macros of a command letter: those sent by default, those sent when asked for.
pub(crate) fn macro_names(letter: u8) -> (&'static [&'static str], &'static [&'static str]) {
    match letter {
        b'C' => (&["j", "daemon_name", "v"], &["client_ptr", "if_name"]),
        b'H' => (&["tls_version", "cipher"], &["cert_subject"]),
        b'M' => (&["mail_addr", "auth_type"], &["auth_ssf", "mail_host"]),
        b'R' => (&["i", "rcpt_addr", "rcpt_mailer"], &["rcpt_host"]),
        b'T' => (&["i"], &["client_addr"]),
        b'L' | b'N' => (&["i"], &["client_addr"]),
        b'B' | b'E' => (&["i"], &["msg_id"]),
        _ => (&[], &[]),
    }
}

pub(crate) fn scenario(rng: &mut Rng, wildness: Wildness) -> Scenario {
    let mta_version = if wildness == Wildness::Full && rng.chance(35) { rng.between(2, 5) as u32 } else { 6 };
    let count = match wildness {
        Wildness::Tame => 1,
        Wildness::Alone => 0,
        Wildness::Full => *rng.pick(&[0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4]),
    };
    let children: Vec<_> = (0..count).map(|_| child(rng, wildness, mta_version)).collect();
    let fallback = *rng.pick(&FALLBACKS[..4]);
    let mark = (wildness == Wildness::Full && rng.chance(20)).then(|| text(*rng.pick(&["X-A", "X-Unseen"])));
    let parallel = rng.chance(30);
    let full = wildness == Wildness::Full;
    let some =
        |rng: &mut Rng, percent, low, high| (full && rng.chance(percent)).then(|| rng.between(low, high));
    let bounds = Bounds {
        command_budget: some(rng, 5, 3, 60),
        message_budget: some(rng, 5, 3, 60),
        mta_greeting: some(rng, 50, 10, 400),
        mta_idle: some(rng, 50, 30, 400),
        mta_writing: some(rng, 50, 30, 400),
        read_ahead: *rng.pick(&[Some(1), Some(4096), None]),
        ..Bounds::default()
    };
    let bounds = if full && rng.chance(14) { tight(rng, bounds) } else { bounds };
    let pauses = full && rng.chance(10);
    let stops = full && rng.chance(12);
    let mut mta = mta(rng, wildness, mta_version);
    if bounds.macro_bytes.is_some() {
        swell(rng, &mut mta.steps);
    }
    Scenario { mta, children, fallback, mark, parallel, bounds, pauses, stops }
}

/// One of the limits that a message can hit, low.
fn tight(rng: &mut Rng, mut bounds: Bounds) -> Bounds {
    match rng.below(14) {
        0 => bounds.recipients = Some(rng.between(1, 3)),
        1 => bounds.envelope_bytes = Some(rng.between(20, 90)),
        2 => bounds.headers = Some(rng.between(1, 5)),
        3 => bounds.header_bytes = Some(rng.between(10, 80)),
        4 | 5 => (bounds.body_bytes, bounds.no_files) = (Some(rng.between(20, 200)), rng.chance(40)),
        6 | 7 => bounds.edits = Some(rng.between(1, 3)),
        8 => bounds.macro_bytes = Some(2000),
        // Small enough for a file, large enough for no chunk to be past it alone.
        _ => (bounds.body_bytes, bounds.read_ahead) = (Some(rng.between(60, 90)), None),
    }
    bounds
}

/// Makes some macros inside of messages far too long.
fn swell(rng: &mut Rng, steps: &mut [Step]) {
    for step in steps {
        if let Step::Send { letter: b'R' | b'T' | b'L' | b'B' | b'E', macros: Some(macros), .. } = step
            && let Some((_, value)) = macros.iter_mut().find(|(name, _)| name == b"i")
            && rng.chance(10)
        {
            *value = b"long".repeat(1000);
        }
    }
}

fn text(from: impl AsRef<[u8]>) -> Text {
    from.as_ref().to_vec()
}

fn string(from: impl AsRef<[u8]>) -> Text {
    [from.as_ref(), b"\0"].concat()
}

// The MTA.

fn mta(rng: &mut Rng, wildness: Wildness, version: u32) -> MtaPlan {
    let full = wildness == Wildness::Full;
    let mut protocol = match version {
        2 => 0x7f,
        3 => 0x17f,
        4 | 5 => 0x37f,
        _ => 0x1f_ffff,
    };
    if full {
        match version {
            6 => match rng.below(10) {
                0 | 1 => protocol &= !NO_REPLY,
                2 => protocol &= !rng.some_bits(NO_REPLY, 50),
                3 => protocol &= !(NO_REPLY | LEAD | SKIP | 0x800),
                4 => protocol &= !LEAD,
                _ => {}
            },
            _ if rng.chance(30) => protocol |= 0x80,
            _ => {}
        }
        if rng.chance(4) {
            protocol &= !rng.some_bits(NO_SEND, 30);
        }
    } else if wildness == Wildness::Alone && rng.chance(50) {
        protocol &= !NO_REPLY;
    }
    let mut actions = 0x1ff;
    if full && rng.chance(25) {
        actions = *rng.pick(&[0x3f, 0xff, 0x0f, 0x17f, 0x1ee]);
    }
    let mut writer = Writer {
        rng,
        steps: Vec::new(),
        full,
        postfix: false,
        says_postfix: false,
        letters: Vec::new(),
        serial: 0,
    };
    writer.style();
    writer.sessions();
    let (mut steps, postfix) = (writer.steps, writer.postfix);
    if full && rng.chance(2) {
        steps.truncate(rng.below(steps.len() as u64) as usize);
        steps.push(Step::Silence);
    }
    if full && rng.chance(2) {
        let garbage: [&[u8]; 6] = [
            b"\0\0\0\0",
            b"\0\0\0\x01X",
            b"\xff\xff\xff\xffB",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff",
            b"\x00\x11\x00\x01B",
        ];
        let at = rng.below(steps.len() as u64) as usize;
        let soon = if rng.chance(50) { 0 } else { rng.below(100) };
        steps.insert(at, Step::Garbage(soon, rng.pick(&garbage).to_vec()));
    }
    if full && rng.chance(5) {
        let at = rng.between(1, steps.len().max(2) as u64 - 1) as usize;
        steps.insert(at, if rng.chance(50) { Step::Close } else { Step::CloseSoon(rng.below(60)) });
    }
    let mute = full && rng.chance(2);
    let reads = match rng.below(100) {
        0 => Reads::Never,
        1..=4 => Reads::Slow(*rng.pick(&[50, 500, 3000])),
        _ => Reads::Usual,
    };
    MtaPlan {
        version,
        actions,
        protocol,
        steps,
        reads: if full { reads } else { Reads::Usual },
        mute,
        closes: (full && rng.chance(if mute { 60 } else { 4 }))
            .then(|| if rng.chance(70) { rng.below(250) } else { rng.below(2000) }),
        lax: full && rng.chance(25),
        polite: rng.chance(60),
        postfix,
    }
}

struct Writer<'a> {
    rng: &'a mut Rng,
    steps: Vec<Step>,
    full: bool,
    postfix: bool,
    says_postfix: bool,
    /// For which commands macros are sent.
    letters: Vec<u8>,
    serial: u32,
}

impl Writer<'_> {
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
            let last = !(self.full && self.rng.chance(5));
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
        if self.full && self.rng.chance(15) {
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
            line.bytes().cycle().take(size as usize).collect()
        };
        let count = [0, 1, 1, 1, 2, 2, 3, 4][id as usize % 8];
        (0..count).map(&mut chunk).collect()
    }
}

// A child.

fn child(rng: &mut Rng, wildness: Wildness, mta_version: u32) -> Plan {
    let full = wildness == Wildness::Full;
    let version = if full && rng.chance(20) { rng.between(2, 6) as u32 } else { 6 };
    let mut protocol = 0;
    if full && rng.chance(60) {
        protocol |= rng.some_bits(NO_SEND, 15) | rng.some_bits(SKIP | LEAD | REJECTED, 40);
        protocol |= match (version.min(mta_version), rng.below(4)) {
            (6, 0) => NO_REPLY,
            (6, _) => rng.some_bits(NO_REPLY, 25),
            _ => rng.some_bits(0x80, 30),
        };
    }
    let actions = match rng.below(4) {
        0 if full => 0,
        1 if full => rng.some_bits(0x1ff, 30),
        _ if full => rng.some_bits(0x1ff, 85),
        _ => 0x1ff,
    };
    let lists = if full && actions & 0x100 != 0 && rng.chance(40) { lists(rng) } else { Vec::new() };
    let fault = (full && rng.chance(6)).then(|| {
        *rng.pick(&[
            JoinFault::Refused,
            JoinFault::Refused,
            JoinFault::Hang,
            JoinFault::CloseAtOnce,
            JoinFault::Stall,
            JoinFault::Garbage,
            JoinFault::TooHigh,
            JoinFault::TooMuch,
            JoinFault::OtherReply,
            JoinFault::HalfFrame,
        ])
    });
    let mixed = rng.chance(50);
    let usual = *rng.pick(&FALLBACKS);
    let mut plan = Plan {
        fallbacks: [(); 4].map(|()| if mixed { *rng.pick(&FALLBACKS) } else { usual }),
        evaluation: full && rng.chance(15),
        fault,
        version,
        actions,
        protocol,
        lists,
        rules: Vec::new(),
        conditions: if full && rng.chance(25) { conditions(rng) } else { Vec::new() },
        usual: Act {
            edits: Vec::new(),
            end: End::Final((b'c', Vec::new())),
            pause: if full && rng.chance(2) { rng.between(1000, 2500) } else { rng.below(4) * rng.below(20) },
        },
        joins_after: if full && rng.chance(4) { rng.between(1000, 8000) } else { rng.below(200) },
        timeouts: [rng.between(3, 6), rng.between(3, 6), rng.between(3, 6), rng.between(10, 20)],
    };
    let specials = if full { *rng.pick(&[0, 0, 0, 1, 1, 2, 3]) } else { *rng.pick(&[0, 0, 1]) };
    for _ in 0..specials {
        let rule = special(rng, wildness, &plan);
        plan.rules.push(rule);
    }
    // Who closes unasked must be asked again before anybody stops it.
    let unasked = |rule: &Rule| {
        let silent = protocol & no_reply_bit(rule.letter) != 0;
        matches!(rule.act.end, End::FinalThenClose(_)) || silent && rule.act.end == End::Close
    };
    if plan.rules.iter().any(unasked) {
        plan.conditions.retain(|condition| matches!(condition.effect, Effect::Macros(_)));
    }
    // What it does with messages in general, which the specials above can overrule.
    for message in [Some(1), Some(2), None] {
        if rng.chance(65) {
            let edits = edits(rng, protocol & LEAD != 0);
            let end = End::Final((if rng.chance(80) { b'c' } else { b'a' }, Vec::new()));
            plan.rules.push(Rule {
                message,
                letter: b'E',
                ordinal: None,
                act: Act { edits, end, pause: plan.usual.pause },
            });
        }
    }
    plan
}

fn conditions(rng: &mut Rng) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = Vec::new();
    for _ in 0..rng.between(1, 3) {
        let letter = *rng.pick(b"CHMMRRRRTLLNBEU");
        let effect = match rng.below(10) {
            0..=3 => Effect::Stop,
            4..=6 => {
                let mut macros = vec![(text("cond"), text(format!("set-{}", char::from(letter))))];
                if rng.chance(40) {
                    macros.push((text("i"), text("mine")));
                }
                Effect::Macros(macros)
            }
            _ => {
                let said = *rng.pick(&[
                    Said::Found,
                    Said::Found,
                    Said::Nothing,
                    Said::Nothing,
                    Said::Failed,
                    Said::Never,
                ]);
                Effect::LookUp { said, after: *rng.pick(&[0, 1, 20, 300, 2000]) }
            }
        };
        // Once set always set: a macro set for one command stays with the child for the next when the MTA sends none.
        let always = b"CBU".contains(&letter) || matches!(effect, Effect::Macros(_));
        let rest = if always { 3 } else { rng.below(4) as u32 };
        if conditions.iter().all(|known| known.letter != letter) {
            conditions.push(Condition { letter, rest, effect });
        }
    }
    conditions
}

fn lists(rng: &mut Rng) -> Vec<(u8, Vec<Text>)> {
    let mut lists = Vec::new();
    for letter in *b"CHMRTEN" {
        if rng.chance(30) {
            let (usual, asked) = macro_names(letter);
            let names = usual.iter().chain(asked).chain(&["nonesuch"]).filter(|_| rng.chance(50));
            lists.push((letter, names.map(text).collect()));
        }
    }
    lists
}

fn special(rng: &mut Rng, wildness: Wildness, plan: &Plan) -> Rule {
    if wildness == Wildness::Tame {
        let (letter, reply) =
            *rng.pick(&[(b'R', b'r'), (b'R', b't'), (b'M', b'a'), (b'M', b't'), (b'U', b'r')]);
        let act = Act { edits: Vec::new(), end: End::Final((reply, Vec::new())), pause: 1 };
        return Rule { message: Some(1), letter, ordinal: (letter == b'R').then_some(0), act };
    }
    let letter = *rng.pick(b"CHMMMRRRRTTULLLNNBBBEEEEEEE");
    let ordinal = match letter {
        b'R' | b'L' => Some(rng.below(3) as u32),
        b'B' => Some(rng.below(100) as u32),
        b'U' | b'H' => (!rng.chance(50)).then_some(0),
        _ => None,
    };
    let message = match letter {
        b'C' | b'H' | b'U' => None,
        _ => *rng.pick(&[Some(1), Some(1), Some(2), None]),
    };
    let pause = plan.usual.pause;
    let silent = plan.protocol & no_reply_bit(letter) != 0;
    let content = b"LNB".contains(&letter);
    let end = match rng.below(if silent { 1 } else { 10 }) {
        0 if silent && content && is_asked_again(plan) => End::Close,
        0 if silent => plan.usual.end.clone(),
        0 | 1 => fault(rng, letter, plan),
        _ => End::Final(verdict(rng, letter)),
    };
    let edits = if letter == b'E' { edits(rng, plan.protocol & LEAD != 0) } else { Vec::new() };
    let slow = matches!(end, End::Final(_)) && rng.chance(10);
    let pause = if slow { *rng.pick(&[1500, 2500, 4500, 5500, 7500, 12_000, 25_000]) } else { pause };
    Rule { message, letter, ordinal, act: Act { edits, end, pause } }
}

fn verdict(rng: &mut Rng, letter: u8) -> Frame {
    let texts: [&[u8]; 8] = [
        b"550 5.7.1 No\0",
        b"451-4.7.1 Busy\r\n451 4.7.1 100%% full\0",
        b"554 plain\0",
        b"550 \0",
        b"421 4.3.2 Closing\0",
        b"450 4.2.0 no final NUL",
        b"550-5.1.1 a\r\n550-5.1.1 b\r\n550 5.1.1 c\0",
        b"452 \xff\0",
    ];
    if b"LB".contains(&letter) && rng.chance(25) {
        return (b's', Vec::new());
    }
    match rng.below(10) {
        0 | 1 => (b'r', Vec::new()),
        2 => (b't', Vec::new()),
        3 | 4 => (b'y', rng.pick(&texts).to_vec()),
        5 => (b'd', Vec::new()),
        6 => (b'4', Vec::new()),
        7 if rng.chance(30) => (b's', Vec::new()),
        _ => (b'a', Vec::new()),
    }
}

/// Only a child that will be asked again, and waited for, is sure to be seen to have closed.
fn is_asked_again(plan: &Plan) -> bool {
    plan.version >= 3 && plan.protocol & 0x3_f106 == 0
}

fn fault(rng: &mut Rng, letter: u8, plan: &Plan) -> End {
    let garbage: [&[u8]; 11] = [
        b"\0\0\0\x01f",
        b"\0\0\0\x01f",
        b"\0\0\0\x01X",
        b"\0\0\0\0",
        b"\x7f\xff\xff\xffc",
        b"\0\0\0\x02cc",
        b"\0\0\0\x06y650 \0",
        b"\0\0\0\x07y550 \0z",
        b"\0\0\0\x0dO\0\0\0\x06\0\0\0\0\0\0\0\0",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\0\0\0\x05+<x>",
    ];
    let not_here: [&[u8]; 4] =
        [b"\0\0\0\x01p", b"\0\0\0\x06hX\0v\0\0", b"\0\0\0\x04b\x30\x0d\x0a", b"\0\0\0\x03qx\0"];
    let close_after = (letter == b'E' && is_asked_again(plan)) || b"LNB".contains(&letter);
    match rng.below(8) {
        0 => End::Close,
        1 => End::Stall,
        2 => End::Half { then_close: true },
        3 => End::Half { then_close: false },
        4 if close_after && letter == b'E' => End::FinalThenClose(verdict(rng, letter)),
        4 if close_after => End::FinalThenClose((b'c', Vec::new())),
        5 if letter != b'E' => End::Bad(rng.pick(&not_here).to_vec()),
        _ => End::Bad(rng.pick(&garbage).to_vec()),
    }
}

fn edits(rng: &mut Rng, lead: bool) -> Vec<Frame> {
    let mut edits = Vec::new();
    let mut replaced = false;
    for n in 0..*rng.pick(&[0, 1, 1, 2, 3, 5]) {
        let name = string(if rng.chance(15) { "X-New" } else { *rng.pick(&NAMES) });
        let space = if lead && rng.chance(80) { " " } else { "" };
        let value = string(match rng.below(12) {
            0 | 1 => text(""),
            2 => text(" "),
            3 => text(format!("{space}folded\n\tedit {n}")),
            _ => text(format!("{space}edit {n}.{}", rng.below(1000))),
        });
        let index = *rng.pick(&[0u32, 0, 1, 1, 1, 2, 2, 3, 4, 7, 1000]);
        let indexed = [&index.to_be_bytes()[..], &name, &value].concat();
        let address = format!("<r{}.{}@to.test>", rng.below(3), rng.between(2, 5));
        match rng.below(14) {
            0 | 1 => edits.push((b'h', [name, value].concat())),
            2..=4 => edits.push((b'i', indexed)),
            5..=7 => edits.push((b'm', indexed)),
            8 if !replaced => {
                replaced = true;
                for m in 0..rng.between(1, 3) {
                    let size = *rng.pick(&[0, 5, 40, 40, 40, 300, 65535]) as usize;
                    edits.push((b'b', format!("new {n}.{m}\r\n").bytes().cycle().take(size).collect()));
                }
            }
            9 => edits.push((b'+', string(if rng.chance(50) { address } else { "<new@to.test>".into() }))),
            10 => edits.push((b'-', string(address))),
            11 => edits.push((b'2', b"<par@to.test>\0NOTIFY=NEVER\0".to_vec())),
            12 => {
                let arguments: &[u8] = if rng.chance(30) { b"ENVID=1\0" } else { b"" };
                edits.push((b'e', [&string(format!("<c{}@from.test>", rng.below(9))), arguments].concat()));
            }
            13 => edits.push((b'q', string(format!("held {}", rng.below(9))))),
            _ => edits.push((b'p', Vec::new())),
        }
    }
    edits
}
