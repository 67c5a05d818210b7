//! Macros as libmilter keeps them: a set for each command, forgotten when an earlier command comes again.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Text;

const ORDER: &[u8] = b"CHMRTNE";

/// Names without braces and values, by command letter.
#[derive(Clone, Default)]
pub(crate) struct Macros(BTreeMap<u8, Rc<[(Text, Text)]>>);

impl Macros {
    /// Takes the payload of a MACRO.
    pub(crate) fn set(&mut self, payload: &[u8]) {
        let mut pairs = Vec::new();
        if payload.len() > 1 {
            let text = payload[1..].strip_suffix(b"\0").unwrap_or(&payload[1..]);
            let mut strings = text.split(|byte| *byte == 0);
            while let Some(name) = strings.next() {
                let mut bare = name.to_vec();
                bare.retain(|byte| !b"{}".contains(byte));
                pairs.push((bare, strings.next().unwrap().to_vec()));
            }
        }
        pairs.sort();
        self.0.insert(payload[0], pairs.into());
    }

    /// Those for a command.
    pub(crate) fn get(&self, letter: u8) -> Rc<[(Text, Text)]> {
        self.0.get(&letter).cloned().unwrap_or_default()
    }

    /// A command came: those of later stages are over.
    pub(crate) fn came(&mut self, letter: u8) {
        if let Some(at) = ORDER.iter().position(|known| *known == letter).filter(|at| *at < 4) {
            self.forget(&ORDER[at + 1..]);
        }
    }

    pub(crate) fn forget(&mut self, letters: &[u8]) {
        letters.iter().for_each(|letter| drop(self.0.remove(letter)));
    }
}
