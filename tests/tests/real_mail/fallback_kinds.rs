//! Fallbacks that milter manager does not have: mail is held, the client is sent away, and what passes unseen is marked.

use std::os::unix::net::UnixStream;

use millstream_tests::child_side::ChildSide;
use millstream_tests::children::Plan;
use millstream_tests::manager_log;
use millstream_tests::message::Message;
use millstream_tests::mta::Server;
use millstream_tests::post::{Chain, Route};
use millstream_tests::smtp::Smtp;
use millstream_tests::until::until_true;
use millstream_tests::wire::Frame;

behind_both_mtas!(
    quarantine_holds_what_a_child_did_not_see,
    a_child_that_breaks_the_protocol_has_its_own_fallback,
    shutdown_closes_the_smtp_connection_at_the_sender,
    shutdown_closes_the_smtp_connection_at_the_recipient,
    shutdown_closes_the_smtp_connection_at_the_end_of_the_message,
    mail_that_a_child_did_not_see_is_marked_and_a_forged_mark_removed,
    mail_that_all_children_saw_has_no_mark_even_when_it_came_with_one,
);

fn quarantine_holds_what_a_child_did_not_see(server: Server) {
    let trouble = Plan::faulty("trouble", "die", "end").with("fallback_status = \"quarantine\"");
    let Some(chain) = Chain::start_behind(server, Route::Managed, "", [Plan::recorder("recorder"), trouble])
    else {
        return;
    };

    let held = chain.smtp().send(&troubled(&chain, "to be held"));

    assert_eq!(held.last().code, 250, "{held:?}");
    until_true("the message in the hold queue", || chain.mta().is_held(&held.queue_id()));
    assert!(chain.arrived().is_empty());
    let manager = chain.manager().expect("a managed chain has a manager");
    manager_log::expect_message(manager, &held.queue_id(), "trouble", &["failed(quarantine)"]);
}

fn a_child_that_breaks_the_protocol_has_its_own_fallback(server: Server) {
    let trouble = Plan::absent("trouble")
        .with("fallback_status = \"accept\"")
        .with("fallback_status_at_protocol_error = \"reject\"");
    let Some(chain) = Chain::start_behind(server, Route::Managed, "", [trouble]) else { return };
    let _breaks = ChildSide::scripted(chain.child("trouble").socket(), |frame| {
        let breaks = frame.letter == b'M' && frame.first_string().starts_with("<trouble");
        vec![Frame::new(if breaks { b'Z' } else { b'c' }, [])]
    });

    let sent = chain.smtp().send(&Message::new(chain.domain(), "it answers"));
    let refused = chain.smtp().send(&troubled(&chain, "it answers nonsense"));

    assert_eq!(sent.last().code, 250, "{sent:?}");
    assert_eq!(refused.last().code / 100, 5, "{refused:?}");
    assert_eq!(chain.delivered().header("Subject"), ["it answers"]);
    let manager = chain.manager().expect("a managed chain has a manager");
    manager_log::expect_line(manager, &["trouble", "protocol error", "answered instead: reject"]);
}

#[test]
fn a_kind_of_failure_has_its_own_fallback() {
    let trouble = Plan::faulty("trouble", "die", "end")
        .with("fallback_status = \"quarantine\"")
        .with("fallback_status_at_connect = \"accept\"");
    let Some(chain) = Chain::start(Route::Managed, [Plan::recorder("recorder"), trouble]) else { return };

    let held = chain.smtp().send(&troubled(&chain, "it dies"));
    // Its socket takes connections until its process is gone, a moment after its connections.
    let socket = chain.child("trouble").socket();
    until_true("nobody listening", || UnixStream::connect(socket).is_err());
    let sent = chain.smtp().send(&Message::new(chain.domain(), "it is not there"));

    assert_eq!((held.last().code, sent.last().code), (250, 250), "{held:?} {sent:?}");
    assert_eq!(chain.delivered().header("Subject"), ["it is not there"]);
    until_true("the message in the hold queue", || chain.mta().is_held(&held.queue_id()));
}

#[test]
fn a_time_limit_that_runs_out_has_its_own_fallback() {
    let trouble = Plan::faulty("trouble", "stall", "mail")
        .with("reading_timeout = 1")
        .with("fallback_status = \"reject\"")
        .with("fallback_status_at_timeout = \"temporary-failure\"");
    let Some(chain) = Chain::start(Route::Managed, [trouble]) else { return };

    let exchange = chain.smtp().send(&troubled(&chain, "it stalls"));

    assert_eq!(exchange.last().code, 451, "{exchange:?}");
    assert!(chain.arrived().is_empty());
}

fn shutdown_closes_the_smtp_connection_at_the_sender(server: Server) {
    is_sent_away(server, "mail");
}

fn shutdown_closes_the_smtp_connection_at_the_recipient(server: Server) {
    is_sent_away(server, "rcpt");
}

fn shutdown_closes_the_smtp_connection_at_the_end_of_the_message(server: Server) {
    is_sent_away(server, "end");
}

#[test]
fn shutdown_sends_clients_away_while_a_child_is_absent() {
    let trouble = Plan::absent("trouble").with("fallback_status_at_connect = \"shutdown\"");
    let Some(chain) = Chain::start(Route::Managed, [trouble]) else { return };

    let mut smtp = Smtp::connect(chain.server());

    assert_eq!(smtp.greeting.code, 421, "{:?}", smtp.greeting);
    assert_eq!(smtp.command("NOOP").code, 0, "the connection is closed");
    assert!(chain.arrived().is_empty());
}

fn mail_that_a_child_did_not_see_is_marked_and_a_forged_mark_removed(server: Server) {
    let trouble = Plan::absent("trouble").with("fallback_status = \"accept\"");
    let Some(chain) = marking(server, [Plan::recorder("recorder"), trouble]) else { return };

    let exchange = chain.smtp().send(&forged(&chain));

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    assert_eq!(chain.delivered().header("X-Unfiltered"), ["trouble"]);
}

fn mail_that_all_children_saw_has_no_mark_even_when_it_came_with_one(server: Server) {
    let Some(chain) = marking(server, [Plan::recorder("recorder")]) else { return };

    let exchange = chain.smtp().send(&forged(&chain));

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    let delivered = chain.delivered();
    assert_eq!(delivered.header("X-Unfiltered"), [""; 0]);
    assert_eq!(delivered.header("X-Other"), ["stays"]);
}

/// A child dies at `stage`: the client is told 421 there, and the connection is closed.
fn is_sent_away(server: Server, stage: &str) {
    let trouble = Plan::faulty("trouble", "die", stage)
        .with("fallback_status = \"accept\"")
        .with("fallback_status_at_close = \"shutdown\"");
    let Some(chain) = Chain::start_behind(server, Route::Managed, "", [Plan::recorder("recorder"), trouble])
    else {
        return;
    };
    let mut smtp = chain.smtp();

    let exchange = smtp.send(&troubled(&chain, "sent away"));

    assert_eq!(exchange.last().code, 421, "{exchange:?}");
    assert_eq!(smtp.command("NOOP").code, 0, "the connection is closed");
    assert!(chain.arrived().is_empty());
    let manager = chain.manager().expect("a managed chain has a manager");
    manager_log::expect_line(manager, &["trouble", "answered instead: shutdown"]);
}

fn marking(server: Server, plans: impl IntoIterator<Item = Plan>) -> Option<Chain> {
    Chain::start_behind(server, Route::Managed, "manager.unfiltered_header = \"X-Unfiltered\"", plans)
}

/// A message that comes with the mark, twice.
fn forged(chain: &Chain) -> Message {
    let lines = ["X-Unfiltered: forged", "X-Other: stays", "x-unfiltered: forged again"];
    Message::new(chain.domain(), "marked").with_headers(lines)
}

/// A message that makes the faulty child fail.
fn troubled(chain: &Chain, subject: &str) -> Message {
    let mut message = Message::new(chain.domain(), subject);
    message.sender = "<trouble@mx.test>".to_owned();
    message
}
