//! A child that is absent, dies or stalls: its fallback is answered, in its configured time, and nothing else suffers.

use std::time::{Duration, Instant};

use millstream_tests::children::Plan;
use millstream_tests::manager_log;
use millstream_tests::message::Message;
use millstream_tests::post::{Chain, Route};
use millstream_tests::smtp::{Exchange, Smtp};
use millstream_tests::until::until_true;

/// The configured time limit of the stalling child, in seconds, and what the client may see of it: not less, and not so
/// much more that another limit could have been the cause (the default for a reply is 7 seconds).
const LIMIT: u32 = 2;
const AT_LEAST: Duration = Duration::from_millis(1900);
const AT_MOST: Duration = Duration::from_millis(6500);

#[test]
fn absent_child_accept() {
    fails(Plan::absent("trouble"), "accept");
}

#[test]
fn absent_child_temporary_failure() {
    fails(Plan::absent("trouble"), "temporary-failure");
}

#[test]
fn absent_child_reject() {
    fails(Plan::absent("trouble"), "reject");
}

#[test]
fn child_dies_at_connect_accept() {
    fails(Plan::faulty("trouble", "die", "connect"), "accept");
}

#[test]
fn child_dies_at_the_recipient_temporary_failure() {
    fails(Plan::faulty("trouble", "die", "rcpt"), "temporary-failure");
}

#[test]
fn child_dies_in_the_body_accept() {
    fails(Plan::faulty("trouble", "die", "body"), "accept");
}

#[test]
fn child_dies_at_end_of_message_accept() {
    fails(Plan::faulty("trouble", "die", "end"), "accept");
}

#[test]
fn child_dies_at_end_of_message_temporary_failure() {
    fails(Plan::faulty("trouble", "die", "end"), "temporary-failure");
}

#[test]
fn child_dies_at_end_of_message_reject() {
    fails(Plan::faulty("trouble", "die", "end"), "reject");
}

#[test]
fn child_stalls_at_the_sender_accept() {
    stalls("mail", "accept");
}

#[test]
fn child_stalls_at_the_sender_temporary_failure() {
    stalls("mail", "temporary-failure");
}

#[test]
fn child_stalls_in_the_header_accept() {
    stalls("header", "accept");
}

#[test]
fn child_stalls_at_end_of_message_accept() {
    stalls("end", "accept");
}

#[test]
fn child_stalls_at_end_of_message_temporary_failure() {
    stalls("end", "temporary-failure");
}

#[test]
fn child_stalls_at_end_of_message_reject() {
    stalls("end", "reject");
}

#[test]
fn child_that_never_negotiates_accept() {
    never_negotiates("accept");
}

#[test]
fn child_that_never_negotiates_temporary_failure() {
    never_negotiates("temporary-failure");
}

#[test]
fn child_that_comes_back_is_used_again() {
    let absent = Plan::absent("wanderer").with("fallback_status = \"accept\"");
    let Some(mut chain) = Chain::start(Route::Managed, [absent, witness()]) else { return };
    assert_eq!(chain.smtp().send(&Message::new(chain.domain(), "while it is away")).last().code, 250);
    assert_eq!(chain.delivered().header("X-Wanderer"), [""; 0]);

    chain.replace(&Plan::editor("wanderer", r#"[["add", "X-Wanderer", "back"]]"#));

    // The manager may leave a child that was down alone for a while.
    until_true("the child's header", || {
        let count = chain.arrived().len();
        assert_eq!(chain.smtp().send(&Message::new(chain.domain(), "when it is back")).last().code, 250);
        chain.deliveries(count + 1).iter().any(|message| message.header("X-Wanderer") == ["back"])
    });
}

#[test]
fn other_mail_does_not_wait_for_a_stalled_child() {
    // Far longer than the other mail takes, and never waited for.
    let stalling = Plan::faulty("trouble", "stall", "end").with("end_of_message_timeout = 100");
    let Some(chain) = Chain::start(Route::Managed, [stalling, witness()]) else { return };
    let mut waiting = chain.smtp();
    let envelope = waiting.envelope(&troubled(&chain));
    assert_eq!(envelope.last().code, 354, "{envelope:?}");
    waiting.write(b"Subject: stalls\r\n\r\nHello.\r\n.\r\n");
    let _ = chain.child("trouble").wait_for_record(&["\"fault\""]);

    let start = Instant::now();
    for number in 0..5 {
        let exchange = chain.smtp().send(&Message::new(chain.domain(), &format!("other {number}")));
        assert_eq!(exchange.last().code, 250, "{exchange:?}");
    }

    assert!(start.elapsed() < Duration::from_secs(50), "other mail took {:?}", start.elapsed());
    assert_eq!(chain.deliveries(5).len(), 5);
}

fn never_negotiates(fallback: &str) {
    let plan = Plan::hung("trouble")
        .with(&format!("connection_timeout = {LIMIT}"))
        .with(&format!("reading_timeout = {LIMIT}"));
    let Some(elapsed) = fails(plan, fallback) else { return };
    assert!(elapsed <= AT_MOST, "the fallback came after {elapsed:?}, long after its time");
}

/// A child that stalls at a stage, with a limit for it.
fn stalls(stage: &str, fallback: &str) {
    let limit = if stage == "end" { "end_of_message_timeout" } else { "reading_timeout" };
    let plan = Plan::faulty("trouble", "stall", stage).with(&format!("{limit} = {LIMIT}"));
    let Some(elapsed) = fails(plan, fallback) else { return };
    assert!(elapsed >= AT_LEAST, "the fallback came after {elapsed:?}, before its time");
    assert!(elapsed <= AT_MOST, "the fallback came after {elapsed:?}, long after its time");
}

/// Sends one message past a child that fails, in the middle of two that do not, and tells how long that took.
fn fails(plan: Plan, fallback: &str) -> Option<Duration> {
    let plan = plan.with(&format!("fallback_status = \"{fallback}\""));
    let chain = Chain::start(Route::Managed, [Plan::recorder("before"), plan, witness()])?;

    // From the connection on: some children fail there.
    let start = Instant::now();
    let mut smtp = chain.smtp();
    let exchange = smtp.send(&troubled(&chain));
    let elapsed = start.elapsed();

    match fallback {
        "accept" => {
            assert_eq!(exchange.last().code, 250, "{exchange:?}");
            let delivered = chain.delivered();
            assert_eq!(delivered.header("X-Witness"), ["here"], "the other children still count");
            let seen = chain.child("before").wait_for_record(&["\"message\""]);
            assert!(seen.contains("<trouble@mx.test>"), "{seen}");
        }
        "temporary-failure" => assert_refused(&chain, &exchange, &mut smtp, 4),
        "reject" => assert_refused(&chain, &exchange, &mut smtp, 5),
        other => panic!("no case for {other}"),
    }
    manager_log::expect_line(chain.manager().expect("a managed chain has a manager"), &["trouble", fallback]);
    assert!(elapsed < AT_MOST, "it took {elapsed:?}");
    Some(elapsed)
}

fn assert_refused(chain: &Chain, exchange: &Exchange, smtp: &mut Smtp, class: u16) {
    assert_eq!(exchange.last().code / 100, class, "{exchange:?}");
    // The session itself is in order.
    assert_eq!(smtp.command("QUIT").code, 221);
    assert!(chain.arrived().is_empty());
}

/// A child that works, and shows that it did.
fn witness() -> Plan {
    Plan::editor("witness", r#"[["add", "X-Witness", "here"]]"#)
}

/// A message that makes the faulty child fail.
fn troubled(chain: &Chain) -> Message {
    let mut message = Message::new(chain.domain(), "troubled");
    message.sender = "<trouble@mx.test>".to_owned();
    message
}
