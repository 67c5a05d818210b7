//! Content goes through as it is, however large or strange.

use millstream_tests::children::Plan;
use millstream_tests::message::Message;
use millstream_tests::post::{Chain, Route};
use millstream_tests::sink::Delivered;

on_both_routes!(
    twenty_megabytes,
    twenty_megabytes_past_a_child_that_signs,
    eight_bit_and_nul_bytes,
    two_thousand_headers,
    empty_body,
    long_lines,
);

/// The delivered message ends in exactly what was sent: nothing but whole header fields came in front.
#[track_caller]
fn assert_untouched(delivered: &Delivered, sent: &Message) {
    // Not assert_eq: nobody wants to read 20 MB of bytes.
    assert!(
        delivered.data.ends_with(&sent.data),
        "{} bytes were sent, {} delivered, and they differ: {}",
        sent.data.len(),
        delivered.data.len(),
        difference(&delivered.data, &sent.data)
    );
    assert!(delivered.data.len() - sent.data.len() < 4096, "more was added than trace fields");
}

/// Where the two differ, compared from the end.
fn difference(delivered: &[u8], sent: &[u8]) -> String {
    let same =
        delivered.iter().rev().zip(sent.iter().rev()).take_while(|(left, right)| left == right).count();
    let around = |bytes: &[u8]| {
        let at = bytes.len().saturating_sub(same);
        String::from_utf8_lossy(&bytes[at.saturating_sub(60)..(at + 20).min(bytes.len())]).into_owned()
    };
    format!("{:?} was sent, {:?} delivered", around(sent), around(delivered))
}

/// Text that compresses badly and repeats nowhere, in lines of 76 characters.
fn large_body(size: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut body = Vec::with_capacity(size + 80);
    while body.len() < size {
        for _ in 0..19 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let letters = [state, state >> 6, state >> 12, state >> 18];
            body.extend(letters.map(|letter| b'0' + u8::try_from(letter & 0x3F).expect("six bits")));
        }
        body.extend_from_slice(b"\r\n");
    }
    body
}

fn twenty_megabytes(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::recorder("first"), Plan::recorder("second")]) else {
        return;
    };
    let message = Message::new(chain.domain(), "large").with_body(&large_body(20 << 20));

    let exchange = chain.smtp().send(&message);

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    assert_untouched(&chain.delivered(), &message);
    let length = format!("\"body_length\": {}", message.body().len());
    let first = chain.child("first").wait_for_record(&[&length]);
    let second = chain.child("second").wait_for_record(&[&length]);
    assert_eq!(body_sum(&first), body_sum(&second), "both children read the same body");
}

fn twenty_megabytes_past_a_child_that_signs(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::opendkim("opendkim"), Plan::recorder("recorder")]) else {
        return;
    };
    let message = Message::new(chain.domain(), "large").with_body(&large_body(20 << 20));

    let exchange = chain.smtp().send(&message);

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    let delivered = chain.delivered();
    assert_untouched(&delivered, &message);
    assert_eq!(delivered.header("DKIM-Signature").len(), 1);
}

fn eight_bit_and_nul_bytes(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::recorder("first"), Plan::recorder("second")]) else {
        return;
    };
    let mut body: Vec<u8> = Vec::new();
    for round in 0..40 {
        // Every byte that may stand in a line, at shifting places.
        body.extend(
            (0..=255).map(|byte: u8| byte.wrapping_add(round)).filter(|byte| !b"\r\n".contains(byte)),
        );
        body.extend_from_slice(b"\r\n");
    }
    let mut message = Message::new(chain.domain(), "bytes").with_body(&body);
    message.mail_arguments = " BODY=8BITMIME".to_owned();
    let mut head = b"X-Latin: caf\xE9 \xFF\xFE\r\nX-Folded: one\r\n\ttwo \xC3\xA9\r\n three\r\n".to_vec();
    head.append(&mut message.data);
    message.data = head;

    let exchange = chain.smtp().send(&message);

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    assert_untouched(&chain.delivered(), &message);
    let length = format!("\"body_length\": {}", body.len());
    let first = chain.child("first").wait_for_record(&[&length, "caf\\u00e9 \\u00ff\\u00fe"]);
    let second = chain.child("second").wait_for_record(&[&length, "caf\\u00e9 \\u00ff\\u00fe"]);
    assert_eq!(body_sum(&first), body_sum(&second), "both children read the same bytes");
}

fn two_thousand_headers(route: Route) {
    let edits = r#"[["change", "X-Many", 1000, "changed"], ["add", "X-Last", "added"]]"#;
    let plans = [Plan::recorder("first"), Plan::editor("editor", edits), Plan::recorder("last")];
    let Some(chain) = Chain::start(route, plans) else { return };
    let lines: Vec<String> = (1..=2000).map(|number| format!("X-Many: number {number}")).collect();
    let message = Message::new(chain.domain(), "many").with_headers(lines.iter().map(String::as_str));

    let exchange = chain.smtp().send(&message);

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    let delivered = chain.delivered();
    let expected: Vec<_> = (1..=2000)
        .map(|number| if number == 1000 { "changed".to_owned() } else { format!("number {number}") })
        .collect();
    assert_eq!(delivered.header("X-Many"), expected);
    assert_eq!(delivered.header("X-Last"), ["added"]);
    let seen = chain.child("first").wait_for_record(&["number 1000\"", "number 2000\""]);
    assert_eq!(seen.matches("X-Many").count(), 2000);
    let seen = chain.child("last").wait_for_record(&["\"changed\"", "X-Last"]);
    assert_eq!(seen.matches("X-Many").count(), 2000);
    assert!(!seen.contains("number 1000\""));
}

fn empty_body(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::recorder("first"), Plan::recorder("second")]) else {
        return;
    };
    let message = Message::new(chain.domain(), "empty").with_body(b"");

    let exchange = chain.smtp().send(&message);

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    assert_untouched(&chain.delivered(), &message);
    let _ = chain.child("second").wait_for_record(&["\"body_length\": 0"]);
}

fn long_lines(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::recorder("first"), Plan::recorder("second")]) else {
        return;
    };
    let long = "long ".repeat(40_000);
    let header = format!("X-Long: {}", "word ".repeat(10_000).trim_end());
    let message = Message::new(chain.domain(), "long")
        .with_headers([header.as_str()])
        .with_body(format!("{long}\r\n.\r\n..\r\n{long}\r\n").as_bytes());

    let exchange = chain.smtp().send(&message);

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    assert_untouched(&chain.delivered(), &message);
    let first = chain.child("first").wait_for_record(&["\"message\""]);
    let second = chain.child("second").wait_for_record(&["\"message\""]);
    assert_eq!(body_sum(&first), body_sum(&second));
}

/// The checksum in a line of a record.
fn body_sum(line: &str) -> &str {
    line.split_once("\"body_sum\": ").expect("the record has a checksum").1
}
