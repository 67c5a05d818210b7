//! The MTA of a scenario: what it offers, how it takes what it is sent, and when it goes wrong.

use super::sessions::Writer;
use super::{LEAD, NO_REPLY, NO_SEND, SKIP, Wildness};
use crate::plan::{MtaPlan, Reads, Step};
use crate::rng::Rng;

pub(super) fn mta(rng: &mut Rng, wildness: Wildness, version: u32) -> MtaPlan {
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
    let (mut steps, postfix, tells) = Writer::write(rng, wildness);
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
        tells,
    }
}
