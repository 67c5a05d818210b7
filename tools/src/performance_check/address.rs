//! Addresses in headers (RFC 5322, 3.4).

/// The addresses of a list, each in angle brackets: display names, comments and the names of groups are left out.
pub(super) fn list(text: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut entry = Entry::default();
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, entry.place) {
            (b'\r' | b'\n', _) => {}
            (b'\\', Place::Quote) => {
                entry.push(byte);
                bytes.next().into_iter().for_each(|quoted| entry.push(quoted));
            }
            (b'\\', Place::Comment(_)) => drop(bytes.next()),
            (b'"', Place::Quote) => {
                entry.push(byte);
                entry.place = Place::Text;
            }
            (_, Place::Quote) => entry.push(byte),
            (b'(', Place::Comment(depth)) => entry.place = Place::Comment(depth + 1),
            (b')', Place::Comment(1)) => entry.place = Place::Text,
            (b')', Place::Comment(depth)) => entry.place = Place::Comment(depth - 1),
            (_, Place::Comment(_)) => {}
            (b'>', Place::Angle) => entry.place = Place::Text,
            (_, Place::Angle) => entry.angle.get_or_insert_default().push(byte),
            (b'"', Place::Text) => {
                entry.push(byte);
                entry.place = Place::Quote;
            }
            (b'(', Place::Text) => entry.place = Place::Comment(1),
            (b'<', Place::Text) => {
                entry.angle = Some(Vec::new());
                entry.place = Place::Angle;
            }
            (b',' | b';', Place::Text) => found.extend(std::mem::take(&mut entry).address()),
            // What stands before it is the name of a group.
            (b':', Place::Text) => entry = Entry::default(),
            (b' ' | b'\t', Place::Text) => entry.words.push(Vec::new()),
            (_, Place::Text) => entry.push(byte),
        }
    }
    found.extend(entry.address());
    found
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    Quote,
    /// So many open parentheses.
    Comment(usize),
    Angle,
}

/// What stands between two commas.
#[derive(Debug, Default)]
struct Entry {
    place: Place,
    words: Vec<Vec<u8>>,
    angle: Option<Vec<u8>>,
}

impl Entry {
    fn push(&mut self, byte: u8) {
        match self.words.last_mut() {
            Some(word) => word.push(byte),
            None => self.words.push(vec![byte]),
        }
    }

    fn address(self) -> Option<Vec<u8>> {
        let address = match self.angle {
            Some(angle) => angle.trim_ascii().to_vec(),
            None => self.words.into_iter().find(|word| !word.is_empty())?,
        };
        let is_sound = !address.iter().any(|byte| byte.is_ascii_control() || *byte == b'>');
        is_sound.then(|| [b"<", &address[..], b">"].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_comments_and_groups_are_left_out() {
        let cases: [(&str, &[&str]); 9] = [
            ("a@x", &["<a@x>"]),
            ("Some One <a@x>, b@x (Two, of them) ,\r\n c@x", &["<a@x>", "<b@x>", "<c@x>"]),
            ("\"One, Two\" <a@x>", &["<a@x>"]),
            ("\"a b\"@x", &["<\"a b\"@x>"]),
            ("\"quoted \\\" <no@x>\" <a@x>", &["<a@x>"]),
            ("(first (inner) \\) still) a@x", &["<a@x>"]),
            ("friends: a@x, B <b@x>; c@x", &["<a@x>", "<b@x>", "<c@x>"]),
            ("undisclosed-recipients:;", &[]),
            (" , ,", &[]),
        ];
        for (text, expected) in cases {
            let found = list(text.as_bytes());
            let found: Vec<_> = found.iter().map(|address| String::from_utf8_lossy(address)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn an_address_brings_no_command_with_it() {
        assert_eq!(list(b"<a@x\r\nDATA>"), [b"<a@xDATA>"]);
        assert!(list(b"a\0@x, <b\x07@x>").is_empty());
    }
}
