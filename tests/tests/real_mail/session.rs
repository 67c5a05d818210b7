//! Several messages in one SMTP session: each is judged for itself.

use millstream_tests::children::Plan;
use millstream_tests::message::Message;
use millstream_tests::post::{Chain, Route};

on_both_routes!(
    verdicts_do_not_taint_later_messages,
    reset_between_and_inside_messages,
    session_that_just_ends_delivers_nothing,
);

fn verdicts_do_not_taint_later_messages(route: Route) {
    let edits = r#"[["add", "X-Edited", "yes"]]"#;
    let Some(chain) = Chain::start(route, [Plan::policy("policy"), Plan::editor("editor", edits)]) else {
        return;
    };
    let subjects = ["one", "REJECT two", "three", "TEMPFAIL four", "DISCARD five", "six"];

    let mut smtp = chain.smtp();
    let codes: Vec<_> = subjects
        .iter()
        .map(|subject| smtp.send(&Message::new(chain.domain(), subject)).last().code)
        .collect();

    assert_eq!(codes, [250, 554, 250, 451, 250, 250]);
    let delivered = chain.deliveries(3);
    let mut subjects: Vec<_> = delivered.iter().flat_map(|message| message.header("Subject")).collect();
    subjects.sort();
    assert_eq!(subjects, ["one", "six", "three"]);
    for message in delivered {
        assert_eq!(message.header("X-Edited"), ["yes"], "each is edited once");
    }
}

fn reset_between_and_inside_messages(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::policy("policy"), Plan::recorder("recorder")]) else {
        return;
    };
    let message = |subject: &str| Message::new(chain.domain(), subject);
    let mut smtp = chain.smtp();

    assert_eq!(smtp.command("RSET").code, 250);
    assert_eq!(smtp.send(&message("first")).last().code, 250);
    assert_eq!(smtp.command("RSET").code, 250);
    assert_eq!(smtp.command("RSET").code, 250);
    assert_eq!(smtp.command("MAIL FROM:<forgotten@mx.test>").code, 250);
    assert_eq!(smtp.command("RSET").code, 250);
    assert_eq!(smtp.command("MAIL FROM:<forgotten@mx.test>").code, 250);
    assert_eq!(smtp.command(&format!("RCPT TO:<forgotten@{}>", chain.domain())).code, 250);
    assert_eq!(smtp.command(&format!("RCPT TO:<refused@{}>", chain.domain())).code, 550);
    assert_eq!(smtp.command("RSET").code, 250);
    assert_eq!(smtp.send(&message("REJECT")).last().code, 554);
    assert_eq!(smtp.command("RSET").code, 250);
    assert_eq!(smtp.command("EHLO again.example.org").code, 250);
    assert_eq!(smtp.command("NOOP").code, 250);
    assert_eq!(smtp.send(&message("second")).last().code, 250);
    assert_eq!(smtp.command("QUIT").code, 221);

    let delivered = chain.deliveries(2);
    assert_eq!(delivered.len(), 2);
    assert!(delivered.iter().all(|message| message.recipients == [format!("<user@{}>", chain.domain())]));
    let record = chain.child("recorder").record();
    assert_eq!(record.matches("\"event\": \"message\"").count(), 2, "{record}");
    for line in record.lines().filter(|line| line.contains("\"event\": \"message\"")) {
        assert!(!line.contains("forgotten"), "{line}");
    }
}

fn session_that_just_ends_delivers_nothing(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::recorder("recorder")]) else { return };

    let mut broken = chain.smtp();
    assert_eq!(broken.envelope(&Message::new(chain.domain(), "never finished")).last().code, 354);
    broken.write(b"Subject: never finished\r\n\r\nHalf a mess");
    drop(broken);
    let _ = chain.child("recorder").wait_for_record(&["\"close\""]);

    assert_eq!(chain.smtp().send(&Message::new(chain.domain(), "whole")).last().code, 250);
    assert_eq!(chain.delivered().header("Subject"), ["whole"]);
}
