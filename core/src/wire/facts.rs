//! The one table of protocol facts, from which codec, machines, logs and documents are read.
//!
//! Letters, versions and bits are those of `libmilter/mfdef.h` (Sendmail 8.17) and Postfix 3.7 `milter8.c`.

use core::fmt;

/// The highest protocol version spoken here.
pub const VERSION_MAX: u32 = 6;
/// The lowest one; version 1 is refused by everyone.
pub const VERSION_MIN: u32 = 2;
/// The most payload bytes of a BODY or REPLBODY frame (`MILTER_CHUNK_SIZE`).
pub const CHUNK_SIZE: usize = 65535;
/// Bytes of a frame before its payload: four of length, one letter.
pub const HEAD: usize = 5;

/// The stages of a session at which a milter is asked something, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stage {
    /// `O`
    Negotiate,
    /// `C`
    Connect,
    /// `H`
    Helo,
    /// `M`
    Mail,
    /// `R`
    Rcpt,
    /// `T`
    Data,
    /// `U`
    Unknown,
    /// `L`
    Header,
    /// `N`
    EndOfHeaders,
    /// `B`
    Body,
    /// `E`
    EndOfMessage,
}

/// What the protocol says about one command of the MTA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandFact {
    /// The stage that it opens.
    pub stage: Stage,
    /// The letter on the wire.
    pub letter: u8,
    /// The name as milter manager, its log analysers and people write it.
    pub name: &'static str,
    /// The first protocol version that has it.
    pub since: u32,
    /// The bit by which a milter asks not to be sent it.
    pub no_send: Option<Protocol>,
    /// The bit by which a milter says that it will not reply to it.
    pub no_reply: Option<Protocol>,
    /// The number of its macro list in a negotiation answer.
    pub macro_list: Option<u32>,
}

/// Every command that belongs to a stage, in the order of [`Stage`].
#[rustfmt::skip] // A table.
pub const STAGES: [CommandFact; 11] = [
    fact(Stage::Negotiate, b'O', "negotiate", 2, None, None, None),
    fact(Stage::Connect, b'C', "connect", 2, Some(Protocol::NO_CONNECT), Some(Protocol::NR_CONNECT), Some(0)),
    fact(Stage::Helo, b'H', "helo", 2, Some(Protocol::NO_HELO), Some(Protocol::NR_HELO), Some(1)),
    fact(Stage::Mail, b'M', "envelope-from", 2, Some(Protocol::NO_MAIL), Some(Protocol::NR_MAIL), Some(2)),
    fact(Stage::Rcpt, b'R', "envelope-recipient", 2, Some(Protocol::NO_RCPT), Some(Protocol::NR_RCPT), Some(3)),
    fact(Stage::Data, b'T', "data", 4, Some(Protocol::NO_DATA), Some(Protocol::NR_DATA), Some(4)),
    fact(Stage::Unknown, b'U', "unknown", 3, Some(Protocol::NO_UNKNOWN), Some(Protocol::NR_UNKNOWN), None),
    fact(Stage::Header, b'L', "header", 2, Some(Protocol::NO_HEADERS), Some(Protocol::NR_HEADERS), None),
    fact(Stage::EndOfHeaders, b'N', "end-of-header", 2, Some(Protocol::NO_EOH), Some(Protocol::NR_EOH), Some(6)),
    fact(Stage::Body, b'B', "body", 2, Some(Protocol::NO_BODY), Some(Protocol::NR_BODY), None),
    fact(Stage::EndOfMessage, b'E', "end-of-message", 2, None, None, Some(5)),
];

const fn fact(
    stage: Stage,
    letter: u8,
    name: &'static str,
    since: u32,
    no_send: Option<Protocol>,
    no_reply: Option<Protocol>,
    macro_list: Option<u32>,
) -> CommandFact {
    CommandFact { stage, letter, name, since, no_send, no_reply, macro_list }
}

/// The stage of each letter, looked up for every frame.
const BY_LETTER: [Option<Stage>; 256] = {
    let mut stages = [None; 256];
    let mut place = 0;
    while place < STAGES.len() {
        stages[STAGES[place].letter as usize] = Some(STAGES[place].stage);
        place += 1;
    }
    stages
};

impl Stage {
    /// What the protocol says about this stage's command.
    #[must_use]
    pub const fn fact(self) -> &'static CommandFact {
        &STAGES[self as usize]
    }

    /// The name that people read.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.fact().name
    }

    /// The letter of its command.
    #[must_use]
    pub const fn letter(self) -> u8 {
        self.fact().letter
    }

    /// The stage of a command letter.
    #[must_use]
    pub const fn of_letter(letter: u8) -> Option<Self> {
        BY_LETTER[letter as usize]
    }

    /// The stage whose macro list has this number in a negotiation answer.
    #[must_use]
    pub fn of_macro_list(number: u32) -> Option<Self> {
        STAGES.iter().find(|fact| fact.macro_list == Some(number)).map(|fact| fact.stage)
    }

    /// Whether it belongs to the content of a message.
    #[must_use]
    pub const fn is_content(self) -> bool {
        matches!(self, Self::Header | Self::EndOfHeaders | Self::Body | Self::EndOfMessage)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Commands that belong to no stage.
pub mod letter {
    /// MACRO
    pub const MACRO: u8 = b'D';
    /// ABORT
    pub const ABORT: u8 = b'A';
    /// QUIT
    pub const QUIT: u8 = b'Q';
    /// QUIT_NC: the connection stays open for another session.
    pub const QUIT_NC: u8 = b'K';
    /// The protocol version with which milters know it.
    pub const QUIT_NC_SINCE: u32 = 6;
}

/// The replies of a milter: letter, name, whether it ends the milter's turn.
pub const REPLIES: [(u8, &str, bool); 20] = [
    (b'O', "negotiate", true),
    (b'c', "continue", true),
    (b'a', "accept", true),
    (b'd', "discard", true),
    (b'r', "reject", true),
    (b't', "temporary-failure", true),
    (b'y', "reply-code", true),
    (b's', "skip", true),
    (b'4', "shutdown", true),
    (b'f', "connection-failure", true),
    (b'p', "progress", false),
    (b'+', "add-recipient", false),
    (b'2', "add-recipient-with-parameters", false),
    (b'-', "delete-recipient", false),
    (b'b', "replace-body", false),
    (b'h', "add-header", false),
    (b'i', "insert-header", false),
    (b'm', "change-header", false),
    (b'e', "change-from", false),
    (b'q', "quarantine", false),
];

/// The name of a reply letter.
#[must_use]
pub fn reply_name(letter: u8) -> Option<&'static str> {
    REPLIES.iter().find(|(known, _, _)| *known == letter).map(|(_, name, _)| *name)
}

macro_rules! bits {
    ($(#[$doc:meta])* $name:ident { $($(#[$flag_doc:meta])* $flag:ident = $value:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(pub u32);

        impl $name {
            $($(#[$flag_doc])* pub const $flag: Self = Self($value);)*
            /// No bit.
            pub const NONE: Self = Self(0);

            /// Whether all bits of `other` are set.
            #[must_use]
            pub const fn has(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether any bit of `other` is set.
            #[must_use]
            pub const fn has_any(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// The bits of both.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// Without the bits of `other`.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// The bits that both have.
            #[must_use]
            pub const fn and(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }
    };
}

bits! {
    /// What a milter may do to a message (`SMFIF_*`).
    Actions {
        /// Add and insert headers.
        ADD_HEADERS = 0x001;
        /// Replace the body.
        CHANGE_BODY = 0x002;
        /// Add recipients.
        ADD_RECIPIENTS = 0x004;
        /// Delete recipients.
        DELETE_RECIPIENTS = 0x008;
        /// Change and delete headers.
        CHANGE_HEADERS = 0x010;
        /// Quarantine.
        QUARANTINE = 0x020;
        /// Change the sender.
        CHANGE_FROM = 0x040;
        /// Add recipients with ESMTP arguments.
        ADD_RECIPIENTS_PAR = 0x080;
        /// Name the macros it wants.
        MACRO_LISTS = 0x100;
        /// All that are known.
        ALL = 0x1ff;
        /// What a filter that offers 0 means (`SMFI_V1_ACTS`).
        V1 = 0x00f;
    }
}

bits! {
    /// How the conversation goes (`SMFIP_*`).
    Protocol {
        /// CONNECT is not sent.
        NO_CONNECT = 0x1;
        /// HELO is not sent.
        NO_HELO = 0x2;
        /// MAIL is not sent.
        NO_MAIL = 0x4;
        /// RCPT is not sent.
        NO_RCPT = 0x8;
        /// BODY is not sent.
        NO_BODY = 0x10;
        /// HEADER is not sent.
        NO_HEADERS = 0x20;
        /// EOH is not sent.
        NO_EOH = 0x40;
        /// No reply to HEADER.
        NR_HEADERS = 0x80;
        /// UNKNOWN is not sent.
        NO_UNKNOWN = 0x100;
        /// DATA is not sent.
        NO_DATA = 0x200;
        /// The reply SKIP may be used.
        SKIP = 0x400;
        /// Recipients that the MTA itself has refused are sent, too.
        REJECTED_RECIPIENTS = 0x800;
        /// No reply to CONNECT.
        NR_CONNECT = 0x1000;
        /// No reply to HELO.
        NR_HELO = 0x2000;
        /// No reply to MAIL.
        NR_MAIL = 0x4000;
        /// No reply to RCPT.
        NR_RCPT = 0x8000;
        /// No reply to DATA.
        NR_DATA = 0x1_0000;
        /// No reply to UNKNOWN.
        NR_UNKNOWN = 0x2_0000;
        /// No reply to EOH.
        NR_EOH = 0x4_0000;
        /// No reply to BODY.
        NR_BODY = 0x8_0000;
        /// Header values carry their leading space, both ways.
        HEADER_LEADING_SPACE = 0x10_0000;
        /// All "do not send" bits.
        NO_SEND = 0x37f;
        /// All "no reply" bits.
        NO_REPLY = 0xf_f080;
        /// All that are known here; the sizes for larger frames (0x1000_0000 and up) are not.
        ALL = 0x1f_ffff;
        /// What a filter that offers 0 means (`SMFI_V1_PROT`).
        V1 = 0x3f;
        /// What version 2 has.
        V2 = 0x7f;
    }
}

impl Protocol {
    /// The bits that exist in protocol version `version`: the events that it has, NR_HEADERS from the start (Postfix
    /// offers it when it is configured to), everything else since version 6.
    #[must_use]
    pub const fn of_version(version: u32) -> Self {
        match version {
            0..=2 => Self(0xff),
            3 => Self(0x1ff),
            4 | 5 => Self(0x3ff),
            _ => Self::ALL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_stages() {
        for (position, fact) in STAGES.iter().enumerate() {
            assert_eq!(fact.stage as usize, position);
            assert_eq!(Stage::of_letter(fact.letter), Some(fact.stage));
        }
    }

    #[test]
    fn the_bits_of_the_table_are_the_groups_of_the_specification() {
        let no_send = STAGES.iter().filter_map(|fact| fact.no_send).fold(Protocol::NONE, Protocol::with);
        let no_reply = STAGES.iter().filter_map(|fact| fact.no_reply).fold(Protocol::NONE, Protocol::with);
        assert_eq!(no_send, Protocol::NO_SEND);
        assert_eq!(no_reply, Protocol::NO_REPLY);
    }

    #[test]
    fn reply_letters_are_unique() {
        for (position, (letter, _, _)) in REPLIES.iter().enumerate() {
            assert!(REPLIES[position + 1..].iter().all(|(other, _, _)| other != letter));
        }
    }
}
