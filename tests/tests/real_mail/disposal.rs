//! Taken from the client, but not delivered: held, or thrown away.

use millstream_tests::children::Plan;
use millstream_tests::message::Message;
use millstream_tests::post::{Chain, Route};
use millstream_tests::until::until_true;

on_both_routes!(quarantined_message_is_held, discarded_message_is_gone);

fn quarantined_message_is_held(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::policy("policy"), Plan::recorder("recorder")]) else {
        return;
    };
    let mut smtp = chain.smtp();

    let held = smtp.send(&Message::new(chain.domain(), "please HOLD"));
    let sent = smtp.send(&Message::new(chain.domain(), "fence"));

    assert_eq!(held.last().code, 250, "{held:?}");
    assert_eq!(sent.last().code, 250, "{sent:?}");
    until_true("the held message in the hold queue", || chain.mta().is_held(&held.queue_id()));
    // Whatever was to be delivered is delivered by now.
    until_true("the queue but for the held message", || !chain.mta().is_queued(&sent.queue_id()));
    assert_eq!(chain.delivered().header("Subject"), ["fence"]);
    assert!(chain.mta().is_held(&held.queue_id()));
}

fn discarded_message_is_gone(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::policy("policy"), Plan::recorder("recorder")]) else {
        return;
    };
    let mut smtp = chain.smtp();

    let discarded = smtp.send(&Message::new(chain.domain(), "please DISCARD"));
    let sent = smtp.send(&Message::new(chain.domain(), "fence"));

    assert_eq!(discarded.last().code, 250, "the client is not told: {discarded:?}");
    assert_eq!(sent.last().code, 250, "{sent:?}");
    until_true("an empty queue", || {
        !chain.mta().is_queued(&discarded.queue_id()) && !chain.mta().is_queued(&sent.queue_id())
    });
    assert_eq!(chain.delivered().header("Subject"), ["fence"]);
    let record = chain.child("recorder").record();
    assert_eq!(record.matches("\"event\": \"message\"").count(), 1, "a discarded message went on: {record}");
}
