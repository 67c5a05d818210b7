//! What children think of mail: pure functions of what they are shown, so that nobody has to remember who said what.

/// Bytes of a frame, or of a part of it.
pub(crate) type Text = Vec<u8>;
/// A frame: letter, payload.
pub(crate) type Frame = (u8, Text);

/// What a child says to a piece of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    Pass,
    Accept,
    Reject,
    Later,
}

/// The verdict that is written into the mail: `r0!` has child 0 refuse it, `t0!` put it off, `a0!` accept it as it is.
pub(crate) fn says(child: usize, text: &[u8]) -> Say {
    let has = |letter: u8| text.windows(3).any(|part| part == [letter, b'0' + child as u8, b'!']);
    match () {
        () if has(b'r') => Say::Reject,
        () if has(b't') => Say::Later,
        () if has(b'a') => Say::Accept,
        () => Say::Pass,
    }
}

/// A refusal in the child's own words.
pub(crate) fn refusal(child: usize) -> Text {
    format!("550 5.7.1 c{child} says no\0").into_bytes()
}

/// The bits by which a milter says that it wants no such command, and that it will not answer it.
const BITS: [(u8, u32, u32); 9] = [
    (b'C', 0x1, 0x1000),
    (b'H', 0x2, 0x2000),
    (b'M', 0x4, 0x4000),
    (b'R', 0x8, 0x8000),
    (b'T', 0x200, 0x10000),
    (b'U', 0x100, 0x20000),
    (b'L', 0x20, 0x80),
    (b'N', 0x40, 0x40000),
    (b'B', 0x10, 0x80000),
];

/// Whether the command is sent under these terms.
pub(crate) fn wants(terms: u32, letter: u8) -> bool {
    BITS.iter().all(|(known, no_send, _)| *known != letter || terms & no_send == 0)
}

/// Whether it is answered under these terms.
pub(crate) fn replies(terms: u32, letter: u8) -> bool {
    BITS.iter().all(|(known, _, no_reply)| *known != letter || terms & no_reply == 0)
}

/// What a child was shown of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) sender: Option<Text>,
    pub(crate) recipients: Vec<Text>,
    pub(crate) headers: usize,
    pub(crate) body: Text,
}

impl Seen {
    /// The header that a child adds, which says what it has seen.
    pub(crate) fn header(&self, child: usize) -> Text {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let recipients: Vec<String> = self.recipients.iter().map(|it| text(it)).collect();
        let sender = text(self.sender.as_deref().unwrap_or(b"-"));
        let (headers, body) = (self.headers, text(&self.body));
        format!("X-c{child}\0{sender} to {} with {headers} and {body}\0", recipients.join(",")).into_bytes()
    }
}

/// Whether a header is one that a child has added.
pub(crate) fn is_added(payload: &[u8]) -> bool {
    payload.starts_with(b"X-c")
}

/// The session, its part and the message that a text belongs to: `#session.part.message#`.
pub(crate) fn tag(text: &[u8]) -> Option<(u32, u32, u32)> {
    let text = core::str::from_utf8(text.split(|byte| *byte == b'#').nth(1)?).ok()?;
    let mut numbers = text.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
}
