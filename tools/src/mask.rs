//! Takes out of a record what is nobody's business.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::record::{Direction, Entry};

/// What is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// Mail addresses, wherever they stand, and the host name and address of the SMTP client.
    Addresses,
    /// Letters and digits of the body, also of one that the milter made.
    Body,
}

impl FromStr for Mask {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "addresses" => Ok(Self::Addresses),
            "body" => Ok(Self::Body),
            _ => Err("it should be one of addresses, body".to_owned()),
        }
    }
}

/// Masks entries. The same address becomes the same one each time, so that a session keeps its meaning.
pub fn mask(entries: &mut [Entry], masks: &[Mask]) {
    let mut known = BTreeMap::new();
    for entry in entries {
        let is_body = matches!(
            (entry.direction, entry.letter),
            (Direction::ToMilter, b'B' | b'E') | (Direction::FromMilter, b'b')
        );
        if is_body && masks.contains(&Mask::Body) {
            entry.payload.iter_mut().for_each(|byte| *byte = blank(*byte));
        }
        if masks.contains(&Mask::Addresses) {
            if (entry.direction, entry.letter) == (Direction::ToMilter, b'C') {
                entry.payload = b"client.example\x004\0\x00192.0.2.1\0".to_vec();
            } else if !is_body || !masks.contains(&Mask::Body) {
                entry.payload = without_addresses(&entry.payload, &mut known);
            }
        }
    }
}

const fn blank(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => b'9',
        b'a'..=b'z' | 0x80.. => b'x',
        b'A'..=b'Z' => b'X',
        other => other,
    }
}

/// The text with each `LOCAL@DOMAIN` replaced by `userN@masked.example`.
fn without_addresses(text: &[u8], known: &mut BTreeMap<Vec<u8>, usize>) -> Vec<u8> {
    let mut masked = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'@') {
        let is_part = |byte: &u8| {
            byte.is_ascii_alphanumeric() || *byte >= 0x80 || b"._%+=~!#$&'*/?^`{|}-".contains(byte)
        };
        let start = rest[..at].iter().rposition(|byte| !is_part(byte)).map_or(0, |before| before + 1);
        let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || b".-_".contains(byte);
        let end =
            rest[at + 1..].iter().position(|byte| !is_domain(byte)).map_or(rest.len(), |end| at + 1 + end);
        if start == at || end == at + 1 {
            masked.extend_from_slice(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        }
        let count = known.len() + 1;
        let number = *known.entry(rest[start..end].to_ascii_lowercase()).or_insert(count);
        masked.extend_from_slice(&rest[..start]);
        masked.extend_from_slice(format!("user{number}@masked.example").as_bytes());
        rest = &rest[end..];
    }
    masked.extend_from_slice(rest);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(direction: Direction, letter: u8, payload: &[u8], masks: &[Mask]) -> Vec<u8> {
        let mut entries = [Entry { seconds: 0.0, direction, letter, payload: payload.to_vec() }];
        mask(&mut entries, masks);
        let [entry] = entries;
        entry.payload
    }

    #[test]
    fn an_address_is_the_same_one_each_time() {
        let mut known = BTreeMap::new();
        let text = b"<Joe.Doe@example.com> (a@b), joe.doe@EXAMPLE.com; @ x@ @y";
        assert_eq!(
            without_addresses(text, &mut known),
            b"<user1@masked.example> (user2@masked.example), user1@masked.example; @ x@ @y"
        );
    }

    #[test]
    fn the_client_and_the_envelope_are_masked_and_the_body_only_when_asked_for() {
        let addresses = &[Mask::Addresses][..];
        let to_milter = |letter, payload: &[u8], masks| masked(Direction::ToMilter, letter, payload, masks);
        assert_eq!(to_milter(b'M', b"<a@b>\0SIZE=1\0", addresses), b"<user1@masked.example>\0SIZE=1\0");
        assert_eq!(to_milter(b'C', b"h\0U", addresses), b"client.example\x004\0\x00192.0.2.1\0");
        assert_eq!(to_milter(b'B', b"Hi 42 a@b\n", addresses), b"Hi 42 user1@masked.example\n");
        assert_eq!(to_milter(b'B', b"Hi 42 a@b\n", &[Mask::Body]), b"Xx 99 x@x\n");
        assert_eq!(to_milter(b'B', b"Hi 42 a@b\n", &[Mask::Body, Mask::Addresses]), b"Xx 99 x@x\n");
        assert_eq!(masked(Direction::FromMilter, b'b', b"New", &[Mask::Body]), b"Xxx");
    }
}
