//! Framing for the world's own ends of the connections.

use crate::plan::{Frame, Text};

pub(crate) fn encode((letter, payload): &Frame) -> Text {
    let length = u32::try_from(payload.len() + 1).unwrap();
    [&length.to_be_bytes()[..], &[*letter], payload].concat()
}

/// Takes the first whole frame out of `bytes`.
pub(crate) fn cut(bytes: &mut Text) -> Option<Frame> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().unwrap()) as usize;
    if length == 0 || bytes.len() < 4 + length {
        return None;
    }
    let frame = (bytes[4], bytes[5..4 + length].to_vec());
    bytes.drain(..4 + length);
    Some(frame)
}

pub(crate) fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// CONNECT with the one address form that everybody understands the same.
pub(crate) fn plain_connect(payload: &[u8]) -> Text {
    let prefix = b"IPv6:";
    match payload.windows(prefix.len()).position(|part| part == prefix) {
        Some(at) => [&payload[..at], &payload[at + prefix.len()..]].concat(),
        None => payload.to_vec(),
    }
}

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
