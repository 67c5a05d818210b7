//! What children answer: verdicts, faults, edits.

use super::{NAMES, repeated, string, text};
use crate::plan::{End, Frame, Plan};
use crate::rng::Rng;

pub(super) fn verdict(rng: &mut Rng, letter: u8) -> Frame {
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
pub(super) fn is_asked_again(plan: &Plan) -> bool {
    plan.version >= 3 && plan.protocol & 0x3_f106 == 0
}

pub(super) fn fault(rng: &mut Rng, letter: u8, plan: &Plan) -> End {
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

pub(super) fn edits(rng: &mut Rng, lead: bool) -> Vec<Frame> {
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
                    edits.push((b'b', repeated(format!("new {n}.{m}\r\n").as_bytes(), size)));
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
