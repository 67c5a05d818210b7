//! What a child answered to the offer, and what follows from that by the protocol.

use super::{Text, no_reply_bit, no_send_bit};

/// What a child answered to the offer; the default takes part in nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Joined {
    pub(crate) version: u32,
    pub(crate) actions: u32,
    pub(crate) protocol: u32,
    /// By command letter; names without braces.
    pub(crate) lists: Vec<(u8, Vec<Text>)>,
}

impl Joined {
    /// Whether it is sent commands of this kind.
    pub(crate) fn wants(&self, letter: u8) -> bool {
        self.version >= since(letter) && self.protocol & no_send_bit(letter) == 0
    }

    /// Whether it answers them.
    pub(crate) fn answers(&self, letter: u8) -> bool {
        !b"AQK".contains(&letter) && self.protocol & no_reply_bit(letter) == 0
    }

    /// The actions of others that change what it is shown of the content.
    pub(crate) fn reads(&self) -> u32 {
        let if_wanted = |letter, actions| if self.wants(letter) { actions } else { 0 };
        if_wanted(b'L', 0x11) | if_wanted(b'B', 0x02)
    }

    /// It is shown the recipients that the MTA has refused itself.
    pub(crate) fn wants_rejected(&self) -> bool {
        self.protocol & 0x800 != 0
    }

    /// Header values come and go with their leading space.
    pub(crate) fn leads(&self) -> bool {
        self.protocol & 0x10_0000 != 0
    }

    /// The macros that it must know for a command, sorted: those `given` that it takes; its `own`, which the policy sets for it,
    /// replace them.
    pub(crate) fn macros(
        &self,
        letter: u8,
        given: &[(Text, Text)],
        own: &[(Text, Text)],
    ) -> Vec<(Text, Text)> {
        let replaced = |name: &Text| own.iter().any(|(set, _)| set == name);
        let given = given.iter().filter(|(name, _)| !replaced(name));
        let mut macros: Vec<_> =
            given.chain(own).filter(|(name, _)| self.takes_macro(letter, name)).cloned().collect();
        macros.sort();
        macros
    }

    /// Whether it is told this macro with a command: it has listed that for it, or nothing at all.
    pub(crate) fn takes_macro(&self, letter: u8, name: &Text) -> bool {
        let listed = self.lists.iter().find(|(listed, names)| *listed == letter && !names.is_empty());
        listed.is_none_or(|(_, names)| names.contains(name))
    }
}

/// The version of the protocol that brought a command.
pub(crate) fn since(letter: u8) -> u32 {
    match letter {
        b'U' => 3,
        b'T' => 4,
        b'K' => 6,
        _ => 2,
    }
}
