//! What one child changes, the next child sees and the recipient gets.

use millstream_tests::children::Plan;
use millstream_tests::message::Message;
use millstream_tests::post::{Chain, Route};

on_both_routes!(
    header_edits_reach_the_next_child_and_the_recipient,
    second_child_edits_what_the_first_added,
    body_is_replaced,
    body_is_replaced_by_a_large_one,
    body_is_emptied,
    recipients_are_added_and_deleted,
    sender_is_changed,
    edits_of_a_refused_message_are_lost,
);

fn header_edits_reach_the_next_child_and_the_recipient(route: Route) {
    let edits = r#"[
        ["insert", 0, "X-Top", "first of all"],
        ["add", "X-Bottom", "last of all"],
        ["change", "subject", 1, "changed"],
        ["change", "X-Twice", 2, "second changed"],
        ["change", "X-Missing", 1, "so it is added"],
        ["delete", "X-Gone", 1],
        ["add", "X-Folded", "one\n\ttwo"]
    ]"#;
    let Some(chain) = Chain::start(route, [Plan::editor("editor", edits), Plan::recorder("recorder")]) else {
        return;
    };
    let message = Message::new(chain.domain(), "original").with_headers([
        "X-Gone: away",
        "X-Twice: one",
        "X-Kept: kept",
        "X-Twice: two",
    ]);

    let exchange = chain.smtp().send(&message);

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    let delivered = chain.delivered();
    let names: Vec<String> = delivered.headers().into_iter().map(|(name, _)| name.to_lowercase()).collect();
    assert_eq!(
        names,
        [
            "x-top",
            "received",
            "x-twice",
            "x-kept",
            "x-twice",
            "from",
            "to",
            "subject",
            "date",
            "message-id",
            "x-bottom",
            "x-missing",
            "x-folded",
        ]
    );
    assert_eq!(delivered.header("X-Top"), ["first of all"]);
    assert_eq!(delivered.header("X-Twice"), ["one", "second changed"]);
    assert_eq!(delivered.header("Subject"), ["changed"]);
    assert_eq!(delivered.header("X-Folded"), ["one\r\n\ttwo"]);
    let seen = chain.child("recorder").wait_for_record(&["\"message\""]);
    for part in [
        r#"["X-Top", "first of all"]"#,
        r#"["X-Twice", "one"]"#,
        r#"["X-Twice", "second changed"]"#,
        r#""changed"]"#,
        r#"["X-Missing", "so it is added"]"#,
        r#"["X-Bottom", "last of all"]"#,
    ] {
        assert!(seen.contains(part), "the next child has not seen {part}: {seen}");
    }
    for part in ["X-Gone", "original", r#""two"]"#] {
        assert!(!seen.contains(part), "the next child has seen {part}: {seen}");
    }
}

fn second_child_edits_what_the_first_added(route: Route) {
    let first =
        r#"[["add", "X-Score", "1"], ["insert", 1, "X-Score", "0"], ["add", "X-Note", "from the first"]]"#;
    let second = r#"[["change", "X-Score", 2, "2"], ["delete", "X-Note", 1], ["add", "X-Score", "3"]]"#;
    let plans = [Plan::editor("first", first), Plan::editor("second", second), Plan::recorder("recorder")];
    let Some(chain) = Chain::start(route, plans) else { return };

    let exchange = chain.smtp().send(&Message::new(chain.domain(), "scores"));

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    let delivered = chain.delivered();
    assert_eq!(delivered.header("X-Score"), ["0", "2", "3"]);
    assert!(delivered.header("X-Note").is_empty());
    let seen = chain.child("second").wait_for_record(&["\"message\""]);
    assert!(seen.contains("from the first"), "{seen}");
    let seen = chain.child("recorder").wait_for_record(&["\"message\""]);
    assert!(!seen.contains("from the first"), "{seen}");
}

fn body_is_replaced(route: Route) {
    let edits = r#"[["body", "A new body.\r\n.with a dot\r\n"], ["add", "X-Body", "new"]]"#;
    let Some(chain) = Chain::start(route, [Plan::editor("editor", edits), Plan::recorder("recorder")]) else {
        return;
    };

    let exchange = chain.smtp().send(&Message::new(chain.domain(), "old body"));

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    let delivered = chain.delivered();
    assert_eq!(delivered.body(), b"A new body.\r\n.with a dot\r\n");
    assert_eq!(delivered.header("X-Body"), ["new"]);
    let _ = chain.child("recorder").wait_for_record(&["\"body_length\": 26"]);
}

fn body_is_replaced_by_a_large_one(route: Route) {
    let line = "sixteen letters.\r\n".replace('\r', "\\r").replace('\n', "\\n");
    let edits = format!(r#"[["body", "{}"]]"#, line.repeat(5_000));
    let plans = [Plan::recorder("before"), Plan::editor("editor", &edits), Plan::recorder("after")];
    let Some(chain) = Chain::start(route, plans) else { return };

    let exchange = chain.smtp().send(&Message::new(chain.domain(), "grows"));

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    assert!(chain.delivered().body() == "sixteen letters.\r\n".repeat(5_000).as_bytes());
    let _ = chain.child("after").wait_for_record(&["\"body_length\": 90000"]);
}

fn body_is_emptied(route: Route) {
    let edits = r#"[["body", ""]]"#;
    let Some(chain) = Chain::start(route, [Plan::editor("editor", edits), Plan::recorder("recorder")]) else {
        return;
    };

    let exchange = chain.smtp().send(&Message::new(chain.domain(), "shrinks"));

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    assert_eq!(chain.delivered().body(), b"");
    let _ = chain.child("recorder").wait_for_record(&["\"body_length\": 0"]);
}

fn recipients_are_added_and_deleted(route: Route) {
    let Some(probe) = Chain::start(route, [Plan::recorder("probe")]) else { return };
    let domain = probe.domain().to_owned();
    let edits =
        format!(r#"[["add-recipient", "<archive@{domain}>"], ["delete-recipient", "<two@{domain}>"]]"#);
    let Some(chain) = Chain::start(route, [Plan::editor("editor", &edits), Plan::recorder("recorder")])
    else {
        return;
    };

    let exchange =
        chain.smtp().send(&Message::new(&domain, "to three").to(&domain, &["one", "two", "three"]));

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    let users: Vec<_> = ["archive", "one", "three"].map(|user| format!("<{user}@{domain}>")).into();
    // An added recipient may be delivered on its own.
    let mut recipients: Vec<_> = Vec::new();
    millstream_tests::until::until_true("all recipients", || {
        recipients = probe.arrived().into_iter().flat_map(|message| message.recipients).collect();
        recipients.sort();
        recipients.len() >= users.len()
    });
    assert_eq!(recipients, users);
}

fn sender_is_changed(route: Route) {
    let edits = r#"[["sender", "<bounces@mx.test>"]]"#;
    let Some(chain) = Chain::start(route, [Plan::editor("editor", edits), Plan::recorder("recorder")]) else {
        return;
    };

    let exchange = chain.smtp().send(&Message::new(chain.domain(), "from somebody else"));

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    let delivered = chain.delivered();
    assert_eq!(delivered.sender, "<bounces@mx.test>");
    assert_eq!(delivered.header("From"), ["Sender <sender@mx.test>"]);
}

fn edits_of_a_refused_message_are_lost(route: Route) {
    let edits = r#"[["add", "X-Edited", "yes"], ["body", "edited\r\n"]]"#;
    let Some(chain) = Chain::start(route, [Plan::editor("editor", edits), Plan::policy("policy")]) else {
        return;
    };
    let mut smtp = chain.smtp();

    assert_eq!(smtp.send(&Message::new(chain.domain(), "REJECT")).last().code, 554);
    assert_eq!(smtp.send(&Message::new(chain.domain(), "accepted")).last().code, 250);

    let delivered = chain.delivered();
    assert_eq!(delivered.header("Subject"), ["accepted"]);
    assert_eq!(delivered.header("X-Edited"), ["yes"]);
    assert_eq!(delivered.body(), b"edited\r\n");
}
