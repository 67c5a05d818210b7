//! A message in the MTA's queue, and what Postfix does with a milter's edits (section 7 of the protocol description);
//! [`SendmailHeader`] knows what Sendmail does.

use crate::plan::{Frame, Text};
use crate::sendmail::SendmailHeader;
use crate::show::show;

/// One header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) name: Text,
    /// Everything behind the colon.
    pub(crate) raw: Text,
    /// Which of those that came it is, whatever became of it: [`OWN`] for the MTA's, `None` for one that a child added.
    origin: Option<usize>,
    /// How often it was changed.
    changes: usize,
}

/// The header that the MTA adds itself, which it shows to nobody.
const OWN: Option<usize> = Some(0);

impl Header {
    fn new(origin: Option<usize>, name: &[u8], raw: Text) -> Self {
        Self { name: name.to_vec(), raw, origin, changes: 0 }
    }

    /// Whether children are shown it.
    pub(crate) fn is_shown(&self) -> bool {
        self.origin != OWN
    }
}

/// A message as it lies in the MTA's queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) headers: Vec<Header>,
    /// The header behind anything but Postfix.
    pub(crate) sendmail: Option<SendmailHeader>,
    /// Its content has begun; the end of the headers came.
    pub(crate) content: bool,
    headers_ended: bool,
    pub(crate) body: Vec<Text>,
    /// A child replaced the body: how it is cut into chunks is free.
    pub(crate) recut: bool,
    pub(crate) sender: Text,
    pub(crate) recipients: Vec<Text>,
    pub(crate) quarantine: Option<Text>,
}

/// Headers, body, sender, recipients, why it is held.
pub(crate) type Delivered = (Vec<(Text, Text)>, Text, Text, Vec<Text>, Option<Text>);

pub(crate) fn strings(payload: &[u8]) -> Vec<&[u8]> {
    payload.strip_suffix(b"\0").unwrap_or(payload).split(|byte| *byte == 0).collect()
}

impl Message {
    /// The message of this MAIL in an empty queue.
    pub(crate) fn of(mail: &[u8], postfix: bool) -> Self {
        let sender = strings(mail).join(&0);
        let headers = vec![Header::new(OWN, b"Received", b" by the MTA itself".to_vec())];
        let sendmail = (!postfix).then(SendmailHeader::new);
        Self { sender, headers, sendmail, ..Self::default() }
    }

    /// Takes from the client what is said of it in the protocol. `lead`: values come with their leading space.
    pub(crate) fn receive(&mut self, letter: u8, payload: &[u8], lead: bool) {
        self.content |= b"LNBE".contains(&letter);
        match letter {
            b'L' => {
                let texts = strings(payload);
                let raw = [if lead { &b""[..] } else { b" " }, texts[1]].concat();
                if let Some(header) = &mut self.sendmail {
                    header.receive(texts[0], &raw);
                }
                self.headers.push(Header::new(Some(self.headers.len()), texts[0], raw));
            }
            b'N' => self.headers_ended = true,
            b'B' | b'E' if !payload.is_empty() => self.body.push(payload.to_vec()),
            _ => {}
        }
    }

    /// Removes all headers of this name, and adds one with this value, if any, as far as a milter may.
    pub(crate) fn replace(&mut self, name: &[u8], value: &str, actions: u32) {
        let is_copy = |header: &&Header| header.is_shown() && header.name.eq_ignore_ascii_case(name);
        let delete = |index: usize| [&(index as u32).to_be_bytes()[..], name, b"\0\0"].concat();
        let copies = self.headers.iter().filter(is_copy).count();
        let mut edits: Vec<Frame> = (1..=copies).rev().map(|index| (b'm', delete(index))).collect();
        if !value.is_empty() {
            edits.push((b'h', [name, b"\0", value.as_bytes(), b"\0"].concat()));
        }
        self.apply(&edits, false, actions);
    }

    /// What a milter is shown of it, that takes header values with their leading space or without. A body that another has made
    /// may be cut anywhere: as it was, in pieces of these `sizes`.
    pub(crate) fn pieces(&self, lead: bool, sizes: &[usize]) -> Vec<Frame> {
        let shown = self.headers.iter().filter(|header| header.is_shown());
        let header = |header: &Header| {
            let raw = &header.raw[..];
            let value = if lead { raw } else { raw.strip_prefix(b" ").unwrap_or(raw) };
            (b'L', [&header.name, &b"\0"[..], value, b"\0"].concat())
        };
        let mut pieces: Vec<Frame> = shown.map(header).collect();
        pieces.extend(self.headers_ended.then(|| (b'N', Text::new())));
        if !self.recut {
            pieces.extend(self.body.iter().map(|chunk| (b'B', chunk.clone())));
            return pieces;
        }
        let mut body = self.body.concat();
        for size in sizes {
            let rest = body.split_off(body.len().min(*size));
            pieces.push((b'B', std::mem::replace(&mut body, rest)));
        }
        pieces.push((b'B', body));
        pieces
    }

    /// Applies a child's edits with the MTA's rules. `lead`: values come with their leading space.
    pub(crate) fn apply(&mut self, edits: &[Frame], lead: bool, actions: u32) {
        let mut replaced = false;
        if let Some(header) = &mut self.sendmail {
            header.begin();
        }
        for (letter, payload) in edits {
            let needs = match letter {
                b'h' | b'i' => 0x01,
                b'b' => 0x02,
                b'+' => 0x04,
                b'-' => 0x08,
                b'm' => 0x10,
                b'q' => 0x20,
                b'e' => 0x40,
                b'2' => 0x80,
                _ => continue,
            };
            if actions & needs == 0 {
                continue;
            }
            let indexed = matches!(letter, b'i' | b'm');
            let index =
                if indexed { u32::from_be_bytes(payload[..4].try_into().unwrap()) as usize } else { 0 };
            let texts = strings(&payload[if indexed { 4 } else { 0 }..]);
            let text = |n: usize| texts.get(n).map_or(Vec::new(), |text| text.to_vec());
            let raw = if lead { text(1) } else { [b" ", &text(1)[..]].concat() };
            if let (Some(header), b'h' | b'i' | b'm') = (&mut self.sendmail, letter) {
                let signed = i32::try_from(index).unwrap_or(-1);
                match letter {
                    b'h' => header.add(&text(0), raw),
                    b'i' => header.insert(signed, &text(0), raw),
                    _ => header.change(signed, &text(0), (!text(1).is_empty()).then_some(raw)),
                }
                let shown = header.visible().into_iter().map(|(name, raw)| Header::new(None, &name, raw));
                self.headers.truncate(1);
                self.headers.extend(shown);
                continue;
            }
            match letter {
                b'h' => self.headers.push(Header::new(None, &text(0), raw)),
                b'i' => {
                    let header = Header::new(None, &text(0), raw);
                    self.headers.insert(index.min(self.headers.len()), header);
                }
                b'm' => {
                    let named = |(_, header): &(usize, &Header)| {
                        header.is_shown() && header.name.eq_ignore_ascii_case(&text(0))
                    };
                    let found =
                        self.headers.iter().enumerate().filter(named).nth(index.max(1) - 1).map(|(at, _)| at);
                    match (found, text(1).is_empty()) {
                        (Some(at), true) => drop(self.headers.remove(at)),
                        (Some(at), false) => {
                            let header = &mut self.headers[at];
                            (header.name, header.raw, header.changes) = (text(0), raw, header.changes + 1);
                        }
                        (None, true) => {}
                        (None, false) => self.headers.push(Header::new(None, &text(0), raw)),
                    }
                }
                b'b' => {
                    if !std::mem::replace(&mut replaced, true) {
                        self.body.clear();
                        self.recut = true;
                    }
                    self.body.push(payload.clone());
                }
                b'+' | b'2' => self.recipients.push(texts.join(&0)),
                b'-' => self.recipients.retain(|known| strings(known)[0] != text(0)),
                b'e' => self.sender = texts.join(&0),
                _ => self.quarantine = Some(text(0)),
            }
        }
    }

    /// Applies the edits of a child that was shown the message as it was `received`, whatever others have made of it since:
    /// each finds its header by what it is, not by where it stands. New ones go behind what they stood behind.
    pub(crate) fn apply_beside(&mut self, received: &Self, edits: &[Frame], lead: bool, actions: u32) {
        let is_header = |edit: &&Frame| b"him".contains(&edit.0);
        let mut edited = received.clone();
        edited.apply(&edits.iter().filter(is_header).cloned().collect::<Vec<_>>(), lead, actions);
        self.apply(&edits.iter().filter(|edit| !is_header(edit)).cloned().collect::<Vec<_>>(), lead, actions);
        let same = |header: &Header, other: &Header| header.origin.is_some() && header.origin == other.origin;
        self.headers.retain_mut(|header| {
            let Some(version) = edited.headers.iter().find(|version| same(version, header)) else {
                return header.origin.is_none();
            };
            if version.changes > 0 {
                header.clone_from(version);
            }
            true
        });
        let last = edited.headers.iter().rposition(|header| header.origin.is_some()).unwrap_or(0);
        let mut behind = 0;
        for (place, header) in edited.headers.into_iter().enumerate() {
            if header.origin.is_some() {
                let at = self.headers.iter().position(|known| same(known, &header));
                behind = at.map_or(behind, |at| at + 1);
            } else if place > last {
                self.headers.push(header);
            } else {
                self.headers.insert(behind, header);
                behind += 1;
            }
        }
    }

    /// What matters of a delivered message, to be compared.
    pub(crate) fn delivered(&self) -> Delivered {
        let mut recipients = self.recipients.clone();
        recipients.sort();
        recipients.dedup();
        let headers = match &self.sendmail {
            Some(header) => header.delivered(),
            None => self.headers.iter().map(|header| (header.name.clone(), header.raw.clone())).collect(),
        };
        (headers, self.body.concat(), self.sender.clone(), recipients, self.quarantine.clone())
    }
}

pub(crate) fn differ(got: &Message, expected: &Message) -> String {
    let (got, expected) = (got.delivered(), expected.delivered());
    let list = |headers: &[(Text, Text)]| -> String {
        headers.iter().map(|(name, raw)| format!("\n      {}:{}", show(name), show(raw))).collect()
    };
    if got.0 != expected.0 {
        return format!("delivered headers:{}\n    must be:{}", list(&got.0), list(&expected.0));
    }
    if got.1 != expected.1 {
        return format!("delivered body {}, must be {}", show(&got.1), show(&expected.1));
    }
    let envelope = |it: &Delivered| {
        let recipients: Vec<_> = it.3.iter().map(|text| show(text)).collect();
        format!(
            "{} -> {} quarantine {:?}",
            show(&it.2),
            recipients.join(" "),
            it.4.as_ref().map(|text| show(text))
        )
    };
    format!("delivered envelope {}, must be {}", envelope(&got), envelope(&expected))
}
