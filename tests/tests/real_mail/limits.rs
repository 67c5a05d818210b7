//! A message past a bound of the manager is refused for now, none of it is delivered, and the connection goes on with the next.

use std::fmt::Write as _;

use millstream_tests::children::Plan;
use millstream_tests::manager_log;
use millstream_tests::message::Message;
use millstream_tests::mta::Server;
use millstream_tests::post::{Chain, Route};
use millstream_tests::smtp::Smtp;

behind_both_mtas!(bounds_of_a_message, bound_of_the_file_for_a_body);

/// Far below what any of the other messages here needs of them, but for that one which hits it.
const BOUNDS: &str = "\
    manager.max_recipients = 5\n\
    manager.max_envelope_size = 1000\n\
    manager.max_headers = 50\n\
    manager.max_header_size = 20000\n\
    manager.max_body_memory = 70000\n\
    manager.max_body_file = 0\n";

fn bounds_of_a_message(server: Server) {
    let Some(chain) = Chain::start_behind(server, Route::Managed, BOUNDS, plans()) else { return };
    let plain = |subject: &str| Message::new(chain.domain(), subject);
    let many: Vec<String> = (0..60).map(|number| format!("X-Many: {number}")).collect();
    let long = format!("X-Long: {}", "word ".repeat(5_000).trim_end());
    let users: Vec<String> = (0..6).map(|number| format!("user{number}")).collect();
    let far_away: Vec<String> = (0..5).map(|number| format!("{number}{}", "x".repeat(250))).collect();
    let named = |users: &[String]| -> Vec<String> {
        users.iter().map(|user| format!("<{}@{}>", &user[..user.len().min(60)], chain.domain())).collect()
    };
    let mut long_envelope = plain("a long envelope");
    long_envelope.recipients = named(&far_away);
    for recipient in &mut long_envelope.recipients {
        let _ = write!(recipient, " ORCPT=rfc822;{}@x.test NOTIFY=NEVER", "y".repeat(200));
    }
    let mut smtp = chain.smtp();
    hits(
        &chain,
        &mut smtp,
        &plain("headers").with_headers(many.iter().map(String::as_str)),
        "too many headers",
    );
    hits(&chain, &mut smtp, &plain("header bytes").with_headers([long.as_str()]), "headers too long");
    hits(&chain, &mut smtp, &plain("body").with_body(&body(300_000)), "body too long for memory");
    let mut recipients = plain("recipients");
    recipients.recipients = named(&users);
    hits(&chain, &mut smtp, &recipients, "too many recipients");
    hits(&chain, &mut smtp, &long_envelope, "envelope too long");
    only_ordinary_ones_are_delivered(&chain, 5);
}

fn bound_of_the_file_for_a_body(server: Server) {
    let bounds = "manager.max_body_memory = 70000\nmanager.max_body_file = 200000\n";
    let Some(chain) = Chain::start_behind(server, Route::Managed, bounds, plans()) else { return };
    let mut smtp = chain.smtp();
    let fits = Message::new(chain.domain(), "ordinary").with_body(&body(200_000));

    let exchange = smtp.send(&fits);
    assert_eq!(exchange.last().code, 250, "what fits into memory and file: {exchange:?}");
    let too_long = Message::new(chain.domain(), "file").with_body(&body(2_000_000));
    hits(&chain, &mut smtp, &too_long, "body too long for its file");

    only_ordinary_ones_are_delivered(&chain, 2);
    let sizes: Vec<_> = chain.arrived().iter().map(|message| message.body().len()).collect();
    assert!(sizes.contains(&fits.body().len()), "{sizes:?}");
}

/// The body has to wait for the second child, as the first may still change what it is shown.
fn plans() -> [Plan; 2] {
    [Plan::recorder("first"), Plan::recorder("second")]
}

/// The message is refused for now, the log says by which bound, and an ordinary one passes behind it.
fn hits(chain: &Chain, smtp: &mut Smtp, message: &Message, bound: &str) {
    let exchange = smtp.send(message);
    let refused =
        exchange.recipients.iter().chain(&exchange.data).chain(&exchange.end).find(|reply| reply.code >= 400);
    let refused = refused.unwrap_or_else(|| panic!("{bound}: nothing was refused: {exchange:?}"));
    assert_eq!(refused.code / 100, 4, "{bound}: {exchange:?}");
    assert!(exchange.last().code >= 400, "{bound}: the message was taken: {exchange:?}");
    assert_eq!(smtp.command("RSET").code, 250, "{bound}");
    let next = smtp.send(&Message::new(chain.domain(), "ordinary"));
    assert_eq!(next.last().code, 250, "behind {bound}: {next:?}");
    let manager = chain.manager().expect("a managed chain has a manager");
    manager_log::expect_line(manager, &["[message]", &format!("-> temporary-failure: {bound}")]);
}

fn only_ordinary_ones_are_delivered(chain: &Chain, count: usize) {
    for delivered in chain.deliveries(count) {
        assert_eq!(delivered.header("Subject"), ["ordinary"]);
    }
    assert_eq!(chain.arrived().len(), count);
}

fn body(size: usize) -> Vec<u8> {
    b"a line of forty characters, with its end\r\n".repeat(size / 42)
}
