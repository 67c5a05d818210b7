//! What the commands of the MTA bring with them: the macros that it gave for each, and how much of a message has come.

use super::Exchange;
use crate::plan::{Bounds, Macros, Text};

/// Notes for each command its macros, and whether its message is past a limit. When that is so for its body is a matter of
/// timing: the session says with which ends of messages (`floods`).
pub(crate) fn complete(exchanges: &mut [Exchange], bounds: &Bounds, floods: &[usize]) {
    let (mut macros, mut open, mut too_long) = (Macros::default(), false, false);
    // Recipients, bytes of envelope, headers, bytes of headers.
    let most = [bounds.recipients, bounds.envelope_bytes, bounds.headers, bounds.header_bytes];
    let mut sizes = [0; 4];
    let certain = exchanges.iter().rposition(|exchange| exchange.reply.is_some());
    for (at, exchange) in exchanges.iter_mut().enumerate() {
        let (letter, size) = (exchange.letter, exchange.payload.len() as u64);
        exchange.certain = certain.is_some_and(|certain| at <= certain);
        if letter == b'D' {
            match open && bounds.macro_bytes.is_some_and(|most| size > most) {
                true => too_long = true,
                false => macros.set(&exchange.payload),
            }
            continue;
        }
        // Those of the next MAIL are here already.
        if b"AHKQC".contains(&letter) {
            macros.forget(b"MRTLNBEU");
        }
        macros.came(letter);
        exchange.macros = macros.get(letter);
        let is_postfix = |(name, value): &(Text, Text)| name == b"v" && value.starts_with(b"Postfix");
        exchange.postfix = macros.get(b'C').iter().any(is_postfix);
        let more = match letter {
            b'R' if !exchange.suppressed => [1, size, 0, 0],
            b'L' if !exchange.suppressed => [0, 0, 1, size - 2],
            _ => [0; 4],
        };
        sizes = if letter == b'M' { [0, size, 0, 0] } else { sizes };
        (0..4).for_each(|i| sizes[i] += more[i]);
        let past = |i: usize| more[i] > 0 && most[i].is_some_and(|most| sizes[i] > most);
        let body = letter == b'E' && floods.contains(&at);
        exchange.past_limit = std::mem::take(&mut too_long) || (0..4).any(past) || body;
        open = letter == b'M' || open && !b"AHKQCE".contains(&letter);
        if letter == b'E' {
            macros.forget(b"MRTLNBEU");
        }
    }
}
