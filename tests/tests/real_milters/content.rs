//! Messages of unusual shape, on which four milters have opinions.

use millstream_tests::message::Message;
use millstream_tests::real_children::clamav::{EICAR, VIRUS};

use crate::office::{Chain, same};

#[test]
fn many_headers() {
    let numbered: Vec<String> = (0..200).map(|number| format!("X-Number: {number}")).collect();
    let kinds: Vec<String> = (0..100).map(|number| format!("X-Kind-{number}: of its own")).collect();
    let Some(seen) = same(Chain::All, |smtp, domain| {
        let headers = numbered.iter().chain(&kinds).map(String::as_str);
        vec![smtp.send(&Message::new(domain, "many headers").with_headers(headers))]
    }) else {
        return;
    };

    assert_eq!(seen.delivered[0].matches("\nX-Number: ").count(), 200);
}

/// Fields that the milters add themselves, and take away or replace when they come from outside.
#[test]
fn forged_marks() {
    let Some(seen) = same(Chain::All, |smtp, domain| {
        let forged = [
            "X-Virus-Scanned: by somebody",
            "X-Spam-Status: No, score=-99 forged",
            "X-Virus-Status: Clean",
            "Authentication-Results: mx.test; dkim=pass header.d=forged.test",
            "X-Spam-Flag: YES",
            "X-Spam-Flag: NO",
            "X-Spam: Yes",
            "X-Spam-Level: *****",
            "X-Spam-Level: ***",
            "Authentication-Results: other.test; dkim=pass header.d=kept.test",
            "X-Spam-Checker-Version: forged",
            "X-Spamd-Result: forged",
            "X-Spamd-Bar: ++++++",
            "X-Rspamd-Queue-Id: forged",
            "X-Virus-Scanned: by somebody else",
            "X-Virus-Status: Clean too",
            "X-Spam-Report: folded",
            "\tand forged",
            "Authentication-Results: mx.test; spf=pass",
        ];
        let message = Message::new(domain, "forged marks").with_headers(forged);
        let mut stranger = message.clone();
        stranger.data = String::from_utf8(stranger.data)
            .unwrap()
            .replace("sender@mx.test", "somebody@elsewhere.test")
            .into_bytes();
        vec![smtp.send(&message), smtp.send(&stranger), smtp.send(&message)]
    }) else {
        return;
    };

    assert_eq!(seen.delivered.len(), 3);
    assert!(seen.delivered.iter().any(|message| !message.contains("forged.test")), "something is removed");
    assert!(seen.delivered.iter().all(|message| message.contains("kept.test")));
}

#[test]
fn odd_headers() {
    let Some(seen) = same(Chain::All, |smtp, domain| {
        let message = Message::new(domain, "odd headers").with_headers([
            "X-Folded: one",
            " two",
            "\tthree",
            "X-Empty:",
            "X-Blank: ",
            "X-No-Blank:value",
            "X-Two-Blanks:  value",
            "x-lower-case: and",
            "X-LOWER-CASE: upper",
            "Received: from a by b; Mon, 05 Jan 2026 09:00:00 +0000",
            "Received: from c by a; Mon, 05 Jan 2026 08:00:00 +0000",
            "Subject: another subject",
        ]);
        let only_header = Message { data: b"Subject: only a header\r\n".to_vec(), ..message.clone() };
        let no_header = Message { data: b"no header at all\r\nand more\r\n".to_vec(), ..message.clone() };
        let empty = message.clone().with_body(b"");
        [message, only_header, no_header, empty].iter().map(|message| smtp.send(message)).collect()
    }) else {
        return;
    };

    assert_eq!(seen.delivered.len(), 4, "{:?}", seen.replies);
}

#[test]
fn megabytes() {
    let text = b"0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ .\r\n".repeat(60_000);
    let mut infected = text.clone();
    infected.extend_from_slice(EICAR.concat().as_bytes());
    infected.extend_from_slice(b"\r\n");
    let Some(seen) = same(Chain::All, |smtp, domain| {
        let message = Message::new(domain, "large");
        vec![
            smtp.send(&message.clone().with_body(&text)),
            smtp.send(&message.clone().with_body(&infected)),
            smtp.send(&message),
        ]
    }) else {
        return;
    };

    assert_eq!(seen.delivered.len(), 2, "{:?}", seen.replies);
    assert!(seen.replies[7].contains(VIRUS), "{:?}", seen.replies);
    assert!(seen.delivered.iter().any(|message| message.len() > 4_000_000));
}

#[test]
fn eight_bit() {
    let Some(seen) = same(Chain::All, |smtp, domain| {
        let message = Message {
            mail_arguments: " BODY=8BITMIME".to_owned(),
            ..Message::new(domain, "Grüße aus der Küche")
        };
        let every_byte: Vec<u8> = (1..=255).filter(|byte| !b"\r\n".contains(byte)).chain(*b"\r\n").collect();
        let utf8 = message.clone().with_headers([
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit",
        ]);
        let mut latin1 = message.clone();
        latin1.data.splice(0..0, *b"X-Latin-1: caf\xE9 \xFF\r\n");
        vec![
            smtp.send(&utf8.clone().with_body("Äpfel, 苹果, 🍏\r\n".as_bytes())),
            smtp.send(&utf8.with_body(&every_byte)),
            smtp.send(&latin1.with_body(&every_byte)),
            smtp.send(&message.with_body(b"bare \n and \r, and \x00 in a line\r\n")),
        ]
    }) else {
        return;
    };

    assert_eq!(seen.delivered.len(), 4, "{:?}", seen.replies);
}
