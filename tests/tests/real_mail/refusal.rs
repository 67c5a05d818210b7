//! A child refuses, and the client reads the child's own words.

use millstream_tests::children::Plan;
use millstream_tests::manager_log;
use millstream_tests::message::Message;
use millstream_tests::post::{Chain, Route};

on_both_routes!(
    message_is_refused_with_all_lines_of_the_text,
    message_is_refused_for_now,
    sender_is_refused,
    one_recipient_is_refused_and_the_rest_delivered,
    message_without_recipients_left_is_not_sent,
    first_refusal_in_chain_order_wins,
);

fn message_is_refused_with_all_lines_of_the_text(route: Route) {
    let plans = [Plan::recorder("before"), Plan::policy("policy"), Plan::recorder("after")];
    let Some(chain) = Chain::start(route, plans) else { return };

    let exchange = chain.smtp().send(&Message::new(chain.domain(), "please REJECT"));

    assert_eq!(
        exchange.last().lines,
        [
            "554-5.7.9 policy: this message is refused",
            "554-5.7.9 policy: because its subject asks for it, 100% sure",
            "554 5.7.9 policy: see https://example.com/why",
        ]
    );
    assert!(chain.arrived().is_empty());
    let _ = chain.child("before").wait_for_record(&["\"message\""]);
    assert!(!chain.child("after").record().contains("\"message\""), "a refused message went on");
    if let Some(manager) = chain.manager() {
        // Refused mail has no `queued as`; its queue id is in what the children were told.
        let seen = chain.child("policy").wait_for_record(&["\"message\""]);
        let (_, queue_id) = seen.split_once("\"queue_id\": \"").expect("the child was told a queue id");
        let (queue_id, _) = queue_id.split_once('"').unwrap();
        manager_log::expect_message(manager, queue_id, "policy", &["reject"]);
    }
}

fn message_is_refused_for_now(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::policy("policy")]) else { return };

    let exchange = chain.smtp().send(&Message::new(chain.domain(), "please TEMPFAIL"));

    assert_eq!(exchange.last().lines, ["451 4.7.9 policy: not now"]);
    assert!(chain.arrived().is_empty());
}

fn sender_is_refused(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::policy("policy")]) else { return };
    let mut message = Message::new(chain.domain(), "From a bad one");
    message.sender = "<refused-sender@mx.test>".to_owned();

    let mut smtp = chain.smtp();
    let refused = smtp.send(&message);
    let accepted = smtp.send(&Message::new(chain.domain(), "From a good one"));

    assert_eq!(refused.mail.lines, ["553 5.1.8 policy: this sender is not welcome"]);
    assert_eq!(accepted.last().code, 250, "{accepted:?}");
    assert_eq!(chain.delivered().header("Subject"), ["From a good one"]);
}

fn one_recipient_is_refused_and_the_rest_delivered(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::policy("policy"), Plan::recorder("recorder")]) else {
        return;
    };
    let message = Message::new(chain.domain(), "To several")
        .to(chain.domain(), &["one", "refused", "two", "later", "three"]);

    let exchange = chain.smtp().send(&message);

    let codes: Vec<_> = exchange.recipients.iter().map(|reply| reply.code).collect();
    assert_eq!(codes, [250, 550, 250, 450, 250]);
    assert_eq!(exchange.recipients[1].lines, ["550 5.1.1 policy: nobody of that name here"]);
    assert_eq!(exchange.recipients[3].lines, ["450 4.2.1 policy: come back in an hour"]);
    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    let users: Vec<_> = ["one", "three", "two"].map(|user| format!("<{user}@{}>", chain.domain())).into();
    assert_eq!(chain.delivered().recipients, users);
    // The child behind is not shown a recipient that was refused before it.
    let seen = chain.child("recorder").wait_for_record(&["\"message\""]);
    assert!(!seen.contains("refused@") && !seen.contains("later@"), "{seen}");
}

fn message_without_recipients_left_is_not_sent(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::policy("policy")]) else { return };
    let nobody = Message::new(chain.domain(), "To nobody").to(chain.domain(), &["refused", "refused2"]);

    let mut smtp = chain.smtp();
    let refused = smtp.send(&nobody);
    let data = smtp.command("DATA");
    let accepted = smtp.send(&Message::new(chain.domain(), "To somebody"));

    assert_eq!(refused.last().code, 550);
    assert_eq!(data.code, 554, "{data:?}");
    // MAIL is still open after the refused DATA: Postfix asks for RSET first.
    assert_eq!(accepted.mail.code, 503, "{accepted:?}");
    assert_eq!(smtp.command("RSET").code, 250);
    assert_eq!(smtp.send(&Message::new(chain.domain(), "To somebody")).last().code, 250);
    assert_eq!(chain.delivered().header("Subject"), ["To somebody"]);
}

fn first_refusal_in_chain_order_wins(route: Route) {
    // Both refuse this message; the second would do so for good.
    let plans = [Plan::policy("first"), Plan::policy("second")];
    let Some(chain) = Chain::start(route, plans) else { return };

    let exchange = chain.smtp().send(&Message::new(chain.domain(), "please TEMPFAIL"));

    assert_eq!(exchange.last().lines, ["451 4.7.9 policy: not now"]);
    assert!(!chain.child("second").record().contains("\"message\""), "a refused message went on");
}
