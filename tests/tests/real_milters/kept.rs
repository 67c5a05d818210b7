//! Sessions one after another on the same connections: nothing of one shows in the next.

use millstream_tests::message::Message;
use millstream_tests::post::Route;
use millstream_tests::real_children::clamav::EICAR;
use millstream_tests::real_children::rspamd::REFUSED_WORD;
use millstream_tests::real_children::spamassassin::{GTUBE, SPAM_WORD};
use millstream_tests::smtp::{Exchange, Smtp};

use crate::office::{Chain, Port, difference, office};
use crate::signatures::from_stranger;
use crate::verdicts::lines;

type Script = fn(&mut Smtp, &str) -> Vec<Exchange>;

/// Sessions that end in every way that a connection is given back in.
const SESSIONS: [Script; 10] = [
    |smtp, domain| vec![smtp.send(&Message::new(domain, "clean"))],
    |smtp, domain| vec![smtp.send(&lines(domain, "a virus", &[&EICAR.concat()]))],
    |smtp, domain| vec![smtp.send(&from_stranger(Message::new(domain, "from elsewhere")))],
    |smtp, domain| vec![smtp.send(&lines(domain, "spam", &[&GTUBE.concat()]))],
    |smtp, domain| {
        vec![
            smtp.send(&Message::new(domain, "the first of two").to(domain, &["one", "two", "three"])),
            smtp.send(&Message::new(domain, "the second of two")),
        ]
    },
    // Given up in the middle.
    |smtp, domain| {
        let exchange = smtp.envelope(&Message::new(domain, "never finished"));
        smtp.write(b"Subject: never finished\r\n\r\nHalf a mess");
        vec![exchange]
    },
    |smtp, domain| vec![smtp.send(&lines(domain, REFUSED_WORD, &["what rspamd does not want"]))],
    |smtp, domain| vec![smtp.send(&from_stranger(lines(domain, SPAM_WORD, &["Buy this."])))],
    // No message at all.
    |smtp, _| {
        let mail = smtp.command("MAIL FROM:<nobody@mx.test>");
        smtp.command("RSET");
        vec![Exchange { mail, recipients: Vec::new(), data: None, end: None }]
    },
    |smtp, domain| vec![smtp.send(&Message::new(domain, "clean again"))],
];

#[test]
fn sessions_one_after_another_share_their_connections() {
    let Some(office) = office() else { return };
    let (relays, _manager) = office.counted();
    for round in 0..2 {
        for (number, session) in SESSIONS.iter().enumerate() {
            let direct = office.run(Port::Of(Chain::All, Route::Direct), session);
            let counted = office.run(Port::Counted, session);
            if let Some(difference) = difference(&direct, &counted) {
                panic!("session {number} of round {round}: {difference}");
            }
        }
    }

    for (kind, relay) in relays {
        let (connections, sessions) = (relay.connections(), 2 * SESSIONS.len());
        assert_eq!(connections, relay.offers(), "{kind:?}: one offer for each connection");
        assert!(relay.messages() >= 2 * 5, "{kind:?} has seen {} messages", relay.messages());
        // Postfix may begin a session before the one before it has ended.
        let most = if kind.bears_reuse() { 4 } else { sessions + 1 };
        assert!(connections <= most, "{kind:?}: {connections} connections for {sessions} sessions");
    }
}
