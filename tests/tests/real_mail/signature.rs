//! A message is signed on its way and the signature holds for what arrives.

use std::fs;
use std::process::Command;

use millstream_tests::children::Plan;
use millstream_tests::message::Message;
use millstream_tests::post::{Chain, Route};
use millstream_tests::{dkim, manager_log, require};

on_both_routes!(ordinary_message, signature_covers_the_edits_of_an_earlier_child);

fn ordinary_message(route: Route) {
    let Some(chain) = Chain::start(route, [Plan::opendkim("opendkim"), Plan::recorder("recorder")]) else {
        return;
    };
    if !require::available("ordinary_message", &[dkim::NEEDS, &["swaks"]].concat()) {
        return;
    }
    let message = Message::new(chain.domain(), "An ordinary message");
    let file = chain.folder().join("message");
    fs::write(&file, &message.data).unwrap();

    let swaks = Command::new(require::program_path("swaks"))
        .args(["--server", &chain.server().to_string(), "--ehlo", "client.example.org"])
        .args(["--from", "sender@mx.test", "--to", &format!("user@{}", chain.domain())])
        .arg("--data")
        .arg(format!("@{}", file.display()))
        .output()
        .unwrap();

    let dialogue = String::from_utf8_lossy(&swaks.stdout).into_owned();
    assert!(swaks.status.success(), "{dialogue}");
    let delivered = chain.delivered();
    assert_eq!(delivered.header("DKIM-Signature").len(), 1);
    assert!(chain.key().verifies(&delivered.data), "{}", String::from_utf8_lossy(&delivered.data));
    assert_eq!(delivered.sender, "<sender@mx.test>");
    assert_eq!(delivered.header("Subject"), ["An ordinary message"]);
    // The next child has seen the signature.
    let seen = chain.child("recorder").wait_for_record(&["\"message\""]);
    assert!(seen.contains("DKIM-Signature"), "{seen}");
    if let Some(manager) = chain.manager() {
        let (_, queue_id) = dialogue.split_once("queued as ").expect("Postfix names its queue id");
        let queue_id = queue_id.split_whitespace().next().unwrap();
        manager_log::expect_message(manager, queue_id, "opendkim", &["continue", "accept"]);
        manager_log::expect_message(manager, queue_id, "recorder", &["continue", "accept"]);
    }
}

fn signature_covers_the_edits_of_an_earlier_child(route: Route) {
    let edits = r#"[["change", "Subject", 1, "Changed before signing"], ["body", "Replaced.\r\n"]]"#;
    let Some(chain) = Chain::start(route, [Plan::editor("editor", edits), Plan::opendkim("opendkim")]) else {
        return;
    };
    if !require::available("signature_covers_the_edits_of_an_earlier_child", dkim::NEEDS) {
        return;
    }

    let exchange = chain.smtp().send(&Message::new(chain.domain(), "As it came"));

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    let delivered = chain.delivered();
    assert_eq!(delivered.header("Subject"), ["Changed before signing"]);
    assert_eq!(delivered.body(), b"Replaced.\r\n");
    assert!(chain.key().verifies(&delivered.data), "{}", String::from_utf8_lossy(&delivered.data));
}
