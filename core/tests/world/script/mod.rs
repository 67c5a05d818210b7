//! Makes scenarios from chance: every kind of MTA, child, verdict, edit and fault.

mod child;
mod mta;
mod replies;
mod sessions;

use std::sync::Arc;

use crate::plan::{Bounds, Effect, End, Fallback, JoinFault, Kept, Scenario, Step, Text};
use crate::rng::Rng;

/// How wild a scenario is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wildness {
    /// One child that neither fails nor refuses content nor asks for anything special: what a plain relay can serve.
    Tame,
    /// No children at all.
    Alone,
    /// Children that answer nothing before end of message, behind an MTA that waits for nothing and begins anew.
    Silent,
    /// Bodies that have to be put away, and are often taken back.
    Stored,
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
        Wildness::Silent => rng.between(1, 2),
        Wildness::Stored => rng.between(2, 3),
        Wildness::Full => *rng.pick(&[0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4]),
    };
    let mut children: Vec<_> = (0..count).map(|_| child::child(rng, wildness, mta_version)).collect();
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
    let mut bounds = if full && rng.chance(14) { tight(rng, bounds) } else { bounds };
    let pauses = full && rng.chance(10);
    let stops = full && rng.chance(12);
    let mut mta = mta::mta(rng, wildness, mta_version);
    if bounds.macro_bytes.is_some() {
        swell(rng, &mut mta.steps);
    }
    if wildness == Wildness::Silent {
        for child in &mut children {
            (child.protocol, child.joins_after) = (
                NO_REPLY & !*rng.pick(&[0, 0, 0x8000, 0x8000, 0x1_0000, 0x1_0000, 0x4000]),
                rng.between(20, 400),
            );
            child.rules.retain(|rule| matches!(rule.act.end, End::Final(_)));
            if child.fault.is_none() && rng.chance(40) {
                (child.fault, child.fault_from) = (Some(JoinFault::Refused), 1);
            }
        }
    }
    if wildness == Wildness::Stored {
        children[0].actions = 0x1ff;
        bounds = Bounds { body_bytes: Some(rng.between(60, 90)), read_ahead: None, ..Bounds::default() };
    }
    for (number, child) in children.iter_mut().enumerate().skip(1) {
        // Some read the verdict of one before them; each at most of one.
        if let Some(condition) = child.conditions.first_mut().filter(|_| rng.chance(25))
            && condition.letter != b'U'
            && (!child.pipelining || !b"LNB".contains(&condition.letter))
        {
            condition.effect = Effect::Await(rng.below(number as u64) as usize);
        }
    }
    let lazy = (full || wildness == Wildness::Silent) && rng.chance(30);
    for child in children.iter_mut().filter(|child| lazy && child.version == 6) {
        // Some are connected only in the middle of a message, if at all.
        if rng.chance(if full { 35 } else { 70 }) {
            child.protocol |= *rng.pick(&[0x03, 0x07, 0x0f, 0x20f, 0x20f, 0x22f, 0x26f, 0x27f]);
            child.kept = if rng.chance(60) { Kept::Alive } else { child.kept };
        }
    }
    let ration = if (full || wildness == Wildness::Stored) && rng.chance(15) { 30 } else { 0 };
    for child in children.iter_mut().filter(|child| child.independent && !mta.tells) {
        // What Sendmail makes of headers that two have written beside each other, the model does not know.
        child.actions &= !0x11;
    }
    let children = children.into_iter().map(Arc::new).collect();
    let stored = wildness == Wildness::Stored;
    let files_slow = stored || rng.chance(50);
    let files_break = if (full || stored) && rng.chance(30) { 20 } else { 0 };
    let bursts = wildness == Wildness::Silent || rng.chance(5);
    let reloads = rng.chance(20);
    Scenario {
        mta,
        children,
        fallback,
        mark,
        parallel,
        bounds,
        pauses,
        files_slow,
        files_break,
        bursts,
        reloads,
        ration,
        lazy,
        stops,
    }
}

/// One of the limits that a message can hit, low.
fn tight(rng: &mut Rng, mut bounds: Bounds) -> Bounds {
    match rng.below(17) {
        0 => bounds.recipients = Some(rng.between(1, 3)),
        1 => bounds.envelope_bytes = Some(rng.between(20, 90)),
        2 => bounds.headers = Some(rng.between(1, 5)),
        3 => bounds.header_bytes = Some(rng.between(10, 80)),
        4 | 5 => (bounds.body_bytes, bounds.no_files) = (Some(rng.between(20, 200)), rng.chance(40)),
        6 | 7 => bounds.edits = Some(rng.between(1, 3)),
        8 => bounds.macro_bytes = Some(2000),
        14 | 15 => bounds.edit_bytes = Some(rng.between(200, 2000)),
        16 => {
            (bounds.body_bytes, bounds.spill_bytes) = (Some(rng.between(60, 90)), Some(rng.between(50, 200)));
        }
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

/// `line` over and over, cut at `size` bytes.
fn repeated(line: &[u8], size: usize) -> Text {
    let mut out = line.repeat(size.div_ceil(line.len()));
    out.truncate(size);
    out
}
