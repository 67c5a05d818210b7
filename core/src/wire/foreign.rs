//! Recognises other protocols by their first bytes, so that the log can say what was connected to the wrong port.

/// What `bytes`, the first four or more of a connection, look like.
///
/// Only asked when they are no length that could be: each of these is above 100 MB.
pub(super) fn recognise(bytes: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: [(&[u8], &str); 25] = [
        (b"GET ", "an HTTP request"),
        (b"POST", "an HTTP request"),
        (b"HEAD", "an HTTP request"),
        (b"PUT ", "an HTTP request"),
        (b"OPTI", "an HTTP request"),
        (b"CONN", "an HTTP proxy request"),
        (b"PRI ", "an HTTP/2 connection"),
        (b"HTTP", "an HTTP server's answer"),
        (b"EHLO", "an SMTP client"),
        (b"HELO", "an SMTP client"),
        (b"LHLO", "an LMTP client"),
        (b"MAIL", "an SMTP client"),
        (b"QUIT", "an SMTP client"),
        (b"RSET", "an SMTP client"),
        (b"220 ", "an SMTP server's greeting"),
        (b"220-", "an SMTP server's greeting"),
        (b"421 ", "an SMTP server's refusal"),
        (b"554 ", "an SMTP server's refusal"),
        (b"* OK", "an IMAP server's greeting"),
        (b"+OK ", "a POP3 server's greeting"),
        (b"SSH-", "an SSH connection"),
        (b"PROX", "a PROXY protocol header"),
        (b"\r\n\r\n", "a PROXY protocol header or an empty HTTP request"),
        (b"\x16\x03", "a TLS handshake"),
        (b"\x15\x03", "a TLS alert"),
    ];
    let looks_like =
        |beginning: &[u8]| bytes.get(..beginning.len()).is_some_and(|b| b.eq_ignore_ascii_case(beginning));
    BEGINNINGS.iter().find(|(beginning, _)| looks_like(beginning)).map(|(_, name)| *name)
}
