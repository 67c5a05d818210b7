//! Signals to the manager while mail flows.

use millstream_tests::children::Plan;
use millstream_tests::manager_log;
use millstream_tests::message::Message;
use millstream_tests::post::{Chain, Route};
use millstream_tests::sink::Delivered;
use millstream_tests::until::{PATIENCE, until_true};

#[test]
fn sigterm_lets_the_running_message_finish() {
    let Some(mut chain) = Chain::start(Route::Managed, [editor("one")]) else { return };
    let message = Message::new(chain.domain(), "in flight");
    let socket = chain.folder().join("manager.sock");
    let mut smtp = chain.smtp();
    assert_eq!(smtp.envelope(&message).last().code, 354);

    chain.manager_mut().stop();
    until_true("no new connections", || std::os::unix::net::UnixStream::connect(&socket).is_err());
    let end = smtp.content(&message.data);
    assert_eq!(smtp.command("QUIT").code, 221);

    assert_eq!(end.code, 250, "{end:?}");
    assert_eq!(chain.delivered().header("X-Editor"), ["one"]);
    let status = chain.manager_mut().wait(PATIENCE);
    assert!(status.success(), "{status}");
    assert!(!socket.exists(), "the socket is removed");
}

#[test]
fn sigterm_without_sessions_ends_at_once() {
    let Some(mut chain) = Chain::start(Route::Managed, [editor("one")]) else { return };
    assert_eq!(chain.smtp().send(&Message::new(chain.domain(), "before")).last().code, 250);
    // The MTA is done with its connection when the child is.
    let _ = chain.child("editor-one").wait_for_record(&["\"close\""]);

    chain.manager_mut().stop();

    assert!(chain.manager_mut().wait(PATIENCE).success());
}

#[test]
fn sighup_counts_for_new_sessions() {
    let plans = [editor("one"), editor("two")];
    let Some(chain) = Chain::start(Route::Managed, plans.clone()) else { return };
    let mut old = chain.smtp();
    let first = send(&chain, &mut old, "old session, old file");

    let manager = chain.manager().unwrap();
    manager.configure(&chain.configuration(&plans[1..]));
    manager.reload();

    // The new file counts from some session on.
    let mut number = 0;
    until_true("a session under the new configuration", || {
        number += 1;
        send(&chain, &mut chain.smtp(), &format!("new session {number}")).header("X-Editor") == ["two"]
    });
    let last = send(&chain, &mut old, "old session, new file");
    assert_eq!(first.header("X-Editor"), ["one", "two"]);
    assert_eq!(last.header("X-Editor"), ["one", "two"], "a running session keeps its children");
}

#[test]
fn sighup_with_an_invalid_file_changes_nothing() {
    let plans = [editor("one")];
    let Some(mut chain) = Chain::start(Route::Managed, plans.clone()) else { return };
    assert_eq!(send(&chain, &mut chain.smtp(), "before").header("X-Editor"), ["one"]);

    let manager = chain.manager().unwrap();
    manager.configure_exactly(
        "manager.connection_spec = \"unix:/nowhere\"\n\ndefine_milter(\"broken\") do |milter|\n",
    );
    manager.reload();

    // The reason is logged with its place.
    manager_log::expect_line(manager, &["milter-manager.conf:"]);
    assert_eq!(send(&chain, &mut chain.smtp(), "after").header("X-Editor"), ["one"]);
    assert!(chain.manager_mut().process().ended().is_none());

    // And a file that is put right counts again.
    let manager = chain.manager().unwrap();
    manager.configure(&chain.configuration(&[]));
    manager.reload();
    let mut number = 0;
    until_true("a session under the repaired configuration", || {
        number += 1;
        send(&chain, &mut chain.smtp(), &format!("repaired {number}")).header("X-Editor").is_empty()
    });
}

fn editor(label: &str) -> Plan {
    Plan::editor(&format!("editor-{label}"), &format!(r#"[["add", "X-Editor", "{label}"]]"#))
}

/// Sends a message and gives it as it was delivered; its subject tells it apart.
fn send(chain: &Chain, smtp: &mut millstream_tests::smtp::Smtp, subject: &str) -> Delivered {
    let exchange = smtp.send(&Message::new(chain.domain(), subject));
    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    let mut found = None;
    until_true(subject, || {
        found = chain.arrived().into_iter().find(|message| message.header("Subject") == [subject]);
        found.is_some()
    });
    found.expect("it was just found")
}
