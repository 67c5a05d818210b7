//! Recognises other protocols by their first bytes, so that the log can say what was connected to the wrong port.

/// What `bytes`, the first of a connection, look like.
pub(super) fn recognise(bytes: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: [(&[u8], &str); 16] = [
        (b"GET ", "an HTTP request"),
        (b"POST", "an HTTP request"),
        (b"HEAD", "an HTTP request"),
        (b"PUT ", "an HTTP request"),
        (b"OPTI", "an HTTP request"),
        (b"CONN", "an HTTP proxy request"),
        (b"PRI ", "an HTTP/2 connection"),
        (b"EHLO", "an SMTP client"),
        (b"HELO", "an SMTP client"),
        (b"LHLO", "an LMTP client"),
        (b"MAIL", "an SMTP client"),
        (b"QUIT", "an SMTP client"),
        (b"SSH-", "an SSH client"),
        (b"PROX", "a PROXY protocol header"),
        (b"\r\n\r\n", "a PROXY protocol header or an empty HTTP request"),
        (b"220 ", "an SMTP server's greeting"),
    ];
    if bytes.len() >= 2 && bytes[0] == 0x16 && bytes[1] == 0x03 {
        return Some("a TLS handshake");
    }
    BEGINNINGS.iter().find(|(beginning, _)| bytes.starts_with(beginning)).map(|(_, name)| *name)
}
