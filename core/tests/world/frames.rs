//! Framing for the own ends of the connections, of the world and of the crowd.

/// A letter and what stands behind it.
type Frame = (u8, Vec<u8>);

pub(crate) fn encode((letter, payload): &Frame) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 1).unwrap();
    [&length.to_be_bytes()[..], &[*letter], payload].concat()
}

/// The first whole frame in `bytes`.
pub(crate) fn first(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().unwrap()) as usize;
    let frame = bytes.get(4..4 + length)?;
    Some((*frame.first()?, &frame[1..]))
}

/// Takes it out.
pub(crate) fn cut(bytes: &mut Vec<u8>) -> Option<Frame> {
    let (letter, payload) = first(bytes)?;
    let payload = payload.to_vec();
    bytes.drain(..5 + payload.len());
    Some((letter, payload))
}

pub(crate) fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}
