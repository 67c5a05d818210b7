//! The SMTP client goes while a child keeps it waiting on purpose: the child is let go long before the MTA would give up.

use std::time::{Duration, Instant};

use millstream_tests::children::Plan;
use millstream_tests::manager_log::expect_line;
use millstream_tests::message::Message;
use millstream_tests::mta::Server;
use millstream_tests::post::{Chain, Route};

/// Far less than what MTAs wait and what the child is allowed.
const AT_MOST: Duration = Duration::from_secs(7);

const SETTINGS: &str = "manager.connection_check_interval = 1\nlog.level = \"all\"";

#[test]
fn postfix() {
    tarpit(Server::Postfix);
}

#[test]
fn sendmail() {
    tarpit(Server::Sendmail);
}

fn tarpit(server: Server) {
    let tarpit = Plan::faulty("tarpit", "stall", "rcpt").with("reading_timeout = 100");
    let Some(chain) = Chain::start_behind(server, Route::Managed, SETTINGS, [tarpit]) else { return };
    let manager = chain.manager().expect("a managed chain has a manager");
    let mut patient = chain.smtp();
    assert_eq!(patient.send(&Message::new(chain.domain(), "before")).last().code, 250);

    let mut client = chain.smtp();
    assert_eq!(client.command(&format!("MAIL FROM:<trouble@{}>", chain.domain())).code, 250);
    client.write(format!("RCPT TO:<user@{}>\r\n", chain.domain()).as_bytes());
    let _ = chain.child("tarpit").wait_for_record(&["\"fault\""]);
    let start = Instant::now();
    drop(client);

    expect_line(manager, &["[session][disconnected]["]);
    assert!(start.elapsed() < AT_MOST, "noticed after {:?}", start.elapsed());
    expect_line(manager, &["[message]", "trouble@", "temporary-failure", "at envelope-recipient"]);
    // Who is there is not taken for gone.
    assert_eq!(patient.send(&Message::new(chain.domain(), "behind")).last().code, 250);
    let log = manager.log();
    assert_eq!(log.lines().filter(|line| line.contains("[session][disconnected]")).count(), 1);
}
