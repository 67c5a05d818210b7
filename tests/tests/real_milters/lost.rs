//! Milters that run, and whose daemons do not: what they say then is theirs, and is passed on.

use millstream_tests::message::Message;
use millstream_tests::real_children::spamassassin::GTUBE;

use crate::children::Kind;
use crate::office::{Chain, same};
use crate::verdicts::lines;

#[test]
fn without_clamd_mail_has_to_wait() {
    let Some(seen) = same(Chain::LostClamd, |smtp, domain| {
        ["one", "two"].map(|subject| smtp.send(&Message::new(domain, subject))).into()
    }) else {
        return;
    };

    assert_eq!(seen.delivered, [""; 0]);
    assert!(seen.replies.iter().any(|reply| reply.starts_with("451 ")), "{:?}", seen.replies);
}

#[test]
fn without_spamd_mail_passes_unseen() {
    let gtube = GTUBE.concat();
    let Some(seen) = same(Chain::LostSpamd, |smtp, domain| {
        vec![smtp.send(&Message::new(domain, "clean")), smtp.send(&lines(domain, "spam", &[&gtube]))]
    }) else {
        return;
    };

    assert_eq!(seen.delivered.len(), 1, "rspamd knows GTUBE as well: {:?}", seen.replies);
    assert!(!seen.delivered[0].contains(Kind::SpamAssassin.mark()), "{}", seen.delivered[0]);
}
