//! Something else than a milter or an MTA at the other end is called by its name.

use bytes::BytesMut;
use millstream_core::wire::{Decoder, WireError, head};

fn first_error(bytes: &[u8], size: usize) -> Option<WireError> {
    let mut decoder = Decoder::new((1 << 20) + (1 << 16));
    for piece in bytes.chunks(size) {
        decoder.receive(BytesMut::from(piece));
        loop {
            match decoder.next_frame() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return Some(error),
            }
        }
    }
    None
}

#[test]
fn other_protocols_are_recognised_by_their_first_bytes() {
    let cases: [(&[u8], &str); 18] = [
        (b"GET / HTTP/1.1\r\nHost: mx\r\n\r\n", "an HTTP request"),
        (b"POST /checkv2 HTTP/1.0\r\n", "an HTTP request"),
        (b"OPTIONS * HTTP/1.1\r\n", "an HTTP request"),
        (b"CONNECT mx:25 HTTP/1.1\r\n", "an HTTP proxy request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "an HTTP/2 connection"),
        (b"HTTP/1.1 400 Bad Request\r\n", "an HTTP server's answer"),
        (b"EHLO client.example\r\n", "an SMTP client"),
        (b"ehlo client.example\r\n", "an SMTP client"),
        (b"LHLO client.example\r\n", "an LMTP client"),
        (b"220 mx.example ESMTP Postfix\r\n", "an SMTP server's greeting"),
        (b"220-mx.example ESMTP Exim\r\n", "an SMTP server's greeting"),
        (b"554 No SMTP service here\r\n", "an SMTP server's refusal"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "an SSH connection"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "a PROXY protocol header"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21", "a PROXY protocol header or an empty HTTP request"),
        (b"\x16\x03\x01\x02\x00\x01\x00", "a TLS handshake"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "a TLS alert"),
        (b"* OK IMAP4 ready\r\n", "an IMAP server's greeting"),
    ];
    for (bytes, name) in cases {
        for size in [1, 4, 5, bytes.len()] {
            assert_eq!(first_error(bytes, size), Some(WireError::Foreign(name)), "{}", bytes.escape_ascii());
        }
    }
}

#[test]
fn the_message_says_what_is_at_the_other_end() {
    let text = WireError::Foreign("an HTTP request").to_string();
    assert_eq!(text, "this looks like an HTTP request, not like the milter protocol");
}

#[test]
fn other_lengths_are_just_too_long() {
    for bytes in [&b"\xff\xff\xff\xff"[..], b"\0\x20\0\0O", b"ABCD"] {
        assert!(matches!(first_error(bytes, bytes.len()), Some(WireError::TooLong { .. })));
    }
}

#[test]
fn only_the_first_bytes_of_a_connection_are_looked_at() {
    let stream = [&head(b'N', 0)[..], b"GET / HTTP/1.1\r\n"].concat();
    for size in [1, stream.len()] {
        assert!(matches!(first_error(&stream, size), Some(WireError::TooLong { length: 0x4745_5420, .. })));
    }
}

#[test]
fn a_milter_frame_is_never_taken_for_something_else() {
    // Lengths within the limit that begin like none of the texts, whatever stands behind them.
    assert_eq!(first_error(&[&head(b'G', 4)[..], b"ET /"].concat(), 1), None);
}
