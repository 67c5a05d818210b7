//! What a dialogue came to, for people: the lines that the installation guides show.

use crate::general_number::general;
use crate::mail::{Header, Mail};
use crate::outcome::Outcome;

const ENVELOPE: &str = "Envelope:------------------------------";
const HEADER: &str = "Header:--------------------------------";
const BODY: &str = "Body:----------------------------------";
const ERROR: &str = "Error:---------------------------------";
const END_OF_ERROR: &str = "---------------------------------------";

const GREEN: &[u8] = b"\x1b[01;32m";
const RED: &[u8] = b"\x1b[01;31m";
const PLAIN: &[u8] = b"\x1b[00m";

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Same,
    Gone,
    New,
}

/// The verdict, how long it took, and why the message is to be held.
#[must_use]
pub fn summary(outcome: &Outcome, seconds: f64) -> Vec<u8> {
    let mut text = format!("status: {}", outcome.status);
    if let Some(reply_code) = &outcome.reply_code {
        text += &format!(" {reply_code}");
    }
    text += &format!("\nelapsed-time: {} seconds\n", general(seconds));
    let mut text = text.into_bytes();
    if let Some(reason) = &outcome.quarantine {
        text.extend_from_slice(&[b"Quarantine reason: <", &reason[..], b">\n"].concat());
    }
    text
}

/// The message that the milter left, with marks where it is another than what was sent.
#[must_use]
pub fn message(sent: &Mail, edited: &Mail, color: bool) -> Vec<u8> {
    let mut page = Page { text: Vec::new(), color };
    page.rule(ENVELOPE);
    page.pair(b"MAIL FROM", Some(&sent.sender), Some(&edited.sender));
    for index in 0..sent.recipients.len().max(edited.recipients.len()) {
        let of = |mail: &'_ Mail| mail.recipients.get(index).cloned();
        page.pair(b"RCPT TO", of(sent).as_deref(), of(edited).as_deref());
    }
    page.rule(HEADER);
    for (mark, header) in difference(&sent.headers, &edited.headers) {
        page.header(mark, header);
    }
    page.rule(BODY);
    page.body(edited);
    page.text
}

/// The headers of both, in one order: a changed one stands before what it was.
fn difference<'a>(sent: &'a [Header], edited: &'a [Header]) -> Vec<(Mark, &'a Header)> {
    let (mut old, mut new) = (sent, edited);
    let mut lines = Vec::new();
    while let ([first_old, rest_old @ ..], [first_new, rest_new @ ..]) = (old, new) {
        if first_old == first_new {
            lines.push((Mark::Same, first_new));
            (old, new) = (rest_old, rest_new);
        } else if !rest_old.contains(first_new) {
            lines.push((Mark::New, first_new));
            new = rest_new;
        } else if !rest_new.contains(first_old) {
            lines.push((Mark::Gone, first_old));
            old = rest_old;
        } else {
            // Each stands further on in the other: they have changed places.
            if first_old.name == first_new.name {
                lines.push((Mark::Gone, first_old));
                old = rest_old;
            }
            lines.push((Mark::New, first_new));
            new = rest_new;
        }
    }
    lines.extend(old.iter().map(|header| (Mark::Gone, header)));
    lines.extend(new.iter().map(|header| (Mark::New, header)));
    lines
}

/// A text that grows line by line.
struct Page {
    text: Vec<u8>,
    color: bool,
}

impl Page {
    fn rule(&mut self, rule: &str) {
        self.text.extend_from_slice(rule.as_bytes());
        self.text.push(b'\n');
    }

    fn line(&mut self, mark: Mark, line: &[u8]) {
        let (sign, color) = match mark {
            Mark::Same => (b' ', None),
            Mark::Gone => (b'-', Some(RED)),
            Mark::New => (b'+', Some(GREEN)),
        };
        let color = color.filter(|_| self.color);
        self.text.extend_from_slice(color.unwrap_or_default());
        self.text.extend_from_slice(&[sign, b' ']);
        self.text.extend_from_slice(line);
        self.text.extend_from_slice(color.map_or(&[][..], |_| PLAIN));
        self.text.push(b'\n');
    }

    /// An address before and after.
    fn pair(&mut self, label: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        let line = |address: &[u8]| [label, b":", address].concat();
        if let (Some(old), Some(new)) = (old, new)
            && old == new
        {
            self.line(Mark::Same, &line(new));
            return;
        }
        for (mark, address) in [(Mark::Gone, old), (Mark::New, new)] {
            if let Some(address) = address {
                self.line(mark, &line(address));
            }
        }
    }

    fn header(&mut self, mark: Mark, header: &Header) {
        let mut lines = header.value.split(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        let space: &[u8] = if first.is_empty() { b"" } else { b" " };
        self.line(mark, &[&header.name[..], b":", space, first].concat());
        for line in lines {
            self.line(mark, line);
        }
    }

    /// In UTF-8, where the message says in what it is.
    fn body(&mut self, mail: &Mail) {
        let body = mail.whole_body();
        match charset(&mail.headers).map(|label| in_utf8(&label, &body)) {
            Some(Ok(text)) => self.text.extend_from_slice(text.as_bytes()),
            Some(Err(message)) => {
                self.rule(ERROR);
                self.rule(&message);
                self.rule(END_OF_ERROR);
                self.text.extend_from_slice(&body);
            }
            None => self.text.extend_from_slice(&body),
        }
        self.text.push(b'\n');
    }
}

/// The `charset` of the content type.
fn charset(headers: &[Header]) -> Option<String> {
    let content_type = headers.iter().find(|header| header.name.eq_ignore_ascii_case(b"Content-Type"))?;
    let value = String::from_utf8_lossy(&content_type.value).into_owned();
    let start = value.to_ascii_lowercase().find("charset=")? + "charset=".len();
    let rest = &value[start..];
    let label = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split(';').next()?,
    };
    Some(label.trim().to_owned())
}

fn in_utf8(label: &str, body: &[u8]) -> Result<String, String> {
    let encoding = encoding_rs::Encoding::for_label_no_replacement(label.as_bytes())
        .ok_or_else(|| format!("unknown charset: <{label}>"))?;
    let text = encoding.decode_without_bom_handling_and_without_replacement(body);
    text.map(std::borrow::Cow::into_owned).ok_or_else(|| format!("the body is not in its charset: <{label}>"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{ReplyCode, Status};

    fn shown(sent: &Mail, edited: &Mail) -> String {
        String::from_utf8(message(sent, edited, false)).unwrap()
    }

    fn mail(headers: &[(&str, &str)]) -> Mail {
        let headers = headers.iter().map(|(name, value)| Header::new(*name, *value)).collect();
        let sender = b"<sender@example.com>".to_vec();
        let recipients = vec![b"<receiver@example.org>".to_vec()];
        Mail { sender, recipients, headers, body: vec![b"La de da de da 1.".to_vec()] }
    }

    #[test]
    fn the_summary_is_what_the_guides_show() {
        let mut outcome = Outcome::default();
        assert_eq!(summary(&outcome, 0.001_234_56), b"status: pass\nelapsed-time: 0.00123456 seconds\n");
        outcome.status = Status::Reject;
        outcome.reply_code = Some(ReplyCode::parse(b"554 5.7.1 no"));
        outcome.quarantine = Some(b"virus".to_vec());
        let text = String::from_utf8(summary(&outcome, 1.0)).unwrap();
        assert_eq!(
            text,
            "status: reject [554]<5.7.1>(no)\nelapsed-time: 1 seconds\nQuarantine reason: <virus>\n"
        );
    }

    #[test]
    fn a_header_that_was_added_has_a_plus() {
        let sent = mail(&[("From", "<sender@example.com>")]);
        let edited = mail(&[("From", "<sender@example.com>"), ("X-Spam-Flag", "YES")]);
        assert_eq!(
            shown(&sent, &edited),
            "Envelope:------------------------------\n  MAIL FROM:<sender@example.com>\n  \
             RCPT TO:<receiver@example.org>\nHeader:--------------------------------\n  \
             From: <sender@example.com>\n+ X-Spam-Flag: YES\n\
             Body:----------------------------------\nLa de da de da 1.\n"
        );
        assert!([ENVELOPE, HEADER, BODY, ERROR, END_OF_ERROR].iter().all(|rule| rule.len() == 39));
    }

    fn header_lines(sent: &[(&str, &str)], edited: &[(&str, &str)]) -> Vec<String> {
        let text = shown(&mail(sent), &mail(edited));
        let lines = text.lines().skip_while(|line| *line != HEADER).skip(1);
        lines.take_while(|line| *line != BODY).map(str::to_owned).collect()
    }

    #[test]
    fn what_was_changed_stands_before_what_it_was() {
        let lines = header_lines(&[("From", "a"), ("To", "old")], &[("From", "a"), ("To", "new")]);
        assert_eq!(lines, ["  From: a", "+ To: new", "- To: old"]);
    }

    #[test]
    fn what_is_gone_has_a_minus() {
        let lines = header_lines(&[("A", "1"), ("B", "2"), ("C", "3")], &[("A", "1"), ("C", "3")]);
        assert_eq!(lines, ["  A: 1", "- B: 2", "  C: 3"]);
        let lines = header_lines(&[("A", "1"), ("B", "2")], &[("A", "1")]);
        assert_eq!(lines, ["  A: 1", "- B: 2"]);
    }

    #[test]
    fn what_was_inserted_stands_where_it_is() {
        let lines = header_lines(&[("From", "a"), ("To", "b")], &[("From", "a"), ("To", "c"), ("To", "b")]);
        assert_eq!(lines, ["  From: a", "+ To: c", "  To: b"]);
    }

    #[test]
    fn folded_and_empty_values() {
        let lines = header_lines(&[], &[("A", "1\n 2\n\t3"), ("B", "")]);
        assert_eq!(lines, ["+ A: 1", "+  2", "+ \t3", "+ B:"]);
    }

    #[test]
    fn the_envelope_is_compared_from_the_top() {
        let sent = mail(&[]);
        let mut edited = mail(&[]);
        edited.sender = b"<x@y>".to_vec();
        edited.recipients = vec![b"<1@y>".to_vec(), b"<2@y>".to_vec()];
        let text = shown(&sent, &edited);
        let lines: Vec<_> = text.lines().skip(1).take(5).collect();
        assert_eq!(
            lines,
            [
                "- MAIL FROM:<sender@example.com>",
                "+ MAIL FROM:<x@y>",
                "- RCPT TO:<receiver@example.org>",
                "+ RCPT TO:<1@y>",
                "+ RCPT TO:<2@y>"
            ]
        );
    }

    #[test]
    fn colors_are_for_what_is_new_or_gone() {
        let sent = mail(&[("A", "1")]);
        let text = message(&sent, &mail(&[("A", "2")]), true);
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("\x1b[01;32m+ A: 2\x1b[00m\n\x1b[01;31m- A: 1\x1b[00m\n"), "{text:?}");
    }

    #[test]
    fn a_body_is_shown_in_utf_8() {
        let mut mail = mail(&[("Content-Type", "text/plain; charset=\"ISO-2022-JP\"")]);
        mail.body = vec![b"\x1b$B$\"\x1b(B".to_vec()];
        assert!(shown(&mail, &mail).ends_with("Body:----------------------------------\n\u{3042}\n"));
        mail.headers[0].value = b"text/plain; charset=unheard-of; x=y".to_vec();
        let text = String::from_utf8_lossy(&message(&mail, &mail, false)).into_owned();
        assert!(
            text.contains(&format!("{ERROR}\nunknown charset: <unheard-of>\n{END_OF_ERROR}\n")),
            "{text}"
        );
    }
}
