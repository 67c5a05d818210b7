//! Framing for the own ends of the connections, of the world and of the crowd.

/// A letter and what stands behind it.
type Frame = (u8, Vec<u8>);

pub(crate) fn encode((letter, payload): &Frame) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 1).unwrap();
    [&length.to_be_bytes()[..], &[*letter], payload].concat()
}

/// Takes the first whole frame out of `bytes`.
pub(crate) fn cut(bytes: &mut Vec<u8>) -> Option<Frame> {
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
