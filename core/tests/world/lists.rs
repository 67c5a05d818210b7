//! Macro lists, as the own ends of the connections write and read them.

use crate::frames::number;
use crate::plan::Text;

/// The stage numbers of macro lists in a negotiation, by command letter.
pub(crate) const LISTS: [(u8, u32); 7] =
    [(b'C', 0), (b'H', 1), (b'M', 2), (b'R', 3), (b'T', 4), (b'E', 5), (b'N', 6)];

/// The stage whose macros are listed under a letter.
pub(crate) fn list_stage(letter: u8) -> millstream_core::wire::Stage {
    millstream_core::wire::Stage::of_letter(letter).unwrap()
}

pub(crate) fn encode_lists(lists: &[(u8, Vec<Text>)]) -> Text {
    let mut out = Vec::new();
    for (letter, names) in lists {
        let number = LISTS.iter().find(|(known, _)| known == letter).unwrap().1;
        let braced =
            |name: &Text| if name.len() == 1 { name.clone() } else { [b"{", &name[..], b"}"].concat() };
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(&names.iter().map(braced).collect::<Vec<_>>().join(&b' '));
        out.push(0);
    }
    out
}

pub(crate) fn decode_lists(mut bytes: &[u8]) -> Vec<(u8, Vec<Text>)> {
    let mut lists = Vec::new();
    while bytes.len() > 4 {
        let stage = number(bytes, 0);
        let end = bytes[4..].iter().position(|byte| *byte == 0).map_or(bytes.len(), |at| at + 4);
        let names = bytes[4..end].split(|byte| *byte == b' ').filter(|name| !name.is_empty());
        let names =
            names.map(|name| name.iter().copied().filter(|byte| !b"{}".contains(byte)).collect()).collect();
        if let Some((letter, _)) = LISTS.iter().find(|(_, known)| *known == stage) {
            lists.push((*letter, names));
        }
        bytes = &bytes[(end + 1).min(bytes.len())..];
    }
    lists
}
