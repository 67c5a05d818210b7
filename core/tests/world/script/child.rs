//! A child of a scenario: what it negotiates, its rules and conditions.

use super::replies::{edits, fault, is_asked_again, verdict};
use super::{FALLBACKS, LEAD, NO_REPLY, NO_SEND, REJECTED, SKIP, Wildness, macro_names, text};
use crate::plan::{
    Act, Condition, Effect, End, JoinFault, Kept, Known, Plan, Rule, Said, Text, no_reply_bit,
};
use crate::rng::Rng;

pub(super) fn child(rng: &mut Rng, wildness: Wildness, mta_version: u32) -> Plan {
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
    let kept = if full && version == 6 && rng.chance(20) { kept(rng) } else { Kept::No };
    if kept != Kept::No && mta_version == 6 && rng.chance(50) {
        // It says nothing before the end of the message.
        protocol = protocol & !LEAD | NO_REPLY;
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
            JoinFault::Exhausted,
        ])
    });
    let mixed = rng.chance(50);
    let usual = *rng.pick(&FALLBACKS);
    let mut plan = Plan {
        fallbacks: [(); 4].map(|()| if mixed { *rng.pick(&FALLBACKS) } else { usual }),
        evaluation: full && rng.chance(15),
        independent: full && rng.chance(10),
        dies: (full && fault.is_none() && rng.chance(4)).then(|| {
            let within = *rng.pick(&[150, 600, 3000]);
            rng.below(within)
        }),
        known: if rng.chance(60) { Known::Right } else { *rng.pick(&[Known::Nothing, Known::Wrong]) },
        kept,
        pipelining: full && rng.chance(30),
        forgets: rng.chance(50),
        pace: if full && rng.chance(3) { *rng.pick(&[20, 200, 2000]) } else { 0 },
        fault,
        fault_from: 0,
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
    if plan.pipelining {
        // Whether such a condition or an answer to what was sent before comes first is a matter of timing.
        let may = |it: &Condition| !b"LNB".contains(&it.letter) || matches!(it.effect, Effect::Macros(_));
        plan.conditions.retain(may);
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

fn kept(rng: &mut Rng) -> Kept {
    let within = *rng.pick(&[150, 600]);
    let dies = Kept::Dies(rng.below(within));
    let content = *rng.pick(&[&b"L"[..], b"N", b"B", b"E"]);
    let dies_at = [Kept::DiesAt(b"CHMRTLNBEUAQK"), Kept::DiesAt(content)];
    *rng.pick(&[Kept::Alive, Kept::Alive, Kept::Dead, dies_at[0], dies_at[1], dies])
}

pub(super) fn conditions(rng: &mut Rng) -> Vec<Condition> {
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

pub(super) fn lists(rng: &mut Rng) -> Vec<(u8, Vec<Text>)> {
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

pub(super) fn special(rng: &mut Rng, wildness: Wildness, plan: &Plan) -> Rule {
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
        // A discarded recipient ends the message, which few commands do.
        _ if letter == b'R' && rng.chance(20) => End::Final((b'd', Vec::new())),
        _ => End::Final(verdict(rng, letter)),
    };
    let edits = if letter == b'E' { edits(rng, plan.protocol & LEAD != 0) } else { Vec::new() };
    let slow = matches!(end, End::Final(_)) && rng.chance(10);
    let pause = if slow { *rng.pick(&[1500, 2500, 4500, 5500, 7500, 12_000, 25_000]) } else { pause };
    Rule { message, letter, ordinal, act: Act { edits, end, pause } }
}
