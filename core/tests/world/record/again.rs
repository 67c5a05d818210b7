//! Another connection to the same child in the same session, on which it is told again what it has to know.

use super::Seen;

/// Checks that the `new` connection begins with what the child has to be told again, the last CONNECT and HELO that it saw,
/// and leaves one of each: what it was asked in vain is asked where it can answer.
pub(crate) fn repeated(old: &mut Vec<Seen>, new: &mut Vec<Seen>) -> Result<(), String> {
    let last = old.iter().rposition(|seen| !seen.is_note() && !b"AQ".contains(&seen.letter));
    if let Some(last) = last.filter(|last| {
        old[*last].owes > 0 && old[*last].answer.is_none() && b"CHMU".contains(&old[*last].letter)
    }) {
        old.remove(last);
    }
    for letter in *b"CH" {
        let Some(known) = old.iter().rfind(|seen| seen.letter == letter) else { continue };
        match new.first() {
            Some(seen) if is_same(seen, known) => drop(new.remove(0)),
            // It has said HELO anew.
            Some(seen) if seen.letter == letter && letter == b'H' => {}
            Some(seen) if !seen.is_note() && !b"AQ".contains(&seen.letter) => {
                return Err(format!("must be told '{}' again", char::from(letter)));
            }
            _ => break,
        }
    }
    // What it was sent of a message it is sent again, of which it may have read only a part, of each connection another. What
    // it says counts. An UNKNOWN before is none of that.
    let is_one = |one: &Seen, other: &Seen| (one.letter, &one.payload) == (other.letter, &other.payload);
    let is_first = |seen: &Seen| new.first().is_some_and(|first| is_one(seen, first));
    let outside = |seen: &Seen| !seen.is_note() && !b"MRTULNBE".contains(&seen.letter);
    let is_over = |seen: &Seen| outside(seen) || seen.letter == b'E' && seen.answer.is_some();
    let mut from = old.iter().rposition(is_over).map_or(0, |at| at + 1);
    from = old.iter().rposition(|seen| seen.letter == b'M').map_or(from, |mail| from.max(mail));
    from += old[from..].iter().take_while(|seen| seen.letter == b'U' && !is_first(seen)).count();
    let said: Vec<usize> = (from..old.len()).filter(|at| !old[*at].is_note()).collect();
    let told = new.iter().take_while(|seen| !seen.is_note()).count();
    if !said.iter().zip(&new[..told]).all(|(at, seen)| is_one(&old[*at], seen)) {
        return Ok(());
    }
    if said.len() <= told {
        old.truncate(from);
    } else {
        for (at, seen) in said.into_iter().zip(new.drain(..told)) {
            old[at] = seen;
        }
    }
    Ok(())
}

fn is_same(one: &Seen, other: &Seen) -> bool {
    (one.letter, &one.payload, &one.macros) == (other.letter, &other.payload, &other.macros)
}
