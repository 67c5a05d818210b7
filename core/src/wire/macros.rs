//! Macros as the MTA sent them, by the command that they came for.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::command::{first_string, frame, head, put_string};
use super::facts::{HEAD, Stage, letter};
use super::negotiation::names;

/// The macros of a session. A new set for a command replaces its old one; values stay for the rest of the message
/// (MAIL and later) or of the connection (CONNECT, HELO).
#[derive(Debug, Clone, Default)]
pub struct Macros {
    sets: Vec<Set>,
    /// The macro `v`, and the command that it came for: it is looked at for every command.
    version: Option<(u8, Bytes)>,
}

#[derive(Debug, Clone)]
struct Set {
    letter: u8,
    pairs: Bytes,
}

/// Command letters in the order in which libmilter looks macros up and forgets them.
const ORDER: [u8; 11] = *b"OCHMRTLNBEU";

fn rank(letter: u8) -> usize {
    ORDER.iter().position(|known| *known == letter).unwrap_or(ORDER.len())
}

impl Macros {
    /// Replaces the set for the command `letter`. The bytes are copied, unless they are the same as before, which
    /// with Postfix is so for every header and body chunk.
    pub fn set(&mut self, letter: u8, pairs: &[u8]) {
        match self.sets.iter_mut().find(|set| set.letter == letter) {
            Some(set) if set.pairs == pairs => return,
            Some(set) => set.pairs = Bytes::copy_from_slice(pairs),
            None => self.sets.push(Set { letter, pairs: Bytes::copy_from_slice(pairs) }),
        }
        let told = self.version.as_ref().is_some_and(|(by, _)| *by == letter);
        if told || value_in(pairs, VERSION).is_some() {
            self.look_for_version();
        }
    }

    /// The set for the command `letter` as name and value strings, `None` when none was sent.
    #[must_use]
    pub fn get(&self, letter: u8) -> Option<&Bytes> {
        self.sets.iter().find(|set| set.letter == letter).map(|set| &set.pairs)
    }

    /// The value of a macro by its name, with or without braces; a later stage's value hides an earlier one's.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.find(bare(name)).map(|(_, value)| value)
    }

    /// What the MTA says of itself, macro `v`.
    #[must_use]
    pub fn version(&self) -> Option<&[u8]> {
        self.version.as_ref().map(|(_, value)| &value[..])
    }

    fn find(&self, name: &[u8]) -> Option<(&Set, &[u8])> {
        let mut found: Option<(&Set, &[u8])> = None;
        for set in &self.sets {
            if found.is_none_or(|(best, _)| rank(set.letter) >= rank(best.letter))
                && let Some(value) = value_in(&set.pairs, name)
            {
                found = Some((set, value));
            }
        }
        found
    }

    fn look_for_version(&mut self) {
        self.version = self.find(VERSION).map(|(set, value)| (set.letter, set.pairs.slice_ref(value)));
    }

    /// Forgets the sets for `stage` and all later ones, and those of commands that have no stage.
    ///
    /// A set comes before its command. So when a command comes that begins something anew, as libmilter does for
    /// CONNECT, HELO, MAIL and RCPT, forget from the stage behind it.
    pub fn forget_from(&mut self, stage: Stage) {
        let first = rank(stage.letter());
        self.sets.retain(|set| rank(set.letter) < first);
        if self.version.as_ref().is_some_and(|(by, _)| rank(*by) >= first) {
            self.look_for_version();
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.sets.iter().map(|set| set.pairs.len()).sum()
    }
}

/// The name of the macro with which an MTA says what it is.
const VERSION: &[u8] = b"v";

/// The value of the macro with this name, without braces, in a set.
fn value_in<'a>(set: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    pairs(set).find(|(known, _)| bare(known) == name).map(|(_, value)| value)
}

/// The name and value pairs of a macro set.
pub fn pairs(mut set: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    core::iter::from_fn(move || {
        let name_end = memchr::memchr(0, set)?;
        let value_end = name_end + 1 + memchr::memchr(0, &set[name_end + 1..])?;
        let pair = (&set[..name_end], &set[name_end + 1..value_end]);
        set = &set[value_end + 1..];
        Some(pair)
    })
}

/// The value of the macro `name` in a set, and the set without it.
#[must_use]
pub fn take_macro<'a>(set: &'a [u8], name: &[u8]) -> (Option<&'a [u8]>, Vec<u8>) {
    let mut taken = None;
    let mut rest = Vec::with_capacity(set.len());
    for (known, value) in pairs(set) {
        if bare(known) == name {
            taken = Some(value);
        } else {
            for text in [known, value] {
                rest.extend_from_slice(text);
                rest.push(0);
            }
        }
    }
    (taken, rest)
}

/// A macro name without its braces.
#[must_use]
pub fn bare(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"{").and_then(|inner| inner.strip_suffix(b"}")).unwrap_or(name)
}

/// Appends a MACRO frame for the command `stage_letter` to `out`: those of `set` that `wanted` lists (all without a
/// list), then `extra`, by names without braces, which replace macros of the same name and are subject to `wanted` too.
pub fn encode_macros(
    out: &mut BytesMut,
    stage_letter: u8,
    set: &[u8],
    wanted: Option<&[u8]>,
    extra: &[(Bytes, Bytes)],
) {
    if wanted.is_none() && extra.is_empty() {
        out.reserve(HEAD + 1 + set.len());
        out.put_slice(&head(letter::MACRO, 1 + set.len()));
        out.put_u8(stage_letter);
        out.put_slice(set);
        return;
    }
    frame(out, letter::MACRO, |out| {
        out.put_u8(stage_letter);
        // Sorted: list and set come from two peers and may both be long.
        let wanted = wanted.map(|list| {
            let mut wanted: Vec<&[u8]> = names(list).collect();
            wanted.sort_unstable();
            wanted
        });
        let is_wanted =
            |name: &[u8]| wanted.as_ref().is_none_or(|wanted| wanted.binary_search(&name).is_ok());
        for (name, value) in pairs(set) {
            let bare_name = bare(name);
            if is_wanted(bare_name) && !extra.iter().any(|(set_name, _)| set_name == bare_name) {
                put_string(out, name);
                put_string(out, value);
            }
        }
        for (name, value) in extra.iter().filter(|(name, _)| is_wanted(name)) {
            if name.len() == 1 {
                put_string(out, name);
            } else {
                out.put_u8(b'{');
                out.put_slice(first_string(name));
                out.put_slice(b"}\0");
            }
            put_string(out, value);
        }
    });
}
