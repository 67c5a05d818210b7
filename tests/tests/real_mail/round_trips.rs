//! What the MTA waits for, and what it does not; which children are shown a command at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream_tests::child_side::ChildSide;
use millstream_tests::children::Plan;
use millstream_tests::message::Message;
use millstream_tests::mta::Server;
use millstream_tests::post::{Chain, Route};
use millstream_tests::until::{PATIENCE, until_some};
use millstream_tests::wire::Frame;

use crate::tap::{End, Tap};

behind_both_mtas!(content_has_no_round_trips_and_verdicts_on_it_are_held);

/// Nothing is sent between the answer to DATA and the end of the message, not even when a child has refused in the header.
fn content_has_no_round_trips_and_verdicts_on_it_are_held(server: Server) {
    let plans = [Plan::absent("refusing"), Plan::recorder("second")];
    let Some(chain) = Chain::start_behind(server, Route::Managed, "", plans) else { return };
    let refusing = ChildSide::scripted(chain.child("refusing").socket(), |frame| {
        let refused = frame.letter == b'L' && frame.payload.windows(6).any(|window| window == b"REJECT");
        vec![Frame::new(if refused { b'r' } else { b'c' }, [])]
    });
    let tap = Tap::at(&chain.folder().join("manager.sock"));
    let body = "a line of the body\r\n".repeat(20_000);
    let mut smtp = chain.smtp();

    for (subject, code, verdict) in
        [("plain", 250, b"ca"), ("REJECT", 550, b"ry"), ("plain again", 250, b"ca")]
    {
        let before = tap.frames().len();
        let exchange = smtp.send(&Message::new(chain.domain(), subject).with_body(body.as_bytes()));
        assert!(exchange.last().code / 100 == code / 100, "{subject}: {exchange:?}");

        let frames = tap.frames().split_off(before);
        let place =
            |letter| frames.iter().position(|(end, frame)| (*end, frame.letter) == (End::Mta, letter));
        let (data, end) = (place(b'T').expect("DATA is shown"), place(b'E').expect("the end is shown"));
        let (answer, content) = frames[data + 1..end].split_first().expect("DATA is answered");
        assert_eq!((answer.0, answer.1.letter), (End::Manager, b'c'), "the answer to DATA");
        let said: Vec<_> = content.iter().filter(|(end, _)| *end == End::Manager).collect();
        assert!(said.is_empty(), "said before the end of {subject}: {said:?}");
        let sent = |letter| content.iter().filter(|(_, frame)| frame.letter == letter).count();
        assert!(sent(b'L') >= 5 && sent(b'N') == 1 && sent(b'B') >= 6, "{content:?}");
        let said: Vec<_> = frames[end..].iter().filter(|(end, _)| *end == End::Manager).collect();
        let [(_, last)] = said[..] else { panic!("one verdict, and nothing else: {said:?}") };
        assert!(verdict.contains(&last.letter), "{last:?}");
    }
    assert_eq!(chain.deliveries(2).len(), 2);
    assert!(refusing.seen().iter().any(|frame| frame.letter == b'B'), "{refusing:?}");
}

#[test]
fn recipients_are_shown_in_order() {
    who_is_shown_what("in-order", b"CHMT");
}

#[test]
fn recipients_are_shown_in_parallel() {
    who_is_shown_what("parallel", b"CHMTR");
}

/// The first child answers a command only when the second has been shown it, or when that has not come about for a while.
/// `at_once` are the commands for which it does.
fn who_is_shown_what(recipients: &str, at_once: &'static [u8]) {
    let settings = format!("manager.recipients = \"{recipients}\"");
    let plans = [Plan::absent("first"), Plan::absent("second")];
    let Some(chain) = Chain::start_with(Route::Managed, &settings, plans) else { return };
    let second = ChildSide::agreeing(chain.child("second").socket());
    let shown = Arc::new(Mutex::new(Vec::new()));
    let (behind, noted) = (second.clone(), Arc::clone(&shown));
    let _first = ChildSide::scripted(chain.child("first").socket(), move |frame| {
        if b"CHMTR".contains(&frame.letter) {
            let limit =
                if at_once.contains(&frame.letter) { PATIENCE / 6 } else { Duration::from_millis(300) };
            let is_shown = || behind.seen().contains(frame).then_some(());
            let seen = until_some(limit, is_shown).is_some();
            noted.lock().unwrap().push((char::from(frame.letter), seen));
        }
        let refused = frame.letter == b'R' && frame.first_string().starts_with("<refused");
        vec![Frame::new(if refused { b'r' } else { b'c' }, [])]
    });
    let message = Message::new(chain.domain(), "who sees it").to(chain.domain(), &["refused", "user"]);

    let exchange = chain.smtp().send(&message);

    assert_eq!(exchange.last().code, 250, "{exchange:?}");
    assert_eq!(exchange.recipients[0].code / 100, 5, "{exchange:?}");
    assert_eq!(chain.delivered().recipients, [format!("<user@{}>", chain.domain())]);
    let parallel = at_once.contains(&b'R');
    assert_eq!(
        *shown.lock().unwrap(),
        [('C', true), ('H', true), ('M', true), ('R', parallel), ('R', parallel), ('T', true)],
        "whether the second child was shown it while the first had not answered"
    );
    let recipients: Vec<_> =
        second.seen().iter().filter(|frame| frame.letter == b'R').map(Frame::first_string).collect();
    let domain = chain.domain();
    let all = [format!("<refused@{domain}>"), format!("<user@{domain}>")];
    assert_eq!(
        recipients,
        if parallel { &all[..] } else { &all[1..] },
        "recipients that the second was shown"
    );
}
