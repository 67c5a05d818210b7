//! What the milters refuse, mark or let pass; the first in the chain to refuse speaks.

use millstream_tests::message::Message;
use millstream_tests::real_children::clamav::{EICAR, VIRUS};
use millstream_tests::real_children::rspamd::{MARK, REFUSED_WORD, REWRITE};
use millstream_tests::real_children::spamassassin::{GTUBE, SPAM_WORD};
use millstream_tests::smtp::Smtp;

use crate::children::Kind;
use crate::office::{Chain, same};
use crate::signatures::from_stranger;

/// A message with these lines as its body.
pub(crate) fn lines(domain: &str, subject: &str, lines: &[&str]) -> Message {
    let body: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    Message::new(domain, subject).with_body(body.as_bytes())
}

#[test]
fn clean_mail_carries_the_mark_of_every_child() {
    let Some(seen) = same(Chain::All, |smtp, domain| vec![smtp.send(&Message::new(domain, "clean"))]) else {
        return;
    };

    assert_eq!(seen.delivered.len(), 1, "{:?}", seen.replies);
    for kind in Kind::ALL {
        let mark = format!("\n{}:", kind.mark());
        assert_eq!(seen.delivered[0].matches(&mark).count(), 1, "{kind:?}:\n{}", seen.delivered[0]);
    }
}

#[test]
fn each_refuses_what_it_is_there_for() {
    let (eicar, gtube) = (EICAR.concat(), GTUBE.concat());
    let Some(seen) = same(Chain::All, |smtp, domain| {
        vec![
            smtp.send(&lines(domain, "a virus", &[&eicar])),
            smtp.send(&lines(domain, "spam", &[&gtube])),
            smtp.send(&lines(domain, REFUSED_WORD, &["what rspamd does not want"])),
            smtp.send(&lines(domain, REFUSED_WORD, &[&gtube])),
            smtp.send(&lines(domain, REFUSED_WORD, &[&eicar, &gtube])),
        ]
    }) else {
        return;
    };

    let ends = ends(&seen.replies);
    assert!(ends[0].contains(VIRUS), "{ends:?}");
    assert!(ends[1].contains("SpamAssassin"), "{ends:?}");
    assert!(ends[2].starts_with("554 "), "{ends:?}");
    assert_eq!(ends[3], ends[1], "spamass-milter stands before rspamd");
    assert_eq!(ends[4], ends[0], "clamav-milter stands before both");
    assert_eq!(seen.delivered, [""; 0]);
}

#[test]
fn the_other_order_gives_the_other_answer() {
    let (eicar, gtube) = (EICAR.concat(), GTUBE.concat());
    let Some(seen) = same(Chain::Reversed, |smtp, domain| {
        vec![
            smtp.send(&lines(domain, "clean", &["nothing"])),
            smtp.send(&lines(domain, "spam", &[&gtube])),
            smtp.send(&lines(domain, "both", &[&eicar, &gtube])),
            smtp.send(&lines(domain, "a virus", &[&eicar])),
        ]
    }) else {
        return;
    };

    let ends = ends(&seen.replies);
    assert!(!ends[1].contains("SpamAssassin") && ends[1].starts_with('5'), "rspamd speaks first: {ends:?}");
    assert_eq!(ends[2], ends[1]);
    assert!(ends[3].contains(VIRUS), "{ends:?}");
    assert_eq!(seen.delivered.len(), 1);
}

#[test]
fn rspamd_marks_and_rewrites() {
    let (mark, rewrite) = (MARK.concat(), REWRITE.concat());
    let Some(seen) = same(Chain::All, |smtp, domain| {
        vec![
            smtp.send(&lines(domain, "to be marked", &[&mark])),
            smtp.send(&lines(domain, "to be rewritten", &[&rewrite])),
        ]
    }) else {
        return;
    };

    assert_eq!(seen.delivered.len(), 2, "{:?}", seen.replies);
    let all = seen.delivered.concat();
    assert!(all.contains("\nX-Spam: Yes"), "{all}");
    assert!(all.contains("[spam] to be rewritten"), "{all}");
}

/// It replaces subject, content type and body, and the milter behind it sees that. From a stranger: a signature that
/// opendkim makes last is one of SpamAssassin's random boundary.
#[test]
fn spamassassin_wraps_spam() {
    let subject = format!("{SPAM_WORD}, folded");
    let headers = ["MIME-Version: 1.0", "Content-Type: text/plain; charset=us-ascii"];
    let script = |smtp: &mut Smtp, domain: &str| {
        let plain = lines(domain, &subject, &["Buy this.", ".", "..", ""]);
        let typed = plain.clone().with_headers(headers);
        let large = plain.clone().with_body(&b"Buy this, and that.\r\n".repeat(5000));
        let refused = lines(domain, &format!("{SPAM_WORD} {REFUSED_WORD}"), &["Buy this."]);
        let after = lines(domain, "after that", &["Nothing to sell."]);
        [plain, typed, large, refused, after].map(|message| smtp.send(&from_stranger(message))).into()
    };
    let own = |smtp: &mut Smtp, domain: &str| vec![smtp.send(&lines(domain, &subject, &["Buy this."]))];
    let Some(signed) = same(Chain::All, own) else { return };
    assert_eq!(signed.delivered[0].matches("\nDKIM-Signature:").count(), 2, "outside and inside: {signed:?}");
    for seen in [same(Chain::All, script), same(Chain::Reversed, script)] {
        let Some(seen) = seen else { return };
        assert_eq!(seen.delivered.len(), 4, "{:?}", seen.replies);
        let all = seen.delivered.concat();
        assert_eq!(all.matches("Spam detection software, running on the system").count(), 3, "{all}");
        assert_eq!(all.matches("\nSubject: [SPAM] ").count(), 3, "{all}");
    }
}

#[test]
fn a_virus_in_an_attachment() {
    let head = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_part\"";
    // The base64 of EICAR.
    let encoded = base64(EICAR.concat().as_bytes());
    let Some(seen) = same(Chain::All, |smtp, domain| {
        let text = ["--=_part", "Content-Type: text/plain", "", "See the attachment.", "--=_part"];
        let attachment = [
            "Content-Type: application/octet-stream; name=eicar.com",
            "Content-Transfer-Encoding: base64",
            "Content-Disposition: attachment; filename=eicar.com",
            "",
            &encoded,
            "--=_part--",
        ];
        let message = lines(domain, "an attachment", &[&text[..], &attachment[..]].concat());
        vec![smtp.send(&message.with_headers([head]))]
    }) else {
        return;
    };

    assert!(ends(&seen.replies)[0].contains(VIRUS), "{:?}", seen.replies);
}

/// The replies to the end of the messages, for messages with one recipient that all came so far.
fn ends(replies: &[String]) -> Vec<&str> {
    assert_eq!(replies.len() % 4, 0, "{replies:?}");
    replies.iter().skip(3).step_by(4).map(String::as_str).collect()
}

/// Without line breaks.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_usize, |bits, &byte| bits << 8 | usize::from(byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[bits >> (18 - 6 * place) & 63];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
