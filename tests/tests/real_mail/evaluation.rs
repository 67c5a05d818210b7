//! A child in evaluation mode is asked and not obeyed.

use millstream_tests::children::Plan;
use millstream_tests::manager_log;
use millstream_tests::message::Message;
use millstream_tests::mta::Server;
use millstream_tests::post::{Chain, Route};

behind_both_mtas!(
    refusals_of_a_child_in_evaluation_mode_do_not_count,
    edits_of_a_child_in_evaluation_mode_do_not_count,
);

fn refusals_of_a_child_in_evaluation_mode_do_not_count(server: Server) {
    let plans = [
        Plan::policy("evaluated").with("evaluation_mode = true"),
        Plan::editor("editor", r#"[["add", "X-Edited", "yes"]]"#),
    ];
    let Some(chain) = Chain::start_behind(server, Route::Managed, "", plans) else { return };
    let mut smtp = chain.smtp();
    let message = Message::new(chain.domain(), "please REJECT").to(chain.domain(), &["one", "refused"]);

    let exchange = smtp.send(&message);
    let mut from_refused = Message::new(chain.domain(), "from a refused sender");
    from_refused.sender = "<refused-sender@mx.test>".to_owned();
    let second = smtp.send(&from_refused);

    let codes: Vec<_> = exchange.recipients.iter().map(|reply| reply.code).collect();
    assert_eq!(codes, [250, 250], "{exchange:?}");
    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    assert_eq!(second.last().code, 250, "{second:?}");
    for delivered in chain.deliveries(2) {
        assert_eq!(delivered.header("X-Edited"), ["yes"]);
    }
    // The verdict is told all the same: that is what evaluation is for.
    manager_log::expect_message(chain.manager().unwrap(), &exchange.queue_id(), "evaluated", &["reject"]);
}

fn edits_of_a_child_in_evaluation_mode_do_not_count(server: Server) {
    let edits = r#"[["add", "X-Evaluated", "yes"], ["body", "replaced\r\n"], ["quarantine", "why not"]]"#;
    let plans = [Plan::editor("evaluated", edits).with("evaluation_mode = true"), Plan::recorder("recorder")];
    let Some(chain) = Chain::start_behind(server, Route::Managed, "", plans) else { return };
    let message = Message::new(chain.domain(), "as it is");

    let exchange = chain.smtp().send(&message);

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    let delivered = chain.delivered();
    assert!(delivered.data.ends_with(&message.data), "{}", String::from_utf8_lossy(&delivered.data));
    assert!(delivered.header("X-Evaluated").is_empty());
    let seen = chain.child("recorder").wait_for_record(&["\"message\""]);
    assert!(!seen.contains("X-Evaluated"), "{seen}");
}
