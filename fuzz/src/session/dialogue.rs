//! What MTAs and children say.

/// The commands of an honest MTA; after the last it goes back to MAIL.
pub(super) const DIALOGUE: [(u8, &[u8]); 11] = [
    (b'O', b"\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff"),
    (b'C', b"client.example.org\x004\x12\x34203.0.113.7\0"),
    (b'H', b"client.example.org\0"),
    (b'M', b"<sender@example.org>\0SIZE=10\0"),
    (b'R', b"<one@example.org>\0"),
    (b'R', b"<two@example.org>\0"),
    (b'T', b""),
    (b'L', b"Subject\0Hello\0"),
    (b'N', b""),
    (b'B', b"Hello.\r\n"),
    (b'E', b""),
];
pub(super) const MAIL: usize = 3;

/// Commands at any time, legal or not.
pub(super) const COMMANDS: [(u8, &[u8]); 20] = [
    (b'O', b"\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff"),
    (b'O', b"\0\0\0\x02\0\0\0\x3f\0\0\0\x7f"),
    (b'C', b"\0U"),
    (b'C', b"client.example.org\x006\x12\x34IPv6:2001:db8::1\0"),
    (b'H', b"\0"),
    (b'M', b"<>\0"),
    (b'R', b"<one@example.org>\0NOTIFY=NEVER\0"),
    (b'T', b""),
    (b'L', b"X-A\0 first\0"),
    (b'L', b"\0\0"),
    (b'N', b""),
    (b'B', b""),
    (b'B', b"more\r\n"),
    (b'E', b""),
    (b'E', b"end\0\r\n"),
    (b'A', b""),
    (b'Q', b""),
    (b'K', b""),
    (b'U', b"NONSENSE\0"),
    (b'D', b"Mi\0QUEUE\0{auth_type}\0PLAIN\0"),
];

/// Replies at any time, legal or not.
pub(super) const REPLIES: [(u8, &[u8]); 24] = [
    (b'c', b""),
    (b'a', b""),
    (b'r', b""),
    (b't', b""),
    (b'd', b""),
    (b's', b""),
    (b'4', b""),
    (b'f', b""),
    (b'p', b""),
    (b'y', b"550 5.7.1 no\0"),
    (b'y', b"451 later\0"),
    (b'y', b"2xx\0"),
    (b'h', b"X-New\0value\0"),
    (b'i', b"\0\0\0\x01X-New\0value\0"),
    (b'm', b"\0\0\0\x01Subject\0other\0"),
    (b'm', b"\0\0\0\x02X-A\0\0"),
    (b'b', b"another body\r\n"),
    (b'+', b"<new@example.org>\0"),
    (b'2', b"<new@example.org>\0NOTIFY=NEVER\0"),
    (b'-', b"<one@example.org>\0"),
    (b'e', b"\0"),
    (b'q', b"why\0"),
    (b'O', b"\0\0\0\x06\0\0\0\0\0\0\0\0"),
    (b'?', b""),
];

pub(super) fn encode(letter: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32 + 1;
    [&length.to_be_bytes()[..], &[letter], payload].concat()
}

/// The bit with which no reply is owed to a command, 0 where one always is; nothing for what is never replied to.
pub(super) fn silence(letter: u8) -> Option<u32> {
    Some(match letter {
        b'C' => 0x1000,
        b'H' => 0x2000,
        b'M' => 0x4000,
        b'R' => 0x8000,
        b'T' => 0x1_0000,
        b'U' => 0x2_0000,
        b'L' => 0x80,
        b'N' => 0x4_0000,
        b'B' => 0x8_0000,
        b'O' | b'E' => 0,
        _ => return None,
    })
}

/// The replies of a child that are not the last to a command.
pub(super) const IN_BETWEEN: &[u8] = b"phimb+2-eq";
